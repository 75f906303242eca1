"""HTTP/1.1 to one daemon: pooled connections, streamed answers, trailers seen.

aiohttp's client drops trailers, and Kubo tells failures in mid-stream in one; hence our own framing.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from ipfs_cluster.errors import NodeUnreachable
from ipfs_cluster.http1 import (
    BodyReader,
    Cut,
    ProtocolError,
    ResponseHead,
    keeps_alive,
    parse_response_head,
    response_body,
)
from ipfs_cluster.tasks import alongside

Params = Sequence[tuple[str, str]]

READ_SIZE = 256 * 1024
LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one JSON value: Kubo's non-streaming pin/ls answers are one line."""
CONNECT_TIMEOUT = 5.0
USER_AGENT = "ipfs-cluster-proxy"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a daemon's RPC API is: host and port, or a unix socket's path. headers: sent with every request. tls: how
    it is spoken to, None for plain.
    """

    host: str = ""
    port: int = 0
    unix: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"unix:{self.unix}" if self.unix else f"{self.host}:{self.port}"


class Response:
    """One answer. status and headers are there; the body is read once; `trailers` are complete after its end."""

    def __init__(self, head: ResponseHead, connection: _Connection) -> None:
        self.status = head.status
        self._head = head
        self._connection = connection
        self._reader = response_body(head, "POST")

    @property
    def headers(self) -> Mapping[str, str]:
        """The last value of each field, names in lower case."""
        return {name.lower(): value for name, value in self._head.fields}

    @property
    def reusable(self) -> bool:
        """True when the answer was read to its end and the connection can take another request."""
        return self._reader.complete and not self._reader.until_close and keeps_alive(self._head)

    @property
    def trailers(self) -> Mapping[str, str]:
        """Trailer fields, names in lower case; empty before the end of the body."""
        return self._reader.trailers

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises NodeUnreachable when it ends early."""
        while piece := await self._connection.piece(self._reader):
            yield piece

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """The body split at LF, empty lines left out, as it arrives; a last line without LF counts."""
        rest: list[bytes] = []
        size = 0
        while piece := await self._connection.piece(self._reader):
            if b"\n" not in piece:
                rest.append(piece)
                size += len(piece)
                if size > LINE_LIMIT:
                    raise NodeUnreachable(f"the node sent a line of more than {LINE_LIMIT} bytes")
                continue
            *lines, last = b"".join([*rest, piece]).split(b"\n")
            rest, size = [last], len(last)
            if found := [line for line in lines if line]:
                yield found
        if size:
            yield [b"".join(rest)]

    async def read(self) -> bytes:
        """The whole body, for small answers."""
        pieces = []
        while piece := await self._connection.piece(self._reader):
            pieces.append(piece)
        return b"".join(pieces)


class HttpTransport:
    """Requests to one daemon. Calls raise NodeUnreachable when the connection fails or an answer is cut."""

    def __init__(self, endpoint: Endpoint, *, idle: int = 8, trouble: Callable[[], str] = lambda: "") -> None:
        """idle: how many spare connections are kept. trouble: why the daemon does not run now, empty while it may:
        then nothing is asked, whoever else listens at its address.
        """
        self.endpoint = endpoint
        self._limit = idle
        self._trouble = trouble
        self._idle: list[_Connection] = []

    async def close(self) -> None:
        """Close the spare connections."""
        while self._idle:
            self._idle.pop().abort()

    @asynccontextmanager
    async def stream(self, command: str, params: Params = (), files: Sequence[bytes] = ()) -> AsyncIterator[Response]:
        """One command; leaving the block before the end of the body closes the connection, which cancels the call."""
        head, body = self._request(command, _query(params), files)
        connection, head_bytes = await self._exchange(head + body)
        response: Response | None = None
        try:
            response = Response(await connection.head(head_bytes), connection)
            yield response
        finally:
            self._give_back(connection, response)

    @asynccontextmanager
    async def upload(
        self, command: str, query: str, headers: Params, body: AsyncIterator[bytes]
    ) -> AsyncIterator[Response]:
        """A streamed request body on a connection of its own, sent while the answer is read.

        A failure to send is not yet a failure: the daemon may have answered early, so its answer decides. An error
        raised by `body` itself (the client's upload was cut) ends the exchange with that error, after what the daemon
        still has to say.
        """
        connection = await self._open()
        sending = connection.send_chunks(body)
        try:
            connection.send(self._head(command, query, [*headers, ("Transfer-Encoding", "chunked")]))
            async with alongside(sending) as sender:
                try:
                    yield Response(await connection.head(b""), connection)
                except NodeUnreachable:
                    if sender.done() and not sender.cancelled() and (error := sender.exception()) is not None:
                        raise error from None
                    raise
        finally:
            connection.abort()

    # --- requests ---

    def _request(self, command: str, query: str, files: Sequence[bytes]) -> tuple[bytes, bytes]:
        if not files:
            return self._head(command, query, [("Content-Length", "0")]), b""
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename=""\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + content
            + b"\r\n"
            for content in files
        ]
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        kind = ("Content-Type", f"multipart/form-data; boundary={boundary}")
        return self._head(command, query, [kind, ("Content-Length", str(len(body)))]), body

    def _head(self, command: str, query: str, headers: Params) -> bytes:
        host = "unix" if self.endpoint.unix else f"{self.endpoint.host}:{self.endpoint.port}"
        lines = [f"POST /api/v0/{command}{'?' if query else ''}{query} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (("User-Agent", USER_AGENT), *self.endpoint.headers, *headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _exchange(self, request: bytes) -> tuple[_Connection, bytes]:
        """Send on a spare connection if there is one; a spare that died before its first answer byte is replaced."""
        while self._idle:
            connection = self._idle.pop()
            try:
                connection.send(request)
                return connection, await connection.first_bytes()
            except NodeUnreachable:
                connection.abort()
            except BaseException:
                connection.abort()
                raise
        connection = await self._open()
        try:
            connection.send(request)
            return connection, await connection.first_bytes()
        except BaseException:
            connection.abort()
            raise

    async def _open(self) -> _Connection:
        where = self.endpoint
        if trouble := self._trouble():
            raise NodeUnreachable(f"cannot connect to {where}: {trouble}")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if where.unix:
                    reader, writer = await asyncio.open_unix_connection(where.unix, limit=READ_SIZE)
                else:
                    reader, writer = await asyncio.open_connection(
                        where.host, where.port, limit=READ_SIZE, ssl=where.tls
                    )
        except TimeoutError:
            raise NodeUnreachable(f"connecting to {where} took longer than {CONNECT_TIMEOUT:g}s") from None
        except OSError as error:
            raise NodeUnreachable(f"cannot connect to {where}: {error.strerror or error}") from error
        return _Connection(where, reader, writer)

    def _give_back(self, connection: _Connection, response: Response | None) -> None:
        if response is not None and response.reusable and len(self._idle) < self._limit:
            self._idle.append(connection)
        else:
            connection.abort()


class _Connection:
    """One connection; bytes read beyond a head are kept for the body."""

    def __init__(self, where: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._where = where
        self._reader = reader
        self._writer = writer
        self._rest = b""

    def abort(self) -> None:
        self._writer.transport.abort()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def send_chunks(self, body: AsyncIterator[bytes]) -> None:
        """Send a chunked body; a connection that is gone ends it silently: the answer, or its absence, decides.

        After an error of the body itself the sending side is closed in the middle: the daemon sees a cut request, gives
        up, and still says what it had done.
        """
        try:
            async for piece in body:
                self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                try:
                    await self._writer.drain()
                except OSError:
                    return
        except Exception:
            self._end()
            raise
        self._writer.write(b"0\r\n\r\n")

    def _end(self) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.abort()

    async def first_bytes(self) -> bytes:
        return await self._read() or self._fail("closed the connection without an answer")

    async def head(self, start: bytes) -> ResponseHead:
        """The final response head; informational ones are passed over."""
        buffer = bytearray(start)
        while True:
            try:
                head = parse_response_head(buffer)
            except ProtocolError as error:
                raise NodeUnreachable(f"{self._where} does not speak HTTP: {error}") from error
            if head is None:
                buffer += await self.first_bytes()
                continue
            del buffer[: head.size]
            if head.status >= 200:
                self._rest = bytes(buffer)
                return head

    async def piece(self, reader: BodyReader) -> bytes:
        """What comes next of the body; empty at its end. No generator: each one costs the loop as much as a chunk."""
        data, self._rest = self._rest, b""
        try:
            while True:
                content: list[bytes] = []
                if reader.take(data, 0, content) < len(data):
                    raise ProtocolError("bytes after the end of the body")
                if content:
                    return content[0] if len(content) == 1 else b"".join(content)
                if reader.complete:
                    return b""
                data = await self._read()
                if not data:
                    reader.end_of_input()
                    return b""
        except (Cut, ProtocolError) as error:
            raise NodeUnreachable(f"{self._where} broke off its answer: {error}") from error

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except OSError as error:
            raise NodeUnreachable(f"lost the connection to {self._where}: {error.strerror or error}") from error

    def _fail(self, what: str) -> bytes:
        raise NodeUnreachable(f"{self._where} {what}")


def _query(params: Params) -> str:
    """names: literals of this package, which need no quoting; nor do CIDs and words."""
    return "&".join(
        [f"{name}={value if value.isalnum() and value.isascii() else quote(value, safe='')}" for name, value in params]
    )
