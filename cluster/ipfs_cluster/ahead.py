"""The rows of one peer's queue that come next, read some ahead: a read for each row would cost more than the row."""

from __future__ import annotations

from collections.abc import Mapping

from ipfs_cluster.attempt import Operation
from ipfs_cluster.cid import Cid
from ipfs_cluster.model import WANTS_UNPIN, PeerId, Priority, Work
from ipfs_cluster.ports import Store

AHEAD = 128
"""The most rows read at once; fewer while they keep being forgotten, and no more than are started with removals."""


class Ahead:
    """`take` for the tracker's free places; `forget` whenever rows were written by anybody else."""

    def __init__(self, peer: PeerId, store: Store, places: int) -> None:
        self._peer = peer
        self._store = store
        self._places = places
        self._rows: list[Work] = []
        self._size = AHEAD
        self._writes = 0
        self._read_at = -1

    def forget(self) -> None:
        """What was read may not be what comes next any more."""
        if self._rows:
            self._size = max(self._size // 2, 1)
        self._rows.clear()
        self._writes += 1

    def offered(self, work: Work) -> None:
        """A row was made; what comes after it is read again."""
        if self._rows and self._rows[-1].priority < work.priority:
            self.forget()

    async def take(
        self, now: float, free: int, running: Mapping[Cid, Operation], *, may_unpin: bool
    ) -> tuple[list[Work], bool]:
        """Due rows for so many places, in their order, and whether there may be more. may_unpin: else removals are left
        out, and are no reason to ask again. Raises StoreUnavailable.
        """
        if self._rows:
            works, self._rows = self._rows[:free], self._rows[free:]
            return works, True
        if self._read_at == self._writes:
            self._size = min(2 * self._size, AHEAD)
        writes = self._read_at = self._writes
        limit = max(free, self._size)
        works = await self._store.due(self._peer, now, limit, frozenset(running))
        more = len(works) >= limit
        if any(work.priority >= Priority.REMOVAL for work in works):
            limit, more = free, len(works) >= free
            works = await self._with_removals(works[:free], now, free, running, may_unpin=may_unpin)
        allowed = [work for work in works if may_unpin or work.status not in WANTS_UNPIN]
        if writes == self._writes:
            self._rows = allowed[free:]
        return allowed[:free], bool(allowed) and (more or len(allowed) > free)

    async def of(self, work: Work, now: float, running: Mapping[Cid, Operation]) -> int:
        """How many due rows come before this one and are not being worked on. Raises StoreUnavailable."""
        place = (-work.priority, work.next_retry)
        begun = sum((-one.work.priority, one.work.next_retry) < place for one in running.values())
        return max(await self._store.ahead(work, now) - begun, 0)

    async def _with_removals(
        self, works: list[Work], now: float, free: int, running: Mapping[Cid, Operation], *, may_unpin: bool
    ) -> list[Work]:
        """Removals come first, as they are quick and somebody waits for the room; but while anything else is due they
        take no more than half of all places.
        """
        removing = sum(one.unpin and not one.over for one in running.values())
        spare = max(self._places // 2 - removing, 0) if may_unpin else 0
        first = [work for work in works if work.priority >= Priority.REMOVAL]
        if len(first) <= spare:
            return works
        below = Priority.REMOVAL
        others = await self._store.due(self._peer, now, free - spare, frozenset(running), below=below)
        return (first[:spare] + others + first[spare:])[:free]
