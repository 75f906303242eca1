"""Sans-IO: request heads, strictly, and the heads of our own responses as Kubo writes them.

What can be understood in two ways is refused, because the daemon behind might understand the other one: two lengths,
a length with a transfer coding, folded lines, bare LF, white space before the colon. h11 is the oracle in tests:
what is accepted here, h11 accepts with the same meaning; but empty lines before a request, and raw bytes above 0x7f
in a target, are taken as Go takes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ipfs_cluster.http1 import HEAD_LIMIT, LENGTH, BodyReader, Fields, ProtocolError, parse_fields

__all__ = [
    "HEAD_LIMIT",
    "ProtocolError",
    "RequestHead",
    "date_header",
    "find_head",
    "parse_request_head",
    "response_head",
]

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
_ABSOLUTE = re.compile(r"\Ahttps?://[^/?#@\\]+(?=(/)|\?|\Z)", re.IGNORECASE)
"""The part of an absolute target that names a host, which must be accepted (RFC 9112 3.2.2) and says nothing here."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request head. target: as sent, without a host. path: the target up to "?", query: after it, both raw.
    headers: names in lower case, repeated ones joined with ", ". length: of the body; None with chunked; 0 without.
    """

    method: str
    target: str
    path: str
    query: str
    fields: Fields
    headers: Mapping[str, str]
    length: int | None
    chunked: bool
    http10: bool
    keep_alive: bool
    expects_continue: bool

    def body(self) -> BodyReader:
        """The reader of this request's body."""
        return BodyReader(self.length, chunked=self.chunked)


def find_head(data: bytearray) -> bytes | None:
    """The complete head at the start of data, empty line included; None while it is incomplete.

    Empty lines before it are dropped from data, as RFC 9112 2.2 allows. Raises ProtocolError for one that is too
    large, and early for bytes that can never become one.
    """
    while data[:2] == b"\r\n":
        del data[:2]
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_LIMIT:
            raise ProtocolError("request head too large")
        if data.count(b"\n") != data.count(b"\r\n"):
            raise ProtocolError("line without CR")
        return None
    if end + 4 > HEAD_LIMIT:
        raise ProtocolError("request head too large")
    return bytes(data[: end + 4])


def parse_request_head(head: bytes) -> RequestHead:
    """Parse what `find_head` found. Raises ProtocolError."""
    first, *lines = head[:-4].split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise ProtocolError("bad request line")
    method, target, http10 = match[1].decode(), match[2].decode("latin-1"), match[3] == b"0"
    if method == "CONNECT" or method == "PRI":
        raise ProtocolError(f"{method} is not served")
    target = _ABSOLUTE.sub(lambda found: "" if found[1] else "/", target, count=1)
    if not target.startswith("/") and not (target == "*" and method == "OPTIONS"):
        raise ProtocolError("the request target must be a path")
    fields = parse_fields(lines)
    headers = _joined(fields)
    hosts = sum(name.lower() == "host" for name, _ in fields)
    if hosts > 1 or (hosts == 0 and not http10):
        raise ProtocolError("exactly one Host header is required")
    length, chunked = _framing(fields, headers, http10=http10)
    path, _, query = target.partition("?")
    return RequestHead(
        method,
        target,
        path,
        query,
        fields,
        headers,
        length,
        chunked,
        http10,
        # HTTP/1.0 keep-alive is not offered: its responses have no framing but the end of the connection.
        keep_alive=not http10 and "close" not in _tokens(headers, "connection"),
        expects_continue=not http10 and "100-continue" in _tokens(headers, "expect"),
    )


def _joined(fields: Fields) -> Mapping[str, str]:
    joined: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return MappingProxyType(joined)


def _tokens(headers: Mapping[str, str], name: str) -> set[str]:
    return {token.strip(" \t") for token in headers.get(name, "").lower().split(",")}


def _framing(fields: Fields, headers: Mapping[str, str], *, http10: bool) -> tuple[int | None, bool]:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise ProtocolError("both Content-Length and Transfer-Encoding")
        if http10 or coding.lower() != "chunked":
            raise ProtocolError("the only transfer coding is chunked, in HTTP/1.1")
        return None, True
    if length is None:
        return 0, False
    if sum(name.lower() == "content-length" for name, _ in fields) != 1 or LENGTH.fullmatch(length) is None:
        raise ProtocolError("bad Content-Length")
    return int(length), False


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_header(now: float) -> str:
    """A Date value for unix seconds, computed without the C library's locale (and without a clock)."""
    days, seconds = divmod(int(now), 86400)
    era_day = days + 719468
    era, day_of_era = divmod(era_day, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    weekday = _DAYS[(days + 3) % 7]
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{weekday}, {day:02} {_MONTHS[month - 1]} {year} {clock} GMT"


REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    410: "Gone",
    412: "Precondition Failed",
    416: "Requested Range Not Satisfiable",
    417: "Expectation Failed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    504: "Gateway Timeout",
}


def response_head(status: int, headers: Mapping[str, str], tail: Mapping[str, str]) -> bytes:
    """A response head as Go writes it: headers sorted by name, then the tail (Date, framing, Connection) in order."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {headers[name]}" for name in sorted(headers)]
    lines += [f"{name}: {value}" for name, value in tail.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
