"""The listeners of the REST API: several addresses, unix sockets among them; connections that send no head."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

from ipfs_cluster import sockets
from ipfs_cluster.addresses import Address
from ipfs_cluster.rest.access import CombinedLog, access_log, write_to
from ipfs_cluster.rest.http import HTTP, SLACK, HttpRules
from ipfs_cluster.security.tls import ServerTls
from ipfs_cluster.tasks import TaskSet

log = logging.getLogger(__name__)

TICK = 1.0
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class RestSettings:
    """Where and how to listen. log_file: for a line per request. idle_timeout: seconds a connection may be unused."""

    addresses: tuple[Address, ...]
    rules: HttpRules = HttpRules()
    idle_timeout: float = 120.0
    log_file: Path | None = None


class RestServer:
    """An application behind its listeners. `start`, then `addresses`; `close` drains."""

    def __init__(
        self,
        application: web.Application,
        settings: RestSettings,
        grace: float = 10.0,
        tls: ServerTls | None = None,
    ) -> None:
        """grace: seconds that running requests get at the end. tls: what tcp listeners speak; unix sockets are plain.
        The application has had `add_http`.
        """
        self.application = application
        self.tls = tls
        self._grace = grace
        self._settings = settings
        self._requests = access_log()
        self._servers: list[asyncio.Server] = []
        self._heads: dict[BaseProtocol, _Connection] = {}
        self._tasks = TaskSet()
        self._runner: web.AppRunner | None = None
        application.middlewares.insert(0, self._heads_seen())

    async def start(self) -> None:
        """Listen. Raises OSError when an address or the log file cannot be had; then nothing listens."""
        write_to(self._requests, self._settings.log_file)
        limit = self._settings.rules.max_header_bytes + SLACK
        self._runner = web.AppRunner(
            self.application,
            handler_cancellation=True,  # who leaves has its upload broken off, and waits for nothing
            access_log=self._requests,
            access_log_class=CombinedLog,
            keepalive_timeout=self._settings.idle_timeout,
            shutdown_timeout=self._grace,
            max_line_size=limit,
            max_field_size=limit,
        )
        await self._runner.setup()
        try:
            for address in self._settings.addresses:
                self._servers.append(await self._listen(address))
        except OSError:
            await self.close()
            raise
        self._tasks.start("rest heads", self._watch_heads())

    async def _listen(self, address: Address) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if address.unix:
            sockets.claim(address.unix)
            server = await loop.create_unix_server(self._protocol, address.unix, backlog=BACKLOG)
            os.chmod(address.unix, sockets.MODE)
            return server
        options = {} if self.tls is None else self.tls.options
        return await loop.create_server(
            self._protocol, address.host, address.port, backlog=BACKLOG, reuse_address=True, **options
        )

    @property
    def addresses(self) -> list[tuple[str, int] | str]:
        """Where it listens: (host, port) or the socket's path."""
        found: list[tuple[str, int] | str] = []
        for server in self._servers:
            for sock in server.sockets:
                name = sock.getsockname()
                found.append(name if sock.family == socket.AF_UNIX else (name[0], name[1]))
        return found

    def reload(self, settings: RestSettings) -> None:
        """Take over rules and log file. Raises OSError when the file cannot be opened; then nothing has changed."""
        write_to(self._requests, settings.log_file)
        self.application[HTTP].rules = settings.rules
        self._settings = settings

    async def close(self) -> None:
        """Stop accepting, let running requests end within the grace, then cut them."""
        for server in self._servers:
            server.close()
        await self._tasks.close()
        if self._runner is not None:
            await self._runner.cleanup()
        for address in self._settings.addresses[: len(self._servers)]:
            if address.unix:
                sockets.release(address.unix)
        self._servers.clear()
        write_to(self._requests, None)

    # --- connections without a head ---

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        return _Connection(self._runner.server(), self._heads)

    def _heads_seen(self) -> Callable[..., Any]:
        """A middleware: between its begin and its end no head is waited for."""

        @web.middleware
        async def seen(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
            connection = self._heads.get(request.protocol)
            if connection is not None:
                connection.begun()
            try:
                response: web.StreamResponse = await handler(request)
            finally:
                if connection is not None:
                    connection.ended(clean=request.content.is_eof())
            return response

        return seen

    async def _watch_heads(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            self.cut_slow_heads(loop.time())

    def cut_slow_heads(self, now: float) -> None:
        """Close the connections on which no whole head has come in time."""
        limit = self.application[HTTP].rules.read_header_timeout
        if not limit:
            return
        for connection in list(self._heads.values()):
            if connection.waiting_since is not None and now - connection.waiting_since > limit:
                connection.cut()


class _Connection(asyncio.Protocol):
    """aiohttp's protocol of one connection, and since when a head is on its way: None while there is none."""

    def __init__(self, inner: BaseProtocol, all_of_them: dict[BaseProtocol, _Connection]) -> None:
        self.waiting_since: float | None = None
        self._inner = inner
        self._all = all_of_them
        self._idle = True
        self._transport: asyncio.Transport | None = None
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.waiting_since = asyncio.get_running_loop().time()
        self._all[self._inner] = self
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._idle and self.waiting_since is None:
            self.waiting_since = asyncio.get_running_loop().time()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.pop(self._inner, None)
        self._inner.connection_lost(exc)

    def begun(self) -> None:
        """A whole head has come."""
        self._idle, self.waiting_since = False, None

    def ended(self, *, clean: bool) -> None:
        """Its request was answered. clean: nothing of it is still to come, so what comes next is a head."""
        self._idle = clean

    def cut(self) -> None:
        """No head came."""
        if self._transport is not None:
            self._transport.abort()
