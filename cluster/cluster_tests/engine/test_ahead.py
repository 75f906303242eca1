"""Reading ahead in a queue gives the rows in the store's order, and reads few when they do not stay what comes next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ipfs_cluster.ahead import AHEAD, Ahead
from ipfs_cluster.cid import Cid
from ipfs_cluster.model import PeerId, Priority, Work
from ipfs_cluster.ports import PutPin
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, cid, pin

QUEUE = 5 * AHEAD


class Counted(MemoryStore):
    """Remembers how many rows each read asked for."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.limits: list[int] = []

    async def due(
        self, peer: PeerId, now: float, limit: int, skip: frozenset[Cid], *, below: int | None = None
    ) -> list[Work]:
        self.limits.append(limit)
        return await super().due(peer, now, limit, skip, below=below)


@pytest.fixture
async def store() -> AsyncIterator[Counted]:
    clock = FakeClock()
    made = Counted(clock)
    await made.open()
    for number in range(QUEUE):
        await made.commit([PutPin(pin(number, ALICE), queue=(ALICE,), priority=Priority.USER)])
        clock.advance(0.001)
    yield made
    await made.close()


async def take(ahead: Ahead, free: int) -> tuple[list[Work], bool]:
    return await ahead.take(2e9, free, {}, may_unpin=True)


async def test_rows_come_in_their_order_with_few_reads(store: Counted) -> None:
    ahead = Ahead(ALICE, store, 10)
    taken: list[Work] = []
    while len(taken) < AHEAD:
        works, more = await take(ahead, 3)
        assert more
        taken += works
    assert [work.cid for work in taken] == [cid(n) for n in range(len(taken))]
    assert store.limits == [AHEAD]


async def test_what_keeps_being_forgotten_is_read_in_smaller_pieces_until_it_is_not(store: Counted) -> None:
    ahead = Ahead(ALICE, store, 10)
    for _ in range(10):
        works, _ = await take(ahead, 1)
        assert works[0].cid == cid(0)
        ahead.forget()
    assert store.limits[0] == AHEAD
    assert store.limits[-1] == 1
    store.limits.clear()
    for _ in range(4 * AHEAD):
        await take(ahead, 1)
    assert store.limits[-1] > AHEAD // 4


async def test_the_end_of_the_queue_is_known(store: Counted) -> None:
    ahead = Ahead(ALICE, store, 10)
    works, more = await take(ahead, QUEUE + 1)
    assert (len(works), more) == (QUEUE, False)
    assert await ahead.take(0.0, 10, {}, may_unpin=True) == ([], False)
