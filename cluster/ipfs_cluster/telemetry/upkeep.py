"""Metrics of what the cluster does without a request: repair, drains, rebalancing, alerts."""

from __future__ import annotations

from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, counter, gauge
from ipfs_cluster.telemetry.peers import PeerPart
from ipfs_cluster.upkeep import Upkeep


def _moves(upkeep: Upkeep) -> Readings:
    return (("grown",), upkeep.moves.grown), (("trimmed",), upkeep.moves.trimmed)


def _rebalance(upkeep: Upkeep) -> Readings:
    progress = upkeep.rebalance.progress
    if progress is None or not progress.running:
        return (("planned",), 0), (("asked",), 0)
    return (("planned",), sum(move.pins for move in progress.moves)), (("asked",), sum(progress.asked))


UPKEEP: tuple[Meter[Upkeep], ...] = (
    gauge(
        "ipfscluster_repair_moves_in_flight",
        "Pins with copies in the making that repair, a drain or a rebalance asked for.",
        lambda upkeep: upkeep.moves.in_flight,
    ),
    Meter(
        "ipfscluster_repair_moves_total",
        Kind.COUNTER,
        "Changes of allocations that no request asked for: pins that were given further peers (grown), pins that left "
        "peers (trimmed).",
        ("what",),
        _moves,
    ),
    gauge(
        "ipfscluster_repair_unplaced",
        "Pins that the last sweep found below their minimum, and no further peer for them.",
        lambda upkeep: upkeep.repair.unplaced,
    ),
    gauge(
        "ipfscluster_repair_on_hold",
        "1 while nothing is re-allocated by itself: after the start, or as too many peers vanished at once.",
        lambda upkeep: float(upkeep.presence.brake is not None),
    ),
    Meter(
        "ipfscluster_rebalance_pins",
        Kind.GAUGE,
        "Copies that the running rebalance is to move, and those that it asked for already; 0 while none runs.",
        ("state",),
        _rebalance,
    ),
    counter(
        "ipfscluster_alerts_raised_total",
        "Alerts; `ipfs-cluster-ctl health alerts` lists the latest.",
        lambda upkeep: upkeep.alerts.raised,
    ),
)


def _standing(part: PeerPart) -> Readings:
    now = part.upkeep.presence.standing.get(part.peer.id)
    return [((standing.value,), float(standing is now)) for standing in PeerStanding]


def _remaining(part: PeerPart) -> Readings:
    left = part.draining.get(part.peer.id)
    return () if left is None else (((), left),)


UPKEEP_PEERS: tuple[Meter[PeerPart], ...] = (
    Meter(
        "ipfscluster_peer_standing",
        Kind.GAUGE,
        "1 for what the peer's copies are worth now: up, away (its node may be back soon), gone (they do not count), "
        "draining.",
        ("standing",),
        _standing,
    ),
    Meter(
        "ipfscluster_drain_remaining",
        Kind.GAUGE,
        "Pins that are still allocated to the peer, and those that belong everywhere and that nobody else holds yet; "
        "only of peers that are being drained.",
        (),
        _remaining,
    ),
    gauge(
        "ipfscluster_drain_stuck",
        "Of these, those that the last sweep found no other peer for.",
        lambda part: part.upkeep.repair.stuck.get(part.peer.id, 0),
    ),
)
