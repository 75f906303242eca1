"""Sans-IO framing of HTTP/1.1 messages: response heads, and bodies with their trailers.

Used by the client of the IPFS nodes and by the proxy's front. A `BodyReader` finds where a body ends and, if asked,
takes it out of its framing; the front only needs the end, because it passes bodies on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
"""Bytes of a head; nginx allows 32 KiB, Go 1 MiB, Node 16 KiB."""
LINE_LIMIT = 8 * 1024
"""Bytes of a chunk-size line or of the trailers."""

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*|;[^\r\n\x00]*)\r\n")
LENGTH = re.compile(r"[0-9]{1,18}")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_PLAIN_CHUNK = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,7})\r\n")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEES_TRAILERS = re.compile(r"go-ipfs-cmds/|Go-http-client/|ipfs-cluster-proxy")

STREAM_ERROR = "X-Stream-Error"
"""The trailer in which Kubo and ipfs-cluster tell why a stream failed midway."""
STREAM_ERROR_LIMIT = 3000
"""Bytes of that error: Go's client gives up on trailers that do not fit into its buffer of 4096."""

Fields = tuple[tuple[str, str], ...]


def sees_trailers(user_agent: str, te: str = "") -> bool:
    """Whether a client tells a stream that failed from one that ended, by its trailer: Go's do, and who says so with
    `TE: trailers`. Everybody else would take the stream for complete.
    """
    return bool(_SEES_TRAILERS.search(user_agent)) or "trailers" in te.lower()


def last_chunk(error: str = "") -> bytes:
    """The end of a chunked body, with the trailer of a failure if there is one."""
    if not error:
        return b"0\r\n\r\n"
    line = _CONTROL.sub(" ", error).encode("utf-8", "replace")[:STREAM_ERROR_LIMIT]
    return b"0\r\n%b: %b\r\n\r\n" % (STREAM_ERROR.encode(), line)


class ProtocolError(Exception):
    """What was received is no HTTP/1.1, or uses its framing in a way that can be understood twice."""


class Cut(Exception):
    """The connection ended before the message did."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response head. fields: names as sent. size: its bytes, the empty line included."""

    status: int
    fields: Fields
    size: int
    http10: bool = False

    def get(self, name: str) -> str | None:
        """The first value of a field; name in lower case."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """All values of a field; name in lower case."""
        size = len(name)
        return [value for field, value in self.fields if len(field) == size and field.lower() == name]


def parse_response_head(data: bytes | bytearray) -> ResponseHead | None:
    """The head at the start of data; None while it is incomplete. Raises ProtocolError."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_LIMIT:
            raise ProtocolError("response head too large")
        return None
    first, *lines = bytes(data[:end]).split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise ProtocolError(f"bad status line {first[:80]!r}")
    return ResponseHead(int(match[2]), parse_fields(lines), end + 4, match[1] == b"0")


def parse_fields(lines: list[bytes]) -> Fields:
    """Header or trailer lines, strictly: token, colon, value; no folding, no control characters."""
    fields = []
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or TOKEN.fullmatch(name) is None:
            raise ProtocolError(f"bad header line {line[:80]!r}")
        if _BAD_VALUE.search(value):
            raise ProtocolError(f"control character in header {name}")
        fields.append((name, value.strip(" \t")))
    return tuple(fields)


class BodyReader:
    """Follows one body: `take` says how many of the given bytes belong to it, and collects its content if asked.

    length: bytes, None with chunked for that coding, None without for a body that ends with the connection.
    """

    __slots__ = ("_left", "_line", "_state", "chunked", "complete", "length", "trailers", "until_close")

    def __init__(self, length: int | None, *, chunked: bool = False) -> None:
        self.length = length
        self.chunked = chunked
        self.until_close = length is None and not chunked
        self.complete = length == 0 and not chunked
        self.trailers: Mapping[str, str] = {}
        self._left = length or 0
        self._state = _SIZE if chunked else _DATA
        self._line = bytearray()

    def take(self, data: bytes | bytearray, start: int = 0, content: list[bytes] | None = None) -> int:
        """Consume data from start; the offset after the last byte that belongs to the body.

        content: gets the body's bytes without their framing. Raises ProtocolError.
        """
        if self.complete:
            return start
        if not self.chunked:
            return self._take_plain(data, start, content)
        at, end = start, len(data)
        while at < end and not self.complete:
            if self._state == _SIZE and content is None and not self._line:
                at = self._skip_chunks(data, at)
                if at == end:
                    break
            at = self._take_data(data, at, content) if self._state == _DATA else self._take_line(data, at)
        return at

    def end_of_input(self) -> None:
        """The connection has ended. Raises Cut unless the body is complete or ends just so."""
        if self.until_close:
            self.complete = True
        if not self.complete:
            raise Cut("the connection ended in the middle of a body")

    def _take_plain(self, data: bytes | bytearray, start: int, content: list[bytes] | None) -> int:
        stop = len(data) if self.until_close else min(len(data), start + self._left)
        if not self.until_close:
            self._left -= stop - start
            self.complete = self._left == 0
        if content is not None and stop > start:
            content.append(bytes(data[start:stop]))
        return stop

    def _skip_chunks(self, data: bytes | bytearray, at: int) -> int:
        """Step over chunks that are plain and whole: Kubo sends a file as thousands of them, of 4 KiB."""
        while (head := _PLAIN_CHUNK.match(data, at)) is not None:
            stop = head.end() + int(head[1], 16) + 2
            if data[stop - 2 : stop] != b"\r\n":
                break  # not whole, or wrong: the careful way tells
            at = stop
        return at

    def _take_data(self, data: bytes | bytearray, at: int, content: list[bytes] | None) -> int:
        stop = min(len(data), at + self._left)
        if content is not None:
            content.append(bytes(data[at:stop]))
        self._left -= stop - at
        if self._left == 0:
            self._state = _END
        return stop

    def _take_line(self, data: bytes | bytearray, at: int) -> int:
        stop = data.find(b"\n", at) + 1
        if stop == 0:
            self._line += data[at:]
            stop = len(data)
            if len(self._line) > LINE_LIMIT:
                raise ProtocolError("chunk line too long")
            return stop
        line = bytes(data[at:stop])
        if self._line:
            line = bytes(self._line) + line
            self._line.clear()
        if len(line) > LINE_LIMIT:
            raise ProtocolError("chunk line too long")
        self._line_end(line)
        return stop

    def _line_end(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise ProtocolError(f"bad chunk size {line[:40]!r}")
            self._left = int(match[1], 16)
            self._state = _DATA if self._left else _TRAILER
        elif self._state == _END:
            if line != b"\r\n":
                raise ProtocolError("chunk longer than its size")
            self._state = _SIZE
        elif line == b"\r\n":
            self.complete = True
        else:
            if not line.endswith(b"\r\n") or len(self.trailers) > 64:
                raise ProtocolError("bad trailer")
            ((name, value),) = parse_fields([line[:-2]])
            if name.lower() in _FRAMING:
                raise ProtocolError("framing in a trailer")
            if value or name.lower() not in self.trailers:  # an empty X-Stream-Error beside a real one says nothing
                self.trailers = {**self.trailers, name.lower(): value.encode("latin-1").decode("utf-8", "replace")}


_SIZE, _DATA, _END, _TRAILER = range(4)


def response_body(head: ResponseHead, method: str) -> BodyReader:
    """How the body after a response head is framed. Raises ProtocolError."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return BodyReader(0)
    codings, lengths = head.all("transfer-encoding"), head.all("content-length")
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != "chunked":
            raise ProtocolError(f"unknown transfer coding {codings!r}, or a length beside it")
        return BodyReader(None, chunked=True)
    if not lengths:
        return BodyReader(None)
    if len(set(lengths)) > 1 or LENGTH.fullmatch(lengths[0]) is None:
        raise ProtocolError(f"bad Content-Length {lengths[0][:40]!r}")
    return BodyReader(int(lengths[0]))


def keeps_alive(head: ResponseHead) -> bool:
    """True when the connection may be used again after this response's body has ended."""
    return not head.http10 and "close" not in ",".join(head.all("connection")).lower()
