"""Changes of allocations that no request asked for: decided when they may be made, and not before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster.core.repair import Change, moved
from ipfs_cluster.model import PeerId, Pin, PinOptions, Work
from ipfs_cluster.pinning import Wait
from ipfs_cluster.ports import PutPin
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_cluster.upkeep import MoveSettings, RepairSettings, UpkeepSettings
from ipfs_cluster.upkeep.moves import Batch, Decision

PEERS = tuple(PeerId(f"peer{number}") for number in range(4))
FULL = "pin: write block: no space left on device"


async def four(world: World, moves: MoveSettings, *, repin: bool = False) -> None:
    """Four nodes of the same size, one copy of each pin; the time after the start is over."""
    world.nodes += [FakeNode(world.network, "node3")]
    for node in world.nodes:
        node.free = 10**12
    world.upkeep = UpkeepSettings(moves=moves, repair=RepairSettings(repin=repin))
    await world.start(1, 1)
    await world.pass_time(70)


async def pinned(world: World, *numbers: int, on: PeerId = PEERS[0], wait: Wait = Wait.ALL) -> list[Pin]:
    assert world.cluster is not None
    for number in numbers:
        options = PinOptions(user_allocations=(on,))
        await (await world.cluster.pin([(cid(number), options)], wait=wait)).wait()
    found = await world.kept().get_many([cid(number) for number in numbers])
    return list(found.values())


async def carry_out(batch: Batch, pins: Sequence[Pin], decision: Decision) -> list[Change | None]:
    return [change async for _, _, change in batch.each(pins, decision)]


async def places(world: World, number: int) -> tuple[PeerId, ...]:
    entry = await world.kept().get(cid(number))
    assert entry is not None
    return entry.allocations


async def test_who_waits_for_the_budget_decides_afterwards(world: World) -> None:
    await four(world, MoveSettings(per_hour=60))
    assert world.cluster is not None
    pins = await pinned(world, 1, 2, 3)
    target = PEERS[1]
    seen: list[tuple[PeerId, ...]] = []

    def decision(pin: Pin, works: Sequence[Work]) -> Change | None:
        seen.append(pin.allocations)
        return Change((target, *pin.allocations), queue=(target,)) if target not in pin.allocations else None

    batch = world.cluster.upkeep.moves.batch(budgeted=True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(carry_out(batch, pins, decision))
        await until(lambda: world.clock.wakes_in(60), "the budget is waited for")
        target = PEERS[2]
        await world.kept().commit([PutPin(replace(pins[1], allocations=(PEERS[2],)))])
        await world.pass_time(120)
    assert [change is not None for change in task.result()] == [True, False, True]
    assert batch.begun == 2
    assert [await places(world, number) for number in (1, 2, 3)] == [(PEERS[1],), (PEERS[2],), (PEERS[2],)]
    assert seen == [(PEERS[0],), (PEERS[0],), (PEERS[2],), (PEERS[0],)], "the entry that waited was read anew"


async def test_no_more_pins_have_copies_in_the_making_than_may(world: World) -> None:
    await four(world, MoveSettings(concurrent=3))
    assert world.cluster is not None
    moves = world.cluster.upkeep.moves
    pins = await pinned(world, *range(10))
    held = [world.nodes[1].hold.setdefault(cid(number), asyncio.Event()) for number in range(10)]
    batch, asked = moves.batch(budgeted=False), world.nodes[1].pin_calls
    async with asyncio.TaskGroup() as group:
        group.create_task(carry_out(batch, pins, lambda pin, works: moved(pin, works, PEERS[0], PEERS[1])))
        for number, event in enumerate(held):
            expected = (min(number + 3, 10), min(3, 10 - number))
            await until(lambda e=expected: (len(asked), moves.in_flight) == e, "as many as may are asked for")
            event.set()
    assert batch.begun == 10


async def test_new_copies_are_spread_before_anything_can_be_measured(world: World) -> None:
    await four(world, MoveSettings(), repin=True)
    assert world.cluster is not None
    await pinned(world, *range(30))
    await world.cluster.upkeep.drain(PEERS[0], on=True)
    await world.pass_time(1, step=1)
    assert Counter([await places(world, number) for number in range(30)]) == {(peer,): 10 for peer in PEERS[1:]}


async def test_two_sweeps_that_meet_make_one_move_that_is_trimmed_at_once(world: World) -> None:
    await four(world, MoveSettings())
    assert world.cluster is not None
    moves = world.cluster.upkeep.moves
    pins = await pinned(world, 1)
    held = world.nodes[1].hold.setdefault(cid(1), asyncio.Event())
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            batch = moves.batch(budgeted=False)
            group.create_task(carry_out(batch, pins, lambda pin, works: moved(pin, works, PEERS[0], PEERS[1])))
    assert (moves.grown, moves.in_flight) == (1, 1)
    held.set()
    await world.pass_time(1, step=1)
    assert (await places(world, 1), moves.in_flight) == ((PEERS[1],), 0)


# --- copies that their nodes cannot make ---


async def test_leaving_nodes_that_cannot_keeps_to_the_budget(world: World) -> None:
    await four(world, MoveSettings(per_hour=60), repin=True)
    world.nodes[0].refusals.update({cid(number): FULL for number in range(10)})
    await pinned(world, *range(10), wait=Wait.ACCEPTED)
    await world.pass_time(125)
    assert 1 <= sum(bool(world.holders(cid(number))) for number in range(10)) <= 3
    await world.pass_time(600, step=10)
    assert all(world.holders(cid(number)) for number in range(10))


async def test_nothing_leaves_a_node_that_cannot_while_that_is_switched_off_or_too_early(world: World) -> None:
    await four(world, MoveSettings())
    world.nodes[0].refusals[cid(1)] = FULL
    await pinned(world, 1, wait=Wait.ACCEPTED)
    await world.pass_time(1300, step=50)
    assert await places(world, 1) == (PEERS[0],)
    assert world.cluster is not None
    sentence = (await world.cluster.why.pin(cid(1))).sentence
    assert "cannot make its copy (disk full)" in sentence
    assert "disable_repinning" in sentence

    world.upkeep = UpkeepSettings()
    await world.restart()
    await world.pass_time(40)
    assert await places(world, 1) == (PEERS[0],), "after a start the peers get their time"
    await world.pass_time(60)
    assert await places(world, 1) != (PEERS[0],)


async def test_pins_that_no_node_can_make_are_counted(world: World) -> None:
    await four(world, MoveSettings(), repin=True)
    for node in world.nodes:
        node.refusals[cid(1)] = "bafk is blocked and cannot be provided"
    await pinned(world, 1, wait=Wait.ACCEPTED)
    await world.pass_time(600, step=10)
    assert world.cluster is not None
    assert world.cluster.upkeep.repair.unplaced == 1
    asked = [len(node.pin_calls) for node in world.nodes]
    assert max(asked) <= 2, "no node is asked more often than its denylist may change"
    world.nodes[3].refusals.clear()
    await world.pass_time(4000, step=100)
    assert (await places(world, 1), world.cluster.upkeep.repair.unplaced) == ((PEERS[3],), 0)
