"""Connections to the daemon: opened ahead, used by one request at a time, kept while they are clean."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol, cast

from ipfs_cluster.tasks import TaskSet

WRITE_BUFFER = 256 * 1024
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the daemon's RPC API is: host and port or a unix socket. headers: added to every request to it. tls: how
    it is spoken to, None for plain.
    """

    host: str = ""
    port: int = 0
    unix: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tls: ssl.SSLContext | None = None

    @property
    def host_header(self) -> str:
        """Value of the Host header toward it."""
        if self.unix:
            return "unix"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class User(Protocol):
    """The exchange that uses a connection now."""

    def upstream_data(self, data: bytes) -> None: ...

    def upstream_lost(self, error: Exception | None) -> None: ...

    def upstream_pause(self) -> None: ...

    def upstream_resume(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection to the daemon."""

    def __init__(self, pool: UpstreamPool) -> None:
        self.user: User | None = None
        self.fresh = True
        self._transport: asyncio.Transport | None = None
        self._pool = pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pool.opened += 1
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by interface, not by class
        self._transport.set_write_buffer_limits(WRITE_BUFFER)

    @property
    def transport(self) -> asyncio.Transport:
        """The open transport."""
        assert self._transport is not None
        return self._transport

    def data_received(self, data: bytes) -> None:
        if self.user is not None:
            self.user.upstream_data(data)
        else:
            # Nobody asked: the connection is out of step and must never carry a request.
            self.transport.abort()

    def pause_writing(self) -> None:
        if self.user is not None:
            self.user.upstream_pause()

    def resume_writing(self) -> None:
        if self.user is not None:
            self.user.upstream_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self)
        if exc is not None and self.user is not None and (rest := _unread(self.transport)):
            # A write failed, and with it went what the daemon had answered before it closed.
            self.user.upstream_data(rest)
        user, self.user = self.user, None
        if user is not None:
            user.upstream_lost(exc)


class UpstreamPool:
    """Idle connections, the most recently used first; `spare` of them are opened ahead for the next newcomers.

    opened, closed: connections so far.
    """

    def __init__(self, upstream: Upstream, tasks: TaskSet, *, idle: int = 64, spare: int = 2) -> None:
        self.upstream = upstream
        self.opened = 0
        self.closed = 0
        self._tasks = tasks
        self._most = idle
        self._spare = spare
        self._idle: list[UpstreamConnection] = []
        self._opening = 0
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that nobody uses."""
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An idle connection, or None: then `open` one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                if not self._idle:
                    self._open_ahead()
                return connection
        self._open_ahead()
        return None

    def give_back(self, connection: UpstreamConnection) -> None:
        """The exchange on it ended cleanly; it may carry another."""
        connection.user = None
        connection.fresh = False
        if self._closed or len(self._idle) >= self._most or connection.transport.is_closing():
            connection.transport.close()
        else:
            self._idle.append(connection)

    async def open(self) -> UpstreamConnection:
        """A new connection. Raises OSError, TimeoutError among them."""
        loop = asyncio.get_running_loop()
        where = self.upstream

        def factory() -> UpstreamConnection:
            return UpstreamConnection(self)

        async with asyncio.timeout(CONNECT_TIMEOUT):
            if where.unix:
                return (await loop.create_unix_connection(factory, where.unix))[1]
            return (await loop.create_connection(factory, where.host, where.port, ssl=where.tls))[1]

    def close(self) -> None:
        """Close the idle ones; those in use close when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().transport.close()

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is gone, whoever used it."""
        self.closed += 1
        if connection.user is None and connection in self._idle:
            self._idle.remove(connection)

    def _open_ahead(self) -> None:
        if not self._closed and self._opening == 0 and len(self._idle) < self._spare:
            self._opening = 1
            self._tasks.start("spare upstream connection", self._add_spare())

    async def _add_spare(self) -> None:
        try:
            connection = await self.open()
        except OSError:
            return  # the next request meets the same error and reports it
        finally:
            self._opening = 0
        self.give_back(connection)


def _unread(transport: asyncio.Transport) -> bytes:
    """What the kernel has received on a connection that is being given up; nothing of an encrypted one."""
    if transport.get_extra_info("sslcontext") is not None:
        return b""
    pieces = []
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
            while piece := twin.recv(65536):
                pieces.append(piece)
    except OSError:
        pass
    return b"".join(pieces)
