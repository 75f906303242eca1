"""Peers that are taken out of service and brought back: nothing is let go of, or said to be held, too early."""

from __future__ import annotations

import asyncio

from cluster_tests.engine.conftest import World, cid
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.hub import Outcome
from ipfs_cluster.model import PeerId, PinOptions
from ipfs_cluster.pinning import Wait
from ipfs_cluster.testing.fake_node import FakeNode

EVERYWHERE = PinOptions(replication_min=-1, replication_max=-1)
PEER0 = PeerId("peer0")


async def start(world: World, nodes: int, minimum: int = -1, maximum: int = -1) -> None:
    world.nodes += [FakeNode(world.network, f"node{i}", free=10**12 - i) for i in range(len(world.nodes), nodes)]
    del world.nodes[nodes:]
    await world.start(minimum, maximum)
    await world.pass_time(70)


async def pin(world: World, number: int, options: PinOptions, wait: Wait) -> None:
    assert world.cluster is not None
    call = await world.cluster.pin([(cid(number), options)], wait=wait)
    await asyncio.wait_for(call.wait(), 5)


async def test_a_drain_right_after_a_start_lets_go_of_nothing_that_others_could_take(world: World) -> None:
    await start(world, 5, 2, 3)
    for number in range(5):
        await pin(world, number, PinOptions(), Wait.ALL)
    cluster = await world.restart()
    await cluster.upkeep.drain(PEER0, on=True)
    await world.pass_time(20)

    assert cluster.upkeep.presence.brake is not None
    assert [len(world.holders(cid(number))) for number in range(5)] == [3] * 5
    await world.pass_time(120)
    assert (await cluster.upkeep.drained(PEER0)).done
    assert [len(world.holders(cid(number))) for number in range(5)] == [3] * 5


async def test_a_drain_is_not_done_while_only_its_peer_holds_what_belongs_everywhere(world: World) -> None:
    await start(world, 2)
    world.nodes[1].away = "connection refused"
    await world.pass_time(30)
    await pin(world, 1, PinOptions(), Wait.MIN)
    assert world.cluster is not None
    await world.cluster.upkeep.drain(PEER0, on=True)
    await world.pass_time(30)
    drain = await world.cluster.upkeep.drained(PEER0)
    assert (drain.remaining, drain.done) == (1, False)

    world.nodes[1].away = ""
    await world.pass_time(60)
    assert (await world.cluster.upkeep.drained(PEER0)).done


async def test_a_peer_that_comes_back_into_the_configuration_is_not_said_to_hold_what_it_missed(world: World) -> None:
    await start(world, 3)
    gone = world.nodes.pop()
    await world.restart()
    await pin(world, 1, EVERYWHERE, Wait.ALL)
    world.nodes.append(gone)
    await world.restart()
    await pin(world, 1, EVERYWHERE, Wait.ALL)
    assert world.holders(cid(1)) == [0, 1, 2]


async def test_a_copy_in_the_making_whose_row_went_without_an_attempt_takes_no_place_for_ever(world: World) -> None:
    await start(world, 3, 1, 1)
    assert world.cluster is not None
    moves = world.cluster.upkeep.moves
    moves._flights.launch(cid(1), [PEER0])
    moves._flights._hub.publish(Outcome(PEER0, cid(1), Event.DONE, unpin=True))
    assert moves.in_flight == 1
    await world.pass_time(130)
    assert moves.in_flight == 0
