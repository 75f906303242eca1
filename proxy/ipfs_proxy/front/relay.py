"""A request that the daemon answers: bodies pass untouched both ways, heads are edited where they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipfs_cluster.http1 import HEAD_LIMIT, BodyReader, Cut, ProtocolError
from ipfs_proxy.front.counters import ERROR
from ipfs_proxy.front.upstream import UpstreamConnection

if TYPE_CHECKING:
    from ipfs_proxy.front.connection import ClientConnection
    from ipfs_proxy.front.server import Plan, Server

NO_BODY = BodyReader(0)
"""Complete from the start, so it never changes: all messages without a body share it."""
REPLAY_LIMIT = 64 * 1024
"""Bytes of a whole request that is kept so that a pooled connection which died unused can be replaced."""


class RelayExchange:
    """Client connection ↔ upstream connection, for one request."""

    __slots__ = (
        "_client",
        "_ended",
        "_head_bytes",
        "_keep",
        "_paused",
        "_plan",
        "_replay",
        "_response",
        "_reusable",
        "_server",
        "_up",
        "_waiting",
        "body",
        "outcome",
    )

    def __init__(self, server: Server, client: ClientConnection, plan: Plan) -> None:
        self.body = NO_BODY if plan.head.length == 0 else plan.head.body()
        self.outcome = ERROR
        self._server = server
        self._client = client
        self._plan = plan
        self._up: UpstreamConnection | None = None
        self._waiting: list[bytes] = [plan.upstream_head]
        self._replay: bytes | None = None
        self._head_bytes = b""
        self._response: BodyReader | None = None
        self._reusable = False
        self._keep = False
        self._paused = False
        self._ended = False

    # --- from the client ---

    def start(self) -> None:
        """Send what is there on an idle connection, or open one."""
        up = self._server.pool.take()
        if up is None:
            self._connect()
        else:
            self._attach(up)

    def receive(self, data: bytes | bytearray, start: int) -> int:
        used = self.body.take(data, start)
        if self._up is None:
            self._waiting.append(bytes(data[start:used]))
            if sum(map(len, self._waiting)) > REPLAY_LIMIT:
                self._client.stop_reading()
        elif used > start:
            piece = data if start == 0 and used == len(data) else data[start:used]
            self._replay = None
            self._server.counters.to_daemon += used - start
            self._up.transport.write(piece)
        return used

    def gone(self) -> None:
        self._ended = True
        up, self._up = self._up, None
        if up is not None:
            up.user = None
            up.transport.abort()

    def pause(self) -> None:
        if self._up is not None:
            self._paused = True
            self._up.transport.pause_reading()

    def resume(self) -> None:
        if self._up is not None:
            self._paused = False
            self._up.transport.resume_reading()

    # --- the connection to the daemon ---

    def _connect(self) -> None:
        self._server.tasks.start("connect upstream", self._open())

    async def _open(self) -> None:
        try:
            up = await self._server.pool.open()
        except OSError as error:
            if not self._ended:
                self._daemon_down(error.strerror or str(error) or "timed out")
            return
        if self._ended:
            up.transport.abort()
        else:
            self._attach(up)

    def _attach(self, up: UpstreamConnection) -> None:
        up.user = self
        self._up = up
        request = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting = []
        self._replay = request if self.body.complete and len(request) <= REPLAY_LIMIT and not up.fresh else None
        self._server.counters.to_daemon += len(request)
        up.transport.write(request)
        self._client.go_on_reading()

    def upstream_pause(self) -> None:
        if not self.body.complete:
            self._client.stop_reading()

    def upstream_resume(self) -> None:
        self._client.go_on_reading()

    def upstream_lost(self, error: Exception | None) -> None:
        self._up = None
        if self._ended:
            return
        if self._response is None:
            if self._replay is not None and not self._head_bytes:
                self._server.counters.replaced += 1
                self._waiting = [self._replay]
                self._replay = None
                self._connect()
            else:
                self._daemon_down(str(error) if error else "the connection was closed without an answer")
            return
        try:
            self._response.end_of_input()
        except Cut:
            self._ended = True
            self._client.cut()
        else:
            self._finish(keep=False)

    def upstream_data(self, data: bytes) -> None:
        self._server.counters.from_daemon += len(data)
        try:
            if self._response is None:
                self._take_head(data)
            else:
                self._pass_on(self._response, b"", data, 0)
        except ProtocolError as error:
            self._broken(error)

    # --- the response ---

    def _take_head(self, data: bytes) -> None:
        data = self._head_bytes + data if self._head_bytes else data
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end == 3:
                self._head_bytes = data
                if len(data) > HEAD_LIMIT:
                    raise ProtocolError("response head too large")
                return
            head = self._server.response_plan(data[:end])
            if head.status >= 200:
                break
            # Informational heads (100 Continue) pass as they are; 101 cannot happen: Upgrade is never forwarded.
            self._client.write(data[:end])
            data = data[end:]
        self._head_bytes = b"."
        self._replay = None
        self.outcome = head.outcome
        request = self._plan.head
        self._reusable = head.reusable and not request.http10
        bodiless = request.method == "HEAD"
        self._keep = request.keep_alive and self.body.complete and (bodiless or not head.until_close)
        self._server.first_byte(self._client, self._plan)
        edited = head.edited(self._plan.allow_origin, self._server.services_for(self._plan), close=not self._keep)
        if not bodiless and head.whole(data, end):
            self._client.write(edited + data[end:])
            self._finish(keep=True)
            return
        self._response = response = NO_BODY if bodiless else head.body()
        self._pass_on(response, edited, data, end)

    def _pass_on(self, response: BodyReader, head: bytes, data: bytes, start: int) -> None:
        used = response.take(data, start)
        if head:
            body = data[start:used]
            self._client.write(head + body if body else head)
        elif used:
            self._client.write(data if used == len(data) else data[:used])
        if response.complete:
            # Bytes after the end: the connection is out of step, the response itself is whole.
            self._reusable = self._reusable and used == len(data)
            self._finish(keep=True)

    def _finish(self, *, keep: bool) -> None:
        self._ended = True
        up, self._up = self._up, None
        if up is not None:
            if self._reusable and self.body.complete:
                if self._paused:
                    up.transport.resume_reading()
                self._server.pool.give_back(up)
            else:
                # Not close: that would wait for a daemon that does not read the rest of the request.
                up.user = None
                up.transport.abort()
        self._client.done(keep=keep and self._keep)

    # --- failures ---

    def _daemon_down(self, reason: str) -> None:
        self._ended = True
        self._server.counters.unreachable += 1
        message = f"the IPFS daemon at {self._server.pool.upstream.host_header} cannot be reached: {reason}"
        keep = self._server.write_error(self._client, self._plan, message, complete=self.body.complete)
        self._client.done(keep=keep)

    def _broken(self, error: ProtocolError) -> None:
        """The daemon does not speak HTTP."""
        up, self._up = self._up, None
        if up is not None:
            up.user = None
            up.transport.abort()
        if self._response is None:
            self._daemon_down(str(error))
        else:
            self._ended = True
            self._client.cut()
