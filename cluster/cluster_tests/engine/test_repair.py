"""Peers that vanish, come back, are drained; a pinset that is to be filled evenly. On fake nodes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster.cid import Cid
from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.errors import InvalidArgument, UnknownPeer
from ipfs_cluster.model import PeerId, PinOptions
from ipfs_cluster.pinning import Wait
from ipfs_cluster.ports import PutPin
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_cluster.upkeep import MoveSettings, RepairSettings, UpkeepSettings
from ipfs_cluster.upkeep.rebalance import Progress

GRACE, SETTLE = 300.0, 60.0
AWAY = "connection refused"
APART = 100.0
"""Seconds between two failures that are none of the same outage, however late each is noticed."""


def peer(number: int) -> PeerId:
    return PeerId(f"peer{number}")


@pytest.fixture
async def five(world: World) -> World:
    """Five nodes, two to three copies of each pin, the time after the start over."""
    world.nodes += [FakeNode(world.network, f"node{i}", free=10**12 - i) for i in range(3, 5)]
    await world.start(2, 3)
    await world.pass_time(SETTLE + 10)
    return world


async def pinned(world: World, *numbers: int) -> None:
    assert world.cluster is not None
    for number in numbers:
        call = await world.cluster.pin([(cid(number), PinOptions())], wait=Wait.ALL)
        await call.wait()


async def allocations(world: World, wanted: Cid) -> list[PeerId]:
    assert world.store is not None
    entry = await world.store.get(wanted)
    assert entry is not None
    return list(entry.allocations)


def vanish(world: World, *numbers: int) -> None:
    for number in numbers:
        world.nodes[number].away = AWAY


def come_back(world: World, *numbers: int) -> None:
    for number in numbers:
        world.nodes[number].away = ""


def pins_made(world: World) -> int:
    return sum(len(node.pin_calls) for node in world.nodes)


async def test_pins_below_their_minimum_are_made_elsewhere_when_the_grace_is_over(five: World) -> None:
    await pinned(five, *range(10))
    vanish(five, 0)
    await five.pass_time(APART)
    vanish(five, 1)
    await five.pass_time(GRACE - 30)
    before = pins_made(five)
    await five.pass_time(120)

    assert pins_made(five) > before
    for number in range(10):
        held = [i for i in five.holders(cid(number)) if i > 1]
        assert len(held) >= 2
        assert len(await allocations(five, cid(number))) == 3


async def test_nothing_moves_for_a_peer_that_is_back_within_its_grace(five: World) -> None:
    await pinned(five, *range(5))
    places = [await allocations(five, cid(number)) for number in range(5)]
    made = pins_made(five)
    for _ in range(4):
        vanish(five, 0)
        await five.pass_time(GRACE - 40)
        come_back(five, 0)
        await five.pass_time(30)
    await five.pass_time(2 * GRACE)

    assert [await allocations(five, cid(number)) for number in range(5)] == places
    assert pins_made(five) == made


async def test_nothing_moves_when_a_peer_returns_whose_pins_are_enough_without_it(five: World) -> None:
    await pinned(five, *range(5))
    places = [await allocations(five, cid(number)) for number in range(5)]
    vanish(five, 0)
    await five.pass_time(2 * GRACE)
    come_back(five, 0)
    await five.pass_time(2 * GRACE)

    assert [await allocations(five, cid(number)) for number in range(5)] == places


async def test_when_most_peers_vanish_at_once_nothing_is_concluded(five: World) -> None:
    assert five.cluster is not None
    await pinned(five, *range(5))
    places = [await allocations(five, cid(number)) for number in range(5)]
    made = pins_made(five)
    vanish(five, 0, 1, 2)
    await five.pass_time(5 * GRACE)

    held_up = five.cluster.upkeep.presence.brake
    assert held_up is not None
    assert held_up.outage
    assert [alert.metric.name for alert in five.cluster.upkeep.alerts].count("repinning") == 1
    assert "3 of 5 peers" in (await five.cluster.why.pin(cid(0))).sentence

    come_back(five, 0, 1, 2)
    await five.pass_time(2 * GRACE)
    assert five.cluster.upkeep.presence.brake is None
    assert [await allocations(five, cid(number)) for number in range(5)] == places
    assert pins_made(five) == made


async def test_after_an_outage_those_that_stay_away_get_their_time_from_its_end(five: World) -> None:
    """Away for longer than the grace, but within an outage: not gone at the moment in which the others return."""
    assert five.cluster is not None
    await pinned(five, *range(10))
    made = pins_made(five)
    vanish(five, 0, 1, 2)
    await five.pass_time(5 * GRACE)
    come_back(five, 2)
    await five.pass_time(SETTLE - 20)
    assert five.cluster.upkeep.presence.brake is not None
    assert pins_made(five) == made
    await five.pass_time(60)
    assert pins_made(five) > made


async def test_a_drain_does_not_begin_new_copies_during_an_outage(five: World) -> None:
    assert five.cluster is not None
    await pinned(five, *range(5))
    made = pins_made(five)
    vanish(five, 1, 2, 3)
    await five.pass_time(40)
    await five.cluster.upkeep.drain(peer(0), on=True)
    await five.pass_time(60)
    assert pins_made(five) == made


async def test_after_a_start_the_peers_get_their_time(five: World) -> None:
    await pinned(five, *range(5))
    vanish(five, 0, 1)
    await five.restart()
    made = pins_made(five)
    await five.pass_time(GRACE - 20)
    assert pins_made(five) == made


async def test_a_service_that_is_killed_in_the_middle_of_repair_goes_on_with_it(five: World) -> None:
    await pinned(five, *range(20))
    five.upkeep = UpkeepSettings(moves=MoveSettings(concurrent=2))
    await five.restart()
    await five.pass_time(SETTLE + 10)
    vanish(five, 0)
    await five.pass_time(APART)
    vanish(five, 1)
    await five.pass_time(GRACE)
    for _ in range(3):
        await five.restart()
        await five.pass_time(GRACE + SETTLE, step=30)
    await five.pass_time(2 * GRACE)
    for number in range(20):
        assert len([i for i in five.holders(cid(number)) if i > 1]) >= 2
        assert len(await allocations(five, cid(number))) == 3


async def test_switched_off_repair_leaves_pins_where_they_are(five: World) -> None:
    five.upkeep = UpkeepSettings(repair=RepairSettings(repin=False))
    await five.restart()
    await five.pass_time(SETTLE + 10)
    await pinned(five, 1)
    places = await allocations(five, cid(1))
    numbers = [int(place[-1]) for place in places]
    vanish(five, numbers[1])
    await five.pass_time(APART)
    vanish(five, numbers[2])
    await five.pass_time(2 * GRACE)

    assert await allocations(five, cid(1)) == places
    assert five.cluster is not None
    assert "disable_repinning" in (await five.cluster.why.pin(cid(1))).sentence


async def test_repair_goes_no_faster_than_its_budget(five: World) -> None:
    five.upkeep = UpkeepSettings(moves=MoveSettings(per_hour=60))
    await five.restart()
    await five.pass_time(SETTLE + 10)
    await pinned(five, *range(30))
    vanish(five, 0)
    await five.pass_time(APART)
    vanish(five, 1)
    await five.pass_time(GRACE)
    assert five.cluster is not None
    moves = five.cluster.upkeep.moves
    begun = moves.grown
    await five.pass_time(300)
    assert 4 <= moves.grown - begun <= 7


async def test_a_new_peer_tops_up_what_has_fewer_copies_than_it_might_have(world: World) -> None:
    world.nodes = world.nodes[:2]
    await world.start(2, 3)
    await pinned(world, 1)
    assert len(await allocations(world, cid(1))) == 2
    world.nodes.append(FakeNode(world.network, "new"))
    await world.restart()
    await world.pass_time(SETTLE + 30)

    assert world.holders(cid(1)) == [0, 1, 2]


async def test_a_drained_peer_loses_everything_only_when_others_have_it(five: World) -> None:
    assert five.cluster is not None
    await pinned(five, *range(10))
    await five.cluster.upkeep.drain(peer(0), on=True)
    held = [set(five.holders(cid(number))) for number in range(10)]
    for _ in range(40):
        await five.pass_time(1, step=1)
        for number in range(10):
            assert len(set(five.holders(cid(number)))) >= 3, held[number]
    drain = await five.cluster.upkeep.drained(peer(0))

    assert drain.done
    assert all(0 not in five.holders(cid(number)) for number in range(10))
    await pinned(five, 50)
    assert 0 not in five.holders(cid(50))
    assert "may be taken out of service" in (await five.cluster.why.peer(peer(0))).sentence

    await five.restart()
    assert five.cluster is not None
    await pinned(five, 51)
    assert 0 not in five.holders(cid(51)), "draining outlives the process"
    await five.cluster.upkeep.drain(peer(0), on=False)
    await pinned(five, *range(52, 60))
    assert any(0 in five.holders(cid(number)) for number in range(52, 60))


async def test_a_drain_that_nobody_can_take_over_says_so(world: World) -> None:
    world.nodes = world.nodes[:2]
    await world.start(2, 2)
    await world.pass_time(SETTLE + 10)
    await pinned(world, 1, 2)
    assert world.cluster is not None
    await world.cluster.upkeep.drain(peer(1), on=True)
    await world.pass_time(30)
    drain = await world.cluster.upkeep.drained(peer(1))

    assert (drain.remaining, drain.stuck, drain.done) == (2, 2, False)
    assert world.holders(cid(1)) == [0, 1]
    assert world.cluster.upkeep.repair.unplaced == 0


async def test_a_peer_that_is_configured_no_more_is_gone(five: World) -> None:
    await pinned(five, *range(5))
    five.nodes = five.nodes[:3]
    await five.restart()
    await five.pass_time(SETTLE + 30)
    for number in range(5):
        assert set(await allocations(five, cid(number))) == {peer(0), peer(1), peer(2)} or (
            len([p for p in await allocations(five, cid(number)) if p in {peer(0), peer(1), peer(2)}]) >= 2
        )


async def test_pins_for_which_no_peer_is_left_are_counted_once(world: World) -> None:
    await world.start(2, 3)
    await world.pass_time(SETTLE + 10)
    await pinned(world, 1, 2)
    vanish(world, 0)
    await world.pass_time(APART)
    vanish(world, 1)
    await world.pass_time(2 * GRACE)
    assert world.cluster is not None
    assert world.cluster.upkeep.repair.unplaced == 2
    sentence = (await world.cluster.why.pin(cid(1))).sentence
    assert "below its minimum" in sentence
    assert "add peers" in sentence


async def test_unknown_peers_are_refused_by_name(five: World) -> None:
    assert five.cluster is not None
    with pytest.raises(UnknownPeer, match="no peer nobody; known are name0"):
        five.cluster.upkeep.find("nobody")
    assert five.cluster.upkeep.find("name3") == peer(3)


# --- rebalance ---


async def measured(world: World, *sizes: int) -> None:
    """Give the nodes repositories of these sizes on disks of 1,000 each, and let them be seen."""
    for node, size in zip(world.nodes, sizes, strict=True):
        node.repo_size, node.free = size, 1000 - size
    await world.pass_time(1000)


async def test_rebalancing_moves_copies_to_the_empty_peer_and_never_below_the_minimum(world: World) -> None:
    world.upkeep = UpkeepSettings(moves=MoveSettings(concurrent=3))
    await world.start(2, 2)
    await world.pass_time(SETTLE + 10)
    assert world.cluster is not None
    two = PinOptions(user_allocations=(peer(0), peer(1)))
    for number in range(40):
        call = await world.cluster.pin([(cid(number), two)], wait=Wait.ALL)
        await call.wait()
    await measured(world, 600, 600, 0)
    rebalance = world.cluster.upkeep.rebalance

    plan = rebalance.preview()
    assert {move.target for move in plan} == {peer(2)}
    rebalance.start()
    with pytest.raises(InvalidArgument, match="running already"):
        rebalance.start()
    for _ in range(60):
        await world.pass_time(1, step=1)
        assert all(len(world.holders(cid(number))) >= 2 for number in range(40))

    progress = rebalance.progress
    assert progress is not None
    assert not progress.running
    assert progress.asked == tuple(move.pins for move in progress.moves)
    assert len(world.foreign_to_us(world.nodes[2])) == sum(progress.asked) > 10
    assert all(len(world.holders(cid(number))) == 2 for number in range(40))


async def test_a_cancelled_rebalance_finishes_what_it_began(world: World) -> None:
    world.upkeep = UpkeepSettings(moves=MoveSettings(concurrent=3))
    await world.start(1, 1)
    await world.pass_time(SETTLE + 10)
    assert world.cluster is not None
    for number in range(40):
        call = await world.cluster.pin([(cid(number), PinOptions(user_allocations=(peer(0),)))], wait=Wait.ALL)
        await call.wait()
    await measured(world, 900, 0, 0)
    rebalance = world.cluster.upkeep.rebalance
    with pytest.raises(InvalidArgument, match="no rebalance is running"):
        await rebalance.cancel()
    held = [world.nodes[i].hold.setdefault(cid(number), asyncio.Event()) for i in (1, 2) for number in range(40)]
    rebalance.start()
    moves = world.cluster.upkeep.moves
    await until(lambda: moves.in_flight >= 3, "moves are in flight")
    progress = await rebalance.cancel()
    assert progress.error == "cancelled"
    for event in held:
        event.set()
    await world.pass_time(30)
    assert all(len(world.holders(cid(number))) == 1 for number in range(40))
    assert world.foreign_to_us(world.nodes[1]) | world.foreign_to_us(world.nodes[2])


async def test_rebalancing_needs_figures_and_peers(world: World) -> None:
    world.nodes = world.nodes[:1]
    await world.start(1, 1)
    assert world.cluster is not None
    with pytest.raises(InvalidArgument, match="at least two peers"):
        world.cluster.upkeep.rebalance.preview()


async def test_a_pin_below_its_maximum_is_not_moved_and_not_counted_as_such(world: World) -> None:
    world.upkeep = UpkeepSettings(repair=RepairSettings(repin=False))
    await world.start(1, 1)
    await world.pass_time(SETTLE + 10)
    assert world.cluster is not None
    there = PinOptions(user_allocations=(peer(0),))
    for number in range(10):
        await (await world.cluster.pin([(cid(number), there)], wait=Wait.ALL)).wait()
    await short_of_copies(world, *range(5))
    await measured(world, 900, 0, 0)
    progress = await rebalanced(world)
    assert sum(progress.asked) == 5
    assert all(len(world.holders(cid(number))) == 1 for number in range(10))
    assert [world.holders(cid(number)) for number in range(5)] == [[0]] * 5


async def short_of_copies(world: World, *numbers: int) -> None:
    """These pins may have two copies, and there was nobody for the second."""
    for number in numbers:
        entry = await world.kept().get(cid(number))
        assert entry is not None
        await world.kept().commit([PutPin(replace(entry, replication_max=2))])


async def rebalanced(world: World, seconds: float = 60) -> Progress:
    """Begin, let that much time pass, and see how far it is."""
    assert world.cluster is not None
    rebalance = world.cluster.upkeep.rebalance
    rebalance.start()
    await world.pass_time(seconds, step=1)
    assert rebalance.progress is not None
    return rebalance.progress


@pytest.mark.parametrize("trouble", ["full", "away", "drained"])
async def test_a_target_that_cannot_take_any_more_is_not_asked_and_the_job_says_so(world: World, trouble: str) -> None:
    world.upkeep = UpkeepSettings(moves=MoveSettings(concurrent=3))
    world.rule = RoomRule(reserve=50)
    await world.start(1, 1)
    await world.pass_time(SETTLE + 10)
    assert world.cluster is not None
    there = PinOptions(user_allocations=(peer(0),))
    for number in range(40):
        await (await world.cluster.pin([(cid(number), there)], wait=Wait.ALL)).wait()
    await measured(world, 900, 0, 0)
    held = [world.nodes[2].hold.setdefault(cid(number), asyncio.Event()) for number in range(40)]
    world.cluster.upkeep.rebalance.start()
    moves = world.cluster.upkeep.moves
    await until(lambda: len(world.nodes[2].pin_calls) > 0 or moves.in_flight == 0, "the second target is asked")
    asked = len(world.nodes[2].pin_calls)
    match trouble:
        case "full":
            world.nodes[2].free = 10
        case "away":
            world.nodes[2].away = AWAY
        case _:
            await world.cluster.upkeep.drain(peer(2), on=True)
    await world.pass_time(15)
    for event in held:
        event.set()
    await world.pass_time(60)
    progress = world.cluster.upkeep.rebalance.progress
    assert progress is not None
    assert not progress.running
    words = {
        "full": "name2 has no more room: below its reserve",
        "away": "name2 went away",
        "drained": "is being drained",
    }
    assert words[trouble] in progress.error
    assert len(world.nodes[2].pin_calls) <= asked + 3
    assert sum(progress.asked) < sum(move.pins for move in progress.moves)
    assert all(world.holders(cid(number)) for number in range(40))
