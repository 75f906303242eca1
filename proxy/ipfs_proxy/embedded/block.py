"""`block/put`, `block/get`, `block/stat`, `block/rm`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.unixfs.opened import inlined
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.embedded.uploads import uploads, whole_block
from ipfs_proxy.wire.params import Option

PUT = (
    Option("cid-codec", str, (), "raw"),
    Option("mhtype", str),
    Option("mhlen", int, (), -1),
    Option("pin", bool),
    Option("allow-big-block", bool),
    Option("format", str, ("f",)),
)
RM = (Option("force", bool, ("f",)), Option("quiet", bool, ("q",)))
FORMATS = {"v0": "dag-pb", "protobuf": "dag-pb", "cbor": "dag-cbor"}
MIN_DIGEST = 20


def block_entries(node: Node) -> dict[str, Entry]:
    """The table of these commands."""
    blocks = Blocks(node)
    one = ("cid",)
    return {
        "block/put": Entry(blocks.put, PUT, file="data"),
        "block/get": Entry(blocks.get, (), one, body=True),
        "block/stat": Entry(blocks.stat, (), one, body=True),
        "block/rm": Entry(blocks.rm, RM, one),
    }


class Blocks:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def put(self, call: Call) -> None:
        """Each part is a block."""
        make = maker(call)
        show = call.show
        async with self._node.adding():
            async for upload in uploads(call.request):
                if upload.part.directory:
                    raise NodeError("expected a file")
                data = await whole_block(upload, big=call.params.flag("allow-big-block"))
                cid = make.cid(data)
                if inlined(cid) is None:
                    await self._node.put([(cid, data)])
                if call.params.flag("pin"):
                    await self._node.pin(cid, PinMode.RECURSIVE, "")
                await call.emit(Shown({"Key": show(cid), "Size": len(data)}, "BlockStat", f"{show(cid)}\n"))
        await call.end()

    async def get(self, call: Call) -> None:
        """The bytes."""
        resolver = Resolver(self._node, offline=call.params.flag("offline"))
        data = await resolver.get(await resolver.cid(call.arguments[0]))
        await call.begin_bytes("application/vnd.ipld.raw")
        await call.answer.write(data)
        await call.answer.end()

    async def stat(self, call: Call) -> None:
        """Size and CID."""
        resolver = Resolver(self._node, offline=call.params.flag("offline"))
        cid = await resolver.cid(call.arguments[0])
        size = len(await resolver.get(cid))
        key = call.show(cid)
        await call.single(Shown({"Key": key, "Size": size}, "BlockStat", f"Key: {key}\nSize: {size}\n"))

    async def rm(self, call: Call) -> None:
        """What is pinned stays; that is said beside the CID, and is no failure of the request."""
        resolver = Resolver(self._node)
        show, force = call.show, call.params.flag("force")
        async for cid in _each(resolver, call):
            error = await self._removed(cid, force=force)
            if error or not call.params.flag("quiet"):
                text = show(cid)
                fields = {"Hash": text, **({"Error": error} if error else {})}
                await call.emit(Shown(fields, "removedBlock", f"&{{{text} {error}}}"))
        await call.end()

    async def _removed(self, cid: Cid, *, force: bool) -> str:
        """Why a block was not removed, or empty."""
        async with self._node.adding():  # nobody may come to rely on it between the look and the removal
            pin = await self._node.pinned(cid)
            if pin is not None:
                return f"pinned: {pin.mode.value}"
            root = await self._node.indirect_root(cid)
            if root is not None:
                return f"pinned via {cids.text(root)}"
            if not await self._node.has(cid):
                return "" if force else f"ipld: could not find {cids.text(cid)}"
            await self._node.remove(cid)
        return ""


async def _each(resolver: Resolver, call: Call) -> AsyncIterator[Cid]:
    for argument in call.arguments:
        yield await resolver.cid(argument)


class Maker:
    """Makes CIDs as `block/put` was asked to. length: of the digest, −1 for all of it."""

    def __init__(self, codec: int, function: multihash.HashFunction, length: int, version: int) -> None:
        self._codec = codec
        self._function = function
        self._length = length
        self._version = version

    def cid(self, data: bytes) -> Cid:
        """The block's. Raises InvalidArgument for a digest that cannot be so long, or so short."""
        hashed = self._function.multihash([data])
        code, at = varint.decode(hashed, 0)
        size, at = varint.decode(hashed, at)
        if self._length >= 0:
            name = self._function.name
            if self._length < MIN_DIGEST and code != cids.IDENTITY:
                raise InvalidArgument(f"digest too small: {name} digest got {self._length} bytes, minimum {MIN_DIGEST}")
            if self._length > size:
                raise InvalidArgument("invalid cid: requested length was too large for digest")
            hashed = varint.encode(code) + varint.encode(self._length) + hashed[at : at + self._length]
        return cids.make(self._codec, hashed, self._version)


def maker(call: Call) -> Maker:
    """From the options of `block/put`. Raises InvalidArgument with Kubo's texts."""
    params = call.params
    codec, legacy = params.text("cid-codec") or "raw", params.text("format")
    if legacy and codec != "raw":
        raise InvalidArgument('unable to use "format" (deprecated) and a custom "cid-codec" at the same time')
    code = ipld.codec_named(FORMATS.get(legacy, legacy) if legacy else codec)
    length = params.options["mhlen"]
    assert isinstance(length, int)
    function = hash_named(params.text("mhtype") or "sha2-256", "unrecognized multihash function: {}")
    if legacy == "v0" and (function.name != "sha2-256" or length not in (-1, 32)):
        raise InvalidArgument("only sha2-255-32 is allowed with CIDv0")
    return Maker(code, function, length, 0 if legacy == "v0" else 1)


def hash_named(name: str, unknown: str) -> multihash.HashFunction:
    """A hash function by its multihash name. unknown: the text for one that does not exist, {} for its name."""
    name = "sha3-512" if name == "sha3" else name
    try:
        known = multihash.recognised(name)
    except InvalidArgument:
        raise InvalidArgument(unknown.format(name)) from None
    return multihash.named(known)
