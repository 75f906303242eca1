"""Both clients behind one face, before the real REST API on fake nodes or a server that answers what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from cluster_tests.engine.conftest import World, world
from cluster_tests.rest.importer import ImportingNode
from ipfs_cluster.client import AsyncClient, Client
from ipfs_cluster.rest.app import app

__all__ = ["world"]

Connect = Callable[..., Any]
"""Makes a client of the kind that the test runs with."""


class Threaded:
    """A Client whose verbs run in threads: awaited, or iterated asynchronously, as those of AsyncClient."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Later]:
        return lambda *arguments, **named: Later(lambda: getattr(self.client, name)(*arguments, **named))


class Later:
    """What a verb will answer."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.to_thread(self._act).__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        found = await asyncio.to_thread(self._act)
        end = object()
        try:
            while (value := await asyncio.to_thread(next, found, end)) is not end:
                yield value
        finally:
            if hasattr(found, "close"):
                await asyncio.to_thread(found.close)


@pytest.fixture(params=["Client", "AsyncClient"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    made: list[Any] = []

    def make(*hosts: str, **options: Any) -> Any:
        kind = Threaded(Client(*hosts, **options)) if request.param == "Client" else AsyncClient(*hosts, **options)
        made.append(kind)
        return kind

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def served(world: World) -> AsyncIterator[str]:
    """The URL of the API of three nodes, where pins go to one or two of them."""
    world.nodes = [ImportingNode(node) for node in world.nodes]
    cluster = await world.start(1, 2)
    async with TestServer(app(cluster, "7")) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
async def client(connect: Connect, served: str) -> Any:
    return connect(served)


@dataclass
class Told:
    """A server that gives each connection its next answer and closes it; `asked`: what came, head and body.

    hold: stay connected until it is set. impatient: answer before the body; "refuse": and do not read it. end: sent
    after all that.
    """

    answers: list[bytes] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    hold: asyncio.Event | None = None
    impatient: str = ""
    end: bytes = b""
    port: int = 0
    serving: set[asyncio.Task[Any] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        at = len(self.asked)
        answer = self.answers[at] if at < len(self.answers) else b""
        self.asked.append(head)
        if self.impatient:
            writer.write(answer)
            await writer.drain()
        if b"transfer-encoding: chunked" in head.lower() and self.impatient != "refuse":
            self.asked[at] += await self._body(reader)
        if not self.impatient:
            writer.write(answer)
            await writer.drain()
        writer.write(self.end)
        if self.hold is not None:
            await self.hold.wait()

    async def _body(self, reader: asyncio.StreamReader) -> bytes:
        found = b""
        while size := int(await reader.readuntil(b"\n"), 16):
            found += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return found


@asynccontextmanager
async def telling(*answers: bytes, unix: str = "", **more: Any) -> AsyncIterator[Told]:
    told = Told(list(answers), **more)
    if unix:
        server: asyncio.Server = await asyncio.start_unix_server(told.serve, unix)
    else:
        server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
        told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        if told.hold is not None:
            told.hold.set()
        for _ in range(10):  # whoever connected and left at once is still to be taken in
            await asyncio.sleep(0)
        server.close()
        if told.serving:
            await asyncio.wait([task for task in told.serving if task is not None])


async def listed(found: AsyncIterator[Any] | Later) -> list[Any]:
    return [value async for value in found]


async def raised(kind: type[Exception], act: Awaitable[Any] | AsyncIterator[Any] | Later) -> Any:
    """The error that an action, or an iteration over what it answers, ends with."""
    with pytest.raises(kind) as caught:
        found = act if isinstance(act, AsyncIterator) else await act
        if isinstance(found, AsyncIterator):
            await listed(found)
        elif isinstance(found, Iterator):
            await asyncio.to_thread(list, found)
    return caught.value
