"""Why a pin is not as wanted yet: every reason a row can have, and the order in which rows get their turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import Wait
from ipfs_cluster.attempt import PATIENCE, TrackerSettings
from ipfs_cluster.cid import Cid
from ipfs_cluster.core.failures import Failure
from ipfs_cluster.model import PeerId, PinOptions, PinProgress, Priority, TrackerStatus
from ipfs_cluster.ports import QueueWork
from ipfs_cluster.standing import Standing, WaitsFor

NONE = PinOptions()
PLACES = TrackerSettings().concurrent


async def accept(world: World, *numbers: int) -> None:
    assert world.cluster is not None
    await world.cluster.pin([(cid(n), NONE) for n in numbers], wait=Wait.ACCEPTED)


async def standing(world: World, number: int, peer: int = 0) -> Standing:
    assert world.cluster is not None
    (found,) = [one for one in await world.cluster.why.standings(cid(number)) if one.peer == f"peer{peer}"]
    return found


async def test_what_is_as_wanted_has_no_standing(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    await world.quiet()
    assert await cluster.why.standings(cid(1)) == await cluster.why.standings(cid(2)) == []


async def test_an_attempt_in_progress_tells_how_far_it_is(world: World) -> None:
    await world.start()
    world.nodes[0].grows[cid(1000)] = [(3, 4096), (5, 0)]
    began = world.clock.time()
    await accept(world, 1000)
    await until(lambda: bool(world.nodes[0].pin_calls), "it is being pinned")
    found = await standing(world, 1000)
    assert (found.status, found.since, found.waits_for, found.call) == ("pinning", began, WaitsFor.NOTHING, "pin/add")
    assert (found.progress, found.bytes_known) == (PinProgress(5, 0, began), False)
    world.clock.advance(7)
    assert (await standing(world, 1000)).progress.last_growth == began
    none_yet = await standing(world, 1000, peer=1)
    assert (none_yet.progress, none_yet.bytes_known, none_yet.failure) == (PinProgress(), True, None)


async def test_an_attempt_that_only_waits_for_the_pin_lock_says_so(world: World) -> None:
    await world.start()
    world.nodes[0].blocks.add(cid(1000))
    await accept(world, 1000)
    await until(lambda: all(node.pin_calls for node in world.nodes), "it is being pinned")
    assert (await standing(world, 1000)).failure is None
    world.clock.advance(PATIENCE)
    assert [(await standing(world, 1000, peer)).failure for peer in (0, 1)] == [Failure.PIN_LOCK, None]


async def test_a_removal_that_takes_its_time_waits_for_the_pin_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    await world.quiet()
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def slow(*_arguments: object) -> None:
        asked.set()
        await may_end.wait()

    monkeypatch.setattr(world.nodes[0], "unpin", slow)
    await cluster.unpin([(cid(1), True)], settle=0)
    await until(asked.is_set, "it is being removed")
    found = await standing(world, 1)
    assert (found.status, found.call, found.failure) == ("unpinning", "pin/rm", None)
    world.clock.advance(PATIENCE)
    assert (await standing(world, 1)).failure is Failure.PIN_LOCK
    may_end.set()
    await world.quiet()


async def test_a_failed_attempt_waits_for_its_time(world: World) -> None:
    await world.start()
    world.nodes[0].refusals[cid(1)] = "disk says: no space left on device"
    await accept(world, 1)

    async def failed() -> bool:
        return (await world.status(cid(1)))[0] is TrackerStatus.PIN_ERROR

    await until(failed, "it failed")
    found = await standing(world, 1)
    assert (found.attempts, found.error, found.failure) == (1, world.nodes[0].refusals[cid(1)], Failure.DISK_FULL)
    assert (found.waits_for, found.priority) == (WaitsFor.RETRY, Priority.USER)
    assert 30 <= found.next_attempt - world.clock.time() <= 60


async def test_a_node_that_is_away_and_one_that_is_not_surveyed(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    cluster.home.tracker._may_unpin.clear()
    await cluster.unpin([(cid(1), True)], settle=0)
    assert (await standing(world, 1)).waits_for is WaitsFor.SURVEY
    cluster.home.tracker.node_down()
    found = await standing(world, 1)
    assert (found.status, found.waits_for, found.next_attempt) == ("unpin_queued", WaitsFor.NODE, 0)


async def test_a_collection_of_ours_is_waited_for(world: World) -> None:
    cluster = await world.start()
    async with cluster.home.gate.exclusive(1.0):
        await accept(world, 1)
        await until(lambda: world.holders(cid(1)) == [1, 2], "the others have it")
        found = await standing(world, 1)
        assert (found.status, found.waits_for, found.call) == ("pin_queued", WaitsFor.COLLECTION, "")
    await world.quiet()


async def filled(world: World) -> None:
    """All places of all nodes are taken by pins that go on when their `hold` is set."""
    numbers = range(PLACES)
    for node in world.nodes:
        node.pin_calls.clear()
        node.hold.update({cid(n): asyncio.Event() for n in numbers})
    await accept(world, *numbers)
    await until(lambda: all(len(node.pin_calls) == PLACES for node in world.nodes), "all places are taken")


def free_one(world: World, number: int) -> None:
    for node in world.nodes:
        node.hold[cid(number)].set()


async def test_what_waits_for_its_turn_knows_its_place(world: World) -> None:
    await world.start()
    await filled(world)
    for number in (50, 51, 52):
        await accept(world, number)
        world.clock.advance(0.01)
    found = [await standing(world, number) for number in (50, 51, 52)]
    assert [(one.waits_for, one.ahead) for one in found] == [(WaitsFor.TURN, n) for n in range(3)]


async def test_removals_come_first_then_what_users_ask_for_then_the_rest(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(n), NONE) for n in (60, 61, 62)])).wait()
    await world.quiet()
    await filled(world)
    assert world.store is not None
    status = TrackerStatus.UNEXPECTEDLY_UNPINNED
    for number, priority in ((61, Priority.REBALANCE), (62, Priority.BACKGROUND)):
        world.nodes[0].pins_held.pop(cid(number))
        await world.store.commit([QueueWork(PeerId("peer0"), cid(number), status, priority=priority)])
        world.clock.advance(0.01)
    cluster.home.tracker.wake()
    await accept(world, 63)
    await cluster.unpin([(cid(60), True)], settle=0)
    begun = world.nodes[0].pin_calls
    for number in (61, 62, 63):
        world.nodes[0].hold[cid(number)] = asyncio.Event()
    free_one(world, 0)
    await until(lambda: cid(60) not in world.nodes[0].pins_held, "the removal is first")
    await until(lambda: len(begun) == PLACES + 1, "and leaves its place")
    for n in (1, 2):
        free_one(world, n)
        await until(lambda: len(begun) == PLACES + 1 + n, "one place, one pin")  # noqa: B023
    assert begun[PLACES:] == [cid(63), cid(62), cid(61)]


async def queue_lost(world: World, *numbers: int) -> None:
    """Background work for the first node, which then holds these pins when their `hold` is set."""
    assert world.store is not None
    assert world.cluster is not None
    status = TrackerStatus.UNEXPECTEDLY_UNPINNED
    for number in numbers:
        world.nodes[0].pins_held.pop(cid(number))
        world.nodes[0].hold[cid(number)] = asyncio.Event()
        await world.store.commit([QueueWork(PeerId("peer0"), cid(number), status)])
    world.cluster.home.tracker.wake()


async def test_a_users_pin_comes_before_background_work_that_was_read_already(world: World) -> None:
    cluster = await world.start()
    lost = range(40, 40 + 2 * PLACES)
    await (await cluster.pin([(cid(n), NONE) for n in lost])).wait()
    await world.quiet()
    begun = world.nodes[0].pin_calls
    begun.clear()
    await queue_lost(world, *lost)
    await until(lambda: len(begun) == PLACES, "all places are taken")
    await accept(world, 80)
    world.nodes[0].hold[begun[0]].set()
    await until(lambda: len(begun) > PLACES, "the next begins")
    assert begun[PLACES] == cid(80)
    for held in world.nodes[0].hold.values():
        held.set()
    await world.quiet()


async def read_ahead(world: World) -> list[Cid]:
    """All places are taken, and what comes next was read; what the first node was asked to pin."""
    assert world.cluster is not None
    lost = range(20, 20 + 3 * PLACES)
    await (await world.cluster.pin([(cid(n), NONE) for n in lost])).wait()
    await world.quiet()
    await filled(world)
    await queue_lost(world, *lost)
    begun = world.nodes[0].pin_calls
    free_one(world, 0)
    await until(lambda: len(begun) == PLACES + 1, "one more has begun")
    return begun


async def test_a_removal_comes_before_what_was_read_already(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(90), NONE)])).wait()
    await world.quiet()
    begun = await read_ahead(world)
    await cluster.unpin([(cid(90), True)], settle=0)
    world.nodes[0].hold[cid(1)].set()
    await until(lambda: len(begun) == PLACES + 2, "the next begins")
    assert cid(90) not in world.nodes[0].pins_held


async def test_the_removal_of_a_pin_in_progress_comes_before_what_was_read_already(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    node, may_end = world.nodes[0], asyncio.Event()
    pin = node.pin

    async def slow_to_leave(*arguments: Any) -> None:
        try:
            await pin(*arguments)
        finally:
            await may_end.wait()

    monkeypatch.setattr(node, "pin", lambda *arguments: (slow_to_leave if arguments[0] == cid(1) else pin)(*arguments))
    begun = await read_ahead(world)
    await cluster.unpin([(cid(1), True)], settle=0)
    node.hold[cid(2)].set()
    await until(lambda: len(begun) == PLACES + 2, "the next begins, others are read")
    may_end.set()
    await until(lambda: node.calls["pin/rm"] == 1, "it is removed at once")


async def test_removals_leave_room_for_pins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()
    gone = list(range(20, 20 + 2 * PLACES))
    await (await cluster.pin([(cid(n), NONE) for n in gone])).wait()
    await world.quiet()
    may_end = asyncio.Event()
    node = world.nodes[0]
    unpin, removing = node.unpin, []

    async def slow(removed: object, mode: object) -> None:
        removing.append(removed)
        await may_end.wait()
        await unpin(removed, mode)  # type: ignore[arg-type]

    monkeypatch.setattr(node, "unpin", slow)
    await filled(world)
    await cluster.unpin([(cid(n), True) for n in gone], settle=0)
    await accept(world, 70, 71)
    for n in range(PLACES):
        free_one(world, n)
    await until(lambda: {cid(70), cid(71)} <= set(node.pins_held), "pins get their turn")
    assert len(removing) >= PLACES // 2
    may_end.set()
    await world.quiet()


async def test_what_keeps_failing_no_longer_comes_first(world: World) -> None:
    world.tracker = TrackerSettings(priority_retries=2, priority_age=1000.0)
    await world.start()
    world.nodes[0].refusals[cid(1)] = "no"
    world.nodes[1].refusals[cid(1)] = "potentially insecure hash functions not allowed"
    await accept(world, 1)

    async def attempts(peer: int, count: int) -> bool:
        world.clock.advance(1.0)
        return (await standing(world, 1, peer)).attempts == count

    await until(lambda: attempts(0, 2), "it failed twice")
    assert (await standing(world, 1)).priority == Priority.USER
    await until(lambda: attempts(0, 3), "it failed too often")
    assert (await standing(world, 1)).priority == Priority.BACKGROUND
    world.clock.advance(5000.0)
    await until(lambda: attempts(1, 2), "it failed for too long")
    assert (await standing(world, 1, 1)).priority == Priority.BACKGROUND
    await accept(world, 1)
    assert [(await standing(world, 1, peer)).priority for peer in (0, 1)] == [Priority.USER] * 2


async def test_a_node_may_have_places_of_its_own(world: World) -> None:
    world.concurrent = {1: 3}
    await world.start()
    for node in world.nodes:
        node.hold.update({cid(n): asyncio.Event() for n in range(20)})
    await accept(world, *range(20))
    await until(lambda: all(node.pin_calls for node in world.nodes), "they begin")
    for _ in range(100):
        await asyncio.sleep(0)
    assert [len(node.pin_calls) for node in world.nodes] == [PLACES, 3, PLACES]
