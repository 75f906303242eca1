"""Metrics of the peers: their nodes, and what waits to be done there."""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, TrackerStatus
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import QueueFigures, StoreFigures
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, gauge

QUEUED = sorted(WANTS_PIN | WANTS_UNPIN)
"""Statuses that a row of work can have."""


@dataclass(frozen=True, slots=True)
class PeerPart:
    """One peer. figures: of the store, None while they are not known. time, monotonic: of the clock, now."""

    peer: LocalPeer
    figures: StoreFigures | None
    time: float
    monotonic: float

    def queue(self, status: TrackerStatus) -> QueueFigures | None:
        """Its rows of one status, None without any."""
        return None if self.figures is None else self.figures.queues.get((self.peer.id, status))

    def rows(self, status: TrackerStatus) -> int:
        """How many those are."""
        queue = self.queue(status)
        return 0 if queue is None else queue.rows


def _info(part: PeerPart) -> Readings:
    info = part.peer.state.info
    node = (info.id, info.agent_version) if info is not None else ("", "")
    return (((part.peer.id, *node, "true" if part.peer.home else "false"), 1.0),)


def _rows(part: PeerPart) -> Readings:
    return () if part.figures is None else [((status.value,), part.rows(status)) for status in QUEUED]


def _oldest(part: PeerPart) -> Readings:
    queues = [(status, part.queue(status)) for status in QUEUED]
    return [
        ((status.value,), 0.0 if queue is None else max(part.time - queue.oldest, 0.0))
        for status, queue in queues
        if part.figures is not None
    ]


def _strangers(part: PeerPart) -> Readings:
    figures, peer = part.figures, part.peer.id
    if figures is None:
        return ()
    return (("foreign",), figures.foreign.get(peer, 0)), (("orphan",), figures.orphans.get(peer, 0))


PEERS: tuple[Meter[PeerPart], ...] = (
    Meter(
        "ipfscluster_peer_info",
        Kind.GAUGE,
        "Always 1: which peer and node stand behind a name.",
        ("peer_id", "node_id", "agent_version", "home"),
        _info,
    ),
    gauge("ipfscluster_node_up", "1 while the peer's node answers.", lambda part: float(part.peer.up)),
    gauge(
        "ipfscluster_node_since_timestamp_seconds",
        "When the node came or went last.",
        lambda part: part.peer.state.since,
    ),
    Meter(
        "ipfscluster_node_strangers",
        Kind.GAUGE,
        "Pins on the node that are none of the pinset's: foreign were there before it joined, orphan came later.",
        ("kind",),
        _strangers,
    ),
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
)
