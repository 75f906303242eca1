"""Metrics under the names that ipfs-cluster gave them, with its meanings, so that dashboards made for it go on.

Its counters lack `_total`, so they are told as untyped; for queries that is the same. Those about blocks that it put
itself are missing: nodes import here.
"""

from __future__ import annotations

from collections.abc import Callable

from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, gauge
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
        metric = part.metric(name)
        return () if metric is None else (((), value(metric.weight)),)

    return read


def _attempted(part: PeerPart) -> Readings:
    return (((), sum(part.attempts(unpin=False).values())),)


def _failed(part: PeerPart) -> Readings:
    attempts = part.attempts(unpin=False)
    return (((), sum(attempts.values()) - attempts[None]),)


LEGACY_PEERS: tuple[Meter[PeerPart], ...] = (
    Meter(
        "ipfscluster_pins_pin_queued",
        Kind.GAUGE,
        "Pins that wait for the node to take them up; those in progress for the first time are among them.",
        (),
        _rows(TrackerStatus.PIN_QUEUED),
    ),
    gauge(
        "ipfscluster_pins_pinning",
        "Pins that the node is fetching.",
        lambda part: part.at_work(TrackerStatus.PINNING),
    ),
    Meter(
        "ipfscluster_pins_pin_error",
        Kind.GAUGE,
        "Pins whose last attempt on the node failed.",
        (),
        _rows(TrackerStatus.PIN_ERROR),
    ),
    Meter("ipfscluster_pins_pin_add", Kind.UNTYPED, "Attempts to make the node hold a pin.", (), _attempted),
    Meter("ipfscluster_pins_pin_add_errors", Kind.UNTYPED, "Those of them that failed.", (), _failed),
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
