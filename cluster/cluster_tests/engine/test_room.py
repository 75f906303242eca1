"""What is measured of nodes, and nodes that have no room."""

from __future__ import annotations

import asyncio
import json

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import Wait
from ipfs_cluster.core.room import HOLD, RoomRule
from ipfs_cluster.errors import NodeError, NotEnoughPeers, PinFailed
from ipfs_cluster.model import NodePin, PeerId, PinMode, PinOptions, RepoStat, TrackerStatus
from ipfs_cluster.testing.fake_node import FakeNode

GB = 10**9
NONE = PinOptions()
WORDS = "write /repo/blocks/.temp/temp-1: no space left on device"


async def ping(world: World, seconds: float = 10.0) -> None:
    """Let time pass and every node be measured."""
    world.clock.advance(seconds)
    for peer in world.peers:
        await peer.monitor.check()


async def test_everything_that_ipfs_cluster_measures_is_there(world: World) -> None:
    world.nodes[0].repo_size = 5 * GB
    world.nodes[0].pins_held[cid(9)] = NodePin(cid(9), PinMode.RECURSIVE)
    cluster = await world.start(1, 1, adopt=False)
    await until(lambda: "reposize" in world.peers[0].state.metrics, "the repository is looked at beside the pings")
    world.nodes[0].hold[cid(1)] = asyncio.Event()
    await cluster.pin([(cid(1), PinOptions(user_allocations=(PeerId("peer0"),)))], wait=Wait.ACCEPTED)
    await ping(world)
    metrics = world.peers[0].state.metrics
    now = world.clock.monotonic()
    assert {name: metrics[name].value for name in metrics if name != "ping"} == {
        "freespace": str(10**12),
        "reposize": str(5 * GB),
        "numpin": "1",
        "pinqueue": "1",
        "tag:group": "default",
    }
    assert json.loads(metrics["ping"].value) == {
        "peer_name": "name0",
        "ipfs_id": "node0",
        "ipfs_addresses": ["/ip4/127.0.0.1/tcp/4001/p2p/node0"],
    }
    assert {name: metrics[name].expire - now for name in ("ping", "freespace", "pinqueue", "tag:group")} == {
        "ping": 20.0,
        "freespace": 30.0,
        "pinqueue": 30.0,
        "tag:group": 30.0,
    }
    assert all(metric.usable(now) for metric in metrics.values())
    assert (metrics["freespace"].weight, metrics["reposize"].weight) == (10**12, -5 * GB)
    world.nodes[0].hold[cid(1)].set()


async def test_a_node_below_its_reserve_gets_nothing_new_until_there_is_clearly_more(world: World) -> None:
    world.rule = RoomRule(reserve=GB)
    world.nodes[2].free = GB // 2
    cluster = await world.start(1, 3)
    (pin,) = (await cluster.pin([(cid(1), NONE)])).pins
    assert pin.allocations == ("peer0", "peer1")
    with pytest.raises(NotEnoughPeers, match=r"name2 \(below its reserve: 500\.0 MB free, reserve 1\.0 GB\)"):
        await cluster.pin([(cid(2), PinOptions(replication_min=3, replication_max=3))])
    world.nodes[2].free = GB + 1
    await ping(world)
    assert not world.peers[2].has_room
    world.nodes[2].free = 2 * GB
    await ping(world)
    (pin,) = (await cluster.pin([(cid(2), PinOptions(replication_min=3, replication_max=3))])).pins
    assert len(pin.allocations) == 3


async def test_a_pin_for_everywhere_is_refused_while_a_node_that_answers_has_no_room(world: World) -> None:
    world.rule = RoomRule(reserve=GB)
    world.nodes[2].free = GB // 2
    cluster = await world.start()
    with pytest.raises(PinFailed, match=r"name2: below its reserve: 500\.0 MB free, reserve 1\.0 GB"):
        await (await cluster.pin([(cid(1), NONE)])).wait()
    assert await cluster.views.get(cid(1)) is None
    await world.quiet()
    assert world.holders(cid(1)) == []
    assert cid(1) not in world.nodes[2].pin_calls
    call = await cluster.pin([(cid(2), NONE)], wait=Wait.ACCEPTED)
    await call.wait()
    assert await cluster.views.get(cid(2)) is not None, "who does not wait is not refused"


async def test_a_request_that_waits_hears_that_the_disk_is_full(world: World) -> None:
    cluster = await world.start()
    busy = [cid(number) for number in range(10)]
    for held in busy:
        world.nodes[1].hold[held] = asyncio.Event()
    begun = await cluster.pin([(held, NONE) for held in busy])
    await until(lambda: len(world.nodes[1].pin_calls) == 10, "all places are taken")
    queued = await cluster.pin([(cid(20), NONE)])
    world.peers[1].full(WORDS)
    with pytest.raises(PinFailed, match=r"name1: its disk is full: .*no space left"):
        await queued.wait()
    for held in busy:
        world.nodes[1].hold[held].set()
    await begun.wait()
    assert world.holders(busy[9]) == [0, 1, 2], "an attempt in progress may end well"


async def test_a_daemon_that_says_so_is_full_at_once_and_tried_again_later(world: World) -> None:
    cluster = await world.start(2, 3)
    await until(lambda: world.clock.wakes_in(10.0), "the monitors run")
    before = world.nodes[0].calls["diag/sys"]
    world.peers[0].full(WORDS)
    (pin,) = (await cluster.pin([(cid(1), NONE)])).pins
    assert pin.allocations == ("peer1", "peer2")
    assert cluster.views.peers()[0].full == f"its disk is full: {WORDS}"
    await until(lambda: world.nodes[0].calls["diag/sys"] > before, "it is measured at once")
    await until(lambda: world.clock.wakes_in(0.25), "and again a breath later")
    for _ in range(int(HOLD / 10)):
        assert world.peers[0].state.room.why, "figures that show room are not believed at once"
        await ping(world)
    assert world.peers[0].has_room
    assert cluster.views.peers()[0].full == ""


async def test_another_repository_at_the_same_address_is_another_disk(world: World) -> None:
    await world.start()
    await until(lambda: world.clock.wakes_in(10.0), "the monitors run")
    world.nodes[0].node_id = "another"
    world.peers[0].full(WORDS)
    await until(lambda: world.peers[0].has_room, "nothing is known against it")


async def test_storage_max_bounds_a_node_that_honours_it(world: World) -> None:
    world.rule = RoomRule(honour_storage_max=True)
    world.nodes[0].repo_size, world.nodes[0].storage_max = 9 * GB, 10 * GB
    await world.start(1, 1)
    assert world.peers[0].state.metrics["freespace"].value == str(GB)
    await until(lambda: world.clock.wakes_in(30.0), "it is asked for more often there")
    world.nodes[0].repo_size = 10 * GB
    await ping(world, 30.0)
    await until(lambda: world.nodes[0].calls["repo/stat"] == 3, "after the time to live of the metric")
    await ping(world)
    assert "StorageMax" in world.peers[0].state.room.why


async def test_the_size_of_one_repository_says_nothing_of_another(world: World) -> None:
    class Silent(FakeNode):
        silent = False

        async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
            if self.silent:
                raise NodeError("not now")
            return await super().repo_stat(size_only=size_only)

    node = world.nodes[0] = Silent(world.network, "node0")
    world.rule = RoomRule(honour_storage_max=True)
    await world.start(1, 1)
    assert world.peers[0].has_room
    node.silent, node.node_id = True, "another"
    await world.peers[0].monitor.check()
    assert "not known yet" in world.peers[0].state.room.why


async def test_the_size_of_a_repository_is_asked_for_seldom(world: World) -> None:
    await world.start()
    await until(lambda: world.clock.wakes_in(300.0), "once at the start")
    for _ in range(29):
        await ping(world)
    assert world.nodes[0].calls["repo/stat"] == 1
    await ping(world)
    await until(lambda: world.nodes[0].calls["repo/stat"] == 2, "and after five minutes")


class SlowToCount(FakeNode):
    """Its repository is so large that counting takes a long time."""

    counting: asyncio.Event | None = None

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        answer = await super().repo_stat(size_only=size_only)
        if self.counting is not None:
            await self.counting.wait()
        return answer


async def test_a_slow_count_holds_nothing_up_and_makes_the_next_one_later(world: World) -> None:
    slow = SlowToCount(world.network, "node0")
    slow.counting = asyncio.Event()
    world.nodes[0] = slow
    await world.start()
    await until(lambda: slow.calls["repo/stat"] == 1, "it is asked")
    for _ in range(4):
        await ping(world)
    assert world.peers[0].up
    assert "reposize" not in world.peers[0].state.metrics
    slow.counting.set()
    await until(lambda: "reposize" in world.peers[0].state.metrics, "the answer comes after 40 s")
    metric = world.peers[0].state.metrics["reposize"]
    await until(lambda: world.clock.wakes_in(800.0), "it is left alone")
    for _ in range(79):
        await ping(world)
    assert slow.calls["repo/stat"] == 1, "for twenty times as long"
    assert metric.usable(world.clock.monotonic()), "and what it said counts until the next answer"
    await ping(world)
    await until(lambda: slow.calls["repo/stat"] == 2, "then it is asked again")


async def test_a_node_that_refuses_to_count_is_asked_again(world: World) -> None:
    class Refusing(FakeNode):
        async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
            await super().repo_stat(size_only=size_only)
            raise NodeError("not now")

    world.nodes[0] = Refusing(world.network, "node0")
    await world.start()
    await until(lambda: world.clock.wakes_in(300.0), "once at the start")
    for _ in range(30):
        await ping(world)
    await until(lambda: world.nodes[0].calls["repo/stat"] == 2, "five minutes later")
    assert world.peers[0].up


async def test_statuses_on_a_node_without_room_stay_true(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    world.peers[1].full(WORDS)
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3
    await (await cluster.pin([(cid(1), PinOptions(name="renamed"))])).wait()
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3, "what it holds needs no room"
