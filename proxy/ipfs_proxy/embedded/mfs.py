"""MFS: a directory tree that changes by new blocks and a new root. Texts are those of Kubo's `files` commands."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_cluster.unixfs import Block, DirectoryImport, ImportOptions, Link, Metadata, entries, open_node
from ipfs_cluster.unixfs import Node as Dag
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.model import NO_METADATA
from ipfs_cluster.unixfs.opened import Opened
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver

NO_FILE = "file does not exist"
EXISTS = "directory already has entry by that name"
DIRECTORIES = (Kind.DIRECTORY, Kind.HAMT_SHARD)


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path."""

    link: Link
    node: Opened

    @property
    def directory(self) -> bool:
        """Whether it has entries."""
        return self.node.kind in DIRECTORIES


def checked(path: str) -> str:
    """A path without surplus slashes; one at the end is kept. Raises InvalidArgument."""
    if not path:
        raise InvalidArgument("paths must not be empty")
    if not path.startswith("/"):
        raise InvalidArgument("paths must start with a leading slash")
    clean = "/" + posixpath.normpath(path).lstrip("/")
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def names_of(path: str) -> list[bytes]:
    """The names on the way from the root."""
    return [name.encode("utf-8", "surrogateescape") for name in path.split("/") if name]


def settings_of(cid: Cid) -> ImportOptions:
    """CID version and hash function, as a directory hands them down to what is made in it."""
    code, _ = varint.decode(cids.multihash(cid), 0)
    function = multihash.coded(code)
    name = "sha2-256" if function is None or code == cids.IDENTITY else function.name
    version = 0 if cids.is_v0(cid) else 1
    return ImportOptions(cid_version=version, hash_function=name, raw_leaves=bool(version))


class Mfs:
    """The tree of one node. Changes happen one after the other; each is durable before it is answered."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = asyncio.Lock()
        self.resolver = Resolver(node)

    # --- looking ---

    async def root(self) -> Found:
        """The root directory."""
        return await self._opened(Link(b"", await self._node.files_root(), 0))

    async def find(self, path: str) -> Found:
        """What is at a path. Raises NodeError."""
        here, names = await self.root(), names_of(path)
        for at, name in enumerate(names):
            if not here.directory:
                below = b"/".join(names).decode("utf-8", "replace")
                raise NodeError(f"cannot access {below}: Not a directory" if at else NO_FILE)
            link = await self.entry(here, name)
            if link is None:
                raise NodeError(NO_FILE)
            here = await self._opened(link)
        return here

    async def entry(self, directory: Found, name: bytes) -> Link | None:
        """One entry."""
        async for link in self.entries(directory):
            if link.name == name:
                return link
        return None

    async def entries(self, directory: Found) -> AsyncIterator[Link]:
        """All entries in the order of the blocks."""
        if directory.node.kind is Kind.DIRECTORY:
            for link in directory.node.links:
                yield link
            return
        async for link in entries(self.resolver.get, directory.link.cid):
            yield link

    async def opened(self, cid: Cid) -> Found:
        """What a CID is."""
        return await self._opened(Link(b"", cid, 0))

    async def _opened(self, link: Link) -> Found:
        return Found(link, open_node(link.cid, await self.resolver.get(link.cid)))

    # --- changing ---

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Around looking and changing that belong together: nobody else changes anything, and nothing is collected."""
        async with self._lock, self._node.adding():
            yield

    async def put(self, path: str, dag: Dag, *, replace: bool = False) -> None:
        """Link something at a path. Raises NodeError for what is there already, and where there is no directory."""
        *above, name = names_of(path)
        link = Link(name, dag.cid, dag.tsize)

        def edit(links: dict[bytes, Link]) -> None:
            if name in links and not replace:
                raise NodeError(EXISTS)
            links[name] = link

        await self._edit(above, edit)

    async def remove(self, path: str) -> None:
        """Unlink what is at a path. Raises NodeError."""
        *above, name = names_of(path)

        def edit(links: dict[bytes, Link]) -> None:
            if links.pop(name, None) is None:
                raise NodeError(NO_FILE)

        await self._edit(above, edit)

    async def make_directory(self, path: str, options: ImportOptions | None, *, parents: bool) -> None:
        """An empty directory. options: CID version and hash function, None for those of the directory above. parents:
        also those above that are missing; then one that is there is no error. Raises NodeError.
        """
        names = names_of(path)
        for depth in range(1 if parents else len(names), len(names) + 1):
            here = "/" + "/".join(path.strip("/").split("/")[:depth])
            try:
                found = await self.find(here)
            except NodeError as error:
                if str(error) != NO_FILE:
                    raise
            else:
                if found.directory and parents:
                    continue
                raise NodeError("file already exists")
            above = await self.find(posixpath.dirname(here))
            dag = await self._written(options or settings_of(above.link.cid), NO_METADATA, {})
            await self.put(here, dag)

    async def keep(self, blocks: Iterable[Block]) -> None:
        """Store blocks that are linked next."""
        stored = [(block.cid, block.data) for block in blocks if block.stored]
        if stored:
            await self._node.put(stored)

    async def _edit(self, names: Sequence[bytes], edit: Callable[[dict[bytes, Link]], None]) -> None:
        """Change one directory, and so all above it up to the root."""
        chain = [await self.root()]
        for at, name in enumerate(names):
            link = await self.entry(chain[-1], name)
            if link is None:
                raise NodeError(NO_FILE)
            found = await self._opened(link)
            if not found.directory:
                shown = b"/".join(names[: at + 1]).decode("utf-8", "replace")
                raise NodeError(f"/{shown}/ is not a directory")
            chain.append(found)
        dag: Dag | None = None
        for at in range(len(chain) - 1, -1, -1):
            links = {link.name: link async for link in self.entries(chain[at])}
            if dag is None:
                edit(links)
            else:
                links[names[at]] = Link(names[at], dag.cid, dag.tsize)
            dag = await self._written(settings_of(chain[at].link.cid), chain[at].node.metadata, links)
        assert dag is not None
        await self._node.set_files_root(dag.cid)

    async def _written(self, options: ImportOptions, metadata: Metadata, links: dict[bytes, Link]) -> Dag:
        directory = DirectoryImport(options, metadata)
        for link in links.values():
            directory.add(link.name, Dag(link.cid, link.tsize, 0))
        await self.keep(list(directory.finish()))
        assert directory.node is not None
        return directory.node


async def tsize_of(resolver: Resolver, cid: Cid) -> int:
    """Bytes of all blocks of some UnixFS, as its links tell them."""
    data = await resolver.get(cid)
    return len(data) + sum(link.tsize for link in ipld.links(cid, data))


class ToFiles:
    """`add --to-files`: a link in MFS to each entry, once it was added. asked: whether there is anything to do."""

    def __init__(self, mfs: Mfs, destination: str | None) -> None:
        """Raises InvalidArgument."""
        self.asked = destination is not None
        self._mfs = mfs
        self._to = destination or "/"
        self._count = 0
        if self.asked and not self._to.startswith("/"):
            raise InvalidArgument("to-files: paths must start with a leading slash")

    async def link(self, name: str, cid: Cid, tsize: int) -> None:
        """Link an entry. Raises NodeError with Kubo's texts."""
        self._count += 1
        async with self._mfs.changing():
            target = await self._target(name)
            try:
                await self._mfs.put(target, Dag(cid, tsize, 0))
            except NodeError as error:
                raise NodeError(f'to-files: cannot put node in path "{target}": {error}') from None

    async def _target(self, name: str) -> str:
        to = self._to
        if to.endswith("/"):
            try:
                found = await self._mfs.find(to)
            except NodeError as error:
                raise NodeError(f'to-files: MFS destination directory "{to}" does not exist: {error}') from None
            if not found.directory:
                raise NodeError(f'to-files: MFS destination "{to}" is not a directory')
            if not name:
                raise NodeError("to-files: cannot add unnamed files to MFS")
            return to + posixpath.basename(name)
        if self._count > 1:
            raise NodeError(f'to-files: MFS destination is a file: only one entry can be copied to "{to}"')
        above = posixpath.dirname(to)
        try:
            await self._mfs.find(above)
        except NodeError as error:
            raise NodeError(f'to-files: MFS destination parent "{to}" "{above}" does not exist: {error}') from None
        return to
