"""Whose is a pin that a node holds already: an operator's, or made by an add of ours that is in progress?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from cluster_tests.engine.test_ingest import Body, add, roots_of, upload
from ipfs_cluster import Wait
from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeUnreachable, StoreUnavailable
from ipfs_cluster.model import ClaimKind, NodePin, Pin, PinMode, PinOptions, TrackerStatus, Work
from ipfs_cluster.ports import FinishWork, ForeignPin, PinQuery, PutClaim, PutPin, RecordForeign, RemovePin, Write
from ipfs_cluster.strangers import REMOVALS, UNTOUCHED, Strangers
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_cluster.tracker import NO_GROWTH

NONE = PinOptions()


def hold_questions(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[], bool], asyncio.Event]:
    """Nodes do not say what they hold before the event is set; the function tells whether all have been asked."""
    asked, go = set(), asyncio.Event()
    pinned = FakeNode.pinned

    async def slow(node: FakeNode, wanted: Cid, mode: PinMode) -> NodePin | None:
        asked.add(node.node_id)
        await go.wait()
        return await pinned(node, wanted, mode)

    monkeypatch.setattr(FakeNode, "pinned", slow)
    return lambda: len(asked) == len(world.nodes), go


def hold_claims(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Claims are not written before the second event is set; the first tells that one is to be written."""
    commit, claiming, go = world.kept().commit, asyncio.Event(), asyncio.Event()

    async def slow_claims(writes: Sequence[Write]) -> int:
        if isinstance(writes[0], PutClaim) and writes[0].kind is ClaimKind.INGEST:
            claiming.set()
            await go.wait()
        return await commit(writes)

    monkeypatch.setattr(world.kept(), "commit", slow_claims)
    return claiming, go


async def foreign(world: World) -> list[ForeignPin]:
    """All that is taken for somebody else's."""
    return [one async for page in world.kept().foreign() for one in page]


async def gone_after_removal(world: World) -> None:
    assert world.cluster is not None
    await until(lambda: all(peer.tracker.phase(cid(1)) is None for peer in world.peers), "the attempts are over")
    await world.quiet()
    assert (await world.cluster.unpin([(cid(1), True)])).error is None
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_a_pin_made_by_an_add_meanwhile_is_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = await world.start()
    all_asked, go = hold_questions(world, monkeypatch)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(all_asked, "the trackers ask what the nodes hold")
    assert await add(world, 1) == [cid(1)]
    go.set()
    await gone_after_removal(world)


async def test_a_pin_that_is_found_before_the_add_could_claim_it_is_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    claiming, go = hold_claims(world, monkeypatch)
    adding = asyncio.ensure_future(add(world, 1))  # noqa: TID251 - awaited below
    await claiming.wait()
    for node in world.nodes:
        node.pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ALL)).wait()
    go.set()
    assert await adding == [cid(1)]
    await gone_after_removal(world)


async def test_a_pin_that_a_comparison_finds_before_the_add_could_claim_it_is_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.start()
    claiming, go = hold_claims(world, monkeypatch)
    adding = asyncio.ensure_future(add(world, 1))  # noqa: TID251 - awaited below
    await claiming.wait()
    for node, peer in zip(world.nodes, world.peers, strict=True):
        node.pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
        await peer.reconcile_now()
    go.set()
    assert await adding == [cid(1)]
    await gone_after_removal(world)


async def test_what_is_found_before_the_add_hears_of_its_root_is_ours(world: World) -> None:
    cluster = await world.start()
    body = Body(1, 2, open_end=True)
    async with cluster.add(upload(body)) as call:
        adding = asyncio.ensure_future(roots_of(call))  # noqa: TID251 - awaited below
        await until(lambda: world.holders(cid(1)) == [0, 1, 2], "the nodes pin the first root")
        for node, peer in zip(world.nodes, world.peers, strict=True):
            node.pins_held |= {cid(number): NodePin(cid(number), RECURSIVE) for number in (3, 4)}
            await peer.reconcile_now()
            node.pins_held[cid(5)] = NodePin(cid(5), RECURSIVE)
        await (await cluster.pin([(cid(5), NONE)])).wait()
        assert {one.pin.cid for one in await foreign(world)} == {cid(3), cid(4), cid(5)}
        for number in (3, 4, 5):
            body.send(number)
        body.end()
        assert await adding == [cid(number) for number in range(1, 6)]
    assert await foreign(world) == []


async def test_a_pin_that_a_comparison_finds_without_an_add_is_an_orphan(world: World) -> None:
    await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    await world.peers[1].reconcile_now()
    assert [(one.peer, one.orphan) for one in await foreign(world)] == [("peer1", True)]


async def test_a_pin_that_is_accepted_while_an_add_of_it_lasts_is_ours(world: World) -> None:
    cluster = await world.start()
    body = Body(1, 2, open_end=True)
    async with cluster.add(upload(body)) as call:
        adding = asyncio.ensure_future(roots_of(call))  # noqa: TID251 - awaited below
        await until(lambda: world.holders(cid(1)) == [0, 1, 2], "the nodes pin the first root")
        for node in world.nodes:
            node.pins_held[cid(2)] = NodePin(cid(2), RECURSIVE)
        await (await cluster.pin([(cid(2), NONE)])).wait()
        body.end()
        assert await adding == [cid(1), cid(2)]
    await world.quiet()
    assert await foreign(world) == []


async def test_a_pin_that_an_add_made_before_its_turn_came_is_removed_again(world: World) -> None:
    cluster = await world.start()
    busy = [asyncio.Event() for _ in range(10)]
    for node in world.nodes:
        node.hold |= {cid(50 + i): event for i, event in enumerate(busy)}
    await cluster.pin([(cid(50 + i), NONE) for i in range(10)])
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    assert await add(world, 1) == [cid(1)]
    removal = asyncio.ensure_future(cluster.unpin([(cid(1), True)]))  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    for event in busy:
        event.set()
    await removal
    await world.quiet()
    assert world.holders(cid(1)) == []


async def test_a_row_that_was_read_before_its_tracker_was_told_of_it_is_worked_on_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    commit, written, go = world.kept().commit, asyncio.Event(), asyncio.Event()

    async def slow_answer(writes: Sequence[Write]) -> int:
        revision = await commit(writes)
        if isinstance(writes[0], PutPin) and writes[0].pin.cid == cid(1):
            written.set()
            await go.wait()
        return revision

    monkeypatch.setattr(world.kept(), "commit", slow_answer)
    held = [asyncio.Event() for _ in range(11)]
    for node in world.nodes:
        node.hold |= {cid(number): event for number, event in zip((1, *range(50, 60)), held, strict=True)}
    pinning = asyncio.ensure_future(cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED))  # noqa: TID251 - awaited below
    await written.wait()
    for peer in world.peers:
        peer.tracker.wake()
    await until(lambda: all(peer.tracker.phase(cid(1)) for peer in world.peers), "the row was read")
    await cluster.pin([(cid(number), NONE) for number in range(50, 60)], wait=Wait.ACCEPTED)
    go.set()
    await pinning
    held[0].set()
    await until(lambda: world.holders(cid(1)) == [0, 1, 2], "all hold it")
    for event in held:
        event.set()
    await world.quiet()
    await gone_after_removal(world)


async def test_a_pin_whose_removal_falls_between_what_a_request_reads_stays_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ALL)).wait()
    store = world.kept()
    get_many, rows_read = store.get_many, asyncio.Event()
    work = store.work

    async def early_rows(cids: Sequence[Cid]) -> list[Work]:
        rows = await work(cids)
        rows_read.set()
        return rows

    async def late_entries(cids: Sequence[Cid]) -> dict[Cid, Pin]:
        await rows_read.wait()
        await store.commit([RemovePin(cid(1), release=tuple(cluster.peers_by_id))])
        monkeypatch.undo()
        return await get_many(cids)

    monkeypatch.setattr(store, "work", early_rows)
    monkeypatch.setattr(store, "get_many", late_entries)
    await (await cluster.pin([(cid(1), NONE)], wait=Wait.ALL)).wait()
    assert await foreign(world) == []
    await gone_after_removal(world)


async def test_a_pin_that_is_removed_before_it_was_known_whose_it_is_stays_the_operators(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE, "theirs")
    all_asked, go = hold_questions(world, monkeypatch)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(all_asked, "the trackers ask what the nodes hold")
    await cluster.unpin([(cid(1), True)], settle=0)
    go.set()
    await world.quiet()
    assert world.holders(cid(1)) == [1]


async def test_an_operators_pin_is_listed_as_the_node_holds_it(world: World) -> None:
    cluster = await world.start()
    theirs = NodePin(cid(1), RECURSIVE, "theirs")
    world.nodes[0].pins_held[cid(1)] = theirs
    await (await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT))], wait=Wait.ALL)).wait()
    await cluster.unpin([(cid(1), True)])
    await world.quiet()
    assert [one.pin for one in await foreign(world)] == [theirs]
    lines = [line async for page in cluster.views.listing(PinQuery()) for line in page]
    assert [(text, mode, name) for text, mode, _, name in lines] == [(cids.text(cid(1)), RECURSIVE, "theirs")]


# --- an operator's pin stays the operator's, whatever goes wrong on the way ---


async def stays_theirs(world: World) -> None:
    """Pinned by the cluster too, removed there again, the operator's pin is still there."""
    assert world.cluster is not None
    await world.quiet()
    assert [one.peer for one in await foreign(world)] == ["peer1"]
    await world.cluster.unpin([(cid(1), True)])
    await world.quiet()
    assert world.holders(cid(1)) == [1]


async def test_a_pin_stays_theirs_when_the_node_could_not_be_asked_at_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    refused: list[Cid] = []

    async def refusing(wanted: Cid, _mode: PinMode) -> NodePin | None:
        refused.append(wanted)
        monkeypatch.undo()
        raise NodeUnreachable("connection refused")

    monkeypatch.setattr(world.nodes[1], "pinned", refusing)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(lambda: bool(refused), "the node is asked")
    await world.pass_time(60)
    await stays_theirs(world)


def refuse_once(world: World, monkeypatch: pytest.MonkeyPatch, kind: type[RecordForeign | FinishWork]) -> list[Write]:
    """The store refuses the first write of this kind for the node with the operator's pin."""
    commit = world.kept().commit
    refused: list[Write] = []

    async def refusing(writes: Sequence[Write]) -> int:
        first = writes[0]
        if not refused and isinstance(first, kind) and first.peer == "peer1":
            refused.append(first)
            raise StoreUnavailable("disk full")
        return await commit(writes)

    monkeypatch.setattr(world.kept(), "commit", refusing)
    return refused


async def test_a_pin_stays_theirs_when_that_could_not_be_noted_at_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    refused = refuse_once(world, monkeypatch, RecordForeign)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(lambda: bool(refused), "the store refuses")
    await world.pass_time(60)
    await stays_theirs(world)


async def removed_untouched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pin request and its removal, both before the node with the operator's pin said that it has one."""
    assert world.cluster is not None
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    all_asked, go = hold_questions(world, monkeypatch)
    await world.cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(all_asked, "the trackers ask what the nodes hold")
    await world.cluster.unpin([(cid(1), True)], settle=0)
    go.set()


async def test_a_removal_whose_end_could_not_be_noted_at_first_leaves_their_pin(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.start()
    refused = refuse_once(world, monkeypatch, FinishWork)
    await removed_untouched(world, monkeypatch)
    await until(lambda: bool(refused), "the store refuses")
    await world.pass_time(60)
    await world.quiet()
    assert world.holders(cid(1)) == [1]


async def test_a_pin_asked_for_again_while_its_removal_is_being_noted_stays_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    commit, ending, go = world.kept().commit, asyncio.Event(), asyncio.Event()

    async def slow_end(writes: Sequence[Write]) -> int:
        first = writes[0]
        if not ending.is_set() and isinstance(first, FinishWork) and first.peer == "peer1":
            ending.set()
            await go.wait()
        return await commit(writes)

    monkeypatch.setattr(world.kept(), "commit", slow_end)
    await removed_untouched(world, monkeypatch)
    await ending.wait()
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    go.set()
    await stays_theirs(world)


async def test_a_pin_stays_theirs_when_a_collection_interrupts_its_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await world.start()
    world.nodes[1].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    all_asked, go = hold_questions(world, monkeypatch)
    await cluster.pin([(cid(1), NONE)], wait=Wait.ACCEPTED)
    await until(all_asked, "the trackers ask what the nodes hold")
    world.clock.advance(NO_GROWTH)
    async with world.peers[1].gate.exclusive(grace=60.0):
        pass  # the attempt was asked to leave
    go.set()
    await stays_theirs(world)


def test_untouched_is_what_was_not_asked_for_yet_and_no_upload_makes() -> None:
    strangers = Strangers(lambda _cid: None)
    for number in range(UNTOUCHED + 1):
        strangers.untouched(cid(number))
    assert [strangers.is_untouched(cid(number)) for number in (0, 1, UNTOUCHED)] == [False, True, True]
    strangers.touched(cid(1))
    strangers.claim(cid(2))
    strangers.untouched(cid(2))
    assert not any(strangers.is_untouched(cid(number)) for number in (1, 2))


def test_an_upload_knows_what_is_removed_while_it_lasts() -> None:
    strangers = Strangers(lambda _cid: None)
    strangers.removes(cid(1))
    with strangers.upload([cid(2)]) as first, strangers.upload([]) as second:
        strangers.removes(cid(3))
        assert [number for number in range(5) if first.may_have_removed(cid(number))] == [2, 3]
        assert [number for number in range(5) if second.may_have_removed(cid(number))] == [3]
        for _ in range(REMOVALS):
            strangers.removes(cid(4))
        assert not second.may_have_removed(cid(1))
        for number in range(5, 5 + REMOVALS):
            strangers.removes(cid(number))
        assert second.may_have_removed(cid(1)), "there were too many to remember"


async def test_what_is_wanted_while_the_operator_s_own_pin_is_given_up_is_pinned_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nodes[0].pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    cluster = await world.start(adopt=False)
    await until(lambda: all(peer.surveyed.is_set() for peer in world.peers), "surveyed")
    await world.network.publish(cid(1))
    begun, go = asyncio.Event(), asyncio.Event()
    unpin = FakeNode.unpin

    async def slow(node: FakeNode, wanted: Cid, mode: PinMode) -> None:
        begun.set()
        await go.wait()
        await unpin(node, wanted, mode)

    monkeypatch.setattr(FakeNode, "unpin", slow)
    async with asyncio.TaskGroup() as group:
        removing = group.create_task(cluster.unpin([(cid(1), True)]))
        await begun.wait()
        pinning = group.create_task((await cluster.pin([(cid(1), NONE)])).wait())
        for _ in range(200):
            await asyncio.sleep(0)
        assert not pinning.done(), "the removal is still on its way"
        go.set()
    assert removing.result().removed == 1
    assert world.holders(cid(1)) == [0, 1, 2]
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3
