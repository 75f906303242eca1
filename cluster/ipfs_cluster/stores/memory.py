"""The store in memory: the reference and oracle of the others, and the store of tests. Nothing of it is durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar
from uuid import uuid4

from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.counters import StoreCounters
from ipfs_cluster.errors import Compacted, Conflict, StoreUnavailable
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, NodePin, PeerId, Pin, PinMode, PinType, TrackerStatus, Work
from ipfs_cluster.ports import (
    Change,
    Clock,
    ForeignPin,
    ListedPin,
    PeerRecord,
    PinQuery,
    PutClaim,
    QueueFigures,
    StoreFigures,
    Write,
)
from ipfs_cluster.stores.bell import Bell
from ipfs_cluster.stores.checks import PAGE, REMOVALS_KEPT, check_writes, lists_foreign
from ipfs_cluster.stores.memory_scan import MemoryDistinct, MemoryScan
from ipfs_cluster.stores.memory_state import State, wants

_T = TypeVar("_T")
_K = TypeVar("_K")


class MemoryStore:
    """Implements `ipfs_cluster.ports.Store`. removals_kept: how many removed CIDs the change feed remembers."""

    def __init__(self, clock: Clock, *, removals_kept: int = REMOVALS_KEPT) -> None:
        self.counters = StoreCounters()
        self._clock = clock
        self._removals_kept = removals_kept
        self._state = State()
        self._scans: set[MemoryScan] = set()
        self._is_open = False
        self._bell = Bell()
        self._history = uuid4().hex

    # --- life and writes ---

    async def open(self) -> None:
        if self._is_open:
            raise RuntimeError("the store is open already")
        self._is_open = True
        self._bell = Bell()
        self._bell.reached = self._state.changed

    async def close(self) -> None:
        self._is_open = False
        self._bell.close()

    def _ready(self) -> State:
        if not self._is_open:
            raise StoreUnavailable("the store is closed")
        return self._state

    async def commit(self, writes: Sequence[Write]) -> int:
        check_writes(writes)
        draft = self._ready().copy()
        try:
            draft.apply(writes, self._clock.time())
        except Conflict:
            self.counters.conflicts += 1
            raise
        draft.forget_removals(self._removals_kept)
        self._adopt(draft)
        return draft.revision

    def _adopt(self, draft: State) -> None:
        self._state = draft
        self._bell.reached = draft.changed
        self._bell.ring()
        self.counters.durable.observe(0.0)
        self.counters.groups.observe(1)
        for scan in self._scans:
            scan.touched.update(cid for peer, cid in draft.touched if peer in (None, scan.peer))

    async def begin_unpin(self, peer: PeerId, cid: Cid, generation: int) -> bool:
        state = self._ready()
        row = state.rows.get((peer, cid))
        if row is None or row.generation != generation or row.status not in WANTS_UNPIN:
            return False
        if not state.needed(peer, cid) and (peer, cid) not in state.foreign:
            return True
        draft = state.copy()
        draft.apply((), self._clock.time())
        draft.delete_row(peer, cid)
        self._adopt(draft)
        return False

    async def retry_now(self, peer: PeerId, now: float) -> int:
        state = self._ready()
        waiting = [key for key, row in state.rows.items() if key[0] == peer and row.next_retry > now]
        for key in waiting:
            state.rows[key] = replace(state.rows[key], next_retry=now)
        return len(waiting)

    async def shift_retries(self, peer: PeerId, now: float, seconds: float) -> int:
        state = self._ready()
        waiting = [key for key, row in state.rows.items() if key[0] == peer and row.next_retry > now]
        for key in waiting:
            state.rows[key] = replace(state.rows[key], next_retry=state.rows[key].next_retry + seconds)
        return len(waiting)

    # --- entries ---

    async def revision(self) -> int:
        return self._ready().revision

    async def history(self) -> str:
        self._ready()
        return self._history

    async def wait_change(self, after_revision: int) -> None:
        self._ready()
        await self._bell.after(after_revision)

    async def get(self, cid: Cid) -> Pin | None:
        return self._ready().entries.get(cid)

    async def get_many(self, cids: Sequence[Cid]) -> dict[Cid, Pin]:
        entries = self._ready().entries
        return {cid: entries[cid] for cid in cids if cid in entries}

    async def pins(
        self, query: PinQuery = PinQuery(), after_revision: int = 0, *, most: int = PAGE
    ) -> AsyncIterator[list[Pin]]:
        def found(cid: Cid) -> Pin | None:
            state = self._ready()
            pin = state.entries.get(cid)
            return pin if pin is not None and pin.revision > after_revision and _matches(state, query, pin) else None

        async for page in _pages(list(self._ready().entries), found, most):
            yield page

    async def listing(
        self, query: PinQuery = PinQuery(), *, by_text: bool = False, foreign_of: PeerId | None = None
    ) -> AsyncIterator[list[ListedPin]]:
        state = self._ready()
        foreign = {cid for peer, cid in state.foreign if peer == foreign_of}

        def found(cid: Cid) -> ListedPin | None:
            now = self._ready()
            pin = now.entries.get(cid)
            if pin is None and foreign_of is not None and lists_foreign(query, foreign_of):
                pin = _foreign_entry(now.foreign.get((foreign_of, cid)))
            if pin is None or not _matches(now, query, pin):
                return None
            return cid_text(cid), pin.mode, pin.type, pin.name

        everything = {**state.entries, **dict.fromkeys(foreign)}
        lines = {cid: line for cid in everything if (line := found(cid)) is not None}
        order = sorted(lines, key=lambda cid: lines[cid][0] if by_text else lines[cid][1] is PinMode.DIRECT)
        async for page in _pages(order, found):
            yield page

    async def expiring(self, before: float, limit: int) -> list[Pin]:
        pins = [pin for pin in self._ready().entries.values() if 0 < pin.expire_at <= before]
        return sorted(pins, key=lambda pin: pin.expire_at)[:limit]

    async def next_expiry(self) -> float | None:
        return min((pin.expire_at for pin in self._ready().entries.values() if pin.expire_at > 0), default=None)

    async def count(self, query: PinQuery = PinQuery()) -> int:
        state = self._ready()
        return sum(_matches(state, query, pin) for pin in state.entries.values())

    async def changes(self, after_revision: int, limit: int) -> list[Change]:
        state = self._ready()
        if after_revision < state.forgotten:
            raise Compacted(f"removals up to revision {state.forgotten} are forgotten; asked for {after_revision}")
        changes = [Change(pin.revision, cid, pin) for cid, pin in state.entries.items()]
        changes += [Change(revision, cid, None) for cid, revision in state.removed.items()]
        changes = sorted((c for c in changes if c.revision > after_revision), key=lambda c: c.revision)
        if len(changes) > limit > 0:
            changes = [change for change in changes if change.revision <= changes[limit - 1].revision]
        return changes

    # --- work ---

    def _complete(self, row: Work) -> Work:
        """The row as the tracker sees it: with what the entry says now."""
        entry = self._state.entries.get(row.cid)
        if entry is None or row.status not in WANTS_PIN:
            return row
        return replace(row, name=entry.name, pin_update=entry.pin_update, origins=entry.origins)

    async def work(self, cids: Sequence[Cid]) -> list[Work]:
        wanted = set(cids)
        return [self._complete(row) for row in self._ready().rows.values() if row.cid in wanted]

    async def works(self, peer: PeerId | None = None) -> AsyncIterator[list[Work]]:
        def found(key: tuple[PeerId, Cid]) -> Work | None:
            row = self._ready().rows.get(key)
            return None if row is None else self._complete(row)

        keys = sorted((key for key in self._ready().rows if peer in (None, key[0])), key=lambda key: (key[1], key[0]))
        async for page in _pages(keys, found):
            yield page

    async def due(
        self,
        peer: PeerId,
        now: float,
        limit: int,
        skip: frozenset[Cid],
        *,
        below: int | None = None,
    ) -> list[Work]:
        rows = [row for row in self._of(peer) if row.next_retry <= now and row.cid not in skip]
        rows = [row for row in rows if below is None or row.priority < below]
        rows.sort(key=lambda row: (-row.priority, row.next_retry, self._state.known[row.cid]))
        return [self._complete(row) for row in rows[:limit]]

    async def next_due(self, peer: PeerId, now: float) -> float | None:
        return min((row.next_retry for row in self._of(peer) if row.next_retry > now), default=None)

    async def ahead(self, work: Work, now: float) -> int:
        place = (-work.priority, work.next_retry)
        return sum(row.next_retry <= now and (-row.priority, row.next_retry) < place for row in self._of(work.peer))

    def _of(self, peer: PeerId) -> list[Work]:
        return [row for row in self._ready().rows.values() if row.peer == peer]

    async def work_counts(self) -> dict[tuple[PeerId, TrackerStatus], int]:
        counts: dict[tuple[PeerId, TrackerStatus], int] = {}
        for row in self._ready().rows.values():
            counts[row.peer, row.status] = counts.get((row.peer, row.status), 0) + 1
        return counts

    async def figures(self) -> StoreFigures:
        state = self._ready()
        since: dict[tuple[PeerId, TrackerStatus], list[float]] = {}
        for row in state.rows.values():
            since.setdefault((row.peer, row.status), []).append(row.since)
        queues = {key: QueueFigures(len(times), min(times)) for key, times in since.items()}
        strangers = Counter((record.peer, record.orphan) for record in state.foreign.values())
        foreign, orphans = (
            {peer: number for (peer, kind), number in strangers.items() if kind is orphan} for orphan in (False, True)
        )
        short, surplus = (
            sum(_matches(state, query, pin) for pin in state.entries.values())
            for query in (PinQuery(short=True), PinQuery(surplus=True))
        )
        return StoreFigures(len(state.entries), state.revision, queues, foreign, orphans, short, surplus)

    # --- claims, pending, peers, foreign ---

    async def claims(self, owner: str | None = None) -> list[PutClaim]:
        return [claim for claim in self._ready().claims.values() if owner in (None, claim.owner)]

    async def pending_ops(self) -> list[str]:
        return sorted({op for op, _ in self._ready().pending})

    async def peers(self) -> list[PeerRecord]:
        return list(self._ready().peers.values())

    async def foreign(self, peer: PeerId | None = None) -> AsyncIterator[list[ForeignPin]]:
        keys = [key for key in self._ready().foreign if peer in (None, key[0])]
        async for page in _pages(keys, lambda key: self._ready().foreign.get(key)):
            yield page

    async def is_foreign(self, peer: PeerId, cid: Cid) -> NodePin | None:
        record = self._ready().foreign.get((peer, cid))
        return None if record is None else record.pin

    # --- sets of one request ---

    @asynccontextmanager
    async def scan(self, peer: PeerId) -> AsyncIterator[MemoryScan]:
        self._ready()
        scan = MemoryScan(peer, self._ready, self._complete)
        self._scans.add(scan)
        try:
            yield scan
        finally:
            self._scans.discard(scan)

    @asynccontextmanager
    async def distinct(self) -> AsyncIterator[MemoryDistinct]:
        self._ready()
        yield MemoryDistinct()


def _matches(state: State, query: PinQuery, pin: Pin) -> bool:
    return (
        (query.modes is None or pin.mode in query.modes)
        and (query.types is None or pin.type in query.types)
        and query.name in pin.name
        and pin.name.startswith(query.prefix)
        and (query.peer is None or wants(pin, query.peer))
        and (query.allocated is None or query.allocated in pin.allocations)
        and (not query.short or 0 < len(pin.allocations) < _most(pin))
        and (not query.surplus or len(pin.allocations) > _most(pin) > 0)
        and all(pin.metadata.get(key) == value for key, value in query.metadata)
        and (query.statuses is None or _has_row(state, query, pin.cid))
        and (not query.expires_before or 0 < pin.expire_at <= query.expires_before)
    )


def _has_row(state: State, query: PinQuery, cid: Cid) -> bool:
    return any(
        row.cid == cid and query.statuses is not None and row.status in query.statuses and query.peer in (None, peer)
        for (peer, _), row in state.rows.items()
    )


def _most(pin: Pin) -> int:
    """Allocations that the entry should have; 0: their number says nothing."""
    return 0 if pin.type is PinType.META else max(pin.replication_max, 0)


def _foreign_entry(record: ForeignPin | None) -> Pin | None:
    """The entry that a listed foreign pin looks like; orphans are not listed."""
    if record is None or record.orphan:
        return None
    pin = record.pin
    return Pin(pin.cid, mode=pin.mode, type=PinType.PIN, name=pin.name, allocations=(record.peer,))


async def _pages(keys: Iterable[_K], found: Callable[[_K], _T | None], most: int = PAGE) -> AsyncIterator[list[_T]]:
    """Look each key up when its page's turn has come; no page is empty."""
    page: list[_T] = []
    for key in keys:
        item = found(key)
        if item is not None:
            page.append(item)
        if len(page) == most:
            yield page
            page = []
    if page:
        yield page
