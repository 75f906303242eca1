"""Sans-IO framing of HTTP/1.1 responses: heads and bodies with their trailers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024


class ProtocolError(Exception):
    """What the peer sent is no HTTP/1.1."""


class Cut(Exception):
    """The connection ended before the message did."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response head. size: its bytes, empty line included."""

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    http10: bool = False


def parse_response_head(data: bytes | bytearray) -> ResponseHead | None:
    """The head at the start of data, None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_LIMIT:
            raise ProtocolError("response head too large")
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or parts[0] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].isdigit():
        raise ProtocolError(f"bad status line {first[:80]!r}")
    return ResponseHead(int(parts[1]), _fields(lines), end + 4, parts[0] == "HTTP/1.0")


def _fields(lines: list[str]) -> tuple[tuple[str, str], ...]:
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ProtocolError(f"bad header line {line[:80]!r}")
        fields.append((name, value.strip()))
    return tuple(fields)


class BodyDecoder:
    """Feed bytes, get the body's pieces; knows where the message ends."""

    def __init__(self, *, length: int | None, chunked: bool, reusable: bool) -> None:
        self._left = length
        self._chunked = chunked
        self._buffer = bytearray()
        self._state = "size" if chunked else "data"
        self.reusable = reusable
        self.complete = not chunked and length == 0
        self.trailers: Mapping[str, str] = {}

    @classmethod
    def for_response(cls, head: ResponseHead, method: str) -> BodyDecoder:
        """The decoder that a response's head asks for."""
        fields = {name.lower(): value for name, value in head.headers}
        keep = not head.http10 and "close" not in fields.get("connection", "").lower()
        if method == "HEAD" or head.status in (204, 304):
            return cls(length=0, chunked=False, reusable=keep)
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return cls(length=None, chunked=True, reusable=keep)
        length = fields.get("content-length")
        if length is None:
            return cls(length=None, chunked=False, reusable=False)
        if not length.isdigit():
            raise ProtocolError(f"bad Content-Length {length!r}")
        return cls(length=int(length), chunked=False, reusable=keep)

    def feed(self, data: bytes) -> list[bytes]:
        """Decode; anything after the end of the message is an error."""
        if not self._chunked:
            return self._plain(data)
        self._buffer += data
        pieces: list[bytes] = []
        while not self.complete and self._step(pieces):
            pass
        return pieces

    def feed_eof(self) -> list[bytes]:
        """The connection has ended. Raises Cut when the body has not."""
        if (self._chunked or self._left is not None) and not self.complete:
            raise Cut("the body ended early")
        self.complete = True
        return []

    def _plain(self, data: bytes) -> list[bytes]:
        if self._left is not None:
            if len(data) > self._left:
                raise ProtocolError("bytes after the end of the body")
            self._left -= len(data)
            self.complete = self._left == 0
        return [data] if data else []

    def _step(self, pieces: list[bytes]) -> bool:
        if self._state == "data":
            return self._take_data(pieces)
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        if self._state == "size":
            del self._buffer[: end + 2]
            try:
                self._left = int(line.split(b";")[0], 16)
            except ValueError:
                raise ProtocolError(f"bad chunk size {line[:40]!r}") from None
            self._state = "data" if self._left else "trailers"
            return True
        return self._take_trailers()

    def _take_data(self, pieces: list[bytes]) -> bool:
        left = self._left or 0
        if len(self._buffer) < left + 2:
            if left and self._buffer:
                piece = bytes(self._buffer[:left])
                del self._buffer[:left]
                self._left = left - len(piece)
                pieces.append(piece)
            return False
        if left:
            pieces.append(bytes(self._buffer[:left]))
        if self._buffer[left : left + 2] != b"\r\n":
            raise ProtocolError("chunk without its end")
        del self._buffer[: left + 2]
        self._state = "size"
        return True

    def _take_trailers(self) -> bool:
        if self._buffer[:2] == b"\r\n":
            block, size = b"", 2
        else:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            block, size = bytes(self._buffer[:end]), end + 4
        del self._buffer[:size]
        lines = block.decode("utf-8", "replace").split("\r\n") if block else []
        self.trailers = {name.lower(): value for name, value in _fields(lines)}
        self.complete = True
        return False
