"""What the engine needs from the outside: a clock, IPFS nodes, a store. Small protocols, declared by their consumer.

Every implementation of a port runs the same contract suite in `ipfs_cluster.testing`.
"""

from ipfs_cluster.ports.clock import Clock
from ipfs_cluster.ports.node import Node, NodeResponse
from ipfs_cluster.ports.records import Change, ForeignPin, ListedPin, PinQuery, QueueFigures, StoreFigures
from ipfs_cluster.ports.store import Distinct, Scan, Store
from ipfs_cluster.ports.writes import (
    CommitPending,
    DropPending,
    FailWork,
    FinishWork,
    ForgetForeign,
    ForgetPeer,
    PeerRecord,
    PutClaim,
    PutPeer,
    PutPending,
    PutPin,
    QueueWork,
    RecordForeign,
    ReleaseClaims,
    RemovePin,
    Write,
)

__all__ = [
    "Change",
    "Clock",
    "CommitPending",
    "Distinct",
    "DropPending",
    "FailWork",
    "FinishWork",
    "ForeignPin",
    "ForgetForeign",
    "ForgetPeer",
    "ListedPin",
    "Node",
    "NodeResponse",
    "PeerRecord",
    "PinQuery",
    "PutClaim",
    "PutPeer",
    "PutPending",
    "PutPin",
    "QueueFigures",
    "QueueWork",
    "RecordForeign",
    "ReleaseClaims",
    "RemovePin",
    "Scan",
    "Store",
    "StoreFigures",
    "Write",
]
