"""Places of the tracker: what only waits takes none, what fails keeps nothing away; what breaks is taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import Wait
from ipfs_cluster.attempt import PATIENCE, TrackerSettings
from ipfs_cluster.errors import PinFailed, StoreUnavailable
from ipfs_cluster.model import PeerId, PinOptions, TrackerStatus
from ipfs_cluster.ports import FinishWork, PutPin, Write
from ipfs_cluster.tracker import WAITING

NONE = PinOptions()
PLACES = TrackerSettings().concurrent


async def soon(world: World, probe: Callable[[], bool], what: str) -> None:
    """Until the probe is true, a second of the clock a turn."""

    def later() -> bool:
        world.clock.advance(1.0)
        return probe()

    await until(later, what)


async def pin_absent(world: World, count: int) -> list[int]:
    """Accept pins that no node can get; their numbers."""
    assert world.cluster is not None
    numbers = list(range(1000, 1000 + count))
    await (await world.cluster.pin([(cid(n), NONE) for n in numbers], wait=Wait.ACCEPTED)).wait()
    return numbers


async def test_pins_that_no_node_can_get_do_not_keep_others_waiting(world: World) -> None:
    cluster = await world.start()
    absent = await pin_absent(world, 3 * PLACES)
    await until(lambda: len(world.nodes[0].pin_calls) == PLACES, "all places are taken")
    call = await cluster.pin([(cid(1), NONE)])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited below

    async def held_after_some_patience() -> bool:
        world.clock.advance(PATIENCE)
        return waiting.done()

    await until(held_after_some_patience, "the pin that can be got is pinned")
    await waiting
    await until(lambda: all(cid(n) in world.nodes[0].pin_calls for n in absent), "the others wait side by side")
    assert await world.status(cid(absent[0])) == [TrackerStatus.PINNING] * 3


async def test_what_has_waited_longest_makes_room_and_is_tried_again(world: World) -> None:
    await world.start()
    absent = await pin_absent(world, 2 * (PLACES + WAITING))

    def all_were_tried() -> bool:
        world.clock.advance(PATIENCE)
        return all(cid(n) in world.nodes[0].pin_calls for n in absent)

    await until(all_were_tried, "every pin gets its turn")
    rows = await world.cluster.views.status(cid(absent[0]))  # type: ignore[union-attr]
    assert "other pins need the node" in rows[1][0].error
    await world.network.publish(*(cid(n) for n in absent))

    def pinned_at_last() -> bool:
        world.clock.advance(100.0)
        return world.holders(cid(absent[0])) == [0, 1, 2]

    await until(pinned_at_last, "and is pinned")


async def test_removals_that_may_not_begin_yet_do_not_keep_the_loop_busy(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(n), NONE) for n in range(2 * PLACES)])).wait()
    tracker = cluster.home.tracker
    tracker._may_unpin.clear()
    reads = 0
    due = tracker._store.due

    async def counted(*arguments: object, **named: object) -> object:
        nonlocal reads
        reads += 1
        return await due(*arguments, **named)  # type: ignore[arg-type]

    tracker._store.due = counted  # type: ignore[method-assign, assignment]
    await cluster.unpin([(cid(n), True) for n in range(2 * PLACES)], settle=0)
    for _ in range(500):
        await asyncio.sleep(0)
    assert reads < 100
    tracker.allow_unpin()
    await world.quiet()


async def test_a_node_that_returns_while_the_store_is_full_is_taken_up_when_it_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    assert world.store is not None
    peer = cluster.peers_by_id[PeerId("peer1")]
    world.nodes[1].away = "down"
    await soon(world, lambda: not peer.up, "it is seen to be away")

    async def full(*arguments: object) -> int:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(world.store, "retry_now", full)
    world.nodes[1].away = ""
    await soon(world, lambda: "disk full" in peer.state.error, "the reason is told")
    monkeypatch.undo()
    await soon(world, lambda: peer.up, "it is in service again")


async def test_something_that_is_no_node_is_an_absent_node(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nonsense() -> object:
        raise KeyError("ID")

    monkeypatch.setattr(world.nodes[1], "info", nonsense)
    cluster = await world.start()
    peer = cluster.peers_by_id[PeerId("peer1")]
    assert "no IPFS node" in peer.state.error
    monkeypatch.undo()
    await soon(world, lambda: peer.up, "the right one is there now")


async def test_pins_expire_after_a_full_disk_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()
    assert world.store is not None
    await (await cluster.pin([(cid(1), PinOptions(expire_at=world.clock.time() + 30))])).wait()
    await until(lambda: world.clock.wakes_in(30.0), "its time is known")
    refused = asyncio.Event()

    async def full(writes: object) -> int:
        refused.set()
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(world.store, "commit", full)
    world.clock.advance(31.0)
    await until(refused.is_set, "the removal was refused")
    monkeypatch.undo()

    def gone() -> bool:
        world.clock.advance(10.0)
        return world.holders(cid(1)) == []

    await until(gone, "it expires")


async def test_an_attempt_cancelled_before_its_first_step_leaves_the_pin_free(world: World) -> None:
    cluster = await world.start()
    await cluster.pin([(cid(1), NONE)])
    for peer in cluster.peers_by_id.values():
        peer.tracker.cancel([cid(1)])
    await cluster.unpin([(cid(1), True)], settle=0)
    await world.quiet()
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "it can be pinned again")


async def test_a_removal_follows_an_attempt_that_takes_its_time_to_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_to_leave(*arguments: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(100):
                await asyncio.sleep(0)

    cluster = await world.start()
    for node in world.nodes:
        monkeypatch.setattr(node, "pin", slow_to_leave)
    await cluster.pin([(cid(1), NONE)])
    await until(lambda: cluster.home.tracker.phase(cid(1)) is not None, "it is being pinned")
    for _ in range(10):
        await asyncio.sleep(0)
    await cluster.unpin([(cid(1), True)], settle=0)
    await world.quiet()


async def test_an_entry_removed_before_its_request_listens_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.hold[cid(1)] = asyncio.Event()
    assert world.store is not None
    commit = world.store.commit

    async def overtaken(writes: Sequence[Write]) -> int:
        revision = await commit(writes)
        if any(isinstance(write, PutPin) for write in writes):
            monkeypatch.undo()
            await cluster.unpin([(cid(1), True)], settle=0)
        return revision

    monkeypatch.setattr(world.store, "commit", overtaken)
    call = await cluster.pin([(cid(1), NONE)])
    with pytest.raises(PinFailed, match="removed while"):
        await asyncio.wait_for(call.wait(), 5)


async def test_a_tracker_that_is_closed_starts_nothing_more(world: World) -> None:
    cluster = await world.start()
    for n in range(3 * PLACES):
        await (await cluster.pin([(cid(1000 + n), NONE)], wait=Wait.ACCEPTED)).wait()
    await until(lambda: len(world.nodes[0].pin_calls) == PLACES, "all places are taken")
    await cluster.close()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(world.nodes[0].pin_calls) == PLACES
    assert all(peer.tracker.phase(cid(1000 + n)) is None for peer in world.peers for n in range(3 * PLACES))


async def test_what_is_over_takes_no_place_while_it_is_written_down_but_does_not_pile_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    assert world.store is not None
    commit, disk_works = world.store.commit, asyncio.Event()

    async def hanging(writes: Sequence[Write]) -> int:
        if any(isinstance(write, FinishWork) for write in writes):
            await disk_works.wait()
        return await commit(writes)

    monkeypatch.setattr(world.store, "commit", hanging)
    await (await cluster.pin([(cid(n), NONE) for n in range(5 * PLACES)], wait=Wait.ACCEPTED)).wait()
    for _ in range(500):
        await asyncio.sleep(0)
    assert [len(node.pin_calls) for node in world.nodes] == [2 * PLACES] * 3
    disk_works.set()
    await world.quiet()
    assert [len(node.pin_calls) for node in world.nodes] == [5 * PLACES] * 3
