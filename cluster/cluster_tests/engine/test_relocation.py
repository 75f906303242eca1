"""A request whose node cannot make its copy for reasons of its own hears of the copy that another node makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import PinCall, Wait
from ipfs_cluster.errors import PinFailed
from ipfs_cluster.model import PeerId, Pin, PinMode, PinOptions, TrackerStatus
from ipfs_cluster.ports import PutPin, Write
from ipfs_cluster.testing.fake_node import FakeNode

FULL = "pin: write block: no space left on device"
DENYLIST = "bafkrei is blocked and cannot be provided"
NONE = PinOptions()
PINNED, REMOTE = TrackerStatus.PINNED, TrackerStatus.REMOTE


def on(*peers: int) -> PinOptions:
    return PinOptions(user_allocations=tuple(PeerId(f"peer{number}") for number in peers))


async def trimmed(world: World) -> None:
    """Until repair has let go of what failed."""
    await world.pass_time(60)
    await world.quiet()


async def placed(world: World) -> tuple[PeerId, ...]:
    pin = await world.kept().get(cid(1))
    assert pin is not None
    return pin.allocations


def waiting(call: PinCall) -> asyncio.Task[None]:
    return asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited by the test


@pytest.mark.parametrize("words", [FULL, DENYLIST])
async def test_another_node_makes_the_copy(world: World, words: str) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].refusals[cid(1)] = words
    await (await cluster.pin([(cid(1), on(1))])).wait()
    await trimmed(world)
    assert world.holders(cid(1)) == [0]
    assert await world.status(cid(1)) == [PINNED, REMOTE, REMOTE]


async def test_the_next_one_is_not_asked_for_the_same_again(world: World) -> None:
    cluster = await world.start(2, 2)
    for node in world.nodes[:2]:
        node.refusals[cid(1)] = DENYLIST
    with pytest.raises(PinFailed) as failed:
        await (await cluster.pin([(cid(1), on(0, 1))])).wait()
    assert set(failed.value.args[-1].split("; ")) == {f"name0: {DENYLIST}", f"name1: {DENYLIST}"}
    await world.quiet()
    assert [node.pin_calls.count(cid(1)) for node in world.nodes[:2]] == [1, 1]
    assert world.holders(cid(1)) == []
    assert await world.kept().get(cid(1)) is None


async def test_without_another_node_the_full_ones_are_named(world: World) -> None:
    cluster = await world.start(1, 1)
    for node in world.nodes:
        node.refusals[cid(1)] = FULL
    with pytest.raises(PinFailed) as failed:
        await (await cluster.pin([(cid(1), NONE)])).wait()
    words = sorted(failed.value.args[-1].split("; "))
    assert [text.partition(": ")[0] for text in words] == ["name0", "name1", "name2"]
    assert all(text.endswith(FULL) for text in words)
    assert await world.kept().get(cid(1)) is None


async def test_what_the_next_node_says_comes_first(world: World) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].refusals[cid(1)] = FULL
    world.nodes[0].refusals[cid(1)] = "something new"
    with pytest.raises(PinFailed) as failed:
        await (await cluster.pin([(cid(1), on(1))])).wait()
    assert failed.value.args[-1] == f"something new; name1: its disk is full: {FULL}"
    assert world.nodes[2].pin_calls == []


async def test_what_belongs_everywhere_is_not_moved(world: World) -> None:
    cluster = await world.start()
    world.nodes[1].refusals[cid(1)] = FULL
    with pytest.raises(PinFailed, match=f"^name1: {FULL}$"):
        await (await cluster.pin([(cid(1), NONE)])).wait()


async def test_what_is_queued_on_a_node_that_gets_full_moves_too(world: World) -> None:
    world.concurrent = {1: 1}
    cluster = await world.start(1, 1)
    world.nodes[1].hold[cid(2)] = asyncio.Event()
    first = waiting(await cluster.pin([(cid(2), on(1))]))
    await until(lambda: bool(world.nodes[1].pin_calls), "its only place is taken")
    second = waiting(await cluster.pin([(cid(1), on(1))]))
    world.nodes[1].free = 0
    await world.peers[1].monitor.check()
    await second
    assert world.nodes[1].pin_calls == [cid(2)]
    world.nodes[1].hold[cid(2)].set()
    await first  # what was in progress may still end well


async def test_all_who_wait_for_it_hear_of_the_copy_elsewhere(world: World) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    world.nodes[1].refusals[cid(1)] = FULL
    calls = [waiting(await cluster.pin([(cid(1), on(1))])) for _ in range(3)]
    world.nodes[1].hold[cid(1)].set()
    await asyncio.gather(*calls)
    assert [node.pin_calls.count(cid(1)) for node in world.nodes] == [1, 1, 0]
    await trimmed(world)
    assert await placed(world) == ("peer0",)


@pytest.mark.parametrize("others", [0, 1])
async def test_an_entry_that_was_moved_is_given_up_by_who_created_it(world: World, others: int) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    world.nodes[1].refusals[cid(1)] = FULL
    world.nodes[0].hold[cid(1)] = asyncio.Event()
    calls = [await cluster.pin([(cid(1), on(1))]) for _ in range(1 + others)]
    tasks = [waiting(call) for call in calls]
    world.nodes[1].hold[cid(1)].set()
    await until(lambda: bool(world.nodes[0].pin_calls), "another node makes it")
    for task, call in zip(tasks, calls, strict=True):
        assert await world.kept().get(cid(1)) is not None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await call.withdraw()
    assert await world.kept().get(cid(1)) is None
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_an_entry_that_somebody_relies_on_stays_when_it_was_moved(world: World) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    world.nodes[1].refusals[cid(1)] = FULL
    others = (world.nodes[0], world.nodes[2])
    for node in others:
        node.hold[cid(1)] = asyncio.Event()
    call = await cluster.pin([(cid(1), on(1))])
    task = waiting(call)
    await cluster.pin([(cid(1), PinOptions(name="kept"))], wait=Wait.ACCEPTED)
    world.nodes[1].hold[cid(1)].set()
    await until(lambda: any(node.pin_calls for node in others), "another node makes it")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await call.withdraw()
    for node in others:
        node.hold[cid(1)].set()
    await trimmed(world)
    assert len(world.holders(cid(1))) == 1
    assert await placed(world) == (f"peer{world.holders(cid(1))[0]}",)


async def test_a_removal_meanwhile_wins(world: World) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    world.nodes[1].refusals[cid(1)] = FULL
    task = waiting(await cluster.pin([(cid(1), on(1))]))
    await until(lambda: bool(world.nodes[1].pin_calls), "it is being pinned")
    world.nodes[0].hold[cid(1)] = asyncio.Event()
    world.nodes[1].hold[cid(1)].set()
    await until(lambda: bool(world.nodes[0].pin_calls), "another node makes it")
    await cluster.unpin([(cid(1), True)], settle=0)
    with pytest.raises(PinFailed, match="removed while it was waited for"):
        await task
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_a_direct_pin_moves_as_well(world: World) -> None:
    cluster = await world.start(1, 1)
    world.nodes[1].refusals[cid(1)] = FULL
    options = PinOptions(user_allocations=(PeerId("peer1"),), mode=PinMode.DIRECT)
    await (await cluster.pin([(cid(1), options)])).wait()
    assert world.nodes[0].pins_held[cid(1)].mode is PinMode.DIRECT


async def test_denylists_that_agree_are_a_policy(world: World) -> None:
    world.nodes += [FakeNode(world.network, f"node{number}") for number in range(3, 5 + 2)]
    cluster = await world.start(1, 1)
    for node in world.nodes:
        node.refusals[cid(1)] = DENYLIST
    with pytest.raises(PinFailed):
        await (await cluster.pin([(cid(1), NONE)])).wait()
    assert sum(node.pin_calls.count(cid(1)) for node in world.nodes) == 5


async def test_a_node_that_is_closed_is_named_once(world: World) -> None:
    world.nodes = world.nodes[1:2]
    world.concurrent = {0: 1}
    cluster = await world.start(1, 1)
    world.nodes[0].hold[cid(2)] = asyncio.Event()
    await cluster.pin([(cid(2), NONE)])
    task = waiting(await cluster.pin([(cid(1), NONE)]))
    world.nodes[0].free = 0
    await world.peers[0].monitor.check()
    with pytest.raises(PinFailed, match=r"^name0: its disk is full: nothing is free$"):
        await task


async def rewritten(world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[Pin], PutPin]) -> None:
    """While the request is about to move its pin away from a full node somebody else writes the entry."""
    cluster = await world.start(1, 1)
    world.nodes[1].refusals[cid(1)] = FULL
    store = world.kept()
    seen: list[PutPin] = []
    commit = store.commit

    async def late(writes: Sequence[Write]) -> int:
        first = writes[0]
        if isinstance(first, PutPin) and first.expect and not seen:
            seen.append(first)
            monkeypatch.undo()
            pin = await store.get(cid(1))
            assert pin is not None
            await commit([change(pin)])
            world.peers[2].tracker.wake()
        return await commit(writes)

    monkeypatch.setattr(store, "commit", late)
    await (await cluster.pin([(cid(1), on(1))])).wait()
    assert seen
    await trimmed(world)


async def test_a_rewrite_in_between_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await rewritten(world, monkeypatch, lambda pin: PutPin(replace(pin, name="new")))
    pin = await world.kept().get(cid(1))
    assert pin is not None
    assert (pin.name, pin.allocations) == ("new", ("peer0",))


async def test_whoever_was_faster_is_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    two = (PeerId("peer2"),)
    await rewritten(
        world, monkeypatch, lambda pin: PutPin(replace(pin, allocations=two), queue=two, release=pin.allocations)
    )
    assert (await placed(world), world.holders(cid(1))) == (two, [2])


async def test_who_waits_for_all_copies_waits_for_those_that_the_pin_will_keep(world: World) -> None:
    """Until it is trimmed, the node that cannot make its copy is among the allocations."""
    cluster = await world.start(2, 2)
    world.nodes[1].refusals[cid(1)] = DENYLIST
    for _ in range(2):
        await asyncio.wait_for((await cluster.pin([(cid(1), on(0, 1))], wait=Wait.ALL)).wait(), 5)
    assert await placed(world) == ("peer0", "peer2", "peer1")
    assert world.holders(cid(1)) == [0, 2]


async def test_what_another_node_said_of_the_content_still_counts(world: World) -> None:
    """One node is full, the other has failed already: the new one alone would not be enough."""
    cluster = await world.start(2, 2)
    world.nodes[0].refusals[cid(1)] = "something"
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    world.nodes[1].refusals[cid(1)] = FULL
    task = waiting(await cluster.pin([(cid(1), on(0, 1))]))
    world.nodes[1].hold[cid(1)].set()
    with pytest.raises(PinFailed, match=f"^something; name1: its disk is full: {FULL}$"):
        await asyncio.wait_for(task, 5)
