"""The store on SQLite runs the contract; and what only a file has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.ports import PutPin, Scan
from ipfs_cluster.stores.sqlite import SqliteStore, scan
from ipfs_cluster.stores.sqlite.scan import SqliteScan
from ipfs_cluster.testing.store_contract import StoreContract
from ipfs_cluster.testing.store_values import ALICE, flat, known, node_pin, pin, put


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


@pytest.mark.parametrize("finding", ["missing", "settled", "extra"])
async def test_each_page_of_a_scan_reads_its_own_rows_only(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch, finding: str
) -> None:
    """Else a node with a million pins in its queue is compared for an hour, and before the first time no door opens."""
    monkeypatch.setattr(scan, "WINDOW", 100)
    await known(sqlite_store, ALICE)
    spent = []
    for count in (1000, 2000):
        await sqlite_store.commit([PutPin(pin(n), queue=(ALICE,)) for n in range(count - 1000, count)])
        async with sqlite_store.scan(ALICE) as comparing:
            await comparing.feed([node_pin(n) for n in range(count // 2, count + count // 2)])
            await comparing.seal()
            spent.append(await steps(comparing, getattr(comparing, finding)()))
    assert spent[1] < 3 * spent[0]


async def steps(comparing: Scan, pages: AsyncIterator[list[object]]) -> int:
    """Hundreds of instructions of SQLite's machine that a finding takes."""
    assert isinstance(comparing, SqliteScan)
    counted = itertools.count()
    await comparing._worker.call(lambda connection: connection.set_progress_handler(lambda: next(counted) < 0, 100))
    await flat(pages)
    return next(counted)
