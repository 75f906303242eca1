"""The durable store: one SQLite file, one writing thread with group commit, reading threads beside it."""

from __future__ import annotations

from ipfs_cluster.stores.sqlite.backup import Restored, backup, restore
from ipfs_cluster.stores.sqlite.bulk import DoublePin, import_pins
from ipfs_cluster.stores.sqlite.store import SqliteStore
from ipfs_cluster.stores.sqlite.swap import there
from ipfs_cluster.stores.sqlite.whole import all_pins, count_pins, put_away, replace_pins

__all__ = [
    "DoublePin",
    "Restored",
    "SqliteStore",
    "all_pins",
    "backup",
    "count_pins",
    "import_pins",
    "put_away",
    "replace_pins",
    "restore",
    "there",
]
