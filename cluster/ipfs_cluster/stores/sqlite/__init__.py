"""The durable store: one SQLite file, one writing thread with group commit, reading threads beside it."""

from __future__ import annotations

from ipfs_cluster.stores.sqlite.backup import Restored, backup, restore
from ipfs_cluster.stores.sqlite.bulk import import_pins
from ipfs_cluster.stores.sqlite.store import SqliteStore

__all__ = ["Restored", "SqliteStore", "backup", "import_pins", "restore"]
