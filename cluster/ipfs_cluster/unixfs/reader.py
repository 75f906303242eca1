"""Reading files: any range of bytes, block by block, in order.

Sans-IO: a walk says which block it wants, is given it, and gives out content. Every block is checked against its CID,
and the sizes that a node claims against what is below it. So a hostile DAG cannot make more work than the bytes that
are asked for: what claims to be empty is not fetched, and depth and what waits are bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.opened import Opened, inlined, open_node

MAX_DEPTH = 128
MAX_WAITING = 500_000

Getter = Callable[[Cid], Awaitable[bytes]]
"""Gets a block; raises what its owner raises when there is none. What it returns need not be trusted."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A node to be read. offset: of its first byte in the file; size: what its parent says, None at the root."""

    cid: Cid
    offset: int
    size: int | None
    depth: int


class FileWalk:
    """One read of the bytes [start, stop) of a file or a symbolic link's target. stop: None is the end."""

    def __init__(self, root: Cid, start: int = 0, stop: int | None = None) -> None:
        self._start = start
        self._stop = stop
        self._stack = [_Pending(root, 0, None, 0)]
        self.size: int | None = None
        """Bytes of the whole file, once the root was given."""

    @property
    def wanted(self) -> Cid | None:
        """The block that is needed next; None at the end. It may be an identity CID, which carries its block."""
        return self._stack[-1].cid if self._stack else None

    def upcoming(self, count: int) -> list[Cid]:
        """What will be wanted next, as far as it is known: for fetching ahead."""
        return [pending.cid for pending in self._stack[: -count - 1 : -1]]

    def give(self, data: bytes) -> list[memoryview]:
        """The block that was wanted; the content that follows what came before. Raises BadContent."""
        pending = self._stack.pop()
        node = open_node(pending.cid, data)
        if node.kind in (Kind.DIRECTORY, Kind.HAMT_SHARD):
            raise BadContent(f"{cids.text(pending.cid)} is a directory")
        if node.kind is Kind.SYMLINK and pending.size is not None:
            raise BadContent(f"{cids.text(pending.cid)}: a symbolic link inside a file")
        if pending.size is None:
            self.size = node.size
        elif pending.size != node.size:
            raise BadContent(
                f"{cids.text(pending.cid)}: {node.size} bytes of a file where its parent says {pending.size}"
            )
        self._push(pending, node)
        first, last = self._clip(pending.offset, len(node.content))
        return [node.content[first:last]] if first < last else []

    def _push(self, pending: _Pending, node: Opened) -> None:
        offset = pending.offset + len(node.content)
        children: list[_Pending] = []
        for link, size in zip(node.links, node.sizes, strict=True):
            first, last = self._clip(offset, size)
            if first < last:
                children.append(_Pending(link.cid, offset, size, pending.depth + 1))
            offset += size
        if children and pending.depth >= MAX_DEPTH:
            raise BadContent(f"{cids.text(pending.cid)}: a file of more than {MAX_DEPTH} levels")
        if len(children) + len(self._stack) > MAX_WAITING:
            raise BadContent(f"{cids.text(pending.cid)}: a file with too many links")
        self._stack.extend(reversed(children))

    def _clip(self, offset: int, size: int) -> tuple[int, int]:
        """The wanted part of `size` bytes at `offset`, relative to them; empty if first ≥ last."""
        first = max(0, self._start - offset)
        last = size if self._stop is None else min(size, self._stop - offset)
        return first, last


async def read(get: Getter, root: Cid, start: int = 0, stop: int | None = None) -> AsyncIterator[memoryview]:
    """The bytes [start, stop) of a file, in pieces of at most a block. Raises BadContent, and what `get` raises."""
    walk = FileWalk(root, start, stop)
    while (cid := walk.wanted) is not None:
        data = inlined(cid)
        for piece in walk.give(await get(cid) if data is None else data):
            yield piece
