"""`dag/export` and `dag/import`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ipfs_cluster import cid as cids
from ipfs_cluster.car import BadCar, CarReader, head, section
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError, InvalidArgument, NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.unixfs.opened import inlined
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.embedded.uploads import Upload, uploads
from ipfs_proxy.embedded.walks import walk
from ipfs_proxy.wire.params import Option

EXPORT = (Option("progress", bool, ("p",)), Option("local-only", bool))
IMPORT = (
    Option("pin-roots", bool),
    Option("local-only", bool),
    Option("silent", bool),
    Option("stats", bool),
    Option("fast-provide-root", bool),
    Option("fast-provide-dag", bool),
    Option("fast-provide-wait", bool),
    Option("allow-big-block", bool),
)
CONTENT_TYPE = "application/vnd.ipld.car"
OFFLINE = "block was not found locally (offline): "


def car_entries(node: Node) -> dict[str, Entry]:
    """The table of these commands."""
    cars = Cars(node)
    return {
        "dag/export": Entry(cars.export, EXPORT, ("root",), body=True),
        "dag/import": Entry(cars.import_, IMPORT, file="path"),
    }


async def archive(resolver: Resolver, root: Cid, *, skip: Node | None = None) -> AsyncIterator[bytes]:
    """A CARv1 of a DAG, depth first, each block once. skip: leaves out what this node does not have."""
    began = False
    async for cid, data in walk(resolver, root, present=skip):
        if not began:
            yield head([root])
            began = True
        if inlined(cid) is None:
            yield b"".join(section(cid, (data,), len(data)))


class Cars:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def export(self, call: Call) -> None:
        """A whole DAG, or what is here of it."""
        params = call.params
        partial = params.flag("local-only")
        if partial and params.options.get("offline") is False:
            raise InvalidArgument(
                "--local-only implies --offline and cannot be combined with --offline=false; please drop one of them"
            )
        resolver = Resolver(self._node, offline=partial or params.flag("offline"))
        root = await resolver.cid(call.arguments[0])
        async for piece in archive(resolver, root, skip=self._node if partial else None):
            if not call.answer.started:
                await call.begin_bytes(CONTENT_TYPE)
            await call.answer.write(piece)
        await call.answer.end()

    # --- import ---

    async def import_(self, call: Call) -> None:
        """Every block is verified and kept, then the roots are pinned; what goes wrong there is told beside them."""
        params = call.params
        pin = params.options.get("pin-roots")
        if params.flag("local-only") and pin is True:
            raise InvalidArgument(
                "--local-only implies --pin-roots=false and cannot be combined with --pin-roots=true; "
                "please drop one of them"
            )
        pinning = pin is not False and not params.flag("local-only")
        roots: dict[Cid, None] = {}
        blocks = size = 0
        async with self._node.adding():
            async for upload in uploads(call.request):
                if upload.part.directory:
                    raise NodeError("expected a file handle")
                found, count, length = await self._read(upload)
                roots |= dict.fromkeys(found)
                blocks, size = blocks + count, size + length
            for root in roots if pinning else ():
                await self._root(root, call)
        if params.flag("stats"):
            await call.emit(_stats(blocks, size, call))
        await call.end()

    async def _read(self, upload: Upload) -> tuple[tuple[Cid, ...], int, int]:
        """The roots of one archive, its blocks and their bytes. An empty file is an archive of nothing."""
        reader, last = CarReader(), None
        blocks = size = 0
        empty = True
        try:
            async for piece in upload.content:
                empty = False
                found = reader.feed(piece)
                if found:
                    last = found[-1].cid
                    await self._node.put([(block.cid, block.data) for block in found if inlined(block.cid) is None])
                blocks += len(found)
                size += sum(len(block.data) for block in found)
            if not empty:
                reader.finish()
        except BadCar as error:
            raise NodeError(_failed(last, error)) from None
        return reader.roots or (), blocks, size

    async def _root(self, root: Cid, call: Call) -> None:
        error = ""
        try:
            await self._node.pin(root, PinMode.RECURSIVE, "", offline=True)
        except ClusterError as failure:
            error = str(failure).removeprefix(OFFLINE)
        text, shown = cids.text(root), call.show(root)
        encoding = call.answer.encoding
        if encoding == "text" and error:
            raise NodeError(f'pinning root "{shown}" FAILED: {error}')
        line = "" if call.params.flag("silent") else f"Pinned root\t{shown}\tsuccess\n"
        value = {"Cid": text if encoding == "xml" else {"/": text}, "PinErrorMsg": error}
        await call.emit(Shown({"Root": value}, "CarImportOutput", line))


def _failed(last: Cid | None, error: BadCar) -> str:
    return f'import failed after block "{cids.text(last)}": {error}' if last is not None else f"import failed: {error}"


def _stats(blocks: int, size: int, call: Call) -> Shown:
    line = "" if call.params.flag("silent") else f"Imported {blocks} blocks ({size} bytes)\n"
    return Shown({"Stats": {"BlockCount": blocks, "BlockBytesCount": size}}, "CarImportOutput", line)
