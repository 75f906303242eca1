"""Listing directories and finding a path's end, in basic and HAMT directories. Sans-IO, as `reader`.

Entries of a HAMT must lie where the hash of their names says: a shard that is hung in at two places is refused at its
first entry, so that a small hostile DAG cannot make an endless listing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, NoSuchLink
from ipfs_cluster.unixfs.hamt import KEY_BITS, key_of
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.model import Link
from ipfs_cluster.unixfs.opened import Opened, inlined, open_node
from ipfs_cluster.unixfs.reader import Getter


@dataclass(frozen=True, slots=True)
class _Shard:
    """Where a HAMT node is to be: the hash bits that lead to it. fanout: the parent's, 0 at the root."""

    cid: Cid
    key: int
    bits: int
    fanout: int


class DirectoryWalk:
    """One listing, in the order of the links; of a HAMT the entries of a node before those below it."""

    def __init__(self, root: Cid) -> None:
        self._stack = [_Shard(root, 0, 0, 0)]

    @property
    def wanted(self) -> Cid | None:
        """The block that is needed next; None at the end."""
        return self._stack[-1].cid if self._stack else None

    def upcoming(self, count: int) -> list[Cid]:
        """What will be wanted next, as far as it is known."""
        return [shard.cid for shard in self._stack[: -count - 1 : -1]]

    def give(self, data: bytes) -> list[Link]:
        """The block that was wanted; the entries that it brought. Raises BadContent."""
        place = self._stack.pop()
        node = _shard_node(place, data)
        if node.kind is Kind.DIRECTORY:
            return list(node.links)
        entries: list[Link] = []
        below: list[_Shard] = []
        for entry, shard in _parted(place, node):
            if shard is not None:
                below.append(shard)
            elif entry is not None:
                entries.append(entry)
        self._stack.extend(reversed(below))
        return entries


class PathWalk:
    """Finds what a path leads to. `found` is there when nothing is wanted any more."""

    def __init__(self, root: Cid, names: Sequence[bytes]) -> None:
        self._names = list(reversed(names))
        self._place = _Shard(root, 0, 0, 0)
        self._directory = root
        self.found: Cid | None = None if names else root

    @property
    def wanted(self) -> Cid | None:
        """The block that is needed next; None at the end."""
        return None if self.found is not None else self._place.cid

    def give(self, data: bytes) -> None:
        """The block that was wanted. Raises NoSuchLink, and BadContent."""
        place = self._place
        name = self._names[-1]
        try:
            node = _shard_node(place, data)
        except _NoDirectory:
            raise self._missing(name) from None
        if node.kind is Kind.DIRECTORY:
            for link in node.links:
                if link.name == name:
                    self._step(link.cid)
                    return
            raise self._missing(name)
        for entry, shard in _parted(place, node, only=key_of(name)):
            if shard is not None:
                self._place = shard
                return
            if entry is not None and entry.name == name:
                self._step(entry.cid)
                return
        raise self._missing(name)

    def _step(self, cid: Cid) -> None:
        self._names.pop()
        self._place = _Shard(cid, 0, 0, 0)
        self._directory = cid
        if not self._names:
            self.found = cid

    def _missing(self, name: bytes) -> NoSuchLink:
        shown = name.decode("utf-8", "replace")
        return NoSuchLink(f'no link named "{shown}" under {cids.text(self._directory)}')


class _NoDirectory(BadContent):
    """The node is a file or a symbolic link."""


def _shard_node(place: _Shard, data: bytes) -> Opened:
    node = open_node(place.cid, data)
    if node.kind is Kind.HAMT_SHARD:
        if place.fanout and (node.fanout != place.fanout or not node.links):
            raise BadContent(f"{cids.text(place.cid)}: an empty HAMT node, or one of another fanout than its parent")
        return node
    if place.fanout:
        raise BadContent(f"{cids.text(place.cid)}: a HAMT node leads to something else")
    if node.kind is not Kind.DIRECTORY:
        raise _NoDirectory(f"{cids.text(place.cid)} is not a directory")
    return node


def _parted(place: _Shard, node: Opened, only: int | None = None) -> Iterator[tuple[Link | None, _Shard | None]]:
    """The entries and sub-shards of a HAMT node; only: those that this hash may lead to."""
    level = node.fanout.bit_length() - 1
    width = len(f"{node.fanout - 1:X}")
    bits = place.bits + level
    if bits > KEY_BITS:
        raise BadContent(f"{cids.text(place.cid)}: sharded directory too deep")
    for bucket, link in zip(node.buckets, node.links, strict=True):
        key = place.key << level | bucket
        if only is not None and only >> (KEY_BITS - bits) != key:
            continue
        name = link.name[width:]
        if not name:
            yield None, _Shard(link.cid, key, bits, node.fanout)
            continue
        if key_of(name) >> (KEY_BITS - bits) != key:
            raise BadContent(f"{cids.text(place.cid)}: a HAMT has the entry {name!r} in the wrong place")
        yield Link(name, link.cid, link.tsize), None


async def entries(get: Getter, root: Cid) -> AsyncIterator[Link]:
    """The entries of a directory. Raises BadContent, and what `get` raises."""
    walk = DirectoryWalk(root)
    while (cid := walk.wanted) is not None:
        data = inlined(cid)
        for entry in walk.give(await get(cid) if data is None else data):
            yield entry


async def resolve_path(get: Getter, root: Cid, names: Sequence[bytes]) -> Cid:
    """What a path leads to. Raises NoSuchLink with Kubo's text, BadContent, and what `get` raises."""
    walk = PathWalk(root, names)
    while (cid := walk.wanted) is not None:
        data = inlined(cid)
        walk.give(await get(cid) if data is None else data)
    assert walk.found is not None
    return walk.found
