"""`add`: UnixFS made here, block by block, with the CIDs and events of Kubo for the same options."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.unixfs import Added, Asked, Block, TreeImport, resolve
from ipfs_proxy.embedded.mfs import Mfs, ToFiles
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.table import Call, Shown
from ipfs_proxy.embedded.table import Entry as TableEntry
from ipfs_proxy.embedded.upload_tree import NOTHING, SYMLINK, Enter, Entry, Leave, Step, Told, UploadTree
from ipfs_proxy.embedded.uploads import Upload, uploads
from ipfs_proxy.rpc.add import XML_FIELDS, go_text
from ipfs_proxy.rpc.options import check_name
from ipfs_proxy.wire.params import Option, Params

PROGRESS = 256 << 10
"""Bytes between two progress events of a file."""
PIECE = 256 << 10
"""Bytes of a file that are hashed in a thread at once; what is less than a fifth of it is not worth one."""
BATCH = 4 << 20
"""Bytes of blocks that are written together."""
FILESTORE = (
    "either the filestore or the urlstore must be enabled to use nocopy, see: "
    "https://github.com/ipfs/kubo/blob/master/docs/experimental-features.md#ipfs-filestore"
)
TARGET_LIMIT = 64 << 10

OPTIONS = (
    Option("recursive", bool, ("r",)),
    Option("dereference-args", bool),
    Option("dereference-symlinks", bool),
    Option("stdin-name", str),
    Option("hidden", bool, ("H",)),
    Option("ignore-rules-path", str),
    Option("empty-dirs", bool, ("E",), True),
    Option("quiet", bool, ("q",)),
    Option("quieter", bool, ("Q",)),
    Option("silent", bool),
    Option("progress", bool, ("p",)),
    Option("trickle", bool, ("t",)),
    Option("only-hash", bool, ("n",)),
    Option("wrap-with-directory", bool, ("w",)),
    Option("chunker", str, ("s",)),
    Option("raw-leaves", bool),
    Option("max-file-links", int),
    Option("max-directory-links", int),
    Option("max-hamt-fanout", int),
    Option("nocopy", bool),
    Option("fscache", bool),
    Option("cid-version", int),
    Option("hash", str),
    Option("inline", bool),
    Option("inline-limit", int, (), 32),
    Option("pin", bool, (), True),
    Option("pin-name", str),
    Option("to-files", str),
    Option("preserve-mode", bool),
    Option("preserve-mtime", bool),
    Option("mode", int, (), None, "uint"),
    Option("mtime", int, (), None, "int64"),
    Option("mtime-nsecs", int, (), None, "uint"),
    Option("fast-provide-root", bool),
    Option("fast-provide-dag", bool),
    Option("fast-provide-wait", bool),
)


def add_entries(node: Node, mfs: Mfs) -> dict[str, TableEntry]:
    """The table entry."""

    async def run(call: Call) -> None:
        await Adding(node, mfs, call).run()

    return {"add": TableEntry(run, OPTIONS, file="path")}


def asked(params: Params) -> Asked:
    """The options of an import."""

    def number(name: str) -> int | None:
        value = params.options.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    raw = params.options.get("raw-leaves")
    return Asked(
        cid_version=number("cid-version"),
        hash_function=params.text("hash"),
        raw_leaves=raw if isinstance(raw, bool) else None,
        chunker=params.text("chunker"),
        trickle=params.flag("trickle"),
        max_links=number("max-file-links"),
        inline=params.flag("inline"),
        inline_limit=number("inline-limit") or 0,
        max_directory_links=number("max-directory-links"),
        hamt_fanout=number("max-hamt-fanout"),
        mode=number("mode") or 0,
        mtime=number("mtime") or 0,
        mtime_nanos=number("mtime-nsecs") or 0,
        preserve_mode=params.flag("preserve-mode"),
        preserve_mtime=params.flag("preserve-mtime"),
        wrap=params.flag("wrap-with-directory"),
        empty_dirs=params.flag("empty-dirs"),
    )


class Adding:
    """One request. Raises the errors of its options before anything is read."""

    def __init__(self, node: Node, mfs: Mfs, call: Call) -> None:
        params = call.params
        self._node = node
        self._call = call
        self._show = call.show
        self._store = not params.flag("only-hash")
        self._pin = params.flag("pin") and self._store
        self._name = params.text("pin-name") or ""
        _check(params)
        self._wrap = params.flag("wrap-with-directory")
        self._tree = TreeImport(resolve(asked(params)), merge=True)
        self._files = ToFiles(mfs, params.text("to-files"))
        self._about: Told = NOTHING
        self._waiting: list[tuple[Cid, bytes]] = []
        self._size = 0

    async def run(self) -> None:
        """Part by part; what was added before a failure stays, as with Kubo."""
        tree = UploadTree()
        async with self._node.adding():
            async for upload in uploads(self._call.request):
                for step in tree.part(upload.part):
                    await self._step(step, upload)
            if tree.empty:
                raise NodeError("expected a file argument")
            for step in tree.end():
                await self._step(step, None)
            if self._wrap:
                added = await self._made(self._tree.finish)
                await self._root(added)
        await self._call.end()

    async def _step(self, step: Step, upload: Upload | None) -> None:
        if isinstance(step, Enter):
            if step.top and not self._wrap:
                self._about = step.told
            self._tree.enter(step.name, step.told.metadata)
        elif isinstance(step, Leave):
            added = await self._made(self._tree.leave)
            if step.top and not self._wrap:
                await self._root(added)
            else:
                await self._tell(added)
        elif upload is not None:
            await self._entry(step, upload)

    # --- files ---

    async def _entry(self, entry: Entry, upload: Upload) -> None:
        if entry.top and not self._wrap:
            self._about = entry.told
        if upload.part.content_type == SYMLINK:
            target = await _target(upload)
            added = await self._made(lambda: self._tree.symlink(entry.name, target, entry.told.metadata))
        else:
            self._tree.open_file(entry.name, entry.told.metadata)
            await self._content(upload)
            added = await self._made(self._tree.close_file)
        if entry.top and not self._wrap:
            await self._root(added)
        else:
            await self._tell(added)

    async def _content(self, upload: Upload) -> None:
        path = (upload.part.filename or "").encode("utf-8", "surrogateescape")
        progress = self._call.params.flag("progress")
        held, size, read = list[bytes](), 0, 0
        async for piece in upload.content:
            held.append(piece)
            size += len(piece)
            if size >= PIECE:
                await self._feed(held)
                held, size = [], 0
            before, read = read, read + len(piece)
            if progress:
                for done in range(before // PROGRESS + 1, read // PROGRESS + 1):
                    await self._emit({"Name": _text(path), "Bytes": done * PROGRESS})
        if held:
            await self._feed(held)
        if progress:
            await self._emit({"Name": _text(path), "Bytes": read})

    async def _feed(self, pieces: list[bytes]) -> None:
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)

        def made() -> list[tuple[Cid, bytes]]:
            return [(block.cid, block.data) for block in self._tree.feed(data)]

        await self._keep(await asyncio.to_thread(made) if len(data) > PIECE // 5 else made())

    # --- what was made ---

    async def _made(self, step: Callable[[], Iterator[Block | Added]]) -> list[Added]:
        """Keep the blocks of a step; its lines."""
        added: list[Added] = []
        for item in step():
            if isinstance(item, Added):
                added.append(item)
            else:
                await self._keep([(item.cid, item.data)])
        return added

    async def _keep(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        if not self._store:
            return
        for cid, data in blocks:
            self._waiting.append((cid, data))
            self._size += len(data)
        if self._size >= BATCH:
            await self._flush()

    async def _flush(self) -> None:
        blocks, self._waiting, self._size = self._waiting, [], 0
        if blocks:
            await self._node.put(blocks)

    async def _root(self, added: list[Added]) -> None:
        """A top-level entry is complete: its blocks are kept before it is named, and its pin comes right after."""
        await self._flush()
        await self._tell(added)
        root = added[-1]
        if self._pin:
            await self._node.pin(root.cid, PinMode.RECURSIVE, self._name)
        if self._files.asked:
            await self._files.link(_text(root.path), root.cid, root.size)

    # --- events ---

    async def _tell(self, added: Iterable[Added]) -> None:
        for item in added:
            if item.directory or not self._call.params.flag("silent"):
                shown = self._show(item.cid)
                unnamed = not item.path and not item.directory
                name = cids.text(item.cid) if unnamed else _text(item.path)
                await self._emit({"Name": name, "Hash": shown, "Size": str(item.size)})

    async def _emit(self, event: Mapping[str, Any]) -> None:
        fields = {name: value for name, value in event.items() if value or name == "Name"} | self._about.fields
        if self._call.answer.encoding == "xml":
            await self._call.emit(Shown({**XML_FIELDS, **fields}, "AddEvent"))
        else:
            await self._call.emit(Shown(fields, "AddEvent", go_text(fields).decode()))


def _check(params: Params) -> None:
    """What Kubo refuses beside the options of the import, in its order."""
    files = params.text("to-files") is not None
    if params.flag("only-hash") and files:
        raise InvalidArgument("only-hash and to-files options are not compatible")
    if params.flag("wrap-with-directory") and files:
        raise InvalidArgument("wrap-with-directory and to-files options are not compatible")
    check_name(params.text("pin-name"))
    if params.text("pin-name") and not params.flag("pin"):
        raise InvalidArgument("pin-name option requires pin to be set")
    if params.flag("nocopy"):
        if params.options.get("raw-leaves") is False:
            raise InvalidArgument("nocopy option requires '--raw-leaves' to be enabled as well")
        raise NodeError(FILESTORE)


async def _target(upload: Upload) -> bytes:
    target = b""
    async for piece in upload.content:
        target += piece
        if len(target) > TARGET_LIMIT:
            raise NodeError("the target of a symbolic link is too long")
    return target


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
