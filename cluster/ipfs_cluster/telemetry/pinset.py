"""Metrics of the pinset and of the store that it lies in."""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.engine import Cluster
from ipfs_cluster.ports import Store
from ipfs_cluster.telemetry.figures import FiguresCache
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, counter, gauge, histogram


def _accepted(cluster: Cluster) -> Readings:
    counters = cluster.counters
    return (("pin",), counters.pinned), (("add",), counters.added)


def _left(cluster: Cluster) -> Readings:
    counters = cluster.counters
    return (("request",), counters.removed), (("expiry",), counters.expired), (("withdrawal",), counters.withdrawn)


PINSET: tuple[Meter[Cluster], ...] = (
    Meter(
        "ipfscluster_pins_accepted_total",
        Kind.COUNTER,
        "CIDs that requests made pins of the cluster, or found to be, by verb: pin (pin/add, pin/update), add.",
        ("by",),
        _accepted,
    ),
    Meter(
        "ipfscluster_pins_removed_total",
        Kind.COUNTER,
        "Pins that left the pinset: on request, by expiry, or by withdrawal with a request that gave up.",
        ("by",),
        _left,
    ),
    gauge(
        "ipfscluster_pins_awaited", "CIDs that requests in progress wait for nodes to hold.", lambda one: one.waiting
    ),
)


@dataclass(frozen=True, slots=True)
class StorePart:
    """A store and what it holds."""

    store: Store
    cache: FiguresCache


def _revision(part: StorePart) -> Readings:
    return () if part.cache.latest is None else (((), part.cache.latest.revision),)


def _bytes(part: StorePart) -> Readings:
    figures = part.cache.latest
    return () if figures is None else ((("data",), figures.file), (("log",), figures.log))


STORE: tuple[Meter[StorePart], ...] = (
    Meter("ipfscluster_store_revision", Kind.GAUGE, "Number of the last commit.", (), _revision),
    Meter(
        "ipfscluster_store_bytes",
        Kind.GAUGE,
        "Size on disk: data is the pinset's file, log its write-ahead log.",
        ("file",),
        _bytes,
    ),
    gauge(
        "ipfscluster_store_figures_age_seconds",
        "How old what is counted in the store is: pins, queues, sizes. Large stores are counted more seldom.",
        lambda part: part.cache.age,
    ),
    histogram(
        "ipfscluster_store_commit_seconds",
        "From a write to its answer, when it is on disk. The count is that of writes.",
        lambda part: part.store.counters.durable,
    ),
    histogram(
        "ipfscluster_store_group_commits",
        "Writes that shared one sync of the disk. The count is that of syncs.",
        lambda part: part.store.counters.groups,
    ),
    counter(
        "ipfscluster_store_conflicts_total",
        "Writes that were decided again because somebody else's came in between.",
        lambda part: part.store.counters.conflicts,
    ),
    counter(
        "ipfscluster_store_refused_total",
        "Writes that could not be stored: disk full, I/O error.",
        lambda part: part.store.counters.refused,
    ),
)
