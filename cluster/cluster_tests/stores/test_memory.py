"""The store in memory runs the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ipfs_cluster.errors import Compacted
from ipfs_cluster.ports import RemovePin
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_contract import StoreContract
from ipfs_cluster.testing.store_values import cid, pin, put


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self, clock: FakeClock) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(clock)
        await store.open()
        yield store
        await store.close()


async def test_it_is_opened_once(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    await store.open()
    with pytest.raises(RuntimeError):
        await store.open()


async def test_old_removals_are_forgotten(clock: FakeClock) -> None:
    store = MemoryStore(clock, removals_kept=3)
    await store.open()
    await put(store, *(pin(n) for n in range(6)))
    for n in range(5):
        await store.commit([RemovePin(cid(n))])
    with pytest.raises(Compacted):
        await store.changes(2, 10)
    assert [change.cid for change in await store.changes(3, 10)] == [cid(2), cid(3), cid(4)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
