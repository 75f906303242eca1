"""A client that posts once to each of many paths, on a few keep-alive connections: wrk cannot end with its list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import cast

import uvloop

Address = tuple[str, int]
LIMIT = 600.0


def post_each(address: Address, paths: Sequence[str], *, connections: int) -> float:
    """Requests a second. Every answer must be a chunked 200 without a trailer."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(address, paths, connections))


async def _run(address: Address, paths: Sequence[str], connections: int) -> float:
    loop = asyncio.get_running_loop()
    requests = iter([f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode() for path in paths])
    ends = [loop.create_future() for _ in range(connections)]
    begin = time.monotonic()
    for end in ends:
        await loop.create_connection(lambda end=end: _Connection(requests, end), *address)  # type: ignore[misc]
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*ends)
    return len(paths) / (time.monotonic() - begin)


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is complete."""

    def __init__(self, requests: Iterator[bytes], end: asyncio.Future[None]) -> None:
        self._requests = requests
        self._end = end
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.startswith(b"HTTP/1.1 200 ") or b"X-Stream-Error: " in self._answer:
            self._end.set_exception(AssertionError(f"not a success: {self._answer[:500]!r}"))
            self._transport.abort()
        elif self._answer.endswith(b"\r\n0\r\n\r\n"):
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._end.done():
            self._end.set_exception(ConnectionError(f"the connection was closed: {error}"))

    def _next(self) -> None:
        self._answer = b""
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        else:
            self._end.set_result(None)
            self._transport.close()
