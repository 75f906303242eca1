"""When peers compare with their nodes, and what comparing may cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from cluster_tests.engine.test_ingest import Body
from cluster_tests.uploads import AllRoots
from ipfs_cluster import Upload, reconcile
from ipfs_cluster import cid as cids
from ipfs_cluster import peer as peers
from ipfs_cluster.engine import COMPARING
from ipfs_cluster.model import NodePin, PinMode, PinOptions
from ipfs_cluster.testing.fake_node import FakeNode

LISTS = 2
"""pin/ls calls of one comparison."""


class SlowNode(FakeNode):
    """Listing takes it this many seconds for each of the two kinds of pins; or it waits until it may."""

    seconds = 0.0
    listing: asyncio.Event | None = None
    at_work = 0

    def __init__(self, like: FakeNode, world: World) -> None:
        super().__init__(like.network, like.node_id, like.free)
        self._world = world

    async def pins(self, mode: PinMode) -> AsyncIterator[list[NodePin]]:
        self.at_work += 1
        try:
            if self.listing is not None:
                await self.listing.wait()
            if self.seconds:
                self._world.clock.advance(self.seconds)
            async for page in super().pins(mode):
                yield page
        finally:
            self.at_work -= 1


@pytest.fixture
def slow(world: World) -> list[SlowNode]:
    """All three nodes."""
    nodes = [SlowNode(node, world) for node in world.nodes]
    world.nodes[:] = nodes
    return nodes


async def test_what_was_missing_is_named_and_when_it_is_much_the_first_few(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = await world.start()
    names = {number: cids.text(cid(number)) for number in range(5)}
    for number in names:
        await (await cluster.pin([(cid(number), PinOptions())])).wait()
    del world.nodes[1].pins_held[cid(2)]
    await world.peers[1].reconcile_now()
    (record,) = [record for record in caplog.records if "missing" in record.message]
    assert record.message == f"peer name1: 1 pins were missing on the node and are queued again: {names[2]}"
    caplog.clear()
    await world.quiet()
    for number in names:
        del world.nodes[1].pins_held[cid(number)]
    await world.peers[1].reconcile_now()
    (record,) = [record for record in caplog.records if "missing" in record.message]
    assert record.message.startswith("peer name1: 5 pins")
    assert record.message.endswith(", …")
    assert sum(name in record.message for name in names.values()) == reconcile.EXAMPLES


async def came_back(world: World, number: int) -> None:
    """The node was away and is found again."""
    peer = world.peers[number]
    peer.monitor.suspect("reset")
    await peer.monitor.check()


async def settle() -> None:
    """Let everything happen that needs no timer."""
    for _ in range(300):
        await asyncio.sleep(0)


async def test_a_node_that_comes_and_goes_is_not_compared_all_the_time(world: World, slow: list[SlowNode]) -> None:
    await world.start()
    await settle()
    slow[0].seconds = 30.0
    await came_back(world, 0)
    await until(lambda: slow[0].seconds == 30.0 and slow[0].at_work == 0, "it is compared")
    await settle()
    before = slow[0].calls["pin/ls"]
    for _ in range(20):
        await came_back(world, 0)
        await settle()
        world.clock.advance(peers.SHARE * LISTS * 30.0 / 20 - 1.0)
    await settle()
    assert slow[0].calls["pin/ls"] == before, "it rests for twenty times as long as it took"
    slow[0].seconds = 0.0
    world.clock.advance(20.0)
    await until(lambda: slow[0].calls["pin/ls"] == before + LISTS, "then what came in between is looked for")


async def test_another_repository_is_surveyed_while_the_old_one_would_rest(world: World, slow: list[SlowNode]) -> None:
    await world.start()
    await settle()
    slow[1].seconds = 30.0
    await came_back(world, 1)
    await settle()
    slow[1].seconds, before = 0.0, slow[1].calls["pin/ls"]
    slow[1].node_id = "another"
    slow[1].pins_held[cid(7)] = NodePin(cid(7), RECURSIVE)
    await came_back(world, 1)
    await until(lambda: slow[1].calls["pin/ls"] == before + LISTS, "at once")


async def test_not_all_peers_compare_at_the_same_time(world: World, slow: list[SlowNode]) -> None:
    await world.start()
    await settle()
    gate = asyncio.Event()
    for node in slow:
        node.listing = gate
    for number in range(3):
        await came_back(world, number)
    await settle()
    assert sum(node.at_work for node in slow) == COMPARING
    gate.set()
    await until(lambda: all(node.calls["pin/ls"] == 3 * LISTS for node in slow), "everybody has a turn")


async def test_a_list_that_stands_still_is_given_up_and_tried_again(
    world: World, slow: list[SlowNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions())])).wait()
    await settle()
    slow[2].listing = asyncio.Event()
    del slow[2].pins_held[cid(1)]
    monkeypatch.setattr(reconcile, "STALL", 0.0)
    await came_back(world, 2)
    await until(lambda: world.peers[2].comparisons.broken == 1, "it is given up")
    monkeypatch.undo()
    await settle()
    slow[2].listing = None
    world.clock.advance(peers.RETRY)
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "it is tried again soon, and what the node lost comes back")


async def test_what_is_none_of_ours_is_listed_with_where_and_since_when(world: World) -> None:
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE, "theirs")
    cluster = await world.start()
    await settle()
    world.nodes[2].pins_held[cid(2)] = NodePin(cid(2), PinMode.DIRECT)
    await world.peers[2].reconcile_now()
    found = [entry async for page in cluster.views.foreign() for entry in page]
    assert {(entry.peer, entry.pin.cid, entry.pin.name, entry.orphan) for entry in found} == {
        ("peer1", cid(1), "theirs", False),
        ("peer2", cid(2), "", True),
    }
    assert [entry.pin.cid async for page in cluster.views.foreign(world.peers[2].id) for entry in page] == [cid(2)]


async def test_after_a_cut_upload_the_node_is_compared_and_again_when_it_is_surely_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubo removes a pin that it is to make anew, and when it is cut then does not get further, sooner or later."""
    monkeypatch.setattr("ipfs_cluster.ingest.call.PARTING", 0.01)
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions())])).wait()
    await world.pass_time(60.0)
    assert all(peer.doubt.left is None for peer in world.peers)
    world.nodes[1].telling.clear()
    upload = Upload("add", "pin=true", "pin=true", (), aiter(Body(1)), AllRoots(), PinOptions())
    with pytest.raises(ConnectionError):
        async with cluster.add(upload):
            await until(lambda: world.nodes[1].calls["add read"] == 1, "it is read")
            raise ConnectionError("the client left")
    lists = [node.calls["pin/ls"] for node in world.nodes]
    await world.pass_time(1.0)
    del world.nodes[1].pins_held[cid(1)]
    await world.pass_time(60.0)
    assert world.holders(cid(1)) == [0, 1, 2]
    assert all(peer.doubt.left is None for peer in world.peers)
    assert world.nodes[1].calls["pin/ls"] < lists[1] + 20, "after that it is as before"
