"""What `requests` lacks for ipfs-cluster's API: unix sockets, trailers, and answers read while a body is still sent."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

TRAILER = b"x-stream-error:"


class Upload:
    """A body that is sent by a thread of its own, so that neither side waits for the other's buffers.

    error: why it could not be read or sent to its end, if so; set before the answer ends. finished: all of it was read,
    which comes before the server can have seen its end.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.started = False
        self.finished = False
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        self.started = True
        yield from self._chunks
        self.finished = True


def late_errors(raw: object) -> list[str]:
    """What the trailers of an answer tell of errors, as soon as it was read to its end. raw: urllib3's answer, before
    anything was read.
    """
    original = getattr(raw, "_original_response", None)
    found: list[str] = getattr(original, "late", [])
    return found


class Adapter(HTTPAdapter):
    """unix: path of a socket to use instead of the host."""

    def __init__(self, unix: str = "") -> None:
        self._unix = unix
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """As HTTPAdapter's, with connections of our own."""
        super().init_poolmanager(*arguments, **named)
        plain = type("Plain", (_Duplex, HTTPConnection), {"unix": self._unix})
        secure = type("Secure", (_Duplex, HTTPSConnection), {})
        cast(Any, self).poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }

    def close(self) -> None:
        """Close what is connected now; urllib3 leaves that to the garbage collector."""
        pools = self.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - it cannot be iterated itself
            if (pool := pools.get(key)) is not None:
                pool.close()
        super().close()


class _Lines:
    """A connection's reader that notes the lines of errors in trailers, which http.client throws away."""

    def __init__(self, reader: io.BufferedIOBase, late: list[str]) -> None:
        self._reader = reader
        self._late = late

    def readline(self, limit: int = -1) -> bytes:
        line = self._reader.readline(limit)
        if line.lower().startswith(TRAILER) and (text := line[len(TRAILER) :].strip()):
            self._late.append(text.decode("utf-8", "replace"))
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


class _Response(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.late: list[str] = []
        self.fp = cast(Any, _Lines(self.fp, self.late))


class _Duplex(HTTPConnection):
    unix = ""
    response_class = _Response
    _sending: socket.socket | None = None

    def connect(self) -> None:
        if not self.unix:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self.unix)
        except OSError as error:
            raise NewConnectionError(self, f"{self.unix}: {error.strerror or error}") from error

    def request(self, method: str, url: str, body: Any = None, *arguments: Any, **named: Any) -> None:
        if not isinstance(body, Upload):
            super().request(method, url, body, *arguments, **named)
            return
        self.connect()
        self._sending = self.sock
        self._headed = threading.Event()
        send = super().request

        def upload() -> None:
            try:
                send(method, url, body, *arguments, **named)
            except Exception as error:  # noqa: BLE001 - told to the thread that reads the answer
                body.error = error
                if not isinstance(error, ConnectionError) and self._sending is not None:
                    with contextlib.suppress(OSError):  # the answer may have ended just now
                        self._sending.shutdown(socket.SHUT_RDWR)
            finally:
                self._headed.set()

        threading.Thread(target=upload, daemon=True).start()
        self._headed.wait()

    def endheaders(self, *arguments: Any, **named: Any) -> None:
        super().endheaders(*arguments, **named)
        if self._sending is not None:
            self._headed.set()

    def send(self, data: Any) -> None:
        if self._sending is None:
            super().send(data)
        else:  # the answer's end may have closed the connection, which would be opened again
            try:
                self._sending.sendall(data)
            except OSError as error:  # also of a socket that was closed because the whole answer is there
                raise ConnectionAbortedError(str(error)) from None
