"""Pin requests: waiting, failing, withdrawing, re-pinning."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from ipfs_cluster import Cid, Wait
from ipfs_cluster.attempt import TrackerSettings
from ipfs_cluster.errors import (
    InvalidArgument,
    NotEnoughPeers,
    NotPinned,
    NotSurveyed,
    PinFailed,
    PinModeError,
    Stopping,
    StoreUnavailable,
    UnknownPeer,
)
from ipfs_cluster.model import NodePin, PeerId, Pin, PinMode, PinOptions, TrackerStatus
from ipfs_cluster.ports import FinishWork, PutPin, RemovePin, Write
from ipfs_cluster.removal import RemovalWatch

NONE = PinOptions()


async def test_a_pin_is_answered_when_all_nodes_that_are_there_hold_it(world: World) -> None:
    cluster = await world.start()
    call = await cluster.pin([(cid(1), PinOptions(name="one")), (cid(2), NONE)])
    await call.wait()
    assert world.holders(cid(1)) == world.holders(cid(2)) == [0, 1, 2]
    assert world.nodes[1].pins_held[cid(1)].name == "one"
    assert (call.progress().nodes, call.progress().bytes) == (2, 200)
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3


async def test_min_of_two_answers_while_the_third_still_works(world: World) -> None:
    cluster = await world.start(2, 3)
    world.nodes[2].hold[cid(1)] = asyncio.Event()
    call = await cluster.pin([(cid(1), NONE)])
    await call.wait()
    assert world.holders(cid(1)) == [0, 1]
    assert (await world.status(cid(1)))[2] is TrackerStatus.PINNING
    world.nodes[2].hold[cid(1)].set()
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "the third follows")


async def test_wait_all_and_accepted(world: World) -> None:
    cluster = await world.start(1, 3)
    world.nodes[2].hold[cid(1)] = asyncio.Event()
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)).wait()
    every = await cluster.pin([(cid(1), NONE)], wait=Wait.ALL)
    waiting = asyncio.ensure_future(every.wait())  # noqa: TID251 - awaited below
    await until(lambda: world.holders(cid(1)) == [0, 1], "two hold it")
    assert not waiting.done()
    world.nodes[2].hold[cid(1)].set()
    await waiting


async def test_a_refusal_that_makes_the_minimum_impossible_fails_and_withdraws_what_was_created(world: World) -> None:
    cluster = await world.start(3, 3)
    world.nodes[1].refusals[cid(1)] = "pin: broken block"
    call = await cluster.pin([(cid(1), NONE)])
    with pytest.raises(PinFailed, match="pin: broken block") as caught:
        await call.wait()
    assert caught.value.index == 0
    assert await cluster.views.get(cid(1)) is None
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_of_several_arguments_those_that_reached_their_number_stay(world: World) -> None:
    cluster = await world.start()
    world.nodes[0].refusals[cid(2)] = "pin: no"
    call = await cluster.pin([(cid(1), NONE), (cid(2), NONE), (cid(3), NONE)])
    with pytest.raises(PinFailed) as caught:
        await call.wait()
    assert caught.value.index == 1
    assert await cluster.views.get(cid(1)) is not None
    assert await cluster.views.get(cid(2)) is None


def hold_everywhere(world: World, number: int) -> None:
    for node in world.nodes:
        node.hold[cid(number)] = asyncio.Event()


async def test_giving_up_leaves_the_entry_to_who_still_waits_and_the_last_one_removes_it(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    first = await cluster.pin([(cid(1), NONE)])
    second = await cluster.pin([(cid(1), NONE)])
    third = await cluster.pin([(cid(1), NONE)])
    await second.withdraw()
    await first.withdraw()
    assert await cluster.views.get(cid(1)) is not None, "the third request still waits"
    await third.withdraw()
    assert await cluster.views.get(cid(1)) is None, "all were told that it failed"


async def test_giving_up_keeps_a_pin_that_was_there_before_or_was_rewritten(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    hold_everywhere(world, 2)
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)).wait()
    await (await cluster.pin([(cid(1), NONE)])).withdraw()
    assert await cluster.views.get(cid(1)) is not None
    call = await cluster.pin([(cid(2), NONE)])
    await (await cluster.pin([(cid(2), PinOptions(name="mine"))], wait=Wait.ACCEPTED)).wait()
    await call.withdraw()
    assert await cluster.views.get(cid(2)) is not None


async def test_giving_up_keeps_an_entry_that_somebody_was_promised_meanwhile(world: World) -> None:
    cluster = await world.start(1, 3)
    for number in (1, 2):
        world.nodes[2].hold[cid(number)] = asyncio.Event()
    calls = [await cluster.pin([(cid(number), NONE)], wait=Wait.ALL) for number in (1, 2)]
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)).wait()
    await (await cluster.pin([(cid(2), NONE)], wait=Wait.MIN)).wait()
    for number, call in enumerate(calls, 1):
        await call.withdraw()
        assert await cluster.views.get(cid(number)) is not None, "another request was told that it is pinned"


async def test_a_promise_for_an_entry_that_is_gone_keeps_nothing_of_a_later_one(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    first = await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await cluster.unpin([(cid(1), True)])
    second = await cluster.pin([(cid(1), NONE)])
    await first.wait()
    await second.withdraw()
    assert await cluster.views.get(cid(1)) is None


async def test_giving_up_leaves_the_entry_to_who_has_rewritten_it_and_still_waits(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    first = await cluster.pin([(cid(1), NONE)])
    second = await cluster.pin([(cid(1), PinOptions(name="mine"))])
    await first.withdraw()
    assert await cluster.views.get(cid(1)) is not None
    await second.withdraw()
    assert await cluster.views.get(cid(1)) is None, "all were told that it failed"


async def test_giving_up_takes_back_what_another_one_had_rewritten_and_given_up_before(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    first = await cluster.pin([(cid(1), NONE)])
    second = await cluster.pin([(cid(1), PinOptions(name="mine"))])
    await second.withdraw()
    assert await cluster.views.get(cid(1)) is not None, "the first request still waits"
    await first.withdraw()
    assert await cluster.views.get(cid(1)) is None, "all were told that it failed"


async def test_nobody_relies_on_an_entry_that_is_being_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    call = await cluster.pin([(cid(1), NONE)])
    assert world.store is not None
    commit, removal, go = world.store.commit, asyncio.Event(), asyncio.Event()

    async def slow_removal(writes: Sequence[Write]) -> int:
        if isinstance(writes[0], RemovePin):
            removal.set()
            await go.wait()
        return await commit(writes)

    monkeypatch.setattr(world.store, "commit", slow_removal)

    async def promised() -> None:
        await removal.wait()
        late = asyncio.ensure_future(cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED))  # noqa: TID251 - awaited below
        for _ in range(20):
            await asyncio.sleep(0)
        go.set()
        await (await late).wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(call.withdraw())
        group.create_task(promised())
    assert await cluster.views.get(cid(1)) is not None, "the second request was told that it is pinned"


async def test_who_stopped_waiting_or_waits_for_a_removal_is_left_nothing(world: World) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    first = await cluster.pin([(cid(1), NONE)])
    second = await cluster.pin([(cid(1), NONE)])
    waiting = asyncio.ensure_future(second.wait())  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    watch = RemovalWatch(cluster._hub, [cid(1)])
    await first.withdraw()
    assert await cluster.views.get(cid(1)) is None
    del watch, second


async def test_a_caller_that_just_leaves_withdraws_nothing(world: World) -> None:
    cluster = await world.start()
    absent = cid(1000)
    call = await cluster.pin([(absent, NONE)])
    del call
    assert await cluster.views.get(absent) is not None
    await until(lambda: absent in world.nodes[0].pin_calls, "the tracker works on it")


async def test_who_waits_when_the_service_stops_is_told_and_what_was_asked_for_stays(world: World) -> None:
    cluster = await world.start()
    absent = cid(1000)
    call = await cluster.pin([(absent, NONE)])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited below
    await until(lambda: absent in world.nodes[0].pin_calls, "the tracker works on it")
    cluster.end_waiting()
    with pytest.raises(Stopping, match="the pin is kept"):
        await waiting
    assert await cluster.views.get(absent) is not None
    with pytest.raises(Stopping):
        await (await cluster.pin([(cid(1001), NONE)])).wait()
    assert await cluster.views.get(cid(1001)) is not None
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)).wait()


async def test_an_update_that_waits_when_the_service_stops_keeps_the_old_pin(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    call = await cluster.update(cid(1), cid(1000))
    cluster.end_waiting()
    with pytest.raises(Stopping):
        await call.wait()
    assert await cluster.views.get(cid(1)) is not None
    assert await cluster.views.get(cid(1000)) is not None


async def test_a_removal_is_not_waited_for_when_the_service_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    monkeypatch.setattr(world.nodes[1], "unpin", never)
    removing = asyncio.ensure_future(cluster.unpin([(cid(1), True)], settle=3600.0))  # noqa: TID251 - awaited below
    await until(lambda: cluster._hub.watched(cid(1)), "it is waited for")
    await until(lambda: world.nodes[0].calls["pin/rm"] == 1, "the others let go")
    cluster.end_waiting()
    assert (await removing).removed == 1


async def never(_cid: Cid, _mode: PinMode) -> None:
    await asyncio.Event().wait()


async def test_a_pin_that_is_held_is_never_pinned_again(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    await (await cluster.pin([(cid(1), PinOptions(name="renamed"))])).wait()
    await world.restart()
    assert all(node.pin_calls == [cid(1)] for node in world.nodes)
    pin = await cluster.views.get(cid(1))
    assert pin is not None
    assert pin.name == "renamed"


async def test_options_that_are_absent_keep_their_value(world: World) -> None:
    cluster = await world.start()
    named = PinOptions(name="kept", metadata={"a": "b"})
    await (await cluster.pin([(cid(1), named)])).wait()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    pin = await cluster.views.get(cid(1))
    assert pin is not None
    assert (pin.name, dict(pin.metadata)) == ("kept", {"a": "b"})


async def test_direct_becomes_recursive_but_not_back(world: World) -> None:
    cluster = await world.start()
    direct = PinOptions(mode=PinMode.DIRECT)
    await (await cluster.pin([(cid(1), direct)])).wait()
    await (await cluster.pin([(cid(1), PinOptions(mode=RECURSIVE))])).wait()
    assert all(node.pins_held[cid(1)].mode is RECURSIVE for node in world.nodes)
    with pytest.raises(PinModeError, match="already pinned recursively"):
        await cluster.pin([(cid(1), direct)])


async def test_too_few_peers_is_refused_with_reasons_and_nothing_is_written(world: World) -> None:
    cluster = await world.start(2, 2)
    with pytest.raises(NotEnoughPeers, match="Needed at least: 4"):
        await cluster.pin([(cid(1), PinOptions(replication_min=4, replication_max=4))])
    assert await cluster.count() == 0


async def test_an_existing_pin_can_be_changed_when_a_new_one_could_not_be_placed(world: World) -> None:
    cluster = await world.start(3, 3)
    await (await cluster.pin([(cid(1), PinOptions(replication_min=1, replication_max=1))])).wait()
    world.peers[2].state.put(replace(world.peers[2].state.metrics["ping"], valid=False))
    with pytest.raises(NotEnoughPeers):
        await cluster.pin([(cid(2), NONE)])
    await (await cluster.pin([(cid(1), PinOptions(name="renamed"))])).wait()
    pin = await cluster.views.get(cid(1))
    assert pin is not None
    assert (pin.name, pin.replication_max, len(world.holders(cid(1)))) == ("renamed", 1, 1)


async def test_a_pin_that_changes_its_mode_and_its_peers_at_once_leaves_the_others(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))])).wait()
    await (await cluster.pin([(cid(1), PinOptions(mode=RECURSIVE, replication_min=1, replication_max=1))])).wait()
    await world.quiet()
    assert len(world.holders(cid(1))) == 1


async def test_a_pin_that_became_direct_before_its_removal_began_can_be_removed(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    for peer in world.peers:
        peer.tracker.node_down()
    await cluster.unpin([(cid(1), True)], settle=0)
    await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))], wait=Wait.ACCEPTED)
    for peer in world.peers:
        peer.tracker.node_up()
    await world.quiet()
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3
    await cluster.unpin([(cid(1), True)])
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_a_request_follows_a_pin_that_another_one_places_on_fewer_peers(world: World) -> None:
    cluster = await world.start(2, 2)
    world.nodes[1].hold[cid(1)] = asyncio.Event()
    waiting = asyncio.ensure_future((await cluster.pin([(cid(1), NONE)])).wait())  # noqa: TID251 - awaited below
    await until(lambda: world.holders(cid(1)) == [0], "the first of two holds it")
    assert not waiting.done()
    await (await cluster.pin([(cid(1), PinOptions(replication_min=1, replication_max=1))])).wait()
    await until(waiting.done, "one is enough now")
    await waiting


async def test_a_request_follows_a_pin_that_is_moved(world: World) -> None:
    cluster = await world.start(1, 1)
    for node in world.nodes:
        node.hold[cid(1)] = asyncio.Event()
    call = await cluster.pin([(cid(1), NONE)])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited below
    (pin,) = call.pins
    old, new = pin.allocations[0], PeerId("peer2")
    await world.kept().commit([PutPin(replace(pin, allocations=(new,)), pin.revision, queue=(new,), release=(old,))])
    for peer in world.peers:
        peer.tracker.cancel([cid(1)] if peer.id == old else [])
        peer.tracker.wake()
    await until(lambda: world.peers[0].tracker.phase(cid(1)) is None, "the first lets go")
    assert not waiting.done()
    world.nodes[2].hold[cid(1)].set()
    await until(waiting.done, "the other holds it")
    await waiting


async def test_a_store_that_takes_no_writes_fails_the_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()

    async def full(writes: object) -> int:
        raise StoreUnavailable("disk full")

    assert world.store is not None
    monkeypatch.setattr(world.store, "commit", full)
    with pytest.raises(StoreUnavailable):
        await cluster.pin([(cid(1), NONE)])
    monkeypatch.undo()
    await (await cluster.pin([(cid(1), NONE)])).wait()


async def test_removal_waits_for_the_nodes_and_stops_at_the_first_that_fails(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE), (cid(2), NONE)])).wait()
    outcome = await cluster.unpin([(cid(1), True), (cid(9), True), (cid(2), True)])
    assert outcome.removed == 1
    assert isinstance(outcome.error, NotPinned)
    assert world.holders(cid(1)) == []
    assert world.holders(cid(2)) == [0, 1, 2]


async def test_unpin_in_the_middle_of_a_pin_cancels_it(world: World) -> None:
    cluster = await world.start()
    absent = cid(1000)
    call = await cluster.pin([(absent, NONE)])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited below
    await until(lambda: all(absent in node.pin_calls for node in world.nodes), "all nodes try")
    outcome = await cluster.unpin([(absent, True)])
    assert outcome.error is None
    with pytest.raises(PinFailed, match="removed while"):
        await waiting
    await world.quiet()


async def test_an_attempt_that_is_over_tells_how_it_ended_though_it_is_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    store = world.kept()
    commit, written, go = store.commit, asyncio.Event(), asyncio.Event()

    async def slow_end(writes: Sequence[Write]) -> int:
        revision = await commit(writes)
        if isinstance(writes[0], FinishWork):
            written.set()
            await go.wait()
        return revision

    monkeypatch.setattr(store, "commit", slow_end)
    waiting = asyncio.ensure_future((await cluster.pin([(cid(1), NONE)])).wait())  # noqa: TID251 - awaited below
    await written.wait()
    for peer in world.peers:
        peer.tracker.cancel([cid(1)])
    go.set()
    await until(waiting.done, "its rows are gone, and no other attempt will end")
    await waiting


async def test_what_is_given_up_is_given_up_at_once_not_with_the_last_argument(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    hold_everywhere(world, 1)
    hold_everywhere(world, 2)
    call = await cluster.pin([(cid(1), NONE), (cid(2), NONE)])
    await until(lambda: all(peer.tracker.pinning == 2 for peer in world.peers), "they are being pinned")
    store, reached, go = world.kept(), asyncio.Event(), asyncio.Event()
    commit = store.commit

    async def slow_second(writes: Sequence[Write]) -> int:
        if isinstance(writes[0], RemovePin) and writes[0].cid == cid(2):
            reached.set()
            await go.wait()
        return await commit(writes)

    monkeypatch.setattr(store, "commit", slow_second)
    async with asyncio.TaskGroup() as group:
        group.create_task(call.withdraw())
        await reached.wait()
        await until(lambda: all(peer.tracker.pinning == 1 for peer in world.peers), "nobody waits for the first")
        go.set()


async def test_a_direct_request_is_answered_by_the_recursive_pin_that_came_before_its_turn(world: World) -> None:
    world.tracker = TrackerSettings(concurrent=1)
    cluster = await world.start()
    hold_everywhere(world, 1)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(lambda: all(node.pin_calls for node in world.nodes), "every place is taken")
    direct = await cluster.pin([(cid(2), PinOptions(mode=PinMode.DIRECT))])
    waiting = asyncio.ensure_future(direct.wait())  # noqa: TID251 - awaited below
    recursive = await cluster.pin([(cid(2), PinOptions(mode=PinMode.RECURSIVE))])
    for node in world.nodes:
        node.hold[cid(1)].set()
    await recursive.wait()
    await until(waiting.done, "more than it asked for is held")
    await waiting


async def test_update_moves_name_and_allocations_and_drops_the_old(world: World) -> None:
    cluster = await world.start(2, 2)
    await (await cluster.pin([(cid(1), PinOptions(name="moving"))])).wait()
    before = await cluster.views.get(cid(1))
    assert before is not None
    await (await cluster.update(cid(1), cid(2))).wait()
    after = await cluster.views.get(cid(2))
    assert after is not None
    assert (after.name, set(after.allocations)) == ("moving", set(before.allocations))
    assert await cluster.views.get(cid(1)) is None
    assert all(node.calls["pin/update"] == 1 for i, node in enumerate(world.nodes) if i in world.holders(cid(2)))


async def test_what_a_node_had_before_us_is_never_removed(world: World) -> None:
    world.nodes[1].pins_held[cid(5)] = NodePin(cid(5), RECURSIVE, "theirs")
    cluster = await world.start()
    await (await cluster.pin([(cid(5), NONE)])).wait()
    await cluster.unpin([(cid(5), True)])
    await world.quiet()
    assert world.holders(cid(5)) == [1]


async def test_the_home_nodes_own_pins_are_adopted_with_their_names_once(world: World) -> None:
    world.nodes[0].pins_held[cid(7)] = NodePin(cid(7), RECURSIVE, "mine")
    cluster = await world.start()
    pin = await cluster.views.get(cid(7))
    assert pin is not None
    assert (pin.name, pin.allocations, cluster.adopted) == ("mine", ("peer0",), 1)
    await cluster.unpin([(cid(7), True)])
    assert world.holders(cid(7)) == []
    world.nodes[0].pins_held[cid(8)] = NodePin(cid(8), RECURSIVE)
    cluster = await world.restart()
    assert await cluster.views.get(cid(8)) is None, "later ones are orphans, listed and left alone"
    assert cid(8) in world.nodes[0].pins_held


async def test_another_nodes_own_pins_are_adopted_on_request_while_it_works(world: World) -> None:
    for number in (7, 8, 9):
        world.nodes[1].pins_held[cid(number)] = NodePin(cid(number), RECURSIVE, f"mine{number}")
    cluster = await world.start()
    await (await cluster.pin([(cid(8), PinOptions(name="ours"))])).wait()
    store = world.kept()
    get_many = store.get_many
    meanwhile = [cid(9)]

    async def read(cids: Sequence[Cid]) -> dict[Cid, Pin]:
        found = await get_many(cids)
        if meanwhile:  # between the reading and the commit somebody else pins it
            await cluster.pin([(meanwhile.pop(), PinOptions(name="theirs"))], wait=Wait.ACCEPTED)
        return found

    store.get_many = read  # type: ignore[method-assign]
    assert await cluster.adopt(PeerId("peer1")) == 1
    assert await cluster.adopt(PeerId("peer1")) == 0
    pins = [await cluster.views.get(cid(number)) for number in (7, 8, 9)]
    assert [pin and pin.name for pin in pins] == ["mine7", "ours", "theirs"]
    assert pins[0] is not None
    assert pins[0].allocations == ("peer1",)
    await world.quiet()
    await cluster.unpin([(cid(7), True), (cid(8), True)])
    await world.quiet()
    assert world.holders(cid(7)) == world.holders(cid(8)) == [], "they are the cluster's now"


async def test_what_a_node_holds_that_was_never_there_is_not_known(world: World) -> None:
    world.nodes[1].away = "gone"
    cluster = await world.start()
    with pytest.raises(NotSurveyed, match="what the node of name1 holds is not known yet"):
        await cluster.adopt(PeerId("peer1"))
    with pytest.raises(UnknownPeer):
        await cluster.adopt(PeerId("nobody"))


async def test_without_adoption_the_home_nodes_pins_are_listed_and_removed_on_request(world: World) -> None:
    world.nodes[0].pins_held[cid(7)] = NodePin(cid(7), RECURSIVE, "mine")
    cluster = await world.start(adopt=False)
    assert await cluster.views.get(cid(7)) is None
    assert await cluster.views.lookup(cid(7), "all") == ("recursive", "mine")
    assert (await cluster.unpin([(cid(7), True)])).error is None
    assert cid(7) not in world.nodes[0].pins_held


async def test_what_a_node_held_before_we_pinned_it_is_not_ours_to_remove(world: World) -> None:
    cluster = await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE, "the operator's")
    await (await cluster.pin([(cid(1), NONE)])).wait()
    assert cid(1) not in world.nodes[1].pin_calls, "never pinned again"
    await cluster.unpin([(cid(1), True)])
    await world.quiet()
    assert world.holders(cid(1)) == [1]


async def test_what_was_removed_before_its_turn_came_is_not_unpinned(world: World) -> None:
    cluster = await world.start()
    for number in range(20):
        hold_everywhere(world, number)
    waiting = await cluster.pin([(cid(number), NONE) for number in range(20)], wait=Wait.ACCEPTED)
    world.nodes[1].pins_held[cid(30)] = NodePin(cid(30), RECURSIVE)
    await cluster.pin([(cid(30), NONE)], wait=Wait.ACCEPTED)
    await cluster.unpin([(cid(30), True)], settle=0)
    del waiting
    for number in range(20):
        for node in world.nodes:
            node.hold[cid(number)].set()
    await world.quiet()
    assert world.holders(cid(30)) == [1]


PEER_ID = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("somewhere", "not a multiaddr"),
        ("/ip4/1.2.3.4/tcp/4001", "has no /p2p/ID"),
        ("/ip4/1.2.3/tcp/4001/p2p/" + PEER_ID, "not a multiaddr"),
        ("/dns4/example.net/tcp/4001/p2p/nobody", "not a multiaddr"),
    ],
)
async def test_a_malformed_origin_is_refused_and_nothing_is_written(world: World, origin: str, reason: str) -> None:
    cluster = await world.start()
    good = f"/ip4/1.2.3.4/udp/4001/quic-v1/p2p/{PEER_ID}"
    with pytest.raises(InvalidArgument, match=f"parameter origins invalid: {origin}: {reason}"):
        await cluster.pin([(cid(1), PinOptions(origins=(good, origin)))])
    assert await cluster.count() == 0
    (pin,) = (await cluster.pin([(cid(1), PinOptions(origins=(good,)))])).pins
    assert pin.origins == (good,)
    with pytest.raises(InvalidArgument, match="origins"):
        await cluster.pin([(cid(1), PinOptions(origins=(origin,)))])
