"""What a response head of the daemon means and how it looks to the client; equal heads share it. Sans-IO."""

from __future__ import annotations

import re

from ipfs_cluster.hops import SERVICES
from ipfs_cluster.http1 import BodyReader, ProtocolError, keeps_alive, parse_response_head, response_body
from ipfs_proxy.front.counters import outcome_of

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})
_CHUNK_HEAD = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,7})\r\n")
_LAST_CHUNK = b"\r\n0\r\n\r\n"
OWN = frozenset({SERVICES.lower()})
ALLOW_ORIGIN = frozenset({"access-control-allow-origin"})


class ResponsePlan:
    """A parsed response head. reusable: the daemon keeps its connection after it."""

    __slots__ = ("_chunked", "_closing", "_length", "_plain", "outcome", "reusable", "status", "until_close")

    def __init__(self, head_bytes: bytes) -> None:
        """Raises ProtocolError."""
        head = parse_response_head(head_bytes)
        if head is None or head.size != len(head_bytes):
            raise ProtocolError("bad response head")
        self.status = head.status
        self.outcome = outcome_of(head.status)
        self.reusable = keeps_alive(head)
        body = response_body(head, "POST")
        self._chunked, self._length, self.until_close = body.chunked, body.length, body.until_close
        self._plain = _without(head_bytes, HOP_BY_HOP)
        end = b"" if head.http10 else b"Connection: close\r\n"
        self._closing = self._plain[:-2] + end + b"\r\n"

    def body(self) -> BodyReader:
        """The reader of a body after this head (not for HEAD requests)."""
        return BodyReader(self._length, chunked=self._chunked)

    def whole(self, data: bytes, start: int) -> bool:
        """True when data holds the whole body from start and nothing else, by length or as one chunk without trailers.

        Small answers are that. False says nothing: `body` tells where others end.
        """
        if not self._chunked:
            return self._length is not None and len(data) - start == self._length
        size = _CHUNK_HEAD.match(data, start)
        return size is not None and size.end() + int(size[1], 16) == len(data) - 7 and data.endswith(_LAST_CHUNK)

    def edited(self, allow_origin: str, services: str = "", *, close: bool) -> bytes:
        """The head for the client: hop-by-hop fields are the door's own, and so are CORS and what other services of
        this kind are told.
        """
        head = self._closing if close else self._plain
        if allow_origin:
            head = _without(head, ALLOW_ORIGIN)
            head = head[:-2] + f"Access-Control-Allow-Origin: {allow_origin}\r\n\r\n".encode("latin-1")
        if services:
            head = _without(head, OWN)[:-2] + f"{SERVICES}: {services}\r\n\r\n".encode("latin-1")
        return head


def _without(head_bytes: bytes, names: frozenset[str]) -> bytes:
    """The head without some fields."""
    first, *lines = head_bytes[:-4].split(b"\r\n")
    kept = [line for line in lines if line.split(b":", 1)[0].decode("latin-1").lower() not in names]
    return b"\r\n".join([first, *kept]) + b"\r\n\r\n"
