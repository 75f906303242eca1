"""The change feed: a replica that applies its batches has the pinset, wherever it was cut off."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipfs_cluster import feed
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, StoreUnavailable
from ipfs_cluster.feed import Batch, watch
from ipfs_cluster.model import Pin
from ipfs_cluster.ports import PutPin, RemovePin, Store, Write
from ipfs_cluster.stores import memory
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.stores.sqlite import SqliteStore, queries
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import cid, flat, pin, put


class Replica:
    """Applies batches, and nothing else."""

    def __init__(self) -> None:
        self.entries: dict[Cid, Pin] = {}
        self.place = ""
        self.resets = 0

    def apply(self, batch: Batch) -> None:
        if batch.reset:
            self.entries.clear()
            self.place = ""
            self.resets += 1
        for change in batch.changes:
            if change.pin is None:
                self.entries.pop(change.cid, None)
            else:
                self.entries[change.cid] = change.pin
        self.place = batch.place

    async def catch_up(self, store: Store, clock: FakeClock) -> None:
        """From its place to where nothing is left to come."""
        pages = watch(store, clock, self.place, idle=0.0)
        while (batch := await anext(pages)).reset or batch.changes or not batch.place or not self.place:
            self.apply(batch)
        self.apply(batch)
        await pages.aclose()


async def pinset(store: Store) -> dict[Cid, Pin]:
    """What is to be had."""
    return {entry.cid: entry for entry in await flat(store.pins())}


_writes = st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=1, max_size=5)
_steps = st.lists(st.one_of(_writes, st.integers(1, 6), st.sampled_from(["cut", "lost"])), max_size=20)
Steps = list[list[tuple[int, bool]] | int | str]


def commit_of(writes: list[tuple[int, bool]], turn: int) -> list[Write]:
    return [PutPin(pin(n, name=f"turn {turn}")) if put_ else RemovePin(cid(n)) for n, put_ in writes]


async def follow(store: Store, clock: FakeClock, steps: Steps) -> None:
    """Change the pinset, and read, and break off, as the steps say; then the replica catches up."""
    replica = Replica()
    pages = watch(store, clock, idle=0.0)
    await put(store, *(pin(n) for n in range(8)))
    for turn, step in enumerate(steps):
        if isinstance(step, list):
            await store.commit(commit_of(step, turn))
        elif isinstance(step, int):
            for _ in range(step):
                replica.apply(await anext(pages))
        else:
            await pages.aclose()
            replica = Replica() if step == "lost" else replica
            pages = watch(store, clock, replica.place, idle=0.0)
    await pages.aclose()
    await replica.catch_up(store, clock)
    assert replica.entries == await pinset(store)


@settings(max_examples=200, deadline=None)
@given(_steps, st.integers(0, 6))
def test_a_replica_of_the_store_in_memory(steps: Steps, kept: int) -> None:
    async def run() -> None:
        clock = FakeClock()
        store = MemoryStore(clock, removals_kept=kept)
        await store.open()
        await follow(store, clock, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "PAGE", 2)
        patch.setattr(feed, "LIMIT", 2)
        asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(_steps, st.integers(0, 6))
def test_a_replica_of_the_store_on_disk(steps: Steps, kept: int) -> None:
    async def run(folder: Path) -> None:
        clock = FakeClock()
        store = SqliteStore(folder / "pinset.sqlite", clock, removals_kept=kept)
        await store.open()
        try:
            await follow(store, clock, steps)
        finally:
            await store.close()

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(queries, "PAGE", 2)
        patch.setattr(feed, "LIMIT", 2)
        asyncio.run(run(Path(folder)))


@pytest.fixture
async def store(clock: FakeClock) -> AsyncIterator[MemoryStore]:
    made = MemoryStore(clock, removals_kept=3)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_it_goes_on_from_a_place(store: MemoryStore, clock: FakeClock) -> None:
    replica = Replica()
    await put(store, pin(1), pin(2))
    await replica.catch_up(store, clock)
    await store.commit([RemovePin(cid(1)), PutPin(pin(3))])
    await replica.catch_up(store, clock)
    assert (replica.entries, replica.resets) == (await pinset(store), 1)


async def test_a_place_too_old_begins_anew(store: MemoryStore, clock: FakeClock) -> None:
    replica = Replica()
    await put(store, *(pin(n) for n in range(10)))
    await replica.catch_up(store, clock)
    for n in range(4):
        await store.commit([RemovePin(cid(n))])
    await replica.catch_up(store, clock)
    assert (replica.entries, replica.resets) == (await pinset(store), 2)


async def test_a_place_of_another_history_begins_anew(store: MemoryStore, clock: FakeClock) -> None:
    other = MemoryStore(clock)
    await other.open()
    replica = Replica()
    for n in range(5):
        await put(other, pin(n))
        await put(store, pin(n + 5))
    await replica.catch_up(other, clock)
    await put(store, pin(20))
    await replica.catch_up(store, clock)
    assert (replica.entries, replica.resets) == (await pinset(store), 2)
    replica.place = f"{await store.history()}.99"
    await replica.catch_up(store, clock)
    assert replica.resets == 3


@pytest.mark.parametrize("place", ["x", "abc.", "abc.-1", "1.2.x", "a.²"])
async def test_what_is_no_place_is_refused(store: MemoryStore, clock: FakeClock, place: str) -> None:
    with pytest.raises(InvalidArgument, match="no place"):
        await anext(watch(store, clock, place))


async def test_a_change_comes_at_once_and_silence_is_told(store: MemoryStore, clock: FakeClock) -> None:
    pages = watch(store, clock)
    assert (await anext(pages)).reset
    started = await anext(pages)
    async with asyncio.TaskGroup() as group:
        coming = group.create_task(asyncio.wait_for(anext(pages), 10))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not coming.done()
        await put(store, pin(1))
        batch = await coming
        assert [change.cid for change in batch.changes] == [cid(1)]
        silence = group.create_task(asyncio.wait_for(anext(pages), 10))
        for _ in range(10):
            await asyncio.sleep(0)
        clock.advance(feed.IDLE)
        assert await silence == Batch(place=batch.place)
    assert started.place != batch.place
    with pytest.raises(StoreUnavailable):
        await store.close()
        await anext(pages)
