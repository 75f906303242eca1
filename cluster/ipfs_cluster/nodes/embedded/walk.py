"""Walking DAGs of any codec over a repository, in constant memory: what was seen is on disk, what is to be seen is the
links of a few blocks. Local blocks are read by threads, some at a time; missing ones are fetched side by side.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError
from ipfs_cluster.nodes.embedded.blocks import Blocks
from ipfs_cluster.nodes.embedded.links import links
from ipfs_cluster.nodes.embedded.seen import Seen
from ipfs_cluster.nodes.embedded.threads import Threads
from ipfs_cluster.unixfs.opened import inlined

AT_ONCE = 16
"""Blocks that are read in one go, or fetched at once."""

Fetch = Callable[[Cid], Coroutine[None, None, bytes]]


class Absent(enum.Enum):
    """What to do about a block that is not here."""

    FETCH = enum.auto()
    FAIL = enum.auto()
    PASS = enum.auto()
    """Leave it out, and what is below it."""


@dataclass(frozen=True, slots=True)
class Visited:
    """A block of a walk. size: in bytes, None for one that is not here."""

    cid: Cid
    size: int | None
    links: tuple[Cid, ...] = ()


def missing(cid: Cid) -> NodeError:
    """Kubo's words for a block that is not here and may not be fetched."""
    return NodeError(f"block was not found locally (offline): ipld: could not find {cids.text(cid)}")


class Walker:
    """Walks over one repository. fetch: gets a block that is missing, and keeps it."""

    def __init__(self, blocks: Blocks, threads: Threads, fetch: Fetch) -> None:
        self._blocks = blocks
        self._threads = threads
        self._fetch = fetch

    async def walk(self, roots: Iterable[Cid], seen: Seen, absent: Absent) -> AsyncGenerator[Sequence[Visited]]:
        """All blocks from these roots down that were not seen before, each once, a few at a time, roughly depth first.

        With PASS what is absent comes with size None. Raises NodeError for what is absent (FAIL), BadContent for a
        block that cannot be read as what it is.
        """
        waiting = await self._threads.blocks(self._unseen, list(roots), seen)
        waiting.reverse()
        while waiting:
            batch = waiting[: -AT_ONCE - 1 : -1]
            del waiting[-AT_ONCE:]
            visited = await self._threads.blocks(self._read, batch)
            if any(one.size is None for one in visited) and absent is not Absent.PASS:
                visited = await self._obtained(visited, absent)
            yield visited
            below = await self._threads.blocks(self._unseen, [link for one in visited for link in one.links], seen)
            waiting.extend(reversed(below))

    def _read(self, batch: Sequence[Cid]) -> list[Visited]:
        return [self._look(cid) for cid in batch]

    def _look(self, cid: Cid) -> Visited:
        if (data := inlined(cid)) is not None:
            return Visited(cid, len(data), tuple(links(cid, data)))
        key = cids.multihash(cid)
        if cids.codec(cid) == cids.RAW:
            return Visited(cid, self._blocks.size_of(key))
        found = self._blocks.get(key)
        return Visited(cid, None) if found is None else Visited(cid, len(found), tuple(links(cid, found)))

    async def _obtained(self, visited: Sequence[Visited], absent: Absent) -> list[Visited]:
        lacking = [one.cid for one in visited if one.size is None]
        if absent is Absent.FAIL:
            raise missing(lacking[0])
        fetched = await all_of([self._fetch(cid) for cid in lacking])
        known = {
            cid: Visited(cid, len(data), tuple(links(cid, data))) for cid, data in zip(lacking, fetched, strict=True)
        }
        return [known.get(one.cid, one) for one in visited]

    @staticmethod
    def _unseen(found: Sequence[Cid], seen: Seen) -> list[Cid]:
        """By their v1 form: the same bytes under another codec have other links."""
        by_key = {bytes(cids.to_v1(cid)): cid for cid in reversed(found)}
        return [by_key[key] for key in seen.new(by_key)][::-1]


async def all_of(work: Sequence[Coroutine[None, None, bytes]]) -> list[bytes]:
    """All results; the first failure cancels the others, and comes out as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
