"""Metrics under the names that ipfs-cluster gave them, with its meanings, so that dashboards made for it go on.

Its counters lack `_total`, so they are told as untyped; for queries that is the same. Those about blocks that it put
itself are missing: nodes import here.
"""

from __future__ import annotations

from collections.abc import Callable

from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings
from ipfs_cluster.telemetry.peers import PeerPart
from ipfs_cluster.telemetry.pinset import StorePart


def _pins(part: StorePart) -> Readings:
    return () if part.cache.latest is None else (((), part.cache.latest.pins),)


LEGACY_STORE: tuple[Meter[StorePart], ...] = (Meter("ipfscluster_pins", Kind.GAUGE, "Pins of the cluster.", (), _pins),)


def _rows(status: TrackerStatus) -> Callable[[PeerPart], Readings]:
    """Reads how many rows have the status, when that is known."""

    def read(part: PeerPart) -> Readings:
        return () if part.figures is None else (((), part.rows(status)),)

    return read


def _metric(name: str, value: Callable[[int], float]) -> Callable[[PeerPart], Readings]:
    """Reads the weight of a metric that the monitor measured, while it counts."""

    def read(part: PeerPart) -> Readings:
        metric = part.peer.state.metrics.get(name)
        return () if metric is None or part.monotonic >= metric.expire else (((), value(metric.weight)),)

    return read


LEGACY_PEERS: tuple[Meter[PeerPart], ...] = (
    Meter(
        "ipfscluster_pins_pin_queued",
        Kind.GAUGE,
        "Pins that wait for the node to take them up; those in progress for the first time are among them.",
        (),
        _rows(TrackerStatus.PIN_QUEUED),
    ),
    Meter(
        "ipfscluster_pins_pin_error",
        Kind.GAUGE,
        "Pins whose last attempt on the node failed.",
        (),
        _rows(TrackerStatus.PIN_ERROR),
    ),
    Meter(
        "ipfscluster_pins_ipfs_pins",
        Kind.GAUGE,
        "Pins that the node held when it was compared last, anybody's.",
        (),
        _metric("numpin", lambda weight: -weight),
    ),
    Meter(
        "ipfscluster_informer_disk",
        Kind.GAUGE,
        "What allocation goes by: bytes that are free for new content on the node.",
        (),
        _metric("freespace", lambda weight: weight),
    ),
)
