"""The store on SQLite runs the contract; and what only a file has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.testing.store_contract import StoreContract
from ipfs_cluster.testing.store_values import pin, put


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, sqlite_store: SqliteStore) -> SqliteStore:
        return sqlite_store


async def test_the_figures_tell_the_sizes_of_file_and_log(sqlite_store: SqliteStore, path: Path) -> None:
    await put(sqlite_store, pin(1))
    figures = await sqlite_store.figures()
    assert figures.file == path.stat().st_size > 0
    assert figures.log == path.with_name(path.name + "-wal").stat().st_size > 0


async def test_writes_at_once_share_a_group(sqlite_store: SqliteStore) -> None:
    await asyncio.gather(*(put(sqlite_store, pin(number)) for number in range(50)))
    assert sqlite_store.counters.durable.count == 50
    groups = sqlite_store.counters.groups
    assert groups.sum == 50
    assert groups.count < 50


async def test_what_a_full_disk_refuses_is_counted(sqlite_store: SqliteStore) -> None:
    await put(sqlite_store, pin(1))
    assert sqlite_store._open is not None
    (pages,) = sqlite_store._open.writer._connection.execute("PRAGMA page_count").fetchone()
    sqlite_store._open.writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"):
        await put(sqlite_store, *map(pin, range(2, 2000)))
    assert (sqlite_store.counters.refused, sqlite_store.counters.conflicts) == (1, 0)
    assert (await sqlite_store.figures()).pins == 1
