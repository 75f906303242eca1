"""What trailers tell of errors, read beside a library that drops them. Pure."""

from __future__ import annotations

from ipfs_cluster.http1 import BodyReader, ProtocolError, parse_response_head, response_body

TRAILER = "x-stream-error"


class Tap:
    """Follows the bytes that a connection receives. late: errors in the trailers of the answer that came last, in a
    list of its own for each answer.
    """

    def __init__(self) -> None:
        self.late: list[str] = []
        self._head = bytearray()
        self._body: BodyReader | None = None
        self._lost = False

    def take(self, data: bytes) -> None:
        """Some more bytes. What is no HTTP is the library's to complain of."""
        try:
            while data and not self._lost:
                data = self._rest(data)
        except ProtocolError:
            self._lost = True

    def _rest(self, data: bytes) -> bytes:
        """What is left behind the head or the body that these bytes go on with."""
        if self._body is not None:
            end = self._body.take(data)
            self._ended()
            return data[end:]
        self._head += data
        head = parse_response_head(self._head)
        if head is None:
            return b""
        rest = bytes(self._head[head.size :])
        self._head.clear()
        if head.status >= 200:
            self.late = []
            self._body = response_body(head, "GET")
            self._ended()
        return rest

    def _ended(self) -> None:
        if self._body is not None and self._body.complete:
            if error := self._body.trailers.get(TRAILER, ""):
                self.late.append(error)
            self._body = None
