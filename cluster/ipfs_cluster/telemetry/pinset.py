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


def _adds(cluster: Cluster) -> Readings:
    adds = cluster.adds
    return (("complete",), adds.complete), (("failed",), adds.failed), (("refused",), adds.refused)


def _copies(cluster: Cluster) -> Readings:
    for peer in cluster.peers_by_id.values():
        for outcome in ("whole", "dropped"):
            yield (peer.name, outcome), cluster.adds.copies[peer.id, outcome == "whole"]


INGEST: tuple[Meter[Cluster], ...] = (
    gauge("ipfscluster_ingest_in_progress", "Adds whose bodies go to nodes now.", lambda one: one.adds.in_progress),
    Meter(
        "ipfscluster_ingest_adds_total",
        Kind.COUNTER,
        "Adds of all kinds (add, block/put, dag/put, dag/import): complete, failed (also by the client), or refused "
        "before a byte was sent, as no node was to be had.",
        ("outcome",),
        _adds,
    ),
    counter(
        "ipfscluster_ingest_bytes_total",
        "Bytes of bodies that went to nodes, once for each add that has ended, however many nodes there were.",
        lambda one: one.adds.sent,
    ),
    Meter(
        "ipfscluster_ingest_copies_total",
        Kind.COUNTER,
        "Nodes' sides of complete adds: whole, or dropped on the way, so that the node has to fetch the content later.",
        ("peer", "outcome"),
        _copies,
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


def _copies_missing(part: StorePart) -> Readings:
    figures = part.cache.latest
    return () if figures is None else ((("short",), figures.short), (("surplus",), figures.surplus))


STORE: tuple[Meter[StorePart], ...] = (
    Meter(
        "ipfscluster_pins_off_factor",
        Kind.GAUGE,
        "Pins allocated to fewer (short) or more (surplus) peers than their replication_factor_max.",
        ("which",),
        _copies_missing,
    ),
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
