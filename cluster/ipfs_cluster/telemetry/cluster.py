"""The tables of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipfs_cluster.engine import Cluster
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.telemetry.figures import FiguresCache
from ipfs_cluster.telemetry.legacy import LEGACY_PEERS, LEGACY_STORE
from ipfs_cluster.telemetry.meters import Table
from ipfs_cluster.telemetry.nodes import NODES
from ipfs_cluster.telemetry.peers import WORK, PeerPart
from ipfs_cluster.telemetry.pinset import INGEST, PINSET, STORE, StorePart
from ipfs_cluster.telemetry.upkeep import UPKEEP, UPKEEP_PEERS


def cluster_tables(cluster: Cluster, store: Store, cache: FiguresCache, clock: Clock) -> list[Table[Any]]:
    """All that an engine over this store has to tell. cache: of the store's figures, refreshed by whoever scrapes."""

    def peers() -> Iterator[tuple[tuple[str, ...], PeerPart]]:
        time, monotonic = clock.time(), clock.monotonic()
        for peer in cluster.peers_by_id.values():
            yield (peer.name,), PeerPart(peer, cluster.upkeep, cache.latest, cache.draining, time, monotonic)

    cache.remaining = cluster.upkeep.draining
    return [
        Table.of((*PINSET, *INGEST), cluster),
        Table.of(UPKEEP, cluster.upkeep),
        Table.of((*LEGACY_STORE, *STORE), StorePart(store, cache)),
        Table((*LEGACY_PEERS, *NODES, *WORK, *UPKEEP_PEERS), peers, ("peer",)),
    ]
