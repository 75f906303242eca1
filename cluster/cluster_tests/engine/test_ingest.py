"""Adding to several nodes at once: the tee, claims, and what is left behind when something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from cluster_tests.engine.conftest import RECURSIVE, World, cid, until
from cluster_tests.uploads import AllRoots
from ipfs_cluster import IngestCall, IngestRefused, Upload
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import NodeError, NotEnoughPeers, PinFailed, StoreUnavailable
from ipfs_cluster.ingest.outlet import Dropped, Outlet
from ipfs_cluster.ingest.spool import Spool
from ipfs_cluster.model import ClaimKind, NodePin, PeerId, PinMode, PinOptions, TrackerStatus
from ipfs_cluster.testing.fake_clock import FakeClock

NONE = PinOptions()


class Body:
    """A request's body that a test feeds."""

    def __init__(self, *roots: int, open_end: bool = False) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        for root in roots:
            self.send(root)
        if not open_end:
            self.end()

    def send(self, root: int) -> None:
        self._queue.put_nowait(cid_text(cid(root)).encode() + b"\n" + b"\n" * 200_000)

    def fill(self) -> None:
        """No root yet, but enough that it is not taken for a slow client."""
        self._queue.put_nowait(b"\n" * 2_000_000)

    def end(self) -> None:
        self._queue.put_nowait(None)

    def cut(self) -> None:
        self._queue.put_nowait(ConnectionError("the client left"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


def upload(body: Body, options: PinOptions = NONE, **more: object) -> Upload:
    return Upload("add", "pin=true", "pin=true", (), aiter(body), AllRoots(), options, **more)  # type: ignore[arg-type]


async def roots_of(call: IngestCall) -> list[Cid]:
    return [line.root async for lines in call.events() for line in lines if line.root is not None]


async def add(world: World, *roots: int, options: PinOptions = NONE) -> list[Cid]:
    """One whole add; the roots in the order in which the client learned of them."""
    assert world.cluster is not None
    async with world.cluster.add(upload(Body(*roots), options)) as call:
        return await roots_of(call)


def numbers(roots: Iterable[int]) -> list[Cid]:
    return [cid(root) for root in roots]


async def test_all_nodes_get_the_body_and_hold_the_roots_when_the_add_is_answered(world: World) -> None:
    cluster = await world.start()
    assert await add(world, 1, 2, 3, options=PinOptions(name="three")) == numbers([1, 2, 3])
    for root in (1, 2, 3):
        assert world.holders(cid(root)) == [0, 1, 2]
        assert await world.status(cid(root)) == [TrackerStatus.PINNED] * 3
    entry = await cluster.views.get(cid(2))
    assert entry is not None
    assert entry.name == "three"
    assert [node.pin_calls for node in world.nodes] == [[], [], []], "nothing was fetched"
    assert world.store is not None
    assert [claim.kind for claim in await world.store.claims()] == [ClaimKind.SYSTEM] * 3


async def test_only_the_allocated_nodes_are_sent_the_body(world: World) -> None:
    await world.start(2, 2)
    await add(world, 1)
    assert [len(node.uploads) for node in world.nodes] == [1, 1, 0]
    assert world.holders(cid(1)) == [0, 1]
    assert (await world.status(cid(1)))[2] is TrackerStatus.REMOTE


async def test_too_few_nodes_is_an_error_before_a_byte_is_sent(world: World) -> None:
    await world.start(2, 3)
    for node in world.nodes[1:]:
        node.away = "connection refused"
    await until(lambda: world.clock.wakes_in(10.0), "pings are due")
    world.clock.advance(31.0)
    await until(lambda: not any(peer.up for peer in list(world.peers)[1:]), "two nodes are known to be away")
    world.clock.advance(31.0)
    with pytest.raises(NotEnoughPeers):
        await add(world, 1)
    assert world.nodes[0].uploads == []


@pytest.mark.parametrize("nodes", [1, 3])
async def test_a_root_is_told_when_it_is_durable_and_no_earlier(world: World, nodes: int) -> None:
    del world.nodes[nodes:]
    cluster = await world.start()
    body = Body(1, open_end=True)
    async with cluster.add(upload(body)) as call:
        events = call.events()
        first = asyncio.ensure_future(anext(events))  # noqa: TID251 - awaited below
        await until(lambda: all(node.calls["add read"] for node in world.nodes), "all have read the first root")
        await turns()
        assert await cluster.views.get(cid(1)) is None
        assert not first.done()
        body.send(2)
        (line,) = await first
        assert line.root == cid(1)
        assert await cluster.views.get(cid(1)) is not None
        body.end()
        assert [line.root async for lines in events for line in lines] == [cid(2)]


async def test_a_client_that_waits_for_its_answer_before_it_sends_more_gets_it(world: World) -> None:
    cluster = await world.start()
    body = Body(1, open_end=True)
    async with cluster.add(upload(body)) as call:
        events = call.events()
        first = asyncio.ensure_future(anext(events))  # noqa: TID251 - awaited below
        await until(lambda: all(node.calls["add read"] for node in world.nodes), "all have read the first root")
        for node in world.nodes:
            node.pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)  # Kubo pins it now, and says nothing
        world.clock.advance(1.0)
        assert [line.root for line in await first] == [cid(1)]
        body.end()
        assert [line async for lines in events for line in lines] == []


async def test_a_failing_replica_is_left_to_the_tracker(world: World) -> None:
    await world.start(2, 3)
    world.nodes[2].add_trailer = "input/output error"
    assert await add(world, 1) == [cid(1)]
    await world.quiet()
    assert world.holders(cid(1)) == [0, 1, 2]
    assert world.nodes[2].pin_calls == [cid(1)]


async def test_a_replica_that_cannot_hold_it_at_all_fails_the_add_when_it_is_needed(world: World) -> None:
    cluster = await world.start(3, 3)
    world.nodes[2].add_refused = b"input/output error"
    world.nodes[2].refusals[cid(1)] = "pin: input/output error"
    with pytest.raises(PinFailed, match="input/output error"):
        await add(world, 1)
    assert await cluster.views.get(cid(1)) is None
    await world.quiet()
    await until(lambda: world.holders(cid(1)) == [], "the copies are released")


async def test_a_stalled_replica_is_dropped_after_the_grace_time(world: World) -> None:
    cluster = await world.start(2, 3)
    world.nodes[2].reading.clear()
    async with cluster.add(upload(Body(*range(60)))) as call:
        adding = asyncio.ensure_future(roots_of(call))  # noqa: TID251 - awaited below
        await until(lambda: world.nodes[1].calls["add read"] > 15, "the others go on until the buffer is full")
        await until(lambda: world.clock.wakes_in(1.0), "it is watched")
        for _ in range(40):
            if adding.done():
                break
            world.clock.advance(1.0)
            for _ in range(200):
                await asyncio.sleep(0)
        assert await adding == numbers(range(60))
    world.nodes[2].reading.set()
    await world.quiet()
    assert all(world.holders(cid(root)) == [0, 1, 2] for root in range(60))


async def test_a_primary_that_dies_fails_the_add_and_everything_is_released(world: World) -> None:
    cluster = await world.start()
    body = Body(1, 2, open_end=True)
    with pytest.raises(NodeError, match="connection reset"):
        async with cluster.add(upload(body)) as call:
            events = call.events()
            assert [line.root for line in await anext(events)] == [cid(1)]
            world.nodes[0].away = "connection reset"
            body.send(3)
            await anext(events)
    assert await cluster.views.get(cid(1)) is not None, "it was told to the client"
    assert await cluster.views.get(cid(2)) is None
    world.nodes[0].away = ""
    world.clock.advance(2.0)
    await until(lambda: world.holders(cid(2)) == [], "what the replicas pinned goes again")


async def test_a_refusal_of_the_primary_is_passed_on(world: World) -> None:
    cluster = await world.start()
    world.nodes[0].add_refused = b'{"Message":"unknown CID version: 9"}'
    with pytest.raises(IngestRefused) as caught:
        async with cluster.add(upload(Body(1))) as call:
            await roots_of(call)
    assert (caught.value.status, caught.value.body) == (500, b'{"Message":"unknown CID version: 9"}')


async def test_a_cut_body_leaves_nothing(world: World) -> None:
    cluster = await world.start()
    body = Body(1, open_end=True)
    with pytest.raises(ConnectionError):
        async with cluster.add(upload(body)) as call:
            body.cut()
            await roots_of(call)
    assert await cluster.views.get(cid(1)) is None
    await world.quiet()
    assert world.holders(cid(1)) == []
    assert world.store is not None
    assert {claim.owner for claim in await world.store.claims()} == {"system"}


async def test_another_root_of_a_replica_is_released_and_the_right_one_fetched(world: World) -> None:
    await world.start()
    world.nodes[1].adds_instead[cid(1)] = cid(50)
    assert await add(world, 1) == [cid(1)]
    await world.quiet()
    assert world.holders(cid(1)) == [0, 1, 2]
    await until(lambda: world.holders(cid(50)) == [], "the stranger goes")


async def test_what_a_failed_add_shares_with_others_stays(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(2), NONE)])).wait()
    world.nodes[1].pins_held[cid(3)] = NodePin(cid(3), RECURSIVE)
    await world.peers[1].reconcile_now()  # the operator's own pin becomes known
    body = Body(1, 2, 3, open_end=True)
    with pytest.raises(ConnectionError):
        async with cluster.add(upload(body)) as call:
            await until(lambda: cid(2) in world.nodes[0].pins_held and cid(1) in world.nodes[2].pins_held, "adding")
            world.nodes[1].pins_held[cid(3)] = NodePin(cid(3), RECURSIVE)
            body.cut()
            await turns()
            await roots_of(call)
    await world.quiet()
    await until(lambda: world.holders(cid(1)) == [], "what only the add wanted goes")
    assert world.holders(cid(2)) == [0, 1, 2], "the pinset wants it"
    assert 1 in world.holders(cid(3)), "the operator's own"


async def test_two_adds_of_the_same_root_and_one_fails(world: World) -> None:
    cluster = await world.start()
    body = Body(1, open_end=True)
    with pytest.raises(ConnectionError):
        async with cluster.add(upload(body)) as call:
            await until(lambda: all(node.calls["add read"] for node in world.nodes), "the first is at it")
            assert await add(world, 1) == [cid(1)]
            body.cut()
            await roots_of(call)
    await world.quiet()
    assert world.holders(cid(1)) == [0, 1, 2]
    assert await cluster.views.get(cid(1)) is not None


async def test_a_removal_between_a_node_s_pin_and_the_news_of_it_does_not_pass_unseen(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), NONE)])).wait()
    primary = world.nodes[0]
    primary.telling.clear()
    async with cluster.add(upload(Body(1))) as call:
        await until(lambda: primary.calls["add read"] > 0, "it is pinned, and nobody was told")
        await turns()
        assert (await cluster.unpin([(cid(1), True)])).removed == 1
        await until(lambda: 0 not in world.holders(cid(1)), "the removal is over")
        await world.quiet()
        primary.telling.set()
        assert await roots_of(call) == [cid(1)]
    assert world.holders(cid(1)) == [0, 1, 2]
    assert await world.status(cid(1)) == [TrackerStatus.PINNED] * 3


async def test_an_existing_pin_wins_and_surplus_copies_are_released(world: World) -> None:
    cluster = await world.start(2, 2)
    options = PinOptions(replication_min=1, replication_max=1, user_allocations=(PeerId("peer2"),), name="kept")
    await (await cluster.pin([(cid(1), options)])).wait()
    assert await add(world, 1) == [cid(1)]
    await until(lambda: world.holders(cid(1)) == [2], "the other copies go")
    entry = await cluster.views.get(cid(1))
    assert entry is not None
    assert (entry.name, entry.allocations) == ("kept", (PeerId("peer2"),))


async def test_adding_again_with_more_replicas_gives_it_more(world: World) -> None:
    cluster = await world.start(1, 1)
    options = PinOptions(user_allocations=(PeerId("peer2"),), name="kept", metadata={"a": "b"})
    await (await cluster.pin([(cid(1), options)])).wait()
    assert await add(world, 1, options=PinOptions(replication_min=3, replication_max=3)) == [cid(1)]
    entry = await cluster.views.get(cid(1))
    assert entry is not None
    assert (entry.replication_max, len(entry.allocations), entry.name, entry.metadata) == (3, 3, "kept", {"a": "b"})
    assert world.holders(cid(1)) == [0, 1, 2]


async def test_who_waits_for_a_pin_that_an_add_brings_is_told(world: World) -> None:
    cluster = await world.start()
    for node in world.nodes:
        node.stalled[cid(1000)] = "no new block"
    call = await cluster.pin([(cid(1000), NONE)])
    waiting = asyncio.ensure_future(call.wait())  # noqa: TID251 - awaited below
    await until(lambda: all(node.pin_calls for node in world.nodes), "no node gets it")
    await until(lambda: all(not peer.tracker.pinning for peer in world.peers), "it is to be tried again later")
    assert await add(world, 1000) == [cid(1000)]
    await until(waiting.done, "its rows are gone, and no attempt will end")
    await waiting


async def test_a_direct_pin_becomes_recursive(world: World) -> None:
    cluster = await world.start()
    await (await cluster.pin([(cid(1), PinOptions(mode=PinMode.DIRECT, name="d"))])).wait()
    assert await add(world, 1) == [cid(1)]
    entry = await cluster.views.get(cid(1))
    assert entry is not None
    assert (entry.mode, entry.name) == (PinMode.RECURSIVE, "d")
    assert [node.pins_held[cid(1)].mode for node in world.nodes] == [PinMode.RECURSIVE] * 3


async def test_nodes_that_import_differently_are_told_how_the_home_node_does(world: World) -> None:
    await world.start()
    world.nodes[0].imports = {"cid-version": "1", "chunker": "size-1048576", "trickle": "false"}
    world.nodes[1].imports = {"cid-version": "0", "chunker": "size-1048576", "trickle": "false"}
    world.nodes[2].imports = {**world.nodes[0].imports, "-UnixFSHAMTDirectorySizeThreshold": "1"}
    await add(world, 1)
    assert world.nodes[0].uploads == ["pin=true"]
    assert world.nodes[1].uploads == ["pin=true&cid-version=1"]
    assert world.nodes[2].uploads == [], "no option can say it"
    await world.quiet()
    assert world.holders(cid(1)) == [0, 1, 2]


async def test_a_home_node_that_is_away_still_says_how_to_import_and_is_not_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_cluster.ingest.ingest.IMPORT_TTL", 0.5)
    await world.start(2, 3)
    world.nodes[0].imports = {"chunker": "size-100"}
    await add(world, 1)
    asked = world.nodes[0].calls["config"]
    world.nodes[0].away = "no answer within 10s"
    world.peers[0].monitor.suspect("no answer within 10s")
    await until(lambda: not world.peers[0].up, "it is known")
    world.clock.advance(1.0)
    await add(world, 2)
    assert world.nodes[0].calls["config"] == asked
    assert [node.uploads[1:] for node in world.nodes] == [
        [],
        ["pin=true&chunker=size-100"],
        ["pin=true&chunker=size-100"],
    ]


async def test_a_root_that_the_node_had_pinned_before_it_failed_stays(world: World) -> None:
    """Kubo pins a root, reports what is wrong with the rest of the body in the trailer, and keeps the pin."""
    cluster = await world.start()
    for node in world.nodes:
        node.add_trailer = "unexpected EOF"
    for node in world.nodes[1:]:
        node.pins_held[cid(1)] = NodePin(cid(1), RECURSIVE)
    world.nodes[0].pins_held |= {cid(2): NodePin(cid(2), RECURSIVE)}
    told: list[Cid] = []
    with pytest.raises(NodeError, match="unexpected EOF"):
        async with cluster.add(upload(Body(1, 2))) as call:
            async for lines in call.events():
                told += [line.root for line in lines if line.root is not None]
    assert told == numbers([1, 2])
    await world.quiet()
    assert [world.holders(cid(root)) for root in (1, 2)] == [[0, 1, 2]] * 2
    with pytest.raises(NodeError, match="unexpected EOF"):
        await add(world, 3)
    await world.quiet()
    assert world.holders(cid(3)) == []
    assert await cluster.views.get(cid(3)) is None


class UnknownRoots(AllRoots):
    """The nodes end cleanly, but what they pinned cannot be told."""

    def follow(self) -> UnknownRoots:
        return self

    def finish(self) -> None:
        raise NodeError("unknown")


async def test_an_add_whose_roots_cannot_be_known_fails(world: World) -> None:
    cluster = await world.start()
    with pytest.raises(NodeError, match="unknown"):
        async with cluster.add(Upload("add", "", "", (), aiter(Body(1)), UnknownRoots(), NONE)) as call:
            await roots_of(call)
    assert world.store is not None
    assert [claim.kind for claim in await world.store.claims()] == [ClaimKind.SYSTEM] * 3


async def test_a_replica_that_hangs_when_it_is_asked_is_dropped_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended between the event of a root and the next: the question whether it is pinned is never answered."""
    monkeypatch.setattr("ipfs_cluster.ingest.call.PROBE_TIMEOUT", 0.01)
    cluster = await world.start(2, 3)
    hanging = world.nodes[2]

    async def never(wanted: Cid, mode: PinMode) -> bool:
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(hanging, "pinned", never)
    body = Body(1, open_end=True)
    async with cluster.add(upload(body)) as call, asyncio.TaskGroup() as group:
        answer = group.create_task(roots_of(call))
        await until(lambda: hanging.calls["add read"] == 1, "it has reported the root")
        hanging.reading.clear()
        body.end()
        while not answer.done():
            world.clock.advance(1.0)
            await asyncio.sleep(0.001)
        assert await answer == [cid(1)]


async def test_an_upload_that_stands_still_makes_nothing_each_second(world: World) -> None:
    """Tasks that come and go set off the collector of cycles, which stops everybody: a second, with 2,000 of them."""
    cluster = await world.start()
    made: list[str] = []

    def noted(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **more)

    body = Body(open_end=True)
    body.fill()
    async with cluster.add(upload(body)) as call:
        await turns()
        asyncio.get_running_loop().set_task_factory(noted)
        await world.pass_time(3, step=1.0)
        asyncio.get_running_loop().set_task_factory(None)
        body.send(1)
        body.end()
        assert await roots_of(call) == [cid(1)]
    assert [name for name in made if name.startswith("IngestCall")] == []


async def test_the_same_root_twice_in_one_add(world: World) -> None:
    await world.start()
    assert await add(world, 1, 1, 2, 1) == numbers([1, 1, 2, 1])
    assert world.holders(cid(1)) == [0, 1, 2]


# --- the parts ---


async def test_an_outlet_hands_out_in_order_and_makes_the_tee_wait() -> None:
    outlet = Outlet(3)
    full = []
    for piece in (b"ab", b"cd"):
        outlet.put(piece)
        full.append(outlet.full)
    assert full == [False, True]
    reader = aiter(outlet)
    assert await anext(reader) == b"ab"
    assert (outlet.full, outlet.size) == (False, 2)
    outlet.close()
    assert [piece async for piece in reader] == [b"cd"]


async def test_a_dropped_outlet_lets_everybody_go() -> None:
    outlet = Outlet(1)
    outlet.put(b"ab")
    outlet.drop("too slow")
    outlet.drop("another reason")
    await outlet.room()
    with pytest.raises(Dropped, match="too slow"):
        await anext(aiter(outlet))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_quick_body_passes_and_a_short_one_too(tmp_path: Path) -> None:
    clock = FakeClock()
    for pieces in ([b"x" * 1000], [b"x" * 300_000] * 20):
        async with Spool(pieces_of(*pieces), clock, tmp_path, 64 * 1024, 2.0) as spool:
            await spool.settle()
            assert b"".join([piece async for piece in spool.pieces()]) == b"".join(pieces)
    assert list(tmp_path.iterdir()) == []


async def test_a_trickling_body_is_collected_on_disk_first(tmp_path: Path) -> None:
    clock = FakeClock()
    sent = [bytes([n]) * 30_000 for n in range(60)]

    async def trickle() -> AsyncIterator[bytes]:
        for piece in sent:
            yield piece
            await turns()
            clock.advance(0.9)

    async with Spool(trickle(), clock, tmp_path, 64 * 1024, 2.0) as spool:
        await spool.settle()
        assert b"".join([piece async for piece in spool.pieces()]) == b"".join(sent)
    assert list(tmp_path.iterdir()) == []


async def test_a_body_that_pauses_is_passed_on(tmp_path: Path) -> None:
    clock = FakeClock()
    body = Body(1, open_end=True)
    async with Spool(aiter(body), clock, tmp_path, 10**6, 2.0) as spool:
        settled = asyncio.ensure_future(spool.settle())  # noqa: TID251 - awaited below
        await until(lambda: clock.wakes_in(1.0), "it waits for more")
        clock.advance(1.0)
        await settled
        pieces = spool.pieces()
        assert (await anext(pieces)).startswith(cid_text(cid(1)).encode())
        body.end()
        assert [piece async for piece in pieces] == []


async def test_a_spool_that_cannot_write_is_an_error_of_the_store(tmp_path: Path) -> None:
    clock = FakeClock()

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b"x" * 30_000
            await turns()
            clock.advance(0.9)

    async with Spool(trickle(), clock, tmp_path / "missing", 64 * 1024, 2.0) as spool:
        with pytest.raises(StoreUnavailable, match="cannot keep the body"):
            await spool.settle()
