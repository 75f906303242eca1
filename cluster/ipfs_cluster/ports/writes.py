"""What a commit is made of: the words in which the pinset is changed."""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import ClaimKind, NodePin, PeerId, Pin, PinMode, TrackerStatus


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
class ForgetPeer:
    """Drop all that is remembered of a peer: its record, rows, claims and foreign records. For one that is served no
    more and that no entry is allocated to; should it return, it is new.
    """

    peer: PeerId


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
    """These are no longer foreign: adopted, or gone from the node.

    release: whose they are wants them removed. Where nothing of ours needs (peer, cid), an UNPIN_QUEUED row (mode
    recursive, `priority`) is made.
    """

    peer: PeerId
    cids: tuple[Cid, ...]
    release: bool = False
    priority: int = 0


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
    | ForgetPeer
    | RecordForeign
    | ForgetForeign
)
