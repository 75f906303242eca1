"""The embedded nodes of a service: each a process of its own, started, watched, started again, ended."""

from ipfs_proxy.supervise.keeper import Keeper
from ipfs_proxy.supervise.process import NodeCommand
from ipfs_proxy.supervise.supervisor import Supervisor

__all__ = ["Keeper", "NodeCommand", "Supervisor"]
