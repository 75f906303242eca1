"""The cluster engine: its facade. The proxy imports from here, and the HTTP/1.1 framing from `ipfs_cluster.http1`."""

from __future__ import annotations

from ipfs_cluster.cid import Cid
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.engine import Cluster, EngineSettings
from ipfs_cluster.gc import Collected
from ipfs_cluster.ingest import (
    Follower,
    IngestCall,
    IngestRefused,
    IngestSettings,
    Line,
    Proof,
    Roots,
    Upload,
)
from ipfs_cluster.peer import PeerSettings, PeerSpec
from ipfs_cluster.pinning import PinCall, Progress, UpdateCall, Wait
from ipfs_cluster.removal import UnpinOutcome

__all__ = [
    "Cid",
    "Cluster",
    "Collected",
    "EngineSettings",
    "Follower",
    "IngestCall",
    "IngestRefused",
    "IngestSettings",
    "Line",
    "PeerSettings",
    "PeerSpec",
    "PinCall",
    "Progress",
    "Proof",
    "Roots",
    "SystemClock",
    "UnpinOutcome",
    "UpdateCall",
    "Upload",
    "Wait",
]
