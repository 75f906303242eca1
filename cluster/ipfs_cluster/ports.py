"""What the engine needs from the outside: a clock, IPFS nodes, a store. Small protocols, declared by their consumer.

Every implementation of a port runs the same contract suite in `ipfs_cluster.testing`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ipfs_cluster.cid import Cid, parse
from ipfs_cluster.counters import StoreCounters
from ipfs_cluster.model import (
    ClaimKind,
    NodeInfo,
    NodePin,
    PeerId,
    Pin,
    PinMode,
    PinType,
    RepoStat,
    TrackerStatus,
    Work,
)


class Clock(Protocol):
    """Time and randomness, injected so that tests own them."""

    def time(self) -> float:
        """Unix seconds; may jump. For what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back. For timeouts and intervals."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this long on the monotonic clock."""
        ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...


class NodeResponse(Protocol):
    """The answer to an `upload`. trailers: complete after the end of the body, names in lower case."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def trailers(self) -> Mapping[str, str]: ...

    def batches(self) -> AsyncIterator[list[bytes]]:
        """The body's lines, without LF, as many at once as arrived together; never an empty list or line. Raises
        NodeUnreachable when it ends early.
        """
        ...

    async def read(self) -> bytes:
        """The whole body, for small answers."""
        ...


class Node(Protocol):
    """One IPFS daemon. Calls raise NodeUnreachable (outcome unknown) or NodeError (the daemon's own message).

    cluster: it is the proxy of another cluster, known after `info`. Its listings say what should be pinned there, so
    only a finished `pin` proves that something is; pinning again what it has does no harm.
    """

    cluster: bool

    async def info(self) -> NodeInfo:
        """The node's ID, addresses and version."""
        ...

    async def pin(
        self,
        cid: Cid,
        mode: PinMode,
        name: str,
        on_progress: Callable[[int, int], None],
        stall: float,
    ) -> None:
        """Pin and return when the node says it is pinned. on_progress(nodes, bytes) on every report.

        stall: seconds without growth after which the attempt is given up: NodeStalled. 0 = never. Success is only a
        complete answer with the CID in `Pins` and no X-Stream-Error trailer.
        """
        ...

    async def fetch(self, cid: Cid, on_progress: Callable[[int, int], None], stall: float) -> None:
        """Fetch the whole DAG without pinning it. on_progress(nodes, 0); stall as in `pin`."""
        ...

    async def pin_update(self, old: Cid, new: Cid, stall: float) -> None:
        """Pin `new` recursively by fetching its difference to `old`, which stays pinned."""
        ...

    async def unpin(self, cid: Cid, mode: PinMode) -> None:
        """Remove the pin. Not being pinned is success. Raises NodeError when it is pinned in the other mode."""
        ...

    async def pinned(self, cid: Cid, mode: PinMode) -> bool:
        """Whether the node holds this CID by itself as wanted: a recursive pin satisfies a direct one."""
        ...

    def pins(self, mode: PinMode) -> AsyncIterator[list[NodePin]]:
        """All pins of one mode, in batches, streamed. A stream that breaks raises: what came proves nothing."""
        ...

    def indirect(self) -> AsyncIterator[list[Cid]]:
        """All CIDs that the node holds through recursive pins only, in batches, streamed."""
        ...

    async def indirect_root(self, cid: Cid) -> Cid | None:
        """A recursive pin through which the node holds this CID, or None."""
        ...

    async def resolve(self, path: str) -> Cid:
        """The CID that a path leads to. Raises NodeError with the daemon's text for paths that do not resolve."""
        ...

    async def local_block(self, cid: Cid) -> None:
        """Return if the block is in the node's repository; raises NodeError with the daemon's text if it is not."""
        ...

    async def connect(self, addresses: Sequence[str]) -> None:
        """Connect the node's swarm to another node; addresses end in /p2p/<id>."""
        ...

    async def swarm_peers(self) -> frozenset[str]:
        """IDs of the nodes it is connected to."""
        ...

    async def ensure_empty_block(self) -> None:
        """Put and pin the empty raw block, which bitswap never serves (sharding rules, fact 9)."""
        ...

    async def free_space(self) -> int:
        """Bytes that the daemon can still write to the disk where its repository lies."""
        ...

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        """The daemon's repo/stat. size_only: it does not count the objects."""
        ...

    def gc(self) -> AsyncIterator[list[tuple[Cid | None, str]]]:
        """Collect garbage: the blocks freed, or (None, message) for what could not be. Needs the node alone."""
        ...

    async def import_options(self) -> Mapping[str, str]:
        """The node's Import configuration as options of `add`, defaults filled in. What no option can say has a key
        that begins with "-".
        """
        ...

    def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[NodeResponse]:
        """One command with a streamed request body, full duplex. Leaving the block early cancels it on the node.

        An error that `body` raises ends the exchange with that error, after what the daemon still has to say.
        """
        ...

    async def close(self) -> None:
        """Close idle connections; running calls are cancelled by their callers."""
        ...


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A peer as the store remembers it. node_id: the IPFS node it drove last. surveyed: its first reconcile is done,
    so that foreign pins are known and unpinning is allowed. adopted: the node's own pins were taken into the pinset.
    draining: it gets nothing new, and what it holds is moved away.
    """

    id: PeerId
    name: str
    node_id: str = ""
    surveyed: bool = False
    adopted: bool = False
    draining: bool = False


# --- writes: one commit is a sequence of these, all or nothing, each seeing the effects of those before it ---
#
# Words used below. An entry *wants* its CID on a peer when its type is not META (whose parts are entries of their
# own) and the peer is among its allocations, or it has none. A (peer, cid) is *needed* when a visible or pending
# entry wants it there or a claim exists. A row that is made or rewritten gets the commit's revision as its
# generation and is due at once; `since` changes only with the status. Times are the store's clock.


@dataclass(frozen=True, slots=True)
class PutPin:
    """Create or replace the visible entry of pin.cid.

    expect: guard; the revision the entry must have now, 0 = there must be none, None = no guard. Conflict otherwise.
    unseen: guard; there must be neither an entry nor a row of any peer, so that who writes need not read. Conflict
    otherwise.
    queue: peers that get a PIN_QUEUED row. A row that already wants the pin keeps attempts and error; one that wants
    an unpin is turned round, with attempts 0. held: peers known to hold it already: their row, if any, goes.
    release: peers that get an UNPIN_QUEUED row with attempts 0, whatever row was there. Rows of peers in none of the
    three stay as they are. The row's mode is pin.mode for queue and `release_mode` for release; its priority is the
    higher of its own and `priority`. pin.revision is ignored; the store assigns the commit's.
    """

    pin: Pin
    expect: int | None = None
    queue: tuple[PeerId, ...] = ()
    held: tuple[PeerId, ...] = ()
    release: tuple[PeerId, ...] = ()
    release_mode: PinMode = PinMode.RECURSIVE
    priority: int = 0
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class RemovePin:
    """Delete the visible entry; absent and no guard (or expect 0): nothing happens.

    release: as in PutPin, with the entry's mode and `priority`. Rows of other peers that want the pin turn into
    UNPIN_QUEUED too: an attempt may have pinned it there, and without an entry nothing may go on pinning.
    """

    cid: Cid
    expect: int | None = None
    release: tuple[PeerId, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PutPending:
    """Write (or replace, per op and CID) an entry that stays invisible until `CommitPending(op)`.

    It protects its CID from being unpinned on the peers that it wants. Rows are made at the commit, not before.
    """

    op: str
    pin: Pin
    queue: tuple[PeerId, ...] = ()
    held: tuple[PeerId, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitPending:
    """Make all pending entries of op visible at once, with their queue and held as in PutPin. An entry that is visible
    under the same CID already wins; the pending one is dropped, with its queue and held. Conflict when op has no
    pending entries.
    """

    op: str


@dataclass(frozen=True, slots=True)
class DropPending:
    """Remove all pending entries of op; nothing else changes."""

    op: str


@dataclass(frozen=True, slots=True)
class PutClaim:
    """Record that `owner` needs the CID on the peer. Idempotent per (peer, cid, owner); the last kind stays."""

    peer: PeerId
    cid: Cid
    owner: str
    kind: ClaimKind


@dataclass(frozen=True, slots=True)
class ReleaseClaims:
    """Drop the owner's claims (all of them, or those on one CID). Where then nothing needs (peer, cid) any more and it
    is not foreign, an UNPIN_QUEUED row (mode recursive) is made, unless `keep`: then the claims just go.
    """

    owner: str
    cid: Cid | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class FinishWork:
    """The tracker's word that the row is done: delete it if its generation is still this one, else change nothing."""

    peer: PeerId
    cid: Cid
    generation: int


@dataclass(frozen=True, slots=True)
class FailWork:
    """The tracker's word that an attempt failed: status (an *_ERROR or *_QUEUED one), attempts, reason and next time,
    if the generation is still this one. `since` changes only when the status changes. The generation stays.
    priority: the row's from now on; None leaves it.
    """

    peer: PeerId
    cid: Cid
    generation: int
    status: TrackerStatus
    attempts: int
    error: str
    next_retry: float
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class QueueWork:
    """Ask for work on a pin that exists: the row gets this status, attempts 0, next_retry now (recover, reconcile).

    For a status in WANTS_PIN only if the visible entry wants the CID on the peer; the mode is the entry's. For one in
    WANTS_UNPIN only if it does not; the mode is that of the row, recursive without one. Else nothing happens.
    expect_absent: only if there is no row now. The row's priority is the higher of its own and `priority`.
    """

    peer: PeerId
    cid: Cid
    status: TrackerStatus
    error: str = ""
    expect_absent: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PutPeer:
    """Create or replace a peer's record. A new peer gets a PIN_QUEUED row for every visible everywhere-pin."""

    peer: PeerRecord


@dataclass(frozen=True, slots=True)
class RecordForeign:
    """Pins that the node holds and nothing of ours asked for. orphan: found after the first survey. Idempotent:
    a record that exists takes mode and name and keeps its `orphan`.
    """

    peer: PeerId
    pins: tuple[NodePin, ...]
    orphan: bool = False


@dataclass(frozen=True, slots=True)
class ForgetForeign:
    """These are no longer foreign: adopted, or gone from the node."""

    peer: PeerId
    cids: tuple[Cid, ...]


Write = (
    PutPin
    | RemovePin
    | PutPending
    | CommitPending
    | DropPending
    | PutClaim
    | ReleaseClaims
    | FinishWork
    | FailWork
    | QueueWork
    | PutPeer
    | RecordForeign
    | ForgetForeign
)


@dataclass(frozen=True, slots=True)
class PinQuery:
    """Which visible pins: those that all of this is true of. name: case-sensitive substring; prefix: what the name
    begins with. modes, types: any of (None: all, empty: none). peer: those wanted on it. allocated: those whose
    allocations name it. short, surplus: those with fewer, with more allocations than replication_max; neither is true
    of META, of pins that belong everywhere, and of those without allocations. metadata: pairs that the entry has.
    statuses: those with a row of one of these (on `peer`, if that is asked for). expires_before: those that expire, at
    this time or earlier; 0: all.

    Few matches cost what they are, many at most one pass over the pinset; memory is constant.
    """

    modes: frozenset[PinMode] | None = None
    types: frozenset[PinType] | None = None
    name: str = ""
    peer: PeerId | None = None
    allocated: PeerId | None = None
    short: bool = False
    surplus: bool = False
    prefix: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    statuses: frozenset[TrackerStatus] | None = None
    expires_before: float = 0.0


class ListedPin(NamedTuple):
    """One line of a listing, light, as a million are made for one `pin ls`: text is the CID's usual spelling."""

    text: str
    mode: PinMode
    type: PinType
    name: str

    @property
    def cid(self) -> Cid:
        """The CID, parsed anew on each access: several times the price of the line."""
        return parse(self.text)


@dataclass(frozen=True, slots=True)
class ForeignPin:
    """A pin that a node holds and that is none of ours."""

    peer: PeerId
    pin: NodePin
    orphan: bool


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the change feed: pin is None when the entry was removed."""

    revision: int
    cid: Cid
    pin: Pin | None


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Rows of one status on one peer, at least one. oldest: the earliest `since`."""

    rows: int
    oldest: float


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How much a store holds. foreign, orphans: records of each peer that has any. short, surplus: pins that a PinQuery
    for these finds. file, log: bytes on disk, of the data and of what waits to be moved there; 0 where there is no such
    thing.
    """

    pins: int
    revision: int
    queues: Mapping[tuple[PeerId, TrackerStatus], QueueFigures]
    foreign: Mapping[PeerId, int]
    orphans: Mapping[PeerId, int]
    short: int = 0
    surplus: int = 0
    file: int = 0
    log: int = 0


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

    def pins(self, query: PinQuery = ..., after_revision: int = 0) -> AsyncIterator[list[Pin]]:
        """All matching entries in pages of at most 1,000, in no promised order, none of them empty.

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
        """All rows, in pages of at most 1,000."""
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
        for a new row is the time it was made. below: only those of a lower priority.
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
