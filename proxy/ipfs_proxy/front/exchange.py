"""What a command handler sees of one HTTP exchange: the request with its body as a stream, and the reply.

The front implements both; handlers in `ipfs_proxy.rpc` depend on nothing else of it. Request and response run in
full duplex: a handler may answer before the body is read, and the front then drains or closes as the protocol allows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


class BodyError(Exception):
    """The client's body ended before its framing said so, or broke the framing; the connection is lost."""


class Body(Protocol):
    """The request body, decoded from its framing. Reading applies backpressure to the client."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces as they arrive, never empty; ends at the end of the body; raises BodyError when it is cut."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One accepted request.

    method: as sent ("POST"). path: percent-decoded and cleaned ("/api/v0/pin/add/Qm…"). query: the raw query string
    without "?". headers: names in lower case; a name that was sent several times is joined with ", ". tail: the
    decoded path segments after the command's own path (("Qm…",) above).
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Body
    tail: tuple[str, ...] = ()

    @property
    def user_agent(self) -> str:
        """Who asks, empty when it does not say."""
        return self.headers.get("user-agent", "")

    @property
    def length(self) -> int:
        """Bytes of the body; 0 also when that is not known beforehand, as with chunks."""
        text = "" if "transfer-encoding" in self.headers else self.headers.get("content-length", "")
        return int(text) if text.isdecimal() else 0


class Reply(Protocol):
    """The response writer of one exchange. Heads are Kubo's exactly.

    Order of calls: `start` once, `write` any number of times, then `finish` or `fail`; or `respond`, which does all
    at once.
    """

    @property
    def started(self) -> bool:
        """True once the head has been handed to the transport."""
        ...

    async def start(
        self,
        status: int = 200,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a command's response head: chunked, with the declared trailer, Server, Vary and CORS headers.

        headers: additional ones, e.g. {"X-Chunked-Output": "1"}.
        """
        ...

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        """Send a plain response head for a body of unknown length: exactly these headers besides Date and framing.
        One that fails afterwards is cut.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send one chunk and wait while the client is slower than us. Empty data sends nothing."""
        ...

    async def finish(self) -> None:
        """End the response cleanly (no X-Stream-Error trailer)."""
        ...

    async def fail(self, message: str) -> None:
        """End a response that failed. One that has not started becomes status 500 with the error object.

        Clients of the Go libraries get the X-Stream-Error trailer. All others get, if the content type is
        application/json, the error object as last value, and then a connection that ends without last chunk: a
        trailer and an aborted body exclude each other, and only Go's clients see trailers.
        """
        ...

    async def respond(self, status: int, body: bytes, *, headers: Mapping[str, str]) -> None:
        """Send a whole plain response with Content-Length and exactly these headers besides Date and Connection."""
        ...


Handler = Callable[[Request, Reply], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Command:
    """An entry of the command table. relayed: by the query string alone, whether the daemon answers this one itself."""

    handler: Handler
    relayed: Callable[[str], bool] = lambda _query: False
