"""`cat`, `ls`, `get`, `resolve`: UnixFS content, read as it is sent."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, InvalidArgument, NodeError
from ipfs_cluster.unixfs import Link, Metadata, entries, open_node, read
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.opened import Opened
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.listing import listed_text
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Path, Resolver, parse
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.embedded.tar import TarEntry, tar_of
from ipfs_proxy.wire.params import Option

ARGUMENT = ("ipfs-path",)
CAT = (
    Option("offset", int, ("o",), None, "int64"),
    Option("length", int, ("l",), None, "int64"),
    Option("progress", bool, ("p",), True),
)
LS = (
    Option("headers", bool, ("v",)),
    Option("resolve-type", bool, (), True),
    Option("size", bool, (), True),
    Option("stream", bool, ("s",)),
    Option("long", bool, ("l",)),
)
GET = (
    Option("output", str, ("o",)),
    Option("archive", bool, ("a",)),
    Option("compress", bool, ("C",)),
    Option("compression-level", int, ("l",)),
    Option("progress", bool, ("p",), True),
)
RESOLVE = (
    Option("recursive", bool, ("r",), True),
    Option("dht-record-count", int, ("dhtrc",)),
    Option("dht-timeout", str, ("dhtt",)),
)
TYPES = {Kind.RAW: 2, Kind.FILE: 2, Kind.DIRECTORY: 1, Kind.HAMT_SHARD: 1, Kind.SYMLINK: 4}
"""Numbers of `ls`, by what a node is."""
DIRECTORIES = (Kind.DIRECTORY, Kind.HAMT_SHARD)
MODE_DIR, MODE_SYMLINK = 1 << 31, 1 << 27  # bits of Go's FileMode


def reading_entries(node: Node, clock: Callable[[], float]) -> dict[str, Entry]:
    """The table of these commands. clock: unix seconds, for archives of content without times."""
    reading = Reading(node, clock)
    return {
        "cat": Entry(reading.cat, CAT, ARGUMENT, body=True, many=True),
        "ls": Entry(reading.ls, LS, ARGUMENT, body=True, many=True),
        "get": Entry(reading.get, GET, ARGUMENT, body=True),
        "resolve": Entry(reading.resolve, RESOLVE, ("name",), body=True),
    }


async def opened(resolver: Resolver, cid: Cid) -> Opened:
    """The root node of some UnixFS. Raises NodeError for what is none."""
    if cids.codec(cid) not in (cids.RAW, cids.DAG_PB):
        await resolver.get(cid)
        raise NodeError("unknown node type")
    return open_node(cid, await resolver.get(cid))


class Reading:
    """The handlers."""

    def __init__(self, node: Node, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock

    def _resolver(self, call: Call) -> Resolver:
        return Resolver(self._node, offline=call.params.flag("offline"))

    # --- cat ---

    async def cat(self, call: Call) -> None:
        """Files one after the other, or a range of all of them together."""
        options = call.params.options
        offset, length = int(options.get("offset", 0)), options.get("length")
        if offset < 0:
            raise InvalidArgument("cannot specify negative offset")
        if length is not None and int(length) < 0:
            raise InvalidArgument("cannot specify negative length")
        resolver = self._resolver(call)
        ranges, total = await self._ranges(resolver, call, offset, None if length is None else int(length))
        await call.begin_bytes(size=total)
        for cid, start, stop in ranges:
            async for piece in read(resolver.get, cid, start, stop):
                await call.answer.write(bytes(piece))
        await call.answer.end()

    async def _ranges(
        self, resolver: Resolver, call: Call, offset: int, limit: int | None
    ) -> tuple[list[tuple[Cid, int, int]], int]:
        """(file, first byte, end) in order, and bytes together. Files beyond the limit are not looked at."""
        found: list[tuple[Cid, int, int]] = []
        total = 0
        for argument in call.arguments if limit != 0 else ():
            cid = await resolver.cid(argument)
            node = await opened(resolver, cid)
            if node.kind in DIRECTORIES:
                raise NodeError("this dag node is a directory")
            if offset > node.size:
                offset -= node.size
                continue
            start, offset = offset, 0
            stop = node.size if limit is None else min(node.size, start + limit - total)
            found.append((cid, start, stop))
            total += stop - start
            if limit is not None and total >= limit:
                break
        return found, total

    # --- ls ---

    async def ls(self, call: Call) -> None:
        """Directories, and the blocks of what is none."""
        resolver, params = self._resolver(call), call.params
        look = params.flag("resolve-type") or params.flag("size")
        listings = []
        for argument in call.arguments:
            cid = await resolver.cid(argument)
            links = self._links(resolver, cid, call, look=look)
            if params.flag("stream"):
                async for link in links:
                    value = {"Objects": [{"Hash": argument, "Links": [link]}]}
                    await call.emit(Shown(value, "LsOutput", listed_text([(argument, [link])], params)))
                continue
            listings.append((argument, sorted([link async for link in links], key=lambda link: str(link["Name"]))))
        if params.flag("stream"):
            await call.end()
            return
        value = {"Objects": [{"Hash": argument, "Links": links} for argument, links in listings]}
        await call.single(Shown(value, "LsOutput", listed_text(listings, params)))

    async def _links(self, resolver: Resolver, cid: Cid, call: Call, *, look: bool) -> AsyncIterator[dict[str, Any]]:
        if cids.codec(cid) in (cids.RAW, cids.DAG_PB):
            node = await opened(resolver, cid)
            links = entries(resolver.get, cid) if node.kind in DIRECTORIES else _each(list(node.links))
        else:
            links = _each(ipld.links(cid, await resolver.get(cid)))
        async for link in links:
            yield await self._link(resolver, link, call, look=look)

    async def _link(self, resolver: Resolver, link: Link, call: Call, *, look: bool) -> dict[str, Any]:
        size = kind = mode = 0
        target, modified = "", "0001-01-01T00:00:00Z"
        codec = cids.codec(link.cid)
        if codec == cids.RAW:
            size, kind = link.tsize, 2
        elif look and codec == cids.DAG_PB:
            node = open_node(link.cid, await resolver.get(link.cid))
            kind = TYPES[node.kind]
            size = 0 if node.kind in DIRECTORIES else node.size
            target = bytes(node.content).decode("utf-8", "replace") if node.kind is Kind.SYMLINK else ""
            mode, modified = go_mode(node), _rfc3339(node.metadata)
        return {
            "Name": link.name.decode("utf-8", "surrogateescape"),
            "Hash": call.show(link.cid),
            "Size": size,
            "Type": kind,
            "Target": target,
            "Mode": mode,
            "ModTime": modified,
        }

    # --- get ---

    async def get(self, call: Call) -> None:
        """A tar archive, unless a file is to be compressed alone."""
        params = call.params
        compress, archive = params.flag("compress"), params.flag("archive")
        level = int(params.options.get("compression-level", -1))
        if compress and not (level == -1 or 1 <= level <= 9):
            raise InvalidArgument("compression level must be between 1 and 9")
        resolver = self._resolver(call)
        argument = call.arguments[0]
        cid = await resolver.cid(argument)
        node = await opened(resolver, cid)
        directory = node.kind in DIRECTORIES
        if compress and not archive and directory:
            raise NodeError("file is not regular")
        size = await _cumulative(resolver, cid, node) if directory else node.size
        if compress and not archive:
            content: AsyncIterator[bytes | memoryview] = read(resolver.get, cid)
        else:
            content = tar_of(self._entries(resolver, argument.rstrip("/").rpartition("/")[2], cid, node))
        await call.begin_bytes("application/gzip" if compress else "application/x-tar", size)
        async for piece in _compressed(content, level) if compress else content:
            await call.answer.write(bytes(piece))
        await call.answer.end()

    async def _entries(self, resolver: Resolver, name: str, cid: Cid, node: Opened) -> AsyncIterator[TarEntry]:
        """Depth first, directories before what is in them."""
        mtime = node.metadata.mtime
        when = (int(self._clock()), 0) if mtime is None else (mtime.seconds, mtime.nanos)
        target = bytes(node.content).decode("utf-8", "surrogateescape") if node.kind is Kind.SYMLINK else ""
        directory = node.kind in DIRECTORIES
        content = None if directory or target else read(resolver.get, cid)
        yield TarEntry(name, node.metadata.mode & 0o777, when, node.size, directory, target, content)
        if directory:
            async for link in entries(resolver.get, cid):
                child = open_node(link.cid, await resolver.get(link.cid))
                below = f"{name}/{link.name.decode('utf-8', 'surrogateescape')}"
                async for entry in self._entries(resolver, below, link.cid, child):
                    yield entry

    # --- resolve ---

    async def resolve(self, call: Call) -> None:
        """To a CID, and what lies inside its block."""
        path = parse(call.arguments[0])
        resolver = self._resolver(call)
        found = await resolver.find(path)
        text = "/".join(("", found.namespace, shown_under(call, path, found.cid), *found.rest))
        await call.single(Shown({"Path": text}, "ResolvedPath", f"{text}\n"))


def shown_under(call: Call, path: Path, cid: Cid) -> str:
    """The text of a CID that a path led to: without `cid-base`, in the base of the CID that the path begins with."""
    if not call.show.plain or cids.is_v0(path.root):
        return call.show(cid)
    return cids.text_in(cid, path.base, upgrade_v0=True)


def go_mode(node: Opened) -> int:
    """Permission bits as Go's FileMode, 0 for none."""
    mode = node.metadata.mode & 0o777
    if not mode:
        return 0
    return mode | (MODE_DIR if node.kind in DIRECTORIES else MODE_SYMLINK if node.kind is Kind.SYMLINK else 0)


def _rfc3339(metadata: Metadata) -> str:
    if metadata.mtime is None:
        return "0001-01-01T00:00:00Z"
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=metadata.mtime.seconds)
    except OverflowError:
        raise BadContent(f"a time of modification {metadata.mtime.seconds} seconds from 1970") from None
    fraction = f".{metadata.mtime.nanos:09}".rstrip("0") if metadata.mtime.nanos else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


async def _each(links: list[Link]) -> AsyncIterator[Link]:
    for link in links:
        yield link


async def _cumulative(resolver: Resolver, cid: Cid, node: Opened) -> int:
    """Bytes of all blocks, each as often as it is linked: what a directory's parent would say of it."""
    return len(await resolver.get(cid)) + sum(link.tsize for link in node.links)


async def _compressed(content: AsyncIterator[bytes | memoryview], level: int) -> AsyncIterator[bytes]:
    """gzip, in pieces."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    async for piece in content:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
