"""The store contract's part about the order of a peer's queue: priorities, places, times that are moved."""

from __future__ import annotations

from dataclasses import replace

from ipfs_cluster.ports import FailWork, PutPin, QueueWork, RemovePin, Store
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import (
    ALICE,
    BOB,
    CAROL,
    PIN_ERROR,
    PIN_QUEUED,
    cid,
    fail,
    pin,
    put,
    row,
    the_row,
)


class QueueContract:
    """What comes first, and what a jump of the clock does to it."""

    async def test_priorities_of_rows(self, store: Store, clock: FakeClock) -> None:
        await put(store, pin(1, ALICE), pin(2, ALICE), pin(3, BOB))
        await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED, priority=-1)])
        assert (await the_row(store, ALICE, 1)).priority == -1
        await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED, priority=1)])
        await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED, priority=-1)])
        work = await the_row(store, ALICE, 1)
        assert work.priority == 1
        change = FailWork(ALICE, cid(1), work.generation, PIN_ERROR, 1, "why", clock.time())
        await store.commit([change])
        assert (await the_row(store, ALICE, 1)).priority == 1
        await store.commit([replace(change, priority=0)])
        assert (await the_row(store, ALICE, 1)).priority == 0
        await store.commit([PutPin(pin(2, ALICE), queue=(ALICE,), priority=-1)])
        assert (await the_row(store, ALICE, 2)).priority == -1

    async def test_a_removal_has_the_priority_that_it_says(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE, BOB), queue=(BOB,), priority=1)])
        await fail(store, BOB, 1, PIN_ERROR)
        await store.commit([RemovePin(cid(1), release=(ALICE,), priority=2)])
        assert [(await the_row(store, peer, 1)).priority for peer in (ALICE, BOB)] == [2, 2]

    async def test_due_below_a_priority(self, store: Store, clock: FakeClock) -> None:
        for number, priority in ((1, 2), (2, 0), (3, 1), (4, -1), (5, 2)):
            await store.commit([PutPin(pin(number, ALICE), queue=(ALICE,), priority=priority)])
        now = clock.time()

        async def due(below: int, limit: int = 10) -> list[bytes]:
            return [work.cid for work in await store.due(ALICE, now, limit, frozenset(), below=below)]

        assert await due(3) == [cid(1), cid(5), cid(3), cid(2), cid(4)]
        assert await due(2) == [cid(3), cid(2), cid(4)]
        assert await due(2, 1) == [cid(3)]
        assert await due(-1) == []

    async def test_how_many_come_before(self, store: Store, clock: FakeClock) -> None:
        for number, priority in ((1, 0), (2, 1), (3, 0), (4, -1), (5, 1)):
            await store.commit([PutPin(pin(number, ALICE), queue=(ALICE,), priority=priority)])
            clock.advance(1)
        await store.commit([PutPin(pin(6, BOB), queue=(BOB,), priority=1)])
        await fail(store, ALICE, 5, PIN_ERROR, clock.time() + 50)
        now = clock.time()

        async def ahead(number: int, at: float) -> int:
            return await store.ahead(await the_row(store, ALICE, number), at)

        assert [await ahead(number, now) for number in (2, 1, 3, 4)] == [0, 1, 2, 3]
        assert [await ahead(number, now + 50) for number in (2, 1, 3, 4)] == [0, 2, 3, 4]
        assert await store.ahead(replace(await the_row(store, BOB, 6), peer=CAROL), now) == 0

    async def test_times_of_retries_are_moved_with_the_clock(self, store: Store, clock: FakeClock) -> None:
        now = clock.time()
        for number, peer in ((1, ALICE), (2, ALICE), (3, BOB)):
            await store.commit([PutPin(pin(number, peer), queue=(peer,))])
        for number, peer in ((2, ALICE), (3, BOB)):
            await fail(store, peer, number, PIN_ERROR, now + 100)
        first, before = await row(store, ALICE, 1), await the_row(store, ALICE, 2)
        assert await store.shift_retries(ALICE, now, -60.0) == 1
        assert await row(store, ALICE, 1) == first
        assert await row(store, ALICE, 2) == replace(before, next_retry=now + 40)
        assert (await the_row(store, BOB, 3)).next_retry == now + 100
        assert await store.next_due(ALICE, now) == now + 40
        assert await store.shift_retries(CAROL, now, -60.0) == 0
