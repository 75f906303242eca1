"""What the engine counts of its pinset."""

from __future__ import annotations

import pytest

from cluster_tests.engine.conftest import World, cid, until
from cluster_tests.engine.test_ingest import add
from ipfs_cluster.counters import PinsetCounters
from ipfs_cluster.errors import PinFailed, PinModeError
from ipfs_cluster.model import PinMode, PinOptions

NONE = PinOptions()


async def test_entries_that_come_and_go_are_counted_by_what_brought_and_took_them(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE), (cid(2), NONE)])).wait()
    await (await cluster.pin([(cid(3), PinOptions(expire_at=world.clock.time() + 30))])).wait()
    await add(world, 50, 51)
    assert cluster.counters == PinsetCounters(pinned=3, added=2)
    assert (await cluster.unpin([(cid(1), True), (cid(1), True)])).removed == 1
    await until(lambda: world.clock.wakes_in(30.0), "its time is known")
    world.clock.advance(31)
    await until(lambda: cluster.counters.expired == 1, "it expires")
    assert cluster.counters == PinsetCounters(pinned=3, added=2, removed=1, expired=1)


async def test_what_a_failing_request_takes_back_is_withdrawn(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.refusals[cid(1)] = "no"
    with pytest.raises(PinFailed):
        await (await cluster.pin([(cid(1), NONE)])).wait()
    assert cluster.counters == PinsetCounters(pinned=1, withdrawn=1)


async def test_a_request_that_is_refused_counts_nothing(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    with pytest.raises(PinModeError):
        await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))])
    assert cluster.counters.pinned == 1


async def test_waiting_is_what_requests_still_wait_for(world: World) -> None:
    cluster = await world.start()
    call = await cluster.pin([(cid(500), NONE), (cid(501), NONE)])
    assert cluster.waiting == 2
    await call.withdraw()
    assert cluster.waiting == 0
