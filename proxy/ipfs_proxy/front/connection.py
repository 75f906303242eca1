"""One client connection: heads in, one exchange at a time, in order."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Protocol, cast

from ipfs_cluster.http1 import BodyReader
from ipfs_proxy.front.counters import CUT, LEFT, RouteStats
from ipfs_proxy.front.http1 import ProtocolError, find_head

if TYPE_CHECKING:
    from ipfs_proxy.front.audit import Audited
    from ipfs_proxy.front.server import Plan, Server

EARLY_LIMIT = 64 * 1024
"""Bytes of later requests kept while one is answered; beyond, reading stops."""
LINGER_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = 5.0
"""After an early answer: how much of the body is still read and thrown away, so that the client sees the answer."""
WRITE_BUFFER = 256 * 1024
_TCP_GONE = frozenset({0, 7, 8, 9, 10, 11})  # states after the other side's FIN or RST (linux/tcp_states.h)


class Exchange(Protocol):
    """What is done with the current request. outcome: how it ended, once the response is complete."""

    body: BodyReader
    outcome: int

    def start(self) -> None: ...

    def receive(self, data: bytes | bytearray, start: int) -> int:
        """Take the body's bytes from data; the offset after the last one. Raises ProtocolError."""
        ...

    def gone(self) -> None:
        """The client has left: give up."""
        ...

    def pause(self) -> None:
        """The client is slow: produce no more output for now."""
        ...

    def resume(self) -> None: ...


class ClientConnection(asyncio.Protocol):
    """Parses requests and starts their exchanges. Never more than one exchange runs; early bytes wait, bounded."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.since = server.now
        self.begun = 0.0
        self.stats: RouteStats | None = None
        self.audited: Audited | None = None
        self.exchange: Exchange | None = None
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._writable = True
        self._lingering = 0
        self._advancing = False

    @property
    def transport(self) -> asyncio.Transport:
        """The open transport."""
        assert self._transport is not None
        return self._transport

    @property
    def remote(self) -> str:
        """The client's IP address; empty for one of a unix socket."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def idle(self) -> bool:
        """True while nothing is under way."""
        return self.exchange is None and not self._buffer

    @property
    def busy(self) -> bool:
        """True while a request is worked on, or the client has yet to take what was answered."""
        return self.exchange is not None or not self._writable

    # --- from the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by interface, not by class
        self._transport.set_write_buffer_limits(WRITE_BUFFER)
        self.server.joined(self)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        try:
            if self._lingering:
                self._discard(len(data))
            elif exchange is None and self._writable:
                plan = None if self._buffer else self.server.known_plan(data)
                if plan is not None and plan.head.length == 0:
                    # The whole request, and one that was seen before: nothing to parse and nothing to keep.
                    self.exchange = exchange = self.server.exchange(self, plan)
                    exchange.start()
                else:
                    if not self._buffer:
                        self.since = self.server.now
                    self._buffer += data
                    self.advance()
            elif exchange is None or exchange.body.complete:
                self._keep(data, 0)
            else:
                used = exchange.receive(data, 0)
                if used < len(data):
                    self._keep(data, used)
        except ProtocolError as error:
            self._refuse(error)

    def eof_received(self) -> bool:
        # As Go's server sees it: who closes its side has left, even after a complete request. What was written is sent.
        self._give_up()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.left(self)
        self._give_up()

    def _give_up(self) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self._count(LEFT)
            exchange.gone()

    def _count(self, outcome: int) -> None:
        """Once for each exchange, where it ends."""
        if self.audited is not None:
            self.server.write_down(self, self.audited, outcome)
        stats = self.stats
        if stats is not None:
            stats.ended[outcome] += 1
            if stats.durations is not None:
                stats.durations[outcome].observe(self.server.time() - self.begun)

    def pause_writing(self) -> None:
        self._writable = False
        if self.exchange is not None:
            self.exchange.pause()

    def resume_writing(self) -> None:
        self._writable = True
        if self.exchange is not None:
            self.exchange.resume()
        elif self._buffer:
            self.server.soon(self.resume_requests)

    # --- from exchanges ---

    def write(self, data: bytes) -> None:
        """Send to the client."""
        self.transport.write(data)

    def stop_reading(self) -> None:
        """Backpressure on the client."""
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def go_on_reading(self) -> None:
        """End of backpressure."""
        if not self._reading and len(self._buffer) <= EARLY_LIMIT and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def done(self, *, keep: bool) -> None:
        """The exchange's response is complete. keep: the connection can take another request."""
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        self._count(exchange.outcome)
        self.since = self.server.now
        if not exchange.body.complete:
            self._linger()
        elif keep and not self.server.draining:
            self.go_on_reading()
            if self._buffer and not self._advancing:
                self.server.soon(self.resume_requests)
        else:
            self.transport.close()

    def cut(self, outcome: int = CUT) -> None:
        """End the connection without completing the response: what was sent arrives, then it visibly breaks."""
        if self.exchange is not None:
            self.exchange = None
            self._count(outcome)
        self.transport.close()

    # --- requests ---

    def resume_requests(self) -> None:
        """Take up the requests that came early."""
        if self.exchange is None and not self.transport.is_closing():
            try:
                self.advance()
            except ProtocolError as error:
                self._refuse(error)

    def advance(self) -> None:
        """Start the next exchange if its head is complete and the client takes its answers. Raises ProtocolError."""
        self._advancing = True
        try:
            while self._buffer and not self.busy and not self.transport.is_closing() and not self._lingering:
                head = find_head(self._buffer)
                if head is None:
                    return
                plan = self.server.plan(head, self)
                if plan is None:
                    return  # its credentials are being checked; the head waits in the buffer
                self._begin(plan, len(head))
        finally:
            self._advancing = False

    def _begin(self, plan: Plan, size: int) -> None:
        exchange = self.server.exchange(self, plan)
        self.exchange = exchange
        used = size
        if not exchange.body.complete:
            used = exchange.receive(self._buffer, size)
        if used == len(self._buffer):
            self._buffer = bytearray()
        else:
            del self._buffer[:used]
        exchange.start()

    def _keep(self, data: bytes, start: int) -> None:
        self._buffer += data[start:]
        if len(self._buffer) > EARLY_LIMIT:
            self.stop_reading()

    # --- endings ---

    def _refuse(self, error: ProtocolError) -> None:
        """Answer garbage as Go does, and close; the daemon never sees it."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self._count(CUT)
            exchange.gone()
            self.transport.close()
            return
        self.server.counters.garbage += 1
        text = f"400 Bad Request: {error}".encode("latin-1", "replace")
        self.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" + text
        )
        self._linger()

    def _linger(self) -> None:
        """Closing with unread input would reset the connection and could destroy the answer on its way."""
        self._lingering = 1
        self._buffer.clear()
        self.go_on_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.server.later(LINGER_SECONDS, self.transport.close)

    def _discard(self, size: int) -> None:
        self._lingering += size
        if self._lingering > LINGER_BYTES:
            self.transport.abort()

    def check_presence(self) -> None:
        """While reading is stopped nobody tells us that the client left: ask the kernel."""
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if self._reading or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        try:
            (state,) = struct.unpack_from("B", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))
        except OSError:
            return
        if state in _TCP_GONE:
            self.transport.abort()
