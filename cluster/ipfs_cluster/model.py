"""The values of the cluster: pins, statuses, peers, metrics. Immutable, without behaviour that needs a clock or I/O.

Names, status words and pin types are those of ipfs-cluster, so that they can be shown to its users unchanged.
Times are unix seconds (float); sizes are bytes; peer IDs are their base58 text; CIDs are their bytes (`Cid`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from ipfs_cluster.cid import Cid

PeerId = NewType("PeerId", str)

EVERYWHERE = -1
"""The replication factor that means all peers, present and future."""


LATEST = 253_402_300_799.0
"""The end of the year 9999 in unix seconds: no later time can be written down as doors and state files have it."""


class PinMode(enum.StrEnum):
    """How a node keeps a pin: the whole DAG or the root block alone."""

    RECURSIVE = "recursive"
    DIRECT = "direct"


class PinType(enum.StrEnum):
    """The kind of a pinset entry. Everything but PIN belongs to sharded content."""

    PIN = "pin"
    META = "meta-pin"
    CLUSTERDAG = "clusterdag-pin"
    SHARD = "shard-pin"


class TrackerStatus(enum.StrEnum):
    """What is, for one pin on one peer. The words are ipfs-cluster's."""

    UNDEFINED = "undefined"
    CLUSTER_ERROR = "cluster_error"
    PIN_ERROR = "pin_error"
    UNPIN_ERROR = "unpin_error"
    PINNED = "pinned"
    PINNING = "pinning"
    UNPINNING = "unpinning"
    UNPINNED = "unpinned"
    REMOTE = "remote"
    PIN_QUEUED = "pin_queued"
    UNPIN_QUEUED = "unpin_queued"
    SHARDED = "sharded"
    UNEXPECTEDLY_UNPINNED = "unexpectedly_unpinned"


WANTS_PIN = frozenset({TrackerStatus.PIN_QUEUED, TrackerStatus.PIN_ERROR, TrackerStatus.UNEXPECTEDLY_UNPINNED})
WANTS_UNPIN = frozenset({TrackerStatus.UNPIN_QUEUED, TrackerStatus.UNPIN_ERROR})
"""The statuses that a stored work row can have; PINNED is the absence of a row, PINNING lives in the tracker."""


class Priority(enum.IntEnum):
    """What comes first in a peer's queue."""

    REMOVAL = 2
    """On request."""
    USER = 1
    """What somebody asked for and may wait for."""
    BACKGROUND = 0
    """What the cluster found out by itself, and what has failed for long."""
    REBALANCE = -1
    """Copies beyond the minimum: top-up and moves."""


@dataclass(frozen=True, slots=True)
class PinOptions:
    """What a request asks for. None means absent: an existing pin keeps its value, a new one takes the default.

    replication_min/max: peers, or EVERYWHERE for both. user_allocations: preferred peers, not a promise.
    expire_at: unix seconds, 0 removes an expiry. pin_update: the pin whose blocks the new one mostly shares.
    shard_size: bytes; kept and shown, as ipfs-cluster does.
    """

    name: str | None = None
    mode: PinMode | None = None
    replication_min: int | None = None
    replication_max: int | None = None
    user_allocations: tuple[PeerId, ...] = ()
    metadata: Mapping[str, str] | None = None
    expire_at: float | None = None
    origins: tuple[str, ...] | None = None
    pin_update: Cid | None = None
    shard_size: int | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """An entry of the pinset: what should be.

    allocations: the peers that should hold it, in allocation order; empty means every peer.
    revision: of the store's change that wrote this entry; 0 for one that was never stored.
    """

    cid: Cid
    mode: PinMode = PinMode.RECURSIVE
    type: PinType = PinType.PIN
    name: str = ""
    allocations: tuple[PeerId, ...] = ()
    replication_min: int = EVERYWHERE
    replication_max: int = EVERYWHERE
    metadata: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    expire_at: float = 0.0
    pin_update: Cid | None = None
    reference: Cid | None = None
    shard_size: int = 0
    timestamp: float = 0.0
    revision: int = 0

    def written(self, revision: int) -> Pin:
        """This entry as the store's change `revision` wrote it. Spelled out: `replace` takes three times as long."""
        return Pin(
            self.cid,
            self.mode,
            self.type,
            self.name,
            self.allocations,
            self.replication_min,
            self.replication_max,
            self.metadata,
            self.origins,
            self.expire_at,
            self.pin_update,
            self.reference,
            self.shard_size,
            self.timestamp,
            revision,
        )

    def wanted_on(self, peer: PeerId) -> bool:
        """True when the peer should hold this pin."""
        return not self.allocations or peer in self.allocations


class ClaimKind(enum.StrEnum):
    """Why a node must keep a CID although no pinset entry says so (yet)."""

    INGEST = "ingest"
    """An add in progress: the node has pinned, or is about to pin, a root that is not committed yet."""
    LIST = "list"
    """A shard's list of blocks."""
    SYSTEM = "system"
    """The cluster's own: the empty raw block that bitswap never serves."""


@dataclass(frozen=True, slots=True)
class Work:
    """One row of a peer's durable queue: where reality differs, or may differ, from what the pinset wants.

    status: one of WANTS_PIN or WANTS_UNPIN. mode: to pin with; for an unpin, the mode it was pinned with.
    attempts: node calls that failed since the row was made. since: when the row got this status. next_retry: not
    before this time. generation: changes whenever anybody rewrites the row; the guard of the tracker's updates.
    name, pin_update, origins: copied from the pin for the tracker, empty for an unpin.
    """

    peer: PeerId
    cid: Cid
    status: TrackerStatus
    mode: PinMode
    generation: int
    attempts: int = 0
    error: str = ""
    since: float = 0.0
    next_retry: float = 0.0
    priority: int = 0
    name: str = ""
    pin_update: Cid | None = None
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodePin:
    """A pin as a node lists it."""

    cid: Cid
    mode: PinMode
    name: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedPin:
    """What a node says of a recursive pin of its own. bad: if it is not ok, the blocks that are missing or
    wrong, and why."""

    cid: Cid
    ok: bool = True
    bad: tuple[tuple[Cid, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PinProgress:
    """How far one pin is on one peer: nodes (blocks) and bytes fetched so far, time of the last growth."""

    nodes: int = 0
    bytes: int = 0
    last_growth: float = 0.0


@dataclass(frozen=True, slots=True)
class PinStatus:
    """One pin on one peer, for people: status, since when, why, and what happens next (unix seconds, 0 = never). node:
    the peer ID of its IPFS node, as it was last seen; empty before that.
    """

    peer: PeerId
    peername: str
    node: str
    status: TrackerStatus
    timestamp: float = 0.0
    error: str = ""
    attempts: int = 0
    priority: bool = False
    next_retry: float = 0.0
    progress: PinProgress = PinProgress()


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself. version: semver text of the daemon ("0.43.0"). services: for a node that is the proxy
    of another cluster, the peer IDs of that service and of those behind it.
    """

    id: str
    addresses: tuple[str, ...] = ()
    agent_version: str = ""
    version: str = ""
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A peer of the cluster. error: why its node cannot be used now, empty when it can. free: bytes that something new
    may take there. full: why nothing new goes there although it can be used; empty when it does.
    """

    id: PeerId
    name: str
    addresses: tuple[str, ...] = ()
    node: NodeInfo | None = None
    error: str = ""
    home: bool = False
    free: int = 0
    full: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurement of one peer. value: text as ipfs-cluster sends it. expire, received_at: on the clock of this
    process that never goes back (`Clock.monotonic`), so that a jump of the wall clock ages no measurement; who shows
    them to people converts. reason: why it is not valid.
    """

    name: str
    peer: PeerId
    value: str
    expire: float
    received_at: float
    weight: int = 0
    partitionable: bool = False
    valid: bool = True
    reason: str = ""

    def usable(self, now: float) -> bool:
        """True while the measurement counts: the peer sent a real value and its time to live has not passed. now:
        monotonic, as `expire` is.
        """
        return self.valid and now < self.expire


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What was sent and received. total_in, total_out: bytes; rate_in, rate_out: bytes in a second."""

    total_in: int = 0
    total_out: int = 0
    rate_in: float = 0.0
    rate_out: float = 0.0


@dataclass(frozen=True, slots=True)
class RepoStat:
    """Kubo's repo/stat; bytes and counts."""

    repo_size: int
    storage_max: int
    num_objects: int
    repo_path: str = ""
    version: str = ""
