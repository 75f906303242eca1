"""Clients of the cluster's REST API, and of ipfs-cluster's: `Client` on requests, `AsyncClient` on aiohttp.

The same verbs, results and errors; docs/clients.md has examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipfs_cluster.addresses import AddressError
from ipfs_cluster.client.client import Client
from ipfs_cluster.client.errors import (
    ApiError,
    BadAnswer,
    BadRequest,
    BrokenStream,
    ClientError,
    Forbidden,
    NotFound,
    SourceError,
    StreamFailed,
    TimedOut,
    Unauthorized,
    Unreachable,
    Untrusted,
    WaitFailed,
)
from ipfs_cluster.client.models import (
    Added,
    Alert,
    Collected,
    ForeignPin,
    Graph,
    Identity,
    Metric,
    PeerStatus,
    Pin,
    Status,
)
from ipfs_cluster.client.multipart import Content
from ipfs_cluster.client.upkeep import Adopted, CopyWhy, Drain, Event, Move, PeerWhy, PinWhy, Rebalance
from ipfs_cluster.model import Bandwidth, PinMode, PinType, TrackerStatus

if TYPE_CHECKING:
    from ipfs_cluster.client.async_client import AsyncClient

__all__ = [
    "Added",
    "AddressError",
    "Adopted",
    "Alert",
    "ApiError",
    "AsyncClient",
    "BadAnswer",
    "BadRequest",
    "Bandwidth",
    "BrokenStream",
    "Client",
    "ClientError",
    "Collected",
    "Content",
    "CopyWhy",
    "Drain",
    "Event",
    "Forbidden",
    "ForeignPin",
    "Graph",
    "Identity",
    "Metric",
    "Move",
    "NotFound",
    "PeerStatus",
    "PeerWhy",
    "Pin",
    "PinMode",
    "PinType",
    "PinWhy",
    "Rebalance",
    "SourceError",
    "Status",
    "StreamFailed",
    "TimedOut",
    "TrackerStatus",
    "Unauthorized",
    "Unreachable",
    "Untrusted",
    "WaitFailed",
]


def __getattr__(name: str) -> object:
    """AsyncClient only for those who use it: aiohttp takes longer to import than ipfs-cluster-ctl to answer."""
    if name == "AsyncClient":
        from ipfs_cluster.client.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
