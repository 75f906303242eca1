"""The store itself: its life, and the port's calls handed to the threads that answer them."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ipfs_cluster.cid import Cid
from ipfs_cluster.counters import StoreCounters
from ipfs_cluster.errors import StoreUnavailable, StoreUnusable
from ipfs_cluster.model import NodePin, PeerId, Pin, TrackerStatus, Work
from ipfs_cluster.ports import (
    Change,
    Clock,
    ForeignPin,
    ListedPin,
    PeerRecord,
    PinQuery,
    PutClaim,
    StoreFigures,
    Write,
)
from ipfs_cluster.stores.bell import Bell
from ipfs_cluster.stores.checks import PAGE, REMOVALS_KEPT, check_writes
from ipfs_cluster.stores.sqlite import listing, queries, reads, schema
from ipfs_cluster.stores.sqlite.codec import PeerNumbers
from ipfs_cluster.stores.sqlite.figures import figures
from ipfs_cluster.stores.sqlite.log import Log
from ipfs_cluster.stores.sqlite.mailbox import Mailbox
from ipfs_cluster.stores.sqlite.names import SMALL, NameIndex, NameSearch
from ipfs_cluster.stores.sqlite.scan import SqliteDistinct, SqliteScan, TemporaryFile, sweep
from ipfs_cluster.stores.sqlite.soundness import check_start
from ipfs_cluster.stores.sqlite.swap import finish
from ipfs_cluster.stores.sqlite.workers import Workers
from ipfs_cluster.stores.sqlite.writer import Writer
from ipfs_cluster.stores.sqlite.writes import Writes

_T = TypeVar("_T")
_P = ParamSpec("_P")

READERS = 4
"""Reading threads: a few slow searches must not hold up the point reads of the trackers."""


class _Open:
    """What exists while the store is open."""

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        counters: StoreCounters,
        removals_kept: int,
        names_from: int,
    ) -> None:
        """On any thread; raises StoreUnusable."""
        self.lock = schema.own(path)
        try:
            finish(path)
            sweep(path)
            connection = schema.open_writer(path)
        except BaseException:
            self.lock.close()
            raise
        self.mailbox = Mailbox(loop)
        self.bell = Bell()
        self.history: str
        try:
            check_start(connection, path)
            connection.execute("DELETE FROM touched")
            self.peers = PeerNumbers(connection.execute("SELECT no, id FROM peers").fetchall())
            self.writes = Writes(connection, self.peers, removals_kept)
            self.revision = self.bell.reached = self.writes.rows.revision
            (self.history,) = connection.execute("SELECT history FROM state").fetchone()
            connect = functools.partial(schema.connect, path, schema.READER_CACHE_KIB)
            self.readers = Workers("reader", READERS, connect, self.mailbox)
        except (sqlite3.Error, StoreUnusable) as error:
            connection.close()
            self.lock.close()
            raise error if isinstance(error, StoreUnusable) else schema.unusable(path, error) from error
        self.names = NameSearch(path, self.readers, self.mailbox, names_from)
        self.writer = Writer(connection, self.writes, self.mailbox, self._durable, Log(connection, path), counters)

    def _durable(self) -> None:
        rows = self.writes.rows
        self.revision = rows.revision
        if self.bell.reached < rows.changed:
            self.bell.reached = rows.changed
            if self.bell.awaited:
                self.mailbox.tell(self.bell.ring)

    def asked(self, query: PinQuery) -> tuple[Workers, NameIndex | None]:
        """Who answers a query, and with what index of names."""
        workers = self.names.workers(query, self.revision)
        return (self.readers, None) if workers is None else (workers, self.names.index)

    async def close(self) -> None:
        """Finish what is queued."""
        self.bell.close()
        await self.names.close()
        await self.writer.close()
        await self.readers.close()
        self.lock.close()


class SqliteStore:
    """Implements `ipfs_cluster.ports.Store` on one file.

    path: the file; beside it lie SQLite's `-wal` and `-shm`, a `.lock`, and `.tmp-*` while scans are open and for an
    index of names. clock: for the times of rows. removals_kept: how many removed CIDs the change feed remembers.
    names_from: entries from which on names are searched by an index.
    """

    def __init__(
        self, path: Path, clock: Clock, *, removals_kept: int = REMOVALS_KEPT, names_from: int = SMALL
    ) -> None:
        self.counters = StoreCounters()
        self._path = path
        self._clock = clock
        self._removals_kept = removals_kept
        self._names_from = names_from
        self._open: _Open | None = None

    # --- life ---

    async def open(self) -> None:
        if self._open is not None:
            raise RuntimeError("the store is open already")
        loop = asyncio.get_running_loop()
        self._open = await asyncio.to_thread(
            _Open, self._path, loop, self.counters, self._removals_kept, self._names_from
        )

    async def close(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await opened.close()

    def _ready(self) -> _Open:
        if self._open is None:
            raise StoreUnavailable("the store is closed")
        return self._open

    async def _read(
        self,
        question: Callable[Concatenate[sqlite3.Connection, PeerNumbers, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        opened = self._ready()
        return await opened.readers.call(question, opened.peers, *args, **kwargs)

    # --- writes ---

    async def commit(self, writes: Sequence[Write]) -> int:
        check_writes(writes)
        opened, now = self._ready(), self._clock.time()
        return await opened.writer.call(lambda: opened.writes.commit(writes, now), savepoint=len(writes) > 1)

    async def begin_unpin(self, peer: PeerId, cid: Cid, generation: int) -> bool:
        opened = self._ready()
        return await opened.writer.call(lambda: opened.writes.begin_unpin(peer, cid, generation), savepoint=False)

    async def retry_now(self, peer: PeerId, now: float) -> int:
        opened = self._ready()
        return await opened.writer.call(lambda: opened.writes.retry_now(peer, now), savepoint=False)

    async def shift_retries(self, peer: PeerId, now: float, seconds: float) -> int:
        opened = self._ready()
        return await opened.writer.call(lambda: opened.writes.shift_retries(peer, now, seconds), savepoint=False)

    # --- entries ---

    async def revision(self) -> int:
        return self._ready().revision

    async def get(self, cid: Cid) -> Pin | None:
        return await self._read(reads.get, cid)

    async def get_many(self, cids: Sequence[Cid]) -> dict[Cid, Pin]:
        return await self._read(reads.get_many, cids) if cids else {}

    async def pins(
        self, query: PinQuery = PinQuery(), after_revision: int = 0, *, most: int = PAGE
    ) -> AsyncIterator[list[Pin]]:
        opened = self._ready()
        workers, names = opened.asked(query)
        after: queries.After | None = queries.After()
        while after is not None:
            page, after = await workers.call(queries.pins_page, opened.peers, query, after_revision, after, names, most)
            if page:
                yield page

    async def listing(
        self, query: PinQuery = PinQuery(), *, by_text: bool = False, foreign_of: PeerId | None = None
    ) -> AsyncIterator[list[ListedPin]]:
        opened = self._ready()
        workers, names = opened.asked(query)
        place = listing.start(query, by_text=by_text)
        if place is None:
            return

        def begin(place: listing.Place) -> asyncio.Future[tuple[list[ListedPin], listing.Place | None]]:
            return workers.begin(listing.page, opened.peers, query, foreign_of, place, names)

        ahead = begin(place)
        try:
            while place is not None:
                page, place = await ahead
                if place is not None:
                    ahead = begin(place)
                if page:
                    yield page
        finally:
            ahead.cancel()

    async def expiring(self, before: float, limit: int) -> list[Pin]:
        return await self._read(reads.expiring, before, limit)

    async def next_expiry(self) -> float | None:
        return await self._ready().readers.call(reads.next_expiry)

    async def count(self, query: PinQuery = PinQuery()) -> int:
        opened = self._ready()
        workers, names = opened.asked(query)
        return await workers.call(queries.count, opened.peers, query, names)

    async def changes(self, after_revision: int, limit: int) -> list[Change]:
        return await self._read(reads.changes, after_revision, limit)

    async def history(self) -> str:
        return self._ready().history

    async def wait_change(self, after_revision: int) -> None:
        await self._ready().bell.after(after_revision)

    # --- work ---

    async def work(self, cids: Sequence[Cid]) -> list[Work]:
        return await self._read(reads.work, cids) if cids else []

    async def works(self, peer: PeerId | None = None) -> AsyncIterator[list[Work]]:
        after: tuple[int, int] | None = (0, 0)
        while after is not None:
            page, after = await self._read(reads.works_page, peer, after)
            if page:
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
        return await self._read(reads.due, peer, now, limit, skip, below)

    async def next_due(self, peer: PeerId, now: float) -> float | None:
        return await self._read(reads.next_due, peer, now)

    async def ahead(self, work: Work, now: float) -> int:
        return await self._read(reads.ahead, work, now)

    async def work_counts(self) -> dict[tuple[PeerId, TrackerStatus], int]:
        return await self._read(reads.work_counts)

    async def figures(self) -> StoreFigures:
        return await self._read(figures, self._path)

    # --- claims, pending, peers, foreign ---

    async def claims(self, owner: str | None = None) -> list[PutClaim]:
        return await self._read(reads.claims, owner)

    async def pending_ops(self) -> list[str]:
        return await self._ready().readers.call(reads.pending_ops)

    async def peers(self) -> list[PeerRecord]:
        return await self._ready().readers.call(reads.peer_records)

    async def foreign(self, peer: PeerId | None = None) -> AsyncIterator[list[ForeignPin]]:
        after: tuple[int, str] | None = (0, "")
        while after is not None:
            page, after = await self._read(reads.foreign_page, peer, after)
            if page:
                yield page

    async def is_foreign(self, peer: PeerId, cid: Cid) -> NodePin | None:
        return await self._read(reads.is_foreign, peer, cid)

    # --- sets of one request ---

    @asynccontextmanager
    async def scan(self, peer: PeerId) -> AsyncIterator[SqliteScan]:
        opened = self._ready()
        file = TemporaryFile(self._path)
        async with _worker(file, file.attached, opened.mailbox) as worker:
            try:
                revision = await opened.writer.call(lambda: opened.writes.rows.scan_opened(peer), control=True)
                scan = SqliteScan(worker, opened.peers, peer, revision)
                await scan.prepare()
                yield scan
            finally:
                opened.writer.tell(lambda: opened.writes.rows.scan_closed(peer))

    @asynccontextmanager
    async def distinct(self) -> AsyncIterator[SqliteDistinct]:
        file = TemporaryFile(self._path)
        async with _worker(file, file.alone, self._ready().mailbox) as worker:
            distinct = SqliteDistinct(worker)
            await distinct.prepare()
            yield distinct


@asynccontextmanager
async def _worker(
    file: TemporaryFile, connect: Callable[[], sqlite3.Connection], mailbox: Mailbox
) -> AsyncIterator[Workers]:
    """A thread with a connection to a temporary file; both are gone afterwards. Raises StoreUnavailable."""
    try:
        worker = await asyncio.to_thread(Workers, "scan", 1, connect, mailbox)
    except sqlite3.Error as error:
        raise schema.unavailable(error) from error
    try:
        yield worker
    finally:
        await worker.close()
        await asyncio.to_thread(file.remove)
