"""Stores for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the SQLite store of a test lies."""
    return tmp_path / "pinset.sqlite"


@pytest.fixture
async def sqlite_store(path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    """An open, empty store."""
    store = SqliteStore(path, clock)
    await store.open()
    yield store
    await store.close()
