"""An embedded node behind its door, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipfs_cluster.identity import create
from ipfs_cluster.nodes.embedded import EmbeddedNode
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_proxy.embedded import EmbeddedServer, NoSources
from proxy_tests.embedded.client import Answer, Headers, ask, multipart

NOW = 1_700_000_000.0


class Ticks:
    """Sleeps until it is told that the time has passed."""

    def __init__(self) -> None:
        self._due = asyncio.Semaphore(0)
        self.waiting = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.waiting.set()
        await self._due.acquire()

    def pass_one(self) -> None:
        self._due.release()


class Door:
    """A started door and a client of it, one of Go's unless it says otherwise."""

    def __init__(self, server: EmbeddedServer, node: EmbeddedNode, ticks: Ticks) -> None:
        self.server = server
        self.node = node
        self.ticks = ticks

    @property
    def address(self) -> tuple[str, int]:
        (address,) = self.server.addresses
        assert isinstance(address, tuple)
        return address

    async def post(self, target: str, headers: Headers | None = None, body: bytes = b"") -> Answer:
        """target: what follows /api/v0/."""
        fields = {"User-Agent": "Go-http-client/1.1", **(headers or {})}
        return await ask(self.address, "POST", f"/api/v0/{target}", fields, body)

    async def send(self, target: str, *parts: tuple[str | None, bytes, str] | tuple[str | None, bytes]) -> Answer:
        """The same with files."""
        return await self.post(target, *multipart(*parts))

    async def get(self, target: str, headers: Headers | None = None, method: str = "GET") -> Answer:
        return await ask(self.address, method, target, headers)

    async def add(self, content: bytes, query: str = "") -> str:
        """Add one file; its CID."""
        answer = await self.send(f"add?{query}", ("file", content))
        return str(answer.values[-1]["Hash"])


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    sources, ticks = NoSources(), Ticks()
    node = EmbeddedNode(tmp_path / "repo", sources, 10**10)
    await node.open()
    server = EmbeddedServer(create(), node, sources=sources, tick=ticks, clock=lambda: NOW)
    await server.start()
    yield Door(server, node, ticks)
    await server.close(0)
    await node.close()


@pytest.fixture
async def kubo(door: Door) -> AsyncIterator[KuboNode]:
    """The engine's own class for a Kubo daemon, at this door."""
    node = KuboNode(HttpTransport(Endpoint(*door.address)))
    yield node
    await node.close()
