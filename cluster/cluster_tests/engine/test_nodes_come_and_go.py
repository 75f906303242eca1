"""Nodes that are away, return, lose pins, or are somebody else; retries; restarts; expiry; adds."""

from __future__ import annotations

import asyncio

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from ipfs_cluster import Wait
from ipfs_cluster.model import ClaimKind, NodeInfo, NodePin, PeerId, PinOptions, TrackerStatus
from ipfs_cluster.ports import PutClaim

NONE = PinOptions()


async def test_a_node_that_is_away_is_not_waited_for_and_catches_up_when_it_returns(world: World) -> None:
    cluster = await world.start()
    world.nodes[2].away = "connection refused"
    await (await cluster.pin([(cid(1), NONE)])).wait()
    assert world.holders(cid(1)) == [0, 1]
    (_, statuses) = await cluster.views.status(cid(1))
    assert statuses[2].status is TrackerStatus.PIN_QUEUED
    assert "connection refused" in statuses[2].error
    assert statuses[2].attempts == 0, "an absent node costs no attempt"
    world.nodes[2].away = ""
    world.clock.advance(1.0)
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "it catches up")


async def test_a_refused_pin_is_tried_again_after_its_back_off(world: World) -> None:
    cluster = await world.start(2, 3)
    world.nodes[2].refusals[cid(1)] = "pin: blocked"
    await (await cluster.pin([(cid(1), NONE)])).wait()

    async def failed() -> bool:
        return (await world.status(cid(1)))[2] is TrackerStatus.PIN_ERROR

    await until(failed, "the refusal is recorded")
    (_, statuses) = await cluster.views.status(cid(1))
    assert (statuses[2].attempts, statuses[2].error) == (1, "pin: blocked")
    assert statuses[2].next_retry > world.clock.time()
    del world.nodes[2].refusals[cid(1)]
    world.clock.advance(statuses[2].next_retry - world.clock.time() + 0.1)
    await until(lambda: 2 in world.holders(cid(1)), "the retry succeeds")


async def test_a_new_request_tries_a_failed_pin_at_once(world: World) -> None:
    cluster = await world.start(2, 3)
    world.nodes[2].refusals[cid(1)] = "pin: blocked"
    await (await cluster.pin([(cid(1), NONE)])).wait()

    async def failed() -> bool:
        return (await world.status(cid(1)))[2] is TrackerStatus.PIN_ERROR

    await until(failed, "the refusal is recorded")
    del world.nodes[2].refusals[cid(1)]
    await (await cluster.pin([(cid(1), NONE)])).wait()
    await until(lambda: 2 in world.holders(cid(1)), "no back-off for a user's request")


async def test_a_pin_removed_behind_our_back_is_found_and_healed(world: World) -> None:
    await world.start()
    cluster = world.cluster
    assert cluster is not None
    await (await cluster.pin([(cid(1), NONE)])).wait()
    del world.nodes[1].pins_held[cid(1)]
    world.clock.advance(720.0)
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "the reconcile heals it")


async def test_a_node_with_another_repository_gets_its_pins_again_and_keeps_its_own(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    world.nodes[2].away = "restarting"
    world.clock.advance(10.0)
    await until(lambda: not cluster.peers_by_id[PeerId("peer2")].up, "its absence is noticed")
    world.nodes[2].node_id = "another"
    world.nodes[2].pins_held = {cid(50): NodePin(cid(50), RECURSIVE, "somebody's")}
    world.nodes[2].away = ""

    def pinned_after_another_second() -> bool:
        world.clock.advance(1.0)
        return cid(1) in world.nodes[2].pins_held

    await until(pinned_after_another_second, "our pins are fetched again")
    await (await cluster.pin([(cid(50), NONE)])).wait()
    await cluster.unpin([(cid(50), True)])
    await world.quiet()
    assert cid(50) in world.nodes[2].pins_held, "what the new repository had is not ours to remove"


async def test_work_left_by_a_crash_is_done_after_the_restart(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes[1:]:
        node.away = "down"
    await (await cluster.pin([(cid(i), NONE) for i in range(20)])).wait()
    await cluster.close()
    for node in world.nodes[1:]:
        node.away = ""
    await world.start()
    await world.quiet()
    assert all(world.holders(cid(i)) == [0, 1, 2] for i in range(20))


async def test_a_new_peer_gets_everything_that_belongs_everywhere(world: World) -> None:
    third = world.nodes.pop()
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE), (cid(2), PinOptions(replication_min=1, replication_max=1))])).wait()
    await cluster.close()
    world.nodes.append(third)
    await world.start()
    await world.quiet()
    assert 2 in world.holders(cid(1))
    assert 2 not in world.holders(cid(2))


async def test_all_nodes_get_connected_to_each_other(world: World) -> None:
    await world.start()
    mesh = [{"node1", "node2"}, {"node0", "node2"}, {"node0", "node1"}]
    await until(lambda: [node.connected for node in world.nodes] == mesh, "a full mesh, each way")


async def test_a_node_that_lost_pins_is_connected_again(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ALL)).wait()
    await until(lambda: world.nodes[0].connected == {"node1", "node2"}, "a full mesh")
    world.nodes[0].connected.clear()  # it was restarted between two pings
    world.nodes[0].pins_held.clear()
    await world.peers[0].reconcile_now()
    await until(lambda: world.nodes[0].connected == {"node1", "node2"}, "a full mesh again")


async def test_measurements_are_kept_fresh_while_the_start_waits_for_another_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, answers = world.nodes[2].info, asyncio.Event()

    async def slow() -> NodeInfo:
        await answers.wait()
        return await info()

    monkeypatch.setattr(world.nodes[2], "info", slow)
    starting = asyncio.ensure_future(world.start(1, 1))  # noqa: TID251 - awaited below
    for _ in range(3):
        await until(lambda: world.clock.wakes_in(10.0), "the others are watched")
        world.clock.advance(10.0)
    answers.set()
    (pin,) = (await (await starting).pin([(cid(1), NONE)], wait=Wait.ACCEPTED)).pins
    assert len(pin.allocations) == 1


async def test_a_pin_expires_when_its_time_has_come(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions(expire_at=world.clock.time() + 30))])).wait()
    await until(lambda: world.clock.wakes_in(30.0), "its time is known")
    world.clock.advance(29.0)
    assert await cluster.views.get(cid(1)) is not None
    world.clock.advance(1.5)
    await until(lambda: world.holders(cid(1)) == [], "it is gone from the nodes")
    assert await cluster.views.get(cid(1)) is None


async def test_claims_of_a_dead_add_protect_nothing_and_remove_nothing(world: World) -> None:
    cluster = await world.start()
    assert world.store is not None
    await world.store.commit([PutClaim(PeerId("peer0"), cid(3), "add:dead", ClaimKind.INGEST)])
    world.nodes[0].pins_held[cid(3)] = NodePin(cid(3), RECURSIVE)
    cluster = await world.restart()
    assert [claim.owner for claim in await world.store.claims()] == ["system"] * 3
    await world.quiet()
    assert cid(3) in world.nodes[0].pins_held, "an orphan is listed, never removed silently"
    assert await cluster.views.get(cid(3)) is None


async def test_a_comparison_counts_the_pins_of_a_node(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE), (cid(2), NONE)])).wait()
    await world.peers[1].reconcile_now()
    metric = world.peers[1].state.metrics["numpin"]
    assert metric.value == "3", "and the empty block"
    assert metric.usable(world.clock.monotonic())


async def test_a_jump_of_the_wall_clock_makes_no_peer_unfit(world: World) -> None:
    cluster = await world.start(3, 3)
    for seconds in (10**8, -(2 * 10**8)):
        world.clock.jump(seconds)
        (pin,) = (await cluster.pin([(cid(abs(seconds)), NONE)], wait=Wait.ACCEPTED)).pins
        assert set(pin.allocations) == {"peer0", "peer1", "peer2"}


async def test_who_waits_for_a_queued_pin_hears_that_a_comparison_found_it(world: World) -> None:
    world.nodes, world.concurrent = world.nodes[:1], {0: 1}
    cluster = await world.start()
    busy = asyncio.Event()
    world.nodes[0].hold[cid(1)] = busy
    await cluster.pin([(cid(1), PinOptions())], wait=Wait.ACCEPTED)
    await until(lambda: world.peers[0].tracker.pinning == 1, "the only place is taken")
    call = await cluster.pin([(cid(2), PinOptions())], wait=Wait.ALL)
    world.nodes[0].pins_held[cid(2)] = NodePin(cid(2), RECURSIVE)
    await world.peers[0].reconcile_now()

    await asyncio.wait_for(call.wait(), 5)
    busy.set()
