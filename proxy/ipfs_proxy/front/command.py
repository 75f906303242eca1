"""A request that a command handler answers, in-process."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from ipfs_cluster.hops import SERVICES
from ipfs_cluster.http1 import STREAM_ERROR, last_chunk, sees_trailers
from ipfs_proxy.front.counters import ERROR, OK, outcome_of
from ipfs_proxy.front.exchange import BodyError, Command, Request
from ipfs_proxy.front.http1 import response_head
from ipfs_proxy.wire import gojson

if TYPE_CHECKING:
    from ipfs_proxy.front.connection import ClientConnection
    from ipfs_proxy.front.server import Plan, Server

log = logging.getLogger(__name__)

BODY_LIMIT = 256 * 1024
"""Bytes of a request body waiting for its handler; beyond, the client is made to wait."""
CRASHED = "an error occurred"
EXPOSED = "X-Stream-Output, X-Chunked-Output, X-Content-Length"


class CommandExchange:
    """Client connection ↔ handler, for one request. Is the handler's body and reply."""

    def __init__(self, server: Server, client: ClientConnection, plan: Plan, command: Command) -> None:
        self.body = plan.head.body()
        self.outcome = OK
        self.started = False
        self._server = server
        self._client = client
        self._plan = plan
        self._command = command
        self._task: asyncio.Task[None] | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._asked = not plan.head.expects_continue
        self._over = False
        self._close = False
        self._json = True
        self._trailers = sees_trailers(plan.head.headers.get("user-agent", "")) and not plan.head.http10
        self._bodiless = plan.head.method == "HEAD"

    # --- from the client ---

    def start(self) -> None:
        """Run the handler."""
        self._task = self._server.tasks.start(f"command {self._plan.route.name}", self._run())

    def receive(self, data: bytes | bytearray, start: int) -> int:
        content: list[bytes] = []
        used = self.body.take(data, start, content)
        self._pieces.extend(content)
        size = sum(map(len, content))
        self._size += size
        self._server.counters.to_commands += size
        self._arrived.set()
        if self._size > BODY_LIMIT:
            self._client.stop_reading()
        return used

    def gone(self) -> None:
        self._over = True
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    # --- the body, for the handler ---

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        if not self._asked and not self.body.complete and not self._pieces:
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._asked = True
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                if self._size <= BODY_LIMIT // 2:
                    self._client.go_on_reading()
                yield piece
            if self.body.complete:
                return
            if self._over:
                raise BodyError("the client left in the middle of its request")
            self._arrived.clear()
            await self._arrived.wait()

    # --- the reply, for the handler ---

    async def start_reply(
        self,
        status: int = 200,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._json = content_type == "application/json"
        fields = {
            "Access-Control-Allow-Headers": EXPOSED,
            "Access-Control-Expose-Headers": EXPOSED,
            "Content-Type": content_type,
            "Server": self._server.server_header,
            "Trailer": STREAM_ERROR,
            **(headers or {}),
        }
        self._head(status, fields, {} if self._plan.head.http10 else {"Transfer-Encoding": "chunked"})

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        framing = {} if self._plan.head.http10 or self._bodiless else {"Transfer-Encoding": "chunked"}
        self._json = self._trailers = False
        self._head(status, dict(headers), framing)

    def _head(self, status: int, fields: dict[str, str], framing: dict[str, str]) -> None:
        if self._over:
            return
        if self._plan.head.method == "POST":
            fields.setdefault("Vary", "Origin")
        if self._plan.allow_origin:
            fields["Access-Control-Allow-Origin"] = self._plan.allow_origin
        if services := self._server.services_for(self._plan):
            fields[SERVICES] = services
        self._close = not self._plan.head.keep_alive or not self.body.complete
        tail = {"Date": self._server.date()}
        if self._close and not self._plan.head.http10:
            tail["Connection"] = "close"
        self.started = True
        self.outcome = outcome_of(status)
        self._server.first_byte(self._client, self._plan)
        head = response_head(status, fields, {**tail, **framing})
        self._client.write(head.replace(b"HTTP/1.1", b"HTTP/1.0", 1) if self._plan.head.http10 else head)

    async def write(self, data: bytes) -> None:
        if not data or self._over or self._bodiless:
            return
        self._server.counters.from_commands += len(data)
        self._client.write(data if self._plan.head.http10 else b"%x\r\n%b\r\n" % (len(data), data))
        await self._writable.wait()

    async def finish(self) -> None:
        self._end(b"" if self._plan.head.http10 or self._bodiless else last_chunk())

    async def fail(self, message: str) -> None:
        if self._over:
            return
        if not self.started:
            await self.start_reply(500)
            await self.write(error_object(message) + b"\n")
            await self.finish()
            return
        self.outcome = ERROR
        if self._trailers:
            self._end(last_chunk(message))
            return
        if self._json:
            await self.write(error_object(message) + b"\n")
        self._over = True
        self._client.cut(self.outcome)

    async def respond(self, status: int, body: bytes, *, headers: Mapping[str, str]) -> None:
        self._head(status, dict(headers), {"Content-Length": str(len(body))})
        self._server.counters.from_commands += len(body)
        self._end(b"" if self._bodiless else body)

    def _end(self, last: bytes) -> None:
        if self._over:
            return
        self._over = True
        if last:
            self._client.write(last)
        self._client.done(keep=not self._close)

    # --- the handler's task ---

    async def _run(self) -> None:
        plan = self._plan
        request = Request(plan.head.method, plan.route.path, plan.head.query, plan.head.headers, self, plan.route.tail)
        try:
            await self._command.handler(request, _Reply(self))
            if not self._over:
                log.error("the handler of %s ended without an answer", plan.route.name)
                await self.fail(CRASHED)
        except BodyError:
            if not self._over:
                self._over = True
                self._client.cut()
        except Exception:
            # The border of the handlers: whatever they let through is a defect, and the client hears Kubo's own text.
            log.exception("the handler of %s failed", plan.route.name)
            await self.fail(CRASHED)


class _Reply:
    """The handler's view of the exchange (`ipfs_proxy.front.exchange.Reply`)."""

    def __init__(self, exchange: CommandExchange) -> None:
        self._exchange = exchange
        self.start = exchange.start_reply
        self.write = exchange.write
        self.finish = exchange.finish
        self.fail = exchange.fail
        self.respond = exchange.respond
        self.open = exchange.open

    @property
    def started(self) -> bool:
        return self._exchange.started


def error_object(message: str) -> bytes:
    """Kubo's error value, without the LF."""
    return gojson.value({"Message": message, "Code": 0, "Type": "error"})[:-1]
