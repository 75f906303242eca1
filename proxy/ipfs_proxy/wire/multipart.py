"""A push parser for multipart/form-data as Kubo's clients send it, and what the daemon makes of the parts.

Sans-IO. The parser hands out events while bytes come in and keeps at most one delimiter's length back. Whether a
body is well formed is the daemon's to say; this parser only follows it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

HEADERS_LIMIT = 16 * 1024
"""Bytes of one part's headers; Go's reader allows 10 MB in total, real clients send some hundred."""

FORM_DATA = "multipart/form-data"
DIRECTORY_TYPES = frozenset({"application/x-directory", FORM_DATA})
_PARAMETER = re.compile(r';\s*([\w-]+\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))')
_ESCAPED = re.compile(r'\\([()<>@,;:\\"/\[\]?=])')
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


_AFTER_DELIMITER = (b" ", b"\t", b"\r", b"\n")


class MultipartError(Exception):
    """The body is not the multipart that its head announced."""


@dataclass(frozen=True, slots=True)
class Part:
    """The headers of a part. filename: decoded as Kubo does; None when there is none. directory: of x-directory."""

    filename: str | None
    name: str
    content_type: str

    @property
    def directory(self) -> bool:
        """True for a part that stands for a directory."""
        return self.content_type in DIRECTORY_TYPES


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The current part has ended."""


Event = Part | bytes | PartEnd


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart Content-Type; None when it is no multipart/form-data or has none."""
    if _media_type(content_type) != FORM_DATA:
        return None
    boundary = _parameters(content_type).get("boundary")
    return boundary.encode("latin-1", "replace") if boundary else None


class MultipartParser:
    """Feed bytes, get events: a Part, its content in pieces, a PartEnd, and so on."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # so that the first delimiter looks like the others
        self._state = "preamble"
        self.finished = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """Events of these bytes. Raises MultipartError."""
        self._buffer += data
        while True:
            if self._state == "epilogue":
                self._buffer.clear()
                return
            match self._state:
                case "headers":
                    step = self._headers()
                case "start":
                    step = self._start()
                case _:
                    step = self._delimited()
            if step is None:
                return
            yield from step

    def _delimited(self) -> list[Event] | None:
        """Content up to the next delimiter (preamble content is dropped); None when more bytes are needed."""
        inside = self._state == "content"
        at = self._buffer.find(self._delimiter)
        if at < 0:
            return self._content(len(self._buffer) - len(self._delimiter) + 1, inside=inside)
        after = at + len(self._delimiter)
        delimits = self._delimits(after)
        if delimits is False:
            return self._content(after, inside=inside)
        line_end = self._buffer.find(b"\n", after)
        last = self._buffer.startswith(b"--", after)
        if delimits is None or (line_end < 0 and not last):
            if len(self._buffer) - after > HEADERS_LIMIT:
                raise MultipartError("multipart: delimiter line too long")
            # Hand out what is certain; the delimiter stays.
            return self._content(at, inside=inside)
        events: list[Event] = [bytes(self._buffer[:at])] if inside and at else []
        if inside:
            events.append(PartEnd())
        if last:
            self._state = "epilogue"
            self.finished = True
            self._buffer.clear()
        else:
            # An empty header block follows the delimiter's own line end, so that line end stays.
            self._state = "headers"
            del self._buffer[: line_end + 1]
        return events

    def _delimits(self, after: int) -> bool | None:
        """Whether what ends here is a delimiter or only begins like one, as Go tells them apart; None when more bytes
        are needed."""
        tail = bytes(self._buffer[after : after + 2])
        if tail[:1] in _AFTER_DELIMITER or tail == b"--":
            return True
        return None if tail in (b"", b"-") else False

    def _content(self, size: int, *, inside: bool) -> list[Event] | None:
        """So many bytes are content, or preamble."""
        if size <= 0:
            return None
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return [piece] if inside else []

    def _headers(self) -> list[Event] | None:
        if self._buffer.startswith(b"\r\n"):
            block, size = b"", 2
        else:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEADERS_LIMIT:
                    raise MultipartError("multipart: part headers too large")
                return None
            block, size = bytes(self._buffer[:end]), end + 4
        # The line end before the content may be the one of a delimiter that follows at once: it stays in front.
        del self._buffer[: size - 2]
        self._state = "start"
        return [_part(block)]

    def _start(self) -> list[Event] | None:
        """Before the first byte of content: an empty part may have its delimiter right after its headers."""
        start = bytes(self._buffer[: len(self._delimiter)])
        if len(start) < len(self._delimiter) and self._delimiter.startswith(start):
            return None
        delimits = start == self._delimiter and self._delimits(len(start))
        if delimits is None:
            return None
        if not delimits:
            del self._buffer[:2]
        self._state = "content"
        return []


def _part(block: bytes) -> Part:
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "surrogateescape").split("\r\n"):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    parameters = _parameters(headers.get("content-disposition", ""))
    filename = parameters.get("filename")
    content_type = _media_type(headers.get("content-type", ""))
    return Part(None if filename is None else _clean(filename), parameters.get("name", ""), content_type)


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _parameters(value: str) -> dict[str, str]:
    """What follows the first ";", names in lower case: `name=token`, `name="text"`, `name*=utf-8''text`."""
    found = {}
    for match in _PARAMETER.finditer(value):
        name, quoted, token = match[1].lower(), match[2], match[3]
        text = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if name.endswith("*"):
            charset, _, rest = text.partition("'")
            if charset.lower() not in ("utf-8", "us-ascii"):
                continue
            name, text = name[:-1], unquote(rest.partition("'")[2], errors="surrogateescape")
        found[name] = text
    return found


def _clean(filename: str) -> str:
    """As Kubo: query-unescaped (if that can be done), cleaned as an absolute path, without the leading slash."""
    bad = _BAD_PERCENT.search(filename)
    path = filename if bad else unquote_plus(filename, errors="surrogateescape")
    return posixpath.normpath("/" + path).lstrip("/")


class EntryNames:
    """Which top-level entries an `add` body has, and so which event is whose root.

    An entry is named after the first segment of its parts' names, contiguous parts of one directory being one entry;
    an explicit directory part opens a new one always. An unnamed directory takes all named parts after it as its
    children; an unnamed file is an entry of its own, named by its CID in the final event.
    """

    def __init__(self, *, directories: bool = False) -> None:
        """directories: also remember every directory's name, for `is_directory`."""
        self.entries: list[str | None] = []
        self._open = ""
        self._unnamed_directory = False
        self._directories: set[str] | None = {""} if directories else None

    def add(self, part: Part) -> None:
        """The next part. Entries are appended as they open: a name, "" for an unnamed directory, None for a file
        without a name."""
        path = part.filename or ""
        self._note_directories(path, itself=part.directory)
        if not path:
            self._unnamed_directory = part.directory
            self._open = ""
            self.entries.append("" if part.directory else None)
            return
        if self._unnamed_directory:
            return
        top, slash, _ = path.partition("/")
        if slash and top == self._open:
            return
        self.entries.append(top)
        self._open = top if slash or part.directory else ""

    def is_directory(self, name: str) -> bool:
        """True for the name of a directory of the upload, explicit or implied, and for the unnamed root."""
        return self._directories is not None and name in self._directories

    def _note_directories(self, path: str, *, itself: bool) -> None:
        if self._directories is None:
            return
        above = path if itself else posixpath.dirname(path)
        while above and above not in self._directories:
            self._directories.add(above)
            above = posixpath.dirname(above)
