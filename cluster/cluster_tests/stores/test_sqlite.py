"""The store on SQLite runs the contract."""

from __future__ import annotations

import pytest

from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, sqlite_store: SqliteStore) -> SqliteStore:
        return sqlite_store
