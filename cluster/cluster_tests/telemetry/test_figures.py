"""Counting the store for metrics: seldom, once at a time, and never so that a scrape hangs on it."""

from __future__ import annotations

import asyncio
from math import inf

from cluster_tests.engine.conftest import until
from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.ports import StoreFigures
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.telemetry.figures import FRESH, PATIENCE, SHARE, FiguresCache
from ipfs_cluster.testing.fake_clock import FakeClock


class CountedStore(MemoryStore):
    """Counting takes as long as the test says, and fails when it says so."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.asked = 0
        self.takes = 0.0
        self.fails = False
        self.hangs: asyncio.Event | None = None

    async def figures(self) -> StoreFigures:
        self.asked += 1
        if self.hangs is not None:
            await self.hangs.wait()
        self.clock.advance(self.takes)
        if self.fails:
            raise StoreUnavailable("no")
        return StoreFigures(self.asked, 0, {}, {}, {})


def pins(cache: FiguresCache) -> int | None:
    return None if cache.latest is None else cache.latest.pins


async def test_figures_are_counted_anew_when_they_are_no_longer_fresh() -> None:
    clock = FakeClock()
    store = CountedStore(clock)
    cache = FiguresCache(store, clock)
    assert (pins(cache), cache.age) == (None, inf)
    await cache.refresh()
    clock.advance(FRESH - 1)
    await cache.refresh()
    assert (pins(cache), cache.age) == (1, FRESH - 1)
    clock.advance(1)
    await cache.refresh()
    assert (pins(cache), cache.age) == (2, 0)


async def test_what_takes_long_to_count_is_counted_seldom() -> None:
    clock = FakeClock()
    store = CountedStore(clock)
    store.takes = 0.5
    cache = FiguresCache(store, clock)
    await cache.refresh()
    clock.advance(0.5 * SHARE - 0.1)
    await cache.refresh()
    assert store.asked == 1
    clock.advance(0.1)
    await cache.refresh()
    assert store.asked == 2


async def test_a_store_that_hangs_is_asked_once_and_waited_for_only_so_long() -> None:
    clock = FakeClock()
    store = CountedStore(clock)
    cache = FiguresCache(store, clock)
    await cache.refresh()
    store.hangs = asyncio.Event()
    clock.advance(FRESH)
    for _ in range(3):
        async with asyncio.TaskGroup() as group:
            scrape = group.create_task(cache.refresh())
            await until(lambda: clock.wakes_in(PATIENCE), "it is waited for")
            assert not scrape.done()
            clock.advance(PATIENCE)
    assert (store.asked, pins(cache)) == (2, 1)
    store.hangs.set()
    await until(lambda: pins(cache) == 2, "what was asked for comes in the end")
    await cache.close()


async def test_a_store_that_fails_leaves_what_was_known_and_its_age() -> None:
    clock = FakeClock()
    store = CountedStore(clock)
    cache = FiguresCache(store, clock)
    await cache.refresh()
    store.fails = True
    clock.advance(FRESH)
    await cache.refresh()
    assert (store.asked, pins(cache), cache.age) == (2, 1, FRESH)


async def test_closing_ends_a_count_that_hangs() -> None:
    clock = FakeClock()
    store = CountedStore(clock)
    store.hangs = asyncio.Event()
    cache = FiguresCache(store, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(cache.refresh())
        await until(lambda: store.asked == 1, "it counts")
        await cache.close()
    assert pins(cache) is None
