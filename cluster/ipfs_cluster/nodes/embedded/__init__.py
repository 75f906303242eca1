"""A node of our own: for trying the service, and for tests, on machines without a daemon. It is no libp2p node."""

from ipfs_cluster.nodes.embedded.blocks import RepoInUse
from ipfs_cluster.nodes.embedded.node import EmbeddedNode
from ipfs_cluster.nodes.embedded.sources import Sources

__all__ = ["EmbeddedNode", "RepoInUse", "Sources"]
