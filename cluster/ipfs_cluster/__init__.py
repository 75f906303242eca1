"""The cluster engine: its facade. The proxy imports from here, and the HTTP/1.1 framing from `ipfs_cluster.http1`."""

from __future__ import annotations

from ipfs_cluster.cid import Cid
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.engine import Cluster, EngineSettings
from ipfs_cluster.peer import PeerSettings, PeerSpec
from ipfs_cluster.pinning import PinCall, Progress, UpdateCall, Wait
from ipfs_cluster.removal import UnpinOutcome

__all__ = [
    "Cid",
    "Cluster",
    "EngineSettings",
    "PeerSettings",
    "PeerSpec",
    "PinCall",
    "Progress",
    "SystemClock",
    "UnpinOutcome",
    "UpdateCall",
    "Wait",
]
