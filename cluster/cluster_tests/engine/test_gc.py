"""The gate of a node, and the collection of garbage behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from ipfs_cluster import Collected, Wait
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError, NodeUnreachable
from ipfs_cluster.gate import Gate, GateBusy
from ipfs_cluster.gc import PAGES
from ipfs_cluster.model import NodePin, PinMode, PinOptions
from ipfs_cluster.testing.fake_clock import FakeClock

# --- the gate ---


async def collection(gate: Gate, done: asyncio.Event, *, grace: float = 10.0) -> str:
    try:
        async with gate.exclusive(grace):
            await done.wait()
    except GateBusy as busy:
        return str(busy)
    return "collected"


async def visit(gate: Gate, leave: asyncio.Event, asked: list[float]) -> None:
    async with gate.shared(asked.append):
        await leave.wait()


async def test_many_are_inside_at_once_and_a_collection_waits_for_all() -> None:
    clock, done, asked = FakeClock(), asyncio.Event(), list[float]()
    gate, leave = Gate(clock), [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    done.set()
    async with asyncio.TaskGroup() as group:
        for event in leave[:2]:
            group.create_task(visit(gate, event, asked))
        await asyncio.sleep(0)
        collecting = group.create_task(collection(gate, done))
        await until(lambda: len(asked) == 2, "both are asked")
        assert not gate.is_open
        late = group.create_task(visit(gate, leave[2], asked))
        leave[2].set()
        leave[0].set()
        await until(lambda: clock.wakes_in(0.5), "the collection waits")
        clock.advance(0.5)
        await until(lambda: len(asked) == 3, "the one that is left is asked again")
        assert asked == [0.0, 0.0, 0.5]
        assert not late.done()
        leave[1].set()
        assert await collecting == "collected"
        await late
    assert gate.is_open


async def test_a_collection_gives_up_after_the_grace_time_and_others_come_in() -> None:
    clock, leave = FakeClock(), asyncio.Event()
    gate = Gate(clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(visit(gate, leave, []))
        await asyncio.sleep(0)
        collecting = group.create_task(collection(gate, leave, grace=2.0))
        late = group.create_task(visit(gate, leave, []))
        while not collecting.done():
            clock.advance(0.5)
            await asyncio.sleep(0)
        assert collecting.result() == "1 adds or pins were still in progress"
        assert gate.is_open
        leave.set()
        await late


async def test_collections_take_turns_and_a_cancelled_one_opens_the_gate() -> None:
    gate, done = Gate(FakeClock()), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(collection(gate, done))
        await until(lambda: not gate.is_open, "the first is in")
        second = group.create_task(collection(gate, done))
        visitor = group.create_task(visit(gate, done, []))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
        assert gate.is_open
        done.set()
        await visitor


# --- collecting ---


async def collect(world: World) -> list[Collected]:
    assert world.cluster is not None
    return [item async for page in world.cluster.gc() for item in page]


async def start(world: World) -> None:
    await world.start()
    await world.settle()


def errors(found: list[Collected]) -> dict[str, str]:
    return {item.peername: item.error for item in found if item.error}


async def test_every_node_is_collected_one_after_the_other(world: World) -> None:
    await start(world)
    done = world.nodes[0].collecting = asyncio.Event()
    for number, node in enumerate(world.nodes):
        node.garbage = [cid(number), cid(50)]
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        await until(lambda: world.nodes[0].calls["repo/gc"] == 1, "the first is at it")
        assert [peer.gate.is_open for peer in world.peers] == [False, True, True]
        done.set()
        expected = [Collected(f"name{number}", cid(block)) for number in range(3) for block in (number, 50)]
        assert await collecting == expected
        assert all(peer.gate.is_open for peer in world.peers)


async def test_removals_are_done_before_the_collection(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions())])).wait()
    outcome = await cluster.unpin([(cid(1), True)], settle=0.0)
    assert outcome.error is None
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        while not collecting.done():
            world.clock.advance(0.1)
            await asyncio.sleep(0)
        assert await collecting == []
        assert world.holders(cid(1)) == []


async def test_a_node_that_is_away_is_named_and_the_others_are_collected(world: World) -> None:
    await start(world)
    world.nodes[1].away = "connection refused"
    world.nodes[2].garbage = [cid(7)]
    found = await collect(world)
    assert errors(found) == {"name1": "connection refused"}
    assert [item.cid for item in found if item.cid is not None] == [cid(7)]


async def test_a_node_that_falls_silent_ends_its_own_collection_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_cluster.patience.INTERVAL", 0.001)
    monkeypatch.setattr("ipfs_cluster.gc.AWAY", 0.01)
    await start(world)
    world.nodes[0].collecting = asyncio.Event()
    world.nodes[1].garbage = [cid(7)]
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        await until(lambda: world.nodes[0].calls["repo/gc"] == 1, "the first is at it")
        world.nodes[0].away = "no answer within 10s"
        world.peers[0].monitor.suspect("no answer within 10s")
        found = await collecting
        assert errors(found) == {"name0": "no answer within 10s"}
        assert [item.cid for item in found if item.cid is not None] == [cid(7)]
        assert world.peers[0].gate.is_open


async def test_a_reader_that_stops_does_not_keep_the_gate_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await start(world)
    cluster = world.cluster
    assert cluster is not None

    async def endless() -> AsyncIterator[list[tuple[Cid | None, str]]]:
        while True:
            yield [(cid(1), "")]

    monkeypatch.setattr(world.nodes[0], "gc", endless)
    pages = cluster.gc()
    assert [item.cid for item in await anext(pages)] == [cid(1)]
    await until(lambda: world.clock.wakes_in(10.0), "it waits for the reader")
    assert not world.peers[0].gate.is_open
    world.clock.advance(11.0)
    await until(lambda: world.peers[0].gate.is_open, "it gives up")
    rest = [item async for page in pages for item in page]
    assert errors(rest) == {"name0": "broken off: what was freed was read too slowly"}
    assert len(rest) == PAGES + 1


async def test_whoever_stops_listening_stops_the_collection(world: World) -> None:
    await world.start()
    world.nodes[0].collecting = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        await until(lambda: not world.peers[0].gate.is_open, "it is at it")
        collecting.cancel()
        await until(lambda: world.peers[0].gate.is_open, "the gate is open again")
        assert world.nodes[1].calls["repo/gc"] == 0


async def test_a_stalled_pin_makes_way_and_is_taken_up_again(world: World) -> None:
    cluster = await world.start()
    world.nodes[0].hold[cid(200)] = asyncio.Event()
    call = await cluster.pin([(cid(200), PinOptions())])
    await until(lambda: world.nodes[0].pin_calls == [cid(200)], "it is tried")
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        while not collecting.done():
            world.clock.advance(0.5)
            await asyncio.sleep(0)
        assert errors(await collecting) == {}
        await until(lambda: world.nodes[0].pin_calls == [cid(200)] * 2, "it goes on")
        await world.network.publish(cid(200))
        world.nodes[0].hold[cid(200)].set()
        await call.wait()
        assert world.nodes[0].pins_held[cid(200)].mode is RECURSIVE


@pytest.mark.parametrize("turns", range(4))
async def test_a_stalled_pin_is_taken_up_again_though_the_queue_was_read_while_it_left(
    world: World, turns: int
) -> None:
    cluster = await world.start()
    await world.settle()
    world.nodes[0].hold[cid(200)] = asyncio.Event()
    await cluster.pin([(cid(200), PinOptions())], wait=Wait.ACCEPTED)
    await until(lambda: world.nodes[0].pin_calls == [cid(200)], "it is tried")
    await world.pass_time(10.0)
    peer = world.peers[0]
    peer.tracker._wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with peer.gate.exclusive(10.0):
        await until(lambda: peer.tracker.phase(cid(200)) is not None, "it waits for the collection's end")
    await until(lambda: world.nodes[0].pin_calls == [cid(200)] * 2, "it goes on")


async def test_what_lost_its_pin_unnoticed_keeps_its_blocks(world: World) -> None:
    """An upload that was cut: Kubo removes the pin that it is to make anew, and does not get further."""
    await start(world)
    assert world.cluster is not None
    await (await world.cluster.pin([(cid(1), PinOptions())])).wait()
    world.peers[1].upload_was_cut()
    await world.pass_time(1.0)
    del world.nodes[1].pins_held[cid(1)]
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        while not collecting.done():
            world.clock.advance(0.5)
            await asyncio.sleep(0)
        assert errors(await collecting) == {
            "name1": "not collected: 1 pins were missing on the node and are made again; try again later"
        }
    assert [node.calls["repo/gc"] for node in world.nodes] == [1, 0, 1]
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "it is made again")
    assert errors(await collect(world)) == {}


async def test_a_node_that_cannot_be_compared_is_not_collected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await start(world)
    world.peers[1].doubt.cast()

    async def broken(_mode: PinMode) -> AsyncIterator[list[NodePin]]:
        yield []
        raise NodeError("the stream was cut")

    monkeypatch.setattr(world.nodes[1], "pins", broken)
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect(world))
        while not collecting.done():
            world.clock.advance(0.5)
            await asyncio.sleep(0)
        text = "not collected: it could not be compared with the pinset before; try again later"
        assert errors(await collecting) == {"name1": text}


async def test_statistics_do_not_wait_for_a_node_that_falls_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_cluster.patience.INTERVAL", 0.001)
    cluster = await world.start()
    asked = asyncio.Event()

    async def never(*, size_only: bool = False) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(world.nodes[1], "repo_stat", never)
    world.nodes[0].repo_size = world.nodes[2].repo_size = 5
    async with asyncio.TaskGroup() as group:
        stat = group.create_task(cluster.repo_stat())
        await asked.wait()
        world.nodes[1].away = "no answer within 10s"
        world.peers[1].monitor.suspect("no answer within 10s")
        assert (await stat).repo_size == 10
        for node in world.nodes:
            monkeypatch.setattr(node, "repo_stat", never)

        async def refused() -> None:
            with pytest.raises(NodeUnreachable, match="gone"):
                await cluster.repo_stat()

        group.create_task(refused())
        await asyncio.sleep(0)
        for node, peer in zip(world.nodes, world.peers, strict=True):
            node.away = "gone"
            peer.monitor.suspect("gone")
