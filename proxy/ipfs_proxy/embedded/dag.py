"""`dag/get`, `dag/put`, `dag/resolve`, `dag/stat`."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.unixfs.opened import inlined
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.block import hash_named
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver, parse
from ipfs_proxy.embedded.reading import shown_under
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.embedded.uploads import uploads, whole_block
from ipfs_proxy.embedded.walks import walk
from ipfs_proxy.rpc.repo import human_bytes
from ipfs_proxy.wire.params import Option

GET = (Option("output-codec", str, (), "dag-json"),)
PUT = (
    Option("store-codec", str, (), "dag-cbor"),
    Option("input-codec", str, (), "dag-json"),
    Option("pin", bool),
    Option("hash", str),
    Option("allow-big-block", bool),
)
STAT = (Option("progress", bool, ("p",), True),)


def dag_entries(node: Node) -> dict[str, Entry]:
    """The table of these commands."""
    dag = Dag(node)
    return {
        "dag/get": Entry(dag.get, GET, ("ref",), body=True),
        "dag/put": Entry(dag.put, PUT, file="object data"),
        "dag/resolve": Entry(dag.resolve, (), ("ref",), body=True),
        "dag/stat": Entry(dag.stat, STAT, ("root",), body=True, many=True),
    }


class Dag:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def _resolver(self, call: Call) -> Resolver:
        return Resolver(self._node, offline=call.params.flag("offline"))

    async def get(self, call: Call) -> None:
        """Data in another codec."""
        codec = ipld.codec_named(call.params.text("output-codec") or "")
        resolver = self._resolver(call)
        found = await resolver.find(parse(call.arguments[0]))
        if not found.rest and codec == cids.codec(found.cid):
            data = await resolver.get(found.cid)
        else:
            data = ipld.encode(codec, await resolver.value(found))
        await call.begin_bytes()
        await call.answer.write(data)
        await call.answer.end()

    async def put(self, call: Call) -> None:
        """Each part is a node."""
        params = call.params
        source = ipld.codec_named(params.text("input-codec") or "")
        target = ipld.codec_named(params.text("store-codec") or "")
        function = hash_named(params.text("hash") or "sha2-256", 'unknown multicodec: "{}"')
        async with self._node.adding():
            async for upload in uploads(call.request):
                if upload.part.directory:
                    raise NodeError("expected a regular file")
                given = await whole_block(upload, big=params.flag("allow-big-block"))
                data = ipld.encode(target, ipld.decode(source, given))
                cid = cids.make(target, function.multihash([data]))
                if inlined(cid) is None:
                    await self._node.put([(cid, data)])
                if params.flag("pin"):
                    await self._node.pin(cid, PinMode.RECURSIVE, "")
                await call.emit(_object(cid, call))
        await call.end()

    async def resolve(self, call: Call) -> None:
        """The block of a path, and what lies inside it."""
        path = parse(call.arguments[0])
        found = await self._resolver(call).find(path)
        rest = "".join(f"/{name}" for name in found.rest)
        text, xml = cids.text(found.cid), call.answer.encoding == "xml"
        fields = {"Cid": text if xml else {"/": text}, "RemPath": rest}
        await call.single(Shown(fields, "ResolveOutput", shown_under(call, path, found.cid) + rest))

    async def stat(self, call: Call) -> None:
        """Blocks and bytes of DAGs, with what they share counted once."""
        resolver = self._resolver(call)
        summary = _Summary()
        roots = []
        for argument in call.arguments:
            found = await resolver.find(parse(argument))
            if found.rest:
                raise InvalidArgument("cannot return size for anything other than a DAG with a root CID")
            roots.append(found.cid)
        for root in roots:
            dag = _Size(call.show(root))
            summary.dags.append(dag)
            async for cid, data in walk(resolver, root):
                summary.add(dag, cid, len(data))
                if call.params.flag("progress"):
                    await call.emit(summary.shown(call, final=False))
        await call.emit(summary.shown(call, final=True))
        await call.end()


def _object(cid: Cid, call: Call) -> Shown:
    text = cids.text(cid)
    fields = {"Cid": text if call.answer.encoding == "xml" else {"/": text}}
    return Shown(fields, "OutputObject", f"{call.show(cid)}\n")


@dataclass(slots=True)
class _Size:
    shown: str
    size: int = 0
    blocks: int = 0


@dataclass(slots=True)
class _Summary:
    """dags: in argument order. total: bytes, shared blocks once; seen: their CIDs."""

    dags: list[_Size] = field(default_factory=list)
    total: int = 0
    seen: set[Cid] = field(default_factory=set)

    def add(self, dag: _Size, cid: Cid, size: int) -> None:
        dag.size += size
        dag.blocks += 1
        if cid not in self.seen:
            self.seen.add(cid)
            self.total += size

    def shown(self, call: Call, *, final: bool) -> Shown:
        """final: with the sums, which Kubo tells at the end."""
        everything = sum(dag.size for dag in self.dags)
        shared = everything - self.total if final else 0
        ratio = everything / self.total if final and self.total else 0.0
        unique = len(self.seen) if final else 0
        xml = call.answer.encoding == "xml"
        stats = [{"Cid": dag.shown, "Size": dag.size, "NumBlocks": dag.blocks} for dag in self.dags]
        fields: dict[str, Any] = {
            "UniqueBlocks": unique,
            "TotalSize": self.total,
            "SharedSize": shared,
            "Ratio": _float32(ratio),
        }
        if not xml:
            fields = {name: value for name, value in fields.items() if value}
        fields["DagStatsArray" if xml else "DagStats"] = stats
        return Shown(fields, "DagStatSummary", self._text(unique, shared, ratio))

    def _text(self, unique: int, shared: int, ratio: float) -> str:
        width = max((len(dag.shown) for dag in self.dags), default=0)
        lines = [f"\n{'CID':<{width}}\t{'Blocks':<15}\tSize"]
        lines += [f"{dag.shown}\t{dag.blocks:<15}\t{dag.size}" for dag in self.dags]
        lines += [
            "\nSummary",
            f"Total Size: {self.total} ({human_bytes(self.total)})",
            f"Unique Blocks: {unique}",
            f"Shared Size: {shared} ({human_bytes(shared)})",
            f"Ratio: {ratio:f}\n\n\n",
        ]
        return "\n".join(lines)


def _float32(value: float) -> float | int:
    """The shortest number that Go's float32 reads as the same; whole ones without a point."""
    exact = struct.unpack("<f", struct.pack("<f", value))[0]
    for digits in range(1, 10):
        short = float(f"{exact:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", short))[0] == exact:
            return int(short) if short.is_integer() else short
    return float(exact)
