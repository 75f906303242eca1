"""The door of an embedded node: Kubo's RPC API and a small trustless gateway, without a daemon behind them."""

from ipfs_proxy.embedded.node import NoSources
from ipfs_proxy.embedded.server import EmbeddedServer, ExposedListener

__all__ = ["EmbeddedServer", "ExposedListener", "NoSources"]
