"""Metrics of what is to be done on the peers' nodes, and of how that ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipfs_cluster.core.failures import Failure
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, Metric, PeerId, TrackerStatus
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import QueueFigures, StoreFigures
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, counter
from ipfs_cluster.upkeep import Upkeep

QUEUED = sorted(WANTS_PIN | WANTS_UNPIN)
"""Statuses that a row of work can have."""


@dataclass(frozen=True, slots=True)
class PeerPart:
    """One peer. figures: of the store, None while they are not known. draining: how many pins are left on each peer
    that is drained. time, monotonic: of the clock, now.
    """

    peer: LocalPeer
    upkeep: Upkeep
    figures: StoreFigures | None
    draining: Mapping[PeerId, int]
    time: float
    monotonic: float

    def queue(self, status: TrackerStatus) -> QueueFigures | None:
        """Its rows of one status, None without any."""
        return None if self.figures is None else self.figures.queues.get((self.peer.id, status))

    def metric(self, name: str) -> Metric | None:
        """What the monitor measured under this name, while it counts."""
        metric = self.peer.state.metrics.get(name)
        return None if metric is None or self.monotonic >= metric.expire else metric

    def attempts(self, *, unpin: bool) -> dict[Failure | None, int]:
        """Those that have ended, by what kind of failure they were; None: of none."""
        ended = self.peer.tracker.counters.ended
        return {failure: ended[unpin, failure] for failure in (None, *Failure)}

    def at_work(self, phase: TrackerStatus) -> int:
        """Attempts in progress: PINNING or UNPINNING."""
        return sum(one.unpin is (phase is TrackerStatus.UNPINNING) for one in self.peer.tracker.at_work())

    def rows(self, status: TrackerStatus) -> int:
        """How many those are."""
        queue = self.queue(status)
        return 0 if queue is None else queue.rows


def _rows(part: PeerPart) -> Readings:
    return () if part.figures is None else [((status.value,), part.rows(status)) for status in QUEUED]


def _oldest(part: PeerPart) -> Readings:
    queues = [(status, part.queue(status)) for status in QUEUED]
    return [
        ((status.value,), 0.0 if queue is None else max(part.time - queue.oldest, 0.0))
        for status, queue in queues
        if part.figures is not None
    ]


def _attempts(part: PeerPart) -> Readings:
    return [
        ((action, "done" if failure is None else failure.name.lower()), count)
        for action in ("pin", "unpin")
        for failure, count in part.attempts(unpin=action == "unpin").items()
    ]


def _at_work(part: PeerPart) -> Readings:
    return [((phase.value,), part.at_work(phase)) for phase in (TrackerStatus.PINNING, TrackerStatus.UNPINNING)]


WORK: tuple[Meter[PeerPart], ...] = (
    Meter(
        "ipfscluster_tracker_rows",
        Kind.GAUGE,
        "Pins and unpins that the node has yet to carry out, by status; one in progress keeps its status.",
        ("status",),
        _rows,
    ),
    Meter(
        "ipfscluster_tracker_oldest_seconds",
        Kind.GAUGE,
        "For how long the oldest of these rows has had its status; 0 without any.",
        ("status",),
        _oldest,
    ),
    Meter(
        "ipfscluster_tracker_attempts_total",
        Kind.COUNTER,
        "Attempts to carry one out that have ended: done, or by kind of failure: not_found (nobody reachable has the "
        "content), unreachable (the daemon; not held against the pin), disk_full, invalid, blocked (by a denylist), "
        "pin_lock, other.",
        ("action", "outcome"),
        _attempts,
    ),
    Meter("ipfscluster_tracker_in_progress", Kind.GAUGE, "Attempts in progress.", ("status",), _at_work),
    counter(
        "ipfscluster_tracker_fetched_blocks_total",
        "Blocks that pins which have ended reported, those that the node had included.",
        lambda part: part.peer.tracker.counters.blocks,
    ),
    counter(
        "ipfscluster_tracker_fetched_bytes_total",
        "The same in bytes.",
        lambda part: part.peer.tracker.counters.bytes,
    ),
)
