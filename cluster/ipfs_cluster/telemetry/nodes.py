"""Metrics of the peers' nodes: are they there, have they room, do they hold what they should."""

from __future__ import annotations

from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, counter, gauge, histogram
from ipfs_cluster.telemetry.peers import PeerPart


def _info(part: PeerPart) -> Readings:
    info = part.peer.state.info
    node = (info.id, info.agent_version) if info is not None else ("", "")
    return (((part.peer.id, *node, "true" if part.peer.home else "false"), 1.0),)


def _size(part: PeerPart) -> Readings:
    metric = part.metric("reposize")
    return () if metric is None else (((), -metric.weight),)


def _strangers(part: PeerPart) -> Readings:
    figures, peer = part.figures, part.peer.id
    if figures is None:
        return ()
    return (("foreign",), figures.foreign.get(peer, 0)), (("orphan",), figures.orphans.get(peer, 0))


def _last(part: PeerPart) -> Readings:
    last = part.peer.comparisons.last
    return (((), last),) if last else ()


def _found(part: PeerPart) -> Readings:
    found = part.peer.comparisons.found
    return (
        (("missing",), found.missing),
        (("settled",), found.settled),
        (("stranger",), found.extra),
        (("gone",), found.vanished),
    )


def _collections(part: PeerPart) -> Readings:
    counters = part.peer.collections
    return (("complete",), counters.complete), (("failed",), counters.failed)


NODES: tuple[Meter[PeerPart], ...] = (
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
    histogram(
        "ipfscluster_node_ping_seconds",
        "How long the node took to answer a ping. The count is that of answers.",
        lambda part: part.peer.monitor.pings.answered,
    ),
    counter(
        "ipfscluster_node_pings_failed_total",
        "Pings without a usable answer.",
        lambda part: part.peer.monitor.pings.failed,
    ),
    gauge(
        "ipfscluster_node_has_room",
        "1 while something new may go to the node; 0 when it is below its reserve, or its daemon said that its disk is "
        "full.",
        lambda part: float(part.peer.has_room),
    ),
    Meter("ipfscluster_node_repo_bytes", Kind.GAUGE, "Size of the node's repository.", (), _size),
    gauge(
        "ipfscluster_node_gate_closed",
        "1 while adds and pins are kept off the node, as its garbage collection waits or runs.",
        lambda part: float(not part.peer.gate.is_open),
    ),
    Meter(
        "ipfscluster_gc_runs_total",
        Kind.COUNTER,
        "Garbage collections through the cluster: complete ones, and those that were broken off or could not begin.",
        ("outcome",),
        _collections,
    ),
    counter(
        "ipfscluster_gc_blocks_total", "Blocks that these collections freed.", lambda part: part.peer.collections.blocks
    ),
    histogram(
        "ipfscluster_reconcile_seconds",
        "How long it took to compare the node with the pinset. The count is that of complete comparisons.",
        lambda part: part.peer.comparisons.seconds,
    ),
    counter(
        "ipfscluster_reconcile_broken_total",
        "Comparisons that broke off; they changed nothing.",
        lambda part: part.peer.comparisons.broken,
    ),
    Meter(
        "ipfscluster_reconcile_last_timestamp_seconds",
        Kind.GAUGE,
        "When the last complete comparison ended; absent before.",
        (),
        _last,
    ),
    Meter(
        "ipfscluster_reconcile_found_total",
        Kind.COUNTER,
        "What comparisons found: pins that were missing and are queued again, pins awaited that were there (settled), "
        "strangers that came, strangers that are gone.",
        ("what",),
        _found,
    ),
)
