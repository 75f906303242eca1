"""An embedded node behind its door, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ipfs_cluster.identity import create
from ipfs_proxy.embedded import EmbeddedServer
from proxy_tests.embedded.client import Answer, Headers, ask


class Door:
    """A started door and a client of it, one of Go's unless it says otherwise."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server

    @property
    def address(self) -> tuple[str, int]:
        (address,) = self.server.addresses
        assert isinstance(address, tuple)
        return address

    async def post(self, target: str, headers: Headers | None = None, body: bytes = b"") -> Answer:
        """target: what follows /api/v0/."""
        fields = {"User-Agent": "Go-http-client/1.1", **(headers or {})}
        return await ask(self.address, "POST", f"/api/v0/{target}", fields, body)

    async def get(self, target: str, headers: Headers | None = None, method: str = "GET") -> Answer:
        return await ask(self.address, method, target, headers)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    server = EmbeddedServer(create())
    await server.start()
    yield Door(server)
    await server.close(0)
