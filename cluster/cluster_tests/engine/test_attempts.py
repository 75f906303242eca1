"""What a tracker asks of its node for one pin: where it fetches from, by which calls, and what a failure leads to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import Cluster, Wait
from ipfs_cluster import cid as cids
from ipfs_cluster.attempt import ORIGINS, PinMethod, TrackerSettings
from ipfs_cluster.errors import NodeUnreachable, PinFailed
from ipfs_cluster.model import Pin, PinMode, PinOptions, TrackerStatus
from ipfs_cluster.testing.fake_node import FakeNode

NONE = PinOptions()
STRANGERS = tuple(cids.text(cids.from_bytes(b"\x12\x20" + bytes([n] * 32))) for n in range(ORIGINS + 5))
"""IDs of nodes outside."""
ORIGIN = f"/ip4/192.0.2.1/tcp/4001/p2p/{STRANGERS[0]}"


# --- direct and recursive ---


async def recursive_beside_direct(world: World, cluster: Cluster) -> tuple[asyncio.Task[None], asyncio.Event]:
    """A recursive request whose attempts have begun, after direct ones that were in progress and have ended; and what
    the recursive ones wait for.
    """
    direct, again = asyncio.Event(), asyncio.Event()
    for node in world.nodes:
        node.hold[cid(1)] = direct
    await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))], wait=Wait.ACCEPTED)
    await until(lambda: all(node.pin_calls for node in world.nodes), "it is being pinned directly")
    for node in world.nodes:
        node.hold[cid(1)] = again
    call = await cluster.pin([(cid(1), PinOptions(mode=PinMode.RECURSIVE))])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited by the test
    direct.set()
    await until(lambda: all(len(node.pin_calls) == 2 for node in world.nodes), "the recursive attempts follow")
    return waiting, again


async def test_a_recursive_request_is_not_answered_by_the_direct_attempt_in_progress(world: World) -> None:
    waiting, again = await recursive_beside_direct(world, await world.start())
    assert not waiting.done()
    again.set()
    await waiting
    assert {node.pins_held[cid(1)].mode for node in world.nodes} == {PinMode.RECURSIVE}


async def direct(world: World) -> tuple[Cluster, Pin]:
    """A cluster with a direct pin of a DAG of which no node has all."""
    cluster = await world.start()
    call = await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT, name="root"))])
    await call.wait()
    for node in world.nodes:
        node.refusals[cid(1)] = "the rest is missing"
    return cluster, call.pins[0]


async def entry(cluster: Cluster) -> Pin:
    pin = await cluster.views.get(cid(1))
    assert pin is not None
    return pin


async def test_a_recursive_request_that_fails_leaves_the_direct_pin(world: World) -> None:
    cluster, before = await direct(world)
    call = await cluster.pin([(cid(1), PinOptions(mode=PinMode.RECURSIVE, name="all of it"))])
    assert (await entry(cluster)).mode is PinMode.RECURSIVE
    with pytest.raises(PinFailed, match="the rest is missing"):
        await call.wait()
    assert replace(await entry(cluster), revision=before.revision) == before
    await until(lambda: pinned_everywhere(world), "nothing is left to do")
    assert {node.pins_held[cid(1)].mode for node in world.nodes} == {PinMode.DIRECT}


async def test_a_direct_pin_that_was_to_move_is_back_in_its_place(world: World) -> None:
    cluster = await world.start(1, 1)
    await (await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))])).wait()
    (place,) = world.holders(cid(1))
    for node in world.nodes:
        node.refusals[cid(1)] = "the rest is missing"
    everywhere = PinOptions(mode=PinMode.RECURSIVE, replication_min=-1, replication_max=-1)
    with pytest.raises(PinFailed):
        await (await cluster.pin([(cid(1), everywhere)])).wait()
    assert (await entry(cluster)).allocations == (world.peers[place].id,)
    await until(lambda: settled(world), "nothing is left to do")
    assert world.holders(cid(1)) == [place]


async def test_whoever_else_waits_for_the_recursive_pin_gives_it_up_last(world: World) -> None:
    cluster, before = await direct(world)
    hold = asyncio.Event()
    for node in world.nodes:
        node.hold[cid(1)] = hold
    recursive = PinOptions(mode=PinMode.RECURSIVE)
    one, other = [await cluster.pin([(cid(1), recursive)]) for _ in range(2)]
    waiting = asyncio.ensure_future(other.wait())  # noqa: TID251 - awaited by the test
    await one.withdraw()
    assert (await entry(cluster)).mode is PinMode.RECURSIVE
    hold.set()
    with pytest.raises(PinFailed):
        await waiting
    assert replace(await entry(cluster), revision=before.revision) == before


async def test_what_was_answered_or_rewritten_meanwhile_stays_recursive(world: World) -> None:
    cluster, _ = await direct(world)
    recursive = PinOptions(mode=PinMode.RECURSIVE)
    call = await cluster.pin([(cid(1), recursive)])
    await (await cluster.pin([(cid(1), recursive)], wait=Wait.ACCEPTED)).wait()
    await call.withdraw()
    assert (await entry(cluster)).mode is PinMode.RECURSIVE
    await cluster.unpin([(cid(1), True)], settle=0)
    for node in world.nodes:
        node.refusals.clear()
    await (await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))])).wait()
    for node in world.nodes:
        node.hold[cid(1)] = asyncio.Event()
    call = await cluster.pin([(cid(1), recursive)])
    await cluster.pin([(cid(1), PinOptions(name="other"))], wait=Wait.ACCEPTED)
    await call.withdraw()
    found = await entry(cluster)
    assert (found.mode, found.name) == (PinMode.RECURSIVE, "other")


def settled(world: World) -> bool:
    return not any(peer.tracker.pinning or peer.tracker.unpinning(cid(1)) for peer in world.peers)


async def pinned_everywhere(world: World) -> bool:
    return set(await world.status(cid(1))) == {TrackerStatus.PINNED}


async def test_a_recursive_request_does_not_fail_with_the_direct_attempt_before_it(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.refusals[cid(1)] = "refused at first"
    waiting, again = await recursive_beside_direct(world, cluster)
    for node in world.nodes:
        node.refusals.clear()
    again.set()
    await waiting


# --- pin/update, refs, origins ---


async def pin_update(world: World) -> None:
    """Pin 1, then 2 as its update."""
    assert world.cluster is not None
    await (await world.cluster.pin([(cid(1), NONE)])).wait()
    await (await world.cluster.update(cid(1), cid(2), unpin=False)).wait()


async def test_an_update_is_one_where_the_node_holds_the_pin_before(world: World) -> None:
    await world.start()
    await pin_update(world)
    assert [node.calls["pin/update"] for node in world.nodes] == [1, 1, 1]


async def test_an_update_that_a_node_refuses_becomes_a_pin(world: World) -> None:
    await world.start()
    world.nodes[1].updates_refused[cid(2)] = "'from' cid was not recursively pinned already"
    await pin_update(world)
    assert world.holders(cid(2)) == [0, 1, 2]
    assert [node.pin_calls.count(cid(2)) for node in world.nodes] == [1, 1, 1]


async def test_a_full_disk_is_told_at_the_update_already(world: World) -> None:
    cluster = await world.start()
    world.nodes[1].updates_refused[cid(2)] = "no space left on device"
    await (await cluster.pin([(cid(1), NONE)])).wait()
    await cluster.update(cid(1), cid(2), unpin=False)
    await until(lambda: world.holders(cid(2)) == [0, 2], "the others have it")

    async def failed() -> bool:
        return (await world.status(cid(2)))[1] is TrackerStatus.PIN_ERROR

    await until(failed, "the full one has not")
    assert world.nodes[1].pin_calls.count(cid(2)) == 0


async def test_by_refs_a_dag_is_fetched_before_it_is_pinned(world: World) -> None:
    world.tracker = TrackerSettings(method=PinMethod.REFS)
    cluster = await world.start()
    call = await cluster.pin([(cid(1000), NONE), (cid(1), PinOptions(mode=PinMode.DIRECT))], wait=Wait.ACCEPTED)
    await call.wait()
    await until(lambda: all(node.calls["refs"] for node in world.nodes), "it is fetched")
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "a direct pin needs no walk")
    assert cid(1000) not in world.nodes[0].pin_calls
    (standing, *_) = await cluster.why.standings(cid(1000))
    assert (standing.call, standing.bytes_known) == ("refs", False)
    await world.network.publish(cid(1000))
    await until(lambda: world.holders(cid(1000)) == [0, 1, 2], "it is pinned")
    assert [node.calls["refs"] for node in world.nodes] == [1, 1, 1]


async def test_origins_are_connected_to(world: World) -> None:
    cluster = await world.start()
    before = [node.calls["swarm/connect"] for node in world.nodes]
    many = tuple(f"/ip4/192.0.2.1/tcp/4001/p2p/{stranger}" for stranger in STRANGERS)
    await cluster.pin([(cid(1000), PinOptions(origins=many))], wait=Wait.ACCEPTED)
    for node, calls in zip(world.nodes, before, strict=True):
        await until(lambda: node.calls["swarm/connect"] - calls == ORIGINS, "it was connected to each")  # noqa: B023
        assert set(STRANGERS[:ORIGINS]) <= node.connected


async def test_an_origin_that_does_not_answer_delays_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()
    began: list[FakeNode] = []
    left: list[FakeNode] = []

    async def hanging(node: FakeNode) -> None:
        began.append(node)
        try:
            await asyncio.Event().wait()
        finally:
            left.append(node)

    for node in world.nodes[:2]:
        monkeypatch.setattr(node, "connect", lambda _addresses, node=node: hanging(node))

    async def refused(_addresses: object) -> None:
        raise NodeUnreachable("dial backoff")

    monkeypatch.setattr(world.nodes[2], "connect", refused)
    await cluster.pin([(cid(1000), PinOptions(origins=(ORIGIN,)))], wait=Wait.ACCEPTED)
    await until(lambda: len(began) == 2 and all(node.pin_calls for node in world.nodes), "both have begun")
    await world.network.publish(cid(1000))
    await until(lambda: world.holders(cid(1000)) == [0, 1, 2], "it is pinned")
    await until(lambda: len(left) == 2, "connecting ends with the pin")


# --- failures ---


async def test_what_the_daemon_will_never_pin_is_tried_seldom(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.refusals[cid(1)] = "potentially insecure hash functions not allowed"
        node.refusals[cid(2)] = "something new"
    for number in (1, 2):
        with pytest.raises(PinFailed):
            await (await cluster.pin([(cid(number), NONE)])).wait()
    await cluster.pin([(cid(n), NONE) for n in (1, 2)], wait=Wait.ACCEPTED)

    async def both_failed() -> bool:
        return await world.status(cid(1)) == await world.status(cid(2)) == [TrackerStatus.PIN_ERROR] * 3

    await until(both_failed, "both failed")
    invalid, other = [(await cluster.why.standings(cid(n)))[0].next_attempt - world.clock.time() for n in (1, 2)]
    assert invalid > 1000 > other


async def test_a_full_disk_is_told_to_the_monitor(world: World) -> None:
    cluster = await world.start()
    world.nodes[1].refusals[cid(1)] = "write /blocks/put-1: no space left on device"
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(lambda: not world.peers[1].has_room, "it is told")
    assert [peer.has_room for peer in world.peers] == [True, False, True]


async def test_a_pin_that_does_not_begin_although_its_root_is_there_waits_for_the_pin_lock(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.stalled[cid(1)] = "no new block for 120s after 0 blocks (0 bytes)"
    world.nodes[1].blocks.add(cid(1))
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)

    async def failed() -> bool:
        return await world.status(cid(1)) == [TrackerStatus.PIN_ERROR] * 3

    await until(failed, "they gave up")
    failures = [standing.failure for standing in await cluster.why.standings(cid(1))]
    assert failures == ["not found in time", "pin lock held", "not found in time"]
