"""`files/write`: new content for files of MFS."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator
from dataclasses import replace

from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_cluster.unixfs import Asked, FileImport, ImportOptions, Layout, read, resolve
from ipfs_cluster.unixfs import Node as Dag
from ipfs_cluster.unixfs.message import Kind
from ipfs_proxy.embedded.mfs import NO_FILE, Found, Mfs, checked, settings_of
from ipfs_proxy.embedded.table import Call
from ipfs_proxy.embedded.uploads import Upload, uploads
from ipfs_proxy.wire.params import Option

FLUSH = Option("flush", bool, ("f",), True)
CID = (Option("cid-version", int, ("cid-ver",)), Option("hash", str))
WRITE = (
    Option("offset", int, ("o",), None, "int64"),
    Option("create", bool, ("e",)),
    Option("parents", bool, ("p",)),
    Option("truncate", bool, ("t",)),
    Option("count", int, ("n",), None, "int64"),
    Option("raw-leaves", bool),
    FLUSH,
    *CID,
)
CHUNK = 256 << 10
SYMLINKS = "symlinks not yet supported"


class Writing:
    """The handler."""

    def __init__(self, mfs: Mfs) -> None:
        self._mfs = mfs

    async def write(self, call: Call) -> None:
        """New content for a file, or for a part of one. The file is laid out anew, as a trickle DAG."""
        path = checked(call.arguments[0])
        params = call.params
        offset, count = number(call, "offset"), params.options.get("count")
        if offset < 0:
            raise InvalidArgument("cannot have negative write offset")
        if count is not None and int(count) < 0:
            raise InvalidArgument("cannot have negative byte count")
        asked = settings(call)
        parts = uploads(call.request)
        async with self._mfs.changing():
            if params.flag("parents") and posixpath.dirname(path) != "/":
                await self._mfs.make_directory(posixpath.dirname(path), asked, parents=True)
            old = await self._old(path, create=params.flag("create"))
            options = await self._layout(path, old, asked, call)
            upload = await anext(parts, None)
            if upload is None or upload.part.directory:
                raise NodeError("expected a file argument")
            content = self._content(old, upload, offset, None if count is None else int(count), params.flag("truncate"))
            dag = await self._imported(options, content)
            await self._mfs.put(path, dag, replace=True)
        await parts.aclose()
        await call.end()

    async def _old(self, path: str, *, create: bool) -> Found | None:
        try:
            found = await self._mfs.find(path)
        except NodeError as error:
            if not create or str(error) != NO_FILE or path.endswith("/"):
                raise
            if not (await self._mfs.find(posixpath.dirname(path))).directory:
                raise
            return None
        if found.directory:
            raise NodeError(f"{path} was not a file")
        if found.node.kind is Kind.SYMLINK:
            raise NodeError(SYMLINKS)
        return found

    async def _layout(self, path: str, old: Found | None, asked: ImportOptions | None, call: Call) -> ImportOptions:
        """As asked for, else as the file was, else as its directory is."""
        if asked is None:
            like = old if old is not None else await self._mfs.find(posixpath.dirname(path))
            asked = settings_of(like.link.cid)
        raw = call.params.options.get("raw-leaves")
        leaves = raw if isinstance(raw, bool) else asked.raw_leaves
        metadata = asked.metadata if old is None else old.node.metadata
        return replace(asked, raw_leaves=leaves, layout=Layout.TRICKLE, metadata=metadata)

    async def _content(
        self, old: Found | None, upload: Upload, offset: int, count: int | None, truncate: bool
    ) -> AsyncIterator[bytes]:
        """What the file will be: what was before the offset, zeros up to it, the upload, and what was behind."""
        size = 0 if old is None or truncate else old.node.size
        get = self._mfs.resolver.get
        if old is not None and size:
            async for kept in read(get, old.link.cid, 0, min(offset, size)):
                yield bytes(kept)
        for at in range(size, offset, CHUNK):
            yield bytes(min(CHUNK, offset - at))
        end = offset
        async for piece in upload.content:
            taken = piece if count is None else piece[: max(0, offset + count - end)]
            end += len(taken)
            if taken:
                yield taken
        if old is not None and end < size:
            async for kept in read(get, old.link.cid, end, size):
                yield bytes(kept)

    async def _imported(self, options: ImportOptions, content: AsyncIterator[bytes]) -> Dag:
        """A trickle DAG, except for what fits into one raw leaf, or is empty."""
        first = bytearray()
        async for piece in content:
            first += piece
            if len(first) > CHUNK:
                break
        if not first or (options.raw_leaves and len(first) <= CHUNK):
            options = replace(options, layout=Layout.BALANCED)
        file = FileImport(options, options.metadata)
        await self._mfs.keep(list(file.feed(bytes(first))))
        async for piece in content:
            await self._mfs.keep(list(file.feed(piece)))
        await self._mfs.keep(list(file.finish()))
        assert file.node is not None
        return file.node


def number(call: Call, name: str) -> int:
    """A number of the options, 0 if it was not given."""
    return int(call.params.options.get(name, 0))


def settings(call: Call) -> ImportOptions | None:
    """CID version and hash function that were asked for; None if neither was. Raises InvalidArgument."""
    version, function = call.params.options.get("cid-version"), call.params.text("hash")
    if version is None and function is None:
        return None
    return resolve(Asked(cid_version=None if version is None else int(version), hash_function=function))
