"""Both ends of the front as a test holds them: raw connections, a daemon that does what the test says, a door between.

Nothing here sleeps: a test waits for what it expects to see on a wire, and a wait that is in vain fails after a while
with what was seen instead.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from ipfs_cluster.security.audit import AuditLog
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.tls import ServerTls
from ipfs_proxy.front.exchange import Command
from ipfs_proxy.front.server import Limits, Listen, Server
from ipfs_proxy.front.upstream import Upstream, UpstreamPool

PATIENCE = 10.0
"""Seconds until a wait is given up; only tests that fail take them."""
TURNS = 100
"""Turns of the loop after which nothing more is on its way between two sockets of this machine."""


class Pulse:
    """Wakes everybody who waits for something to change."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def beat(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, probe: Callable[[], bool], what: Callable[[], str]) -> None:
        """Return when the probe is true; it is asked again after each beat."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not probe():
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.append(waiter)
                    await waiter
        except TimeoutError:
            raise AssertionError(f"in vain: {what()}") from None


class Wire(asyncio.Protocol):
    """One end of a connection, in bytes."""

    def __init__(self, pulse: Pulse) -> None:
        self.buffer = bytearray()
        self.received = 0
        self.ended = False
        """The other side sends no more."""
        self.lost = False
        """The connection is gone, both ways."""
        self.full = False
        """The other side does not take what is sent."""
        self._pulse = pulse
        self._transport: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """The open transport."""
        assert self._transport is not None
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pulse.beat()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.received += len(data)
        self._pulse.beat()

    def eof_received(self) -> bool:
        self.ended = True
        self._pulse.beat()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self._pulse.beat()

    def pause_writing(self) -> None:
        self.full = True
        self._pulse.beat()

    def resume_writing(self) -> None:
        self.full = False
        self._pulse.beat()

    # --- what a test does with it ---

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def close(self) -> None:
        """Close both ways; what was sent arrives."""
        self.transport.close()

    def reset(self) -> None:
        """Break the connection: the other side sees an error."""
        sock = self.transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def until(self, probe: Callable[[], bool]) -> None:
        """Wait for something on this wire."""
        await self._pulse.until(probe, lambda: f"{bytes(self.buffer)[:2000]!r} ended={self.ended} lost={self.lost}")

    async def take(self, size: int) -> bytes:
        """So many bytes."""
        await self.until(lambda: len(self.buffer) >= size)
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def take_until(self, mark: bytes) -> bytes:
        """Bytes up to a mark, with it."""
        await self.until(lambda: mark in self.buffer)
        return await self.take(self.buffer.index(mark) + len(mark))

    async def head(self) -> bytes:
        """The next head."""
        return await self.take_until(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """All up to the end that the other side makes."""
        await self.until(lambda: self.ended)
        return bytes(self.buffer)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next whole response that has a length or is chunked: status, headers, body as it is on the wire."""
        first, *lines = (await self.head())[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if "content-length" in headers:
            body = await self.take(int(headers["content-length"]))
        else:
            assert headers["transfer-encoding"] == "chunked"
            body = await self.take_until(b"0\r\n\r\n")
        return int(first.split()[1]), headers, body


class Daemon:
    """Accepts connections and does nothing by itself."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.wires: list[Wire] = []
        self.address: tuple[str, int] | str = ""
        self._server: asyncio.Server | None = None

    async def start(self, unix: str = "") -> None:
        """Listen (again at the same address)."""
        loop = asyncio.get_running_loop()
        if unix:
            self._server = await loop.create_unix_server(self._wire, unix)
            self.address = unix
            return
        port = self.address[1] if isinstance(self.address, tuple) else 0
        self._server = await loop.create_server(self._wire, "127.0.0.1", port)
        self.address = self._server.sockets[0].getsockname()

    def stop(self) -> None:
        """No longer there; connections break."""
        if self._server is not None:
            self._server.close()
        for wire in self.wires:
            if not wire.lost:
                wire.transport.abort()

    def _wire(self) -> Wire:
        wire = Wire(self.pulse)
        self.wires.append(wire)
        return wire

    @property
    def seen(self) -> int:
        """Bytes that any request brought here."""
        return sum(wire.received for wire in self.wires)

    @property
    def upstream(self) -> Upstream:
        """How a door finds it."""
        if isinstance(self.address, str):
            return Upstream(unix=self.address)
        return Upstream(*self.address)

    async def request(self) -> tuple[Wire, bytes]:
        """The next request's head, on whichever connection it comes."""
        found: list[Wire] = []

        def arrived() -> bool:
            found[:] = [wire for wire in self.wires if b"\r\n\r\n" in wire.buffer]
            return bool(found)

        await self.pulse.until(arrived, lambda: f"no request at {[bytes(wire.buffer) for wire in self.wires]}")
        return found[0], await found[0].head()

    async def answers(self, count: int, response: bytes) -> list[bytes]:
        """Take that many requests without bodies and give them all the same answer; their heads."""
        heads = []
        for _ in range(count):
            wire, head = await self.request()
            heads.append(head)
            wire.send(response)
        return heads


class Door:
    """A front before a daemon."""

    def __init__(self, server: Server, daemon: Daemon) -> None:
        self.server = server
        self.daemon = daemon
        self.clients: list[Wire] = []

    @property
    def port(self) -> int:
        """Where it listens on tcp."""
        return next(address[1] for address in self.server.addresses if isinstance(address, tuple))

    async def connect(self, buffer: int = 0) -> Wire:
        """A client. buffer: bytes of the kernel's receive buffer, to make a slow client cheap."""
        loop = asyncio.get_running_loop()
        address = self.server.addresses[0]
        pulse = Pulse()
        if isinstance(address, str):
            wire = (await loop.create_unix_connection(lambda: Wire(pulse), address))[1]
        else:
            sock = socket.socket()
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            wire = (await loop.create_connection(lambda: Wire(pulse), sock=sock))[1]
        self.clients.append(wire)
        return wire

    async def connected(self, data: bytes) -> Wire:
        """A client that has sent something."""
        wire = await self.connect()
        wire.send(data)
        return wire

    def buffered(self) -> int:
        """Bytes that the front keeps for clients that do not take them."""
        return sum(connection.transport.get_write_buffer_size() for connection in self.server._connections)

    async def connections(self, count: int) -> None:
        """Until the front has that many."""
        await turns_until(lambda: len(self.server._connections) == count, "connections")


async def turns_until(probe: Callable[[], bool], what: str) -> None:
    """Let the loop run until the probe is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not probe():
        assert loop.time() < deadline, f"in vain: {what}"
        await asyncio.sleep(0)


async def settle() -> None:
    """Let everything that is under way arrive."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def flood(sender: Wire, piece: bytes, most: int) -> int:
    """Send until the other side takes no more; how much was sent. Fails when there is no end to it."""
    sent = 0
    while True:
        if sender.full:
            await settle()
            if sender.full:
                return sent
        assert sent < most, "nobody stops the sender"
        sender.send(piece)
        sent += len(piece)
        await asyncio.sleep(0)


LIMITS = Limits()


class Doors:
    """Opens doors for a test and closes them after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: list[Door] = []

    async def __call__(
        self,
        commands: Mapping[str, Command] | None = None,
        *,
        unix: bool = False,
        daemon_unix: bool = False,
        limits: Limits = LIMITS,
        origins: Sequence[str] = (),
        headers: tuple[tuple[str, str], ...] = (),
        tls: ServerTls | None = None,
        gatekeeper: Gatekeeper | None = None,
        audit: AuditLog | None = None,
    ) -> Door:
        """A running door before a running daemon."""
        daemon = Daemon()
        await daemon.start(str(self._folder / "daemon") if daemon_unix else "")
        listen = Listen(unix=str(self._folder / "door")) if unix else Listen("127.0.0.1", 0)
        upstream = Upstream(daemon.upstream.host, daemon.upstream.port, daemon.upstream.unix, headers)
        server = Server(
            [listen],
            upstream,
            commands or {},
            limits=limits,
            origins=origins,
            tls=tls,
            gatekeeper=gatekeeper,
            audit=audit,
            clock=lambda: 86400.0 if gatekeeper is None else gatekeeper.clock(),
        )
        await server.start()
        door = Door(server, daemon)
        self._open.append(door)
        return door

    async def close(self) -> None:
        """Everything, at once."""
        for door in self._open:
            for client in door.clients:
                client.transport.abort()
            await door.server.close(0)
            door.daemon.stop()
        await settle()
        for door in self._open:
            counters, pool = door.server.counters, door.server.pool
            for name, stats in counters.routes.items():
                assert sum(stats.ended) == stats.begun, f"{name}: an exchange ends once, and is counted then"
            await turns_until(pool_is_empty(pool), "all daemon connections are closed")


def pool_is_empty(pool: UpstreamPool) -> Callable[[], bool]:
    """Whether every connection to the daemon that was opened has been closed."""
    return lambda: pool.closed == pool.opened


def get(path: str = "/api/v0/x", *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request without body."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: door", *lines, "", ""]).encode("latin-1")


def post(body: bytes = b"", path: str = "/api/v0/x", *lines: str) -> bytes:
    """A request with a body of known length."""
    return get(path, f"Content-Length: {len(body)}", *lines, method="POST") + body


def ok(body: bytes = b"hello", *lines: str) -> bytes:
    """A response with a body of known length."""
    head = "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("latin-1") + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTrailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\n\r\n"
DATE = "Fri, 02 Jan 1970 00:00:00 GMT"
