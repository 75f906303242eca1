"""Peers that are taken out of service and brought back: nothing is let go of, or said to be held, too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster_tests.engine.conftest import World, cid
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.errors import PinFailed
from ipfs_cluster.hub import Outcome
from ipfs_cluster.model import NodePin, PeerId, PinMode, PinOptions, TrackerStatus
from ipfs_cluster.pinning import Wait
from ipfs_cluster.testing.fake_node import FakeNode

EVERYWHERE = PinOptions(replication_min=-1, replication_max=-1)
PEER0, PEER1, PEER2 = (PeerId(f"peer{number}") for number in range(3))
PINNED, REMOTE, CLUSTER_ERROR, PIN_ERROR = (
    TrackerStatus.PINNED,
    TrackerStatus.REMOTE,
    TrackerStatus.CLUSTER_ERROR,
    TrackerStatus.PIN_ERROR,
)


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


async def test_a_peer_that_was_taken_out_is_forgotten_with_its_work_when_nothing_is_allocated_to_it(
    world: World,
) -> None:
    await start(world, 3)
    await pin(world, 1, PinOptions(replication_min=2, replication_max=2, user_allocations=(PEER1, PEER2)), Wait.ALL)
    world.nodes[2].away = "connection refused"
    await world.pass_time(30)
    assert world.cluster is not None
    await world.cluster.unpin([(cid(1), True)], settle=0)
    assert [work.peer for page in [await world.kept().work([cid(1)])] for work in page] == [PEER2]
    gone = world.nodes.pop()
    await world.restart()
    assert await world.kept().work([cid(1)]) == []
    assert [record.id for record in await world.kept().peers()] == [PEER0, PEER1]
    world.nodes.append(gone)
    gone.away = ""
    await world.restart()
    assert [found.pin.cid async for page in world.kept().foreign(PEER2) for found in page] == [cid(1)]


async def test_a_peer_that_was_taken_out_is_remembered_while_pins_are_allocated_to_it(world: World) -> None:
    await start(world, 3, 3, 3)
    await pin(world, 1, PinOptions(), Wait.ALL)
    world.nodes.pop()
    await world.restart()
    assert len(await world.kept().peers()) == 3
    await world.pass_time(100)
    assert world.cluster is not None
    assert (
        "Held by 2, wanted on 3 peers: below its minimum. Every peer has it"
        in (await world.cluster.why.pin(cid(1))).sentence
    )


async def test_recovering_leaves_the_rows_of_a_peer_that_was_taken_out_alone(world: World) -> None:
    await start(world, 3, 3, 3)
    world.nodes[2].refusals[cid(1)] = world.nodes[1].refusals[cid(1)] = "no"
    await pin(world, 1, PinOptions(), Wait.ACCEPTED)
    await world.pass_time(10)
    world.nodes.pop()
    cluster = await world.restart()
    world.nodes[1].refusals.clear()
    assert [page async for page in cluster.recover_all()] == [[cid(1)]]
    await world.pass_time(5)
    assert [(work.peer, work.status) for work in await world.kept().work([cid(1)])] == [(PEER2, PIN_ERROR)]
    assert [page async for page in cluster.recover_all()] == []


async def test_the_last_peer_that_is_not_drained_is_not_said_to_be_done(world: World) -> None:
    """What belongs everywhere is only on peers that all are to go: the last copies are somebody's."""
    await start(world, 2)
    await pin(world, 1, EVERYWHERE, Wait.ALL)
    await pin(world, 2, PinOptions(replication_min=1, replication_max=1, user_allocations=(PEER0,)), Wait.ALL)
    assert world.cluster is not None
    upkeep = world.cluster.upkeep
    await upkeep.drain(PEER1, on=True)
    await world.pass_time(30)
    assert (await upkeep.drained(PEER1)).done
    await upkeep.drain(PEER0, on=True)
    await world.pass_time(30)
    drains = [await upkeep.drained(peer) for peer in (PEER0, PEER1)]
    assert [(drain.remaining, drain.done) for drain in drains] == [(2, False), (1, False)]
    assert await upkeep.draining() == {PEER0: 2, PEER1: 1}


async def test_a_peer_whose_node_was_not_compared_is_relied_on_by_nobody(world: World) -> None:
    """Another repository behind the same address: until it is surveyed nobody knows what it holds."""
    await start(world, 3, 2, 2)
    both = PinOptions(user_allocations=(PEER1, PEER2))
    await pin(world, 1, both, Wait.ALL)
    assert world.cluster is not None
    listing = asyncio.Event()
    await exchange(world, 2, listing)
    assert world.peers[2].up
    assert not world.peers[2].known
    assert await world.status(cid(1)) == [REMOTE, PINNED, CLUSTER_ERROR]
    found = [entry.cid async for page in world.cluster.views.statuses({CLUSTER_ERROR}) for entry, _ in page]
    assert found == [cid(1)]
    assert world.cluster.upkeep.presence.standing[PEER2] is PeerStanding.AWAY
    call = await world.cluster.pin([(cid(1), both)], wait=Wait.ALL)
    with pytest.raises(PinFailed, match="name2: what its node holds has not been compared"):
        await asyncio.wait_for(call.wait(), 5)
    sentence = (await world.cluster.why.pin(cid(1))).sentence
    assert "Whether name2 holds it is not known yet" in sentence
    assert "has not been compared" in (await world.cluster.why.peer(PEER2)).sentence
    listing.set()
    await world.pass_time(60)
    assert await world.status(cid(1)) == [REMOTE, PINNED, PINNED]
    assert world.holders(cid(1)) == [1, 2]


async def exchange(world: World, number: int, listing: asyncio.Event) -> None:
    """Another node answers at this address, and does not list its pins before it may."""
    node = world.nodes[number]
    node.node_id, node.pins_held = "another", {}
    pins = node.pins

    async def slow(mode: PinMode) -> AsyncIterator[list[NodePin]]:
        await listing.wait()
        async for page in pins(mode):
            yield page

    node.pins = slow  # type: ignore[method-assign]
    await world.pass_time(30)


async def test_nobody_waits_for_a_drained_peer_to_get_what_belongs_everywhere(world: World) -> None:
    await start(world, 3)
    assert world.cluster is not None
    await world.cluster.upkeep.drain(PEER2, on=True)
    world.nodes[2].hold[cid(1)] = asyncio.Event()
    await pin(world, 1, EVERYWHERE, Wait.ALL)
    assert world.holders(cid(1)) == [0, 1]
    world.nodes[2].hold[cid(1)].set()
    await world.pass_time(5)
    assert world.holders(cid(1)) == [0, 1, 2]
    for peer in (PEER0, PEER1):
        await world.cluster.upkeep.drain(peer, on=True)
    await pin(world, 2, EVERYWHERE, Wait.ALL)
    assert world.holders(cid(2)) == [0, 1, 2], "they are waited for when there are no others"
