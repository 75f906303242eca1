"""The pinset and everything durable about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ipfs_cluster.cid import Cid
from ipfs_cluster.counters import StoreCounters
from ipfs_cluster.model import NodePin, PeerId, Pin, TrackerStatus, Work
from ipfs_cluster.ports.records import Change, ForeignPin, ListedPin, PinQuery, StoreFigures
from ipfs_cluster.ports.writes import PeerRecord, PutClaim, Write


class Scan(Protocol):
    """A comparison of what one node holds with what the store wants there, by a temporary table.

    Use: feed everything the node lists, then `seal`, then read the findings. Nothing is reported about a (peer, cid)
    whose entry, pending entries, row, claims or foreign record were written since the scan was opened: what the node
    listed may be older. Findings already committed by the reader count as such writes. Each iterator yields pages,
    and may be abandoned (close it, or leave the scan). All raise StoreUnavailable.
    """

    async def feed(self, pins: Sequence[NodePin]) -> None:
        """Add what the node lists. A CID fed in both modes counts as recursive."""
        ...

    async def seal(self) -> None:
        """Everything has been fed; findings may be read."""
        ...

    def missing(self) -> AsyncIterator[list[Pin]]:
        """Wanted on the peer, no row, and not held as wanted (a recursive pin on the node satisfies a direct one)."""
        ...

    def settled(self) -> AsyncIterator[list[Work]]:
        """Rows that want a pin the node holds as wanted, and rows that want an unpin of what it does not hold."""
        ...

    def extra(self) -> AsyncIterator[list[NodePin]]:
        """Held, and nothing needs it, and neither a row nor a foreign record of the same mode explains it."""
        ...

    def vanished(self) -> AsyncIterator[list[Cid]]:
        """Foreign records whose pin the node no longer holds in any mode."""
        ...


class Store(Protocol):
    """The pinset and everything durable about it. Truth when it stands alone, indexed replica beside etcd.

    Guarantees: a commit is atomic and on disk when `commit` returns; commits are applied in one order and each gets
    the next revision; a failed commit changes nothing. Reads see all commits that returned before they began; an
    iterator's pages are each a consistent moment, the whole is not: an entry that is there all the time comes once,
    one that is removed and pinned again in between may come twice. Reads never block writes. All calls but `open`
    raise StoreUnavailable when the store is closed, full or broken; reads go on while the disk is full.

    counters: of this object's life; they are kept when it is closed.
    """

    counters: StoreCounters

    async def open(self) -> None:
        """Open or create; a second call without `close` between is an error. Raises StoreUnusable."""
        ...

    async def close(self) -> None:
        """Finish queued commits and close."""
        ...

    async def commit(self, writes: Sequence[Write]) -> int:
        """Apply all or nothing; the new revision. Raises Conflict, StoreUnavailable, InvalidArgument (text that is not
        valid Unicode), ValueError (a status that no row can have).

        A commit whose caller is cancelled is carried out all the same, whole or (if it fails) not at all; the caller
        just does not learn which.
        """
        ...

    async def begin_unpin(self, peer: PeerId, cid: Cid, generation: int) -> bool:
        """In one writer turn: is this row still the one, and does nothing need (peer, cid)? A foreign pin is not ours
        to remove. When something needs it or it is foreign the row is deleted (a commit of its own, with a revision)
        and the answer is False; with another generation, or a row that wants a pin, it is only False.
        """
        ...

    async def revision(self) -> int:
        """Of the last commit; 0 for a new store."""
        ...

    async def history(self) -> str:
        """A name of this sequence of revisions, of letters and digits: another one in a store that was restored."""
        ...

    async def get(self, cid: Cid) -> Pin | None:
        """The visible entry."""
        ...

    async def get_many(self, cids: Sequence[Cid]) -> dict[Cid, Pin]:
        """The visible entries of those CIDs that have one, from one moment."""
        ...

    def pins(self, query: PinQuery = ..., after_revision: int = 0, *, most: int = 1000) -> AsyncIterator[list[Pin]]:
        """All matching entries in pages of at most `most`, in no promised order, none of them empty.

        after_revision: only entries written after this revision. Entries may be rewritten while they are read, by the
        reader too: each comes as it is when its page is read, and one that was read and still matches, or no longer
        does, neither comes again nor keeps another from coming.
        """
        ...

    def listing(
        self, query: PinQuery = ..., *, by_text: bool = False, foreign_of: PeerId | None = None
    ) -> AsyncIterator[list[ListedPin]]:
        """The same, light; recursive before direct, or byte-sorted by text.

        foreign_of: that peer's foreign pins (not its orphans) are listed too, in the same order, unless an entry has
        the CID; they have type PIN and obey the query's modes, types, name and prefix (and its peer, if that is
        another). A query that asks for anything else has none of them.
        """
        ...

    async def expiring(self, before: float, limit: int) -> list[Pin]:
        """Entries with 0 < expire_at <= before, the earliest first."""
        ...

    async def next_expiry(self) -> float | None:
        """The earliest expire_at > 0, None when no entry expires."""
        ...

    async def count(self, query: PinQuery = ...) -> int:
        """How many visible entries match."""
        ...

    async def work(self, cids: Sequence[Cid]) -> list[Work]:
        """All rows of these CIDs, on all peers."""
        ...

    def works(self, peer: PeerId | None = None) -> AsyncIterator[list[Work]]:
        """All rows, in pages of at most 1,000; those of one CID beside each other."""
        ...

    async def due(
        self,
        peer: PeerId,
        now: float,
        limit: int,
        skip: frozenset[Cid],
        *,
        below: int | None = None,
    ) -> list[Work]:
        """Rows with next_retry <= now that are not in skip: higher priority first, then the earliest next_retry, which
        for a new row is the time it was made, then the CID that the store has known for longest. below: only those of
        a lower priority.
        """
        ...

    async def next_due(self, peer: PeerId, now: float) -> float | None:
        """The earliest next_retry after now, None when there is none."""
        ...

    async def retry_now(self, peer: PeerId, now: float) -> int:
        """Make all rows of a peer due (its node came back); how many were not. Generations stay."""
        ...

    async def shift_retries(self, peer: PeerId, now: float, seconds: float) -> int:
        """Add seconds to every next_retry of the peer that is after now (the wall clock jumped); how many there were.
        Generations stay.
        """
        ...

    async def ahead(self, work: Work, now: float) -> int:
        """How many of its peer's rows with next_retry <= now come before this one: those of a higher priority, and
        those of the same and an earlier next_retry.
        """
        ...

    async def work_counts(self) -> dict[tuple[PeerId, TrackerStatus], int]:
        """How many rows have each status on each peer; no zeros."""
        ...

    async def figures(self) -> StoreFigures:
        """Everything counted, from one moment. Takes time that grows with the store: ask seldom."""
        ...

    async def claims(self, owner: str | None = None) -> list[PutClaim]:
        """All claims, or the owner's."""
        ...

    async def pending_ops(self) -> list[str]:
        """The operations that have pending entries, sorted."""
        ...

    async def peers(self) -> list[PeerRecord]:
        """All peers that were put, in the order of their first PutPeer."""
        ...

    def foreign(self, peer: PeerId | None = None) -> AsyncIterator[list[ForeignPin]]:
        """All foreign records, orphans too, in pages of at most 1,000; those read may be forgotten meanwhile."""
        ...

    async def is_foreign(self, peer: PeerId, cid: Cid) -> NodePin | None:
        """The foreign record of a CID on a peer, orphans too."""
        ...

    async def changes(self, after_revision: int, limit: int) -> list[Change]:
        """Entries changed after a revision, oldest change first, each CID once with its latest state.

        A revision is never cut in two: the answer may exceed `limit` by the rest of one commit. Removals are
        remembered for a bounded number of CIDs only; raises Compacted when some after `after_revision` are forgotten.
        Whoever starts anew takes `revision`, then reads `pins`, then follows the changes after that revision.
        """
        ...

    async def wait_change(self, after_revision: int) -> None:
        """Return when an entry has changed after this revision; may return early at the first call after `open`.
        Raises StoreUnavailable when the store is closed meanwhile.
        """
        ...

    def scan(self, peer: PeerId) -> AbstractAsyncContextManager[Scan]:
        """A comparison with what the peer's node holds; several may be open."""
        ...

    def distinct(self) -> AbstractAsyncContextManager[Distinct]:
        """A sorted, de-duplicating set of CIDs on disk for one request (indirect pins)."""
        ...


class Distinct(Protocol):
    """A set of CIDs on disk: add in batches, read back sorted by text."""

    async def add(self, cids: Sequence[Cid]) -> list[Cid]:
        """Add; returns those that were not in it before, in the given order, each once."""
        ...

    def sorted(self) -> AsyncIterator[list[tuple[str, Cid]]]:
        """(text, cid), byte-sorted by text, in pages."""
        ...
