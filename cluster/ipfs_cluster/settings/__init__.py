"""The configuration. One module for each of its sections has their keys, what is wrong with them together, and which
keys of ipfs-cluster mean nothing here; `loading` reads, `initial` writes.
"""

from __future__ import annotations

from ipfs_cluster.settings.api import users_of
from ipfs_cluster.settings.changes import Changes, changes
from ipfs_cluster.settings.initial import Written, existing, write_default, write_peerstore, write_source
from ipfs_cluster.settings.key import Key, SettingsError
from ipfs_cluster.settings.loading import FILES, KEYS, MISSING, WITHOUT_MEANING, Settings, load, parse
from ipfs_cluster.settings.nodes import EMBEDDED_KEYS, NODE_KEYS, Embedded, Node, nodes

__all__ = [
    "EMBEDDED_KEYS",
    "FILES",
    "KEYS",
    "MISSING",
    "NODE_KEYS",
    "WITHOUT_MEANING",
    "Changes",
    "Embedded",
    "Key",
    "Node",
    "Settings",
    "SettingsError",
    "Written",
    "changes",
    "existing",
    "load",
    "nodes",
    "parse",
    "users_of",
    "write_default",
    "write_peerstore",
    "write_source",
]
