"""Fetching blocks over HTTP from gateways that have them, lack them, or misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from cluster_tests.engine.conftest import until
from cluster_tests.nodes.embedded.conftest import raw
from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.core.failures import Failure, classify
from ipfs_cluster.errors import NodeError
from ipfs_cluster.nodes.embedded import Sources
from ipfs_cluster.nodes.embedded.sources import ALONE, AT_ONCE, AT_ONE, ENDED
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.unixfs.model import MAX_BLOCK

BLOCK = raw(b"a block" * 1000)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """One on loopback, whose node is `peer`. asked: the requests' paths and whether only its own blocks were wanted."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.blocks: dict[str, bytes] = {}
        self.asked: list[tuple[str, bool]] = []
        self.answer: Answer | None = None
        self.url = ""
        self.first = asyncio.Event()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/ipfs/{cid}", self._block)
        app.router.add_post("/api/v0/id", self._id)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _id(self, request: web.Request) -> web.Response:
        return web.json_response({"ID": self.peer})

    async def _block(self, request: web.Request) -> web.StreamResponse:
        assert request.query == {"format": "raw"}
        assert request.headers["Accept"] == "application/vnd.ipld.raw"
        self.asked.append((request.match_info["cid"], request.headers.get("Cache-Control") == "only-if-cached"))
        self.first.set()
        if self.answer is not None:
            return await self.answer(request)
        data = self.blocks.get(request.match_info["cid"])
        return web.Response(status=412) if data is None else web.Response(body=data)

    def has(self, *blocks: tuple[Cid, bytes]) -> None:
        self.blocks.update({cids.text(cid): data for cid, data in blocks})


Gateways = Callable[[str], Awaitable[Gateway]]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateways]:
    async with AsyncExitStack() as stack:

        async def start(peer: str) -> Gateway:
            one = Gateway(peer)
            stack.push_async_callback((await one.start()).cleanup)
            return one

        yield start


@pytest.fixture
async def sources() -> AsyncIterator[Sources]:
    made = Sources((), SystemClock())
    yield made
    await made.close()


async def test_a_node_of_the_cluster_is_asked_for_its_own_blocks_only(sources: Sources, gateway: Gateways) -> None:
    node = await gateway("peer")
    node.has(BLOCK)
    await sources.connect("peer", node.url + "/")
    assert sources.sources() == [("peer", node.url)]
    assert await sources.fetch(BLOCK[0]) == BLOCK[1]
    assert node.asked == [(cids.text(BLOCK[0]), True)]


async def test_a_public_gateway_may_look_for_it_and_comes_last(gateway: Gateways) -> None:
    public, node = await gateway(""), await gateway("peer")
    public.has(BLOCK)
    sources = Sources([public.url], SystemClock())
    await sources.connect("peer", node.url)
    assert await sources.fetch(BLOCK[0]) == BLOCK[1]
    assert (len(node.asked), public.asked) == (1, [(cids.text(BLOCK[0]), False)])
    await sources.close()


async def test_who_is_no_node_or_another_one_is_not_connected(sources: Sources, gateway: Gateways) -> None:
    node = await gateway("peer")
    with pytest.raises(NodeError, match="is node peer"):
        await sources.connect("another", node.url)
    with pytest.raises(NodeError, match=r"no embedded node answers at \S+: cannot connect to 127\.0\.0\.1:1: "):
        await sources.connect("peer", "http://127.0.0.1:1")
    assert sources.sources() == []


async def test_a_block_that_comes_later_and_a_source_that_comes_later_are_noticed(
    sources: Sources, gateway: Gateways
) -> None:
    first, second = await gateway("first"), await gateway("second")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(sources.fetch(BLOCK[0]))  # nobody to ask
        await asyncio.sleep(0)
        await sources.connect("first", first.url)
        await first.first.wait()
        first.has(BLOCK)
    assert waiting.result() == BLOCK[1]
    other = raw(b"other")
    first.first.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(sources.fetch(other[0]))
        await first.first.wait()
        second.has(other)
        await sources.connect("second", second.url)
    assert waiting.result() == other[1]


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(bytes(MAX_BLOCK // 16))
    return response


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    return await silent(request)


async def compressed(request: web.Request) -> web.StreamResponse:
    response = web.Response(body=BLOCK[1])
    response.enable_compression()
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "7000"})
    await response.prepare(request)
    await response.write(BLOCK[1][:100])
    assert request.transport is not None
    request.transport.abort()
    return response


def answering(status: int, body: bytes = b"") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    return answer


BAD = {
    "wrong": (answering(200, b"something else"), "data did not match its hash"),
    "too long": (endless, "is no block"),
    "silent": (silent, ""),
    "cut": (cut, ""),
    "broken": (answering(500), "status 500"),
    "another protocol": (answering(301), "status 301"),
    "absent": (answering(404), ""),
    "not found in time": (answering(504), ""),
}


@pytest.mark.parametrize(("answer", "trouble"), BAD.values(), ids=BAD)
async def test_a_source_that_misbehaves_is_told_of_and_another_one_asked(
    sources: Sources, gateway: Gateways, answer: Answer, trouble: str
) -> None:
    bad, good = await gateway("bad"), await gateway("good")
    bad.answer = answer
    good.has(BLOCK)
    await sources.connect("bad", bad.url)
    await sources.connect("good", good.url)
    assert await sources.fetch(BLOCK[0]) == BLOCK[1]
    assert (len(bad.asked), len(good.asked)) == (1, 1)
    if trouble:
        (told,) = sources.troubles()
        assert told.startswith(bad.url)
        assert trouble in told
        assert sources.sources() == [("good", good.url)]


async def test_one_search_serves_all_who_wait_and_ends_with_the_last(sources: Sources, gateway: Gateways) -> None:
    node = await gateway("peer")
    go = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=BLOCK[1])

    node.answer = slow
    await sources.connect("peer", node.url)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(sources.fetch(BLOCK[0])) for _ in range(5)]
        await node.first.wait()
        waiting[0].cancel()
        await asyncio.sleep(0)
        go.set()
    assert [task.result() for task in waiting[1:]] == [BLOCK[1]] * 4
    assert len(node.asked) == 1
    go.clear()
    node.first.clear()
    alone = asyncio.get_running_loop().create_task(sources.fetch(raw(b"gone")[0]))
    await node.first.wait()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert not sources._searches


@pytest.mark.parametrize("answer", [silent, dripping])
async def test_a_source_that_hangs_takes_no_place_of_the_others(
    sources: Sources, gateway: Gateways, answer: Answer
) -> None:
    bad, good = await gateway("bad"), await gateway("good")
    bad.answer = answer
    blocks = [raw(f"{number}".encode() * 50) for number in range(AT_ONCE + AT_ONE)]
    good.has(*blocks)
    await sources.connect("bad", bad.url)
    await sources.connect("good", good.url)
    async with asyncio.timeout(10):
        found = await asyncio.gather(*(sources.fetch(cid) for cid, _ in blocks))
    assert list(found) == [data for _, data in blocks]


async def test_who_waits_for_a_source_that_fails_meanwhile_does_not_ask_it(sources: Sources, gateway: Gateways) -> None:
    bad, good = await gateway("bad"), await gateway("good")
    bad.answer = answering(500)
    blocks = [raw(f"{number}".encode() * 50) for number in range(AT_ONCE + AT_ONE)]
    good.has(*blocks)
    await sources.connect("bad", bad.url)
    await sources.connect("good", good.url)
    async with asyncio.timeout(10):
        found = await asyncio.gather(*(sources.fetch(cid) for cid, _ in blocks))
    assert list(found) == [data for _, data in blocks]
    assert len(bad.asked) < len(blocks)


async def test_a_request_ends_even_if_something_comes_now_and_then(gateway: Gateways) -> None:
    node = await gateway("peer")
    node.answer = dripping
    sources = Sources((), SystemClock(), patience=0.2)
    await sources.connect("peer", node.url)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        waiting = group.create_task(sources.fetch(BLOCK[0]))
        await node.first.wait()
        node.answer = None
        node.has(BLOCK)
    assert waiting.result() == BLOCK[1]
    assert len(node.asked) == 2
    await sources.close()


async def test_blocks_are_not_asked_for_compressed(sources: Sources, gateway: Gateways) -> None:
    node = await gateway("peer")
    node.answer = compressed
    await sources.connect("peer", node.url)
    async with asyncio.timeout(10):
        assert await sources.fetch(BLOCK[0]) == BLOCK[1]


UNKNOWN = {
    "md5": (b"\xd5\x01\x10" + bytes(16), "potentially insecure hash functions not allowed"),
    "short": (b"\x12\x04" + bytes(4), "digest too small: must be at least 20 bytes"),
    "long": (b"\x00\x81\x01" + bytes(129), "digest too large: must be no more than 128 bytes"),
}


@pytest.mark.parametrize(("hashed", "reason"), UNKNOWN.values(), ids=UNKNOWN)
async def test_what_can_never_be_verified_is_refused_and_no_source_is_blamed(
    sources: Sources, gateway: Gateways, hashed: bytes, reason: str
) -> None:
    node = await gateway("peer")
    await sources.connect("peer", node.url)
    async with asyncio.timeout(10):
        with pytest.raises(NodeError, match=reason):
            await sources.fetch(cids.make(cids.RAW, hashed))
    assert (node.asked, sources.troubles()) == ([], [])


async def test_whoever_waits_learns_that_the_node_closes(gateway: Gateways) -> None:
    node = await gateway("peer")
    sources = Sources((), SystemClock())
    await sources.connect("peer", node.url)
    waiting = [asyncio.get_running_loop().create_task(sources.fetch(BLOCK[0])) for _ in range(2)]
    await node.first.wait()
    async with asyncio.timeout(10):
        await sources.close()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(error) for error in told if isinstance(error, NodeError)] == [ENDED] * 2
        with pytest.raises(NodeError, match=ENDED):
            await sources.fetch(BLOCK[0])
        with pytest.raises(NodeError, match=ENDED):
            await sources.connect("peer", node.url)


async def test_many_blocks_at_once(sources: Sources, gateway: Gateways) -> None:
    nodes = [await gateway(f"peer{number}") for number in range(3)]
    blocks = [raw(f"{number}".encode() * 50) for number in range(200)]
    for number, block in enumerate(blocks):
        nodes[number % 3].has(block)
    for node in nodes:
        await sources.connect(node.peer, node.url)
    found = await asyncio.gather(*(sources.fetch(cid) for cid, _ in blocks))
    assert list(found) == [data for _, data in blocks]


async def test_with_nobody_to_ask_the_search_ends_soon() -> None:
    clock = FakeClock()
    sources = Sources([], clock)
    waiting = asyncio.ensure_future(sources.fetch(BLOCK[0]))  # noqa: TID251 - awaited by the test
    await until(lambda: clock.wakes_in(ALONE), "it is looked for")
    clock.advance(ALONE)
    with pytest.raises(NodeError) as caught:
        await waiting
    missing = f"block was not found locally (offline): ipld: could not find {cids.text(BLOCK[0])}"
    assert str(caught.value) == f"{missing}; no other node is connected, and no gateways are configured"
    assert classify(str(caught.value)) is Failure.NOT_FOUND
    await sources.close()
