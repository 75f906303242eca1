"""The cluster engine: its facade. The proxy imports from here, and the HTTP/1.1 framing from `ipfs_cluster.http1`.

The engine is imported when something of it is asked for: who only uses a part of the package, as an embedded node does,
starts without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    "cid": ("Cid",),
    "clock": ("SystemClock",),
    "engine": ("Cluster", "EngineSettings"),
    "gc": ("Collected",),
    "ingest": ("Follower", "IngestCall", "IngestRefused", "IngestSettings", "Line", "Proof", "Roots", "Upload"),
    "peer": ("PeerSettings", "PeerSpec"),
    "pinning": ("PinCall", "Progress", "UpdateCall", "Wait"),
    "removal": ("UnpinOutcome",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found
