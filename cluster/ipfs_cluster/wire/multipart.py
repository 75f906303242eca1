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
_TOKEN = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_WELL_FORMED = re.compile(rf'{_TOKEN}(?:/{_TOKEN})?\s*(?:;\s*{_TOKEN}\s*=\s*(?:{_TOKEN}|"(?:[^"\\]|\\.)*")\s*)*;?')
_ESCAPED = re.compile(r'\\([()<>@,;:\\"/\[\]?=])')
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_LINE_END = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_CONTINUED = re.compile(r"\r?\n[ \t]+")
_FIRST_LINE = re.compile(rb"(?:--[ \t]*|[ \t]*(\r?\n))")
"""What follows the boundary in the first line that counts as a delimiter."""
_NO_UTF8 = re.compile("[\udc80-\udcff]")

_AFTER_DELIMITER = (b" ", b"\t", b"\r", b"\n")


class MultipartError(Exception):
    """The body is not the multipart that its head announced."""


@dataclass(frozen=True, slots=True)
class Part:
    """The headers of a part. filename: decoded as Kubo does; None when there is none. directory: of x-directory.
    readable: False without a Content-Disposition that Go can parse; Kubo takes neither this part nor any after it.
    """

    filename: str | None
    name: str
    content_type: str
    readable: bool = True

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
        self._boundary = b"--" + boundary
        self._line_end = b"\r\n"
        self._delimiter = self._line_end + self._boundary
        self._buffer = bytearray(b"\n")  # so that the first delimiter looks like those after a preamble
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
                case "preamble":
                    step = self._preamble()
                case "headers":
                    step = self._headers()
                case "start":
                    step = self._start()
                case _:
                    step = self._delimited()
            if step is None:
                return
            yield from step

    def _preamble(self) -> list[Event] | None:
        """Lines up to the first delimiter are dropped; how that one ends is how all line ends at delimiters are."""
        start = b"\n" + self._boundary
        at = self._buffer.find(start)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(start) + 1)]
            return None
        after = at + len(start)
        end = self._buffer.find(b"\n", after)
        if end < 0 and not self._buffer.startswith(b"--", after):
            if len(self._buffer) - after > HEADERS_LIMIT:
                raise MultipartError("multipart: delimiter line too long")
            return None
        line = _FIRST_LINE.match(self._buffer, after)
        if line is None or (line[1] is not None and line.end() != end + 1):
            del self._buffer[:after]
        elif line[1] is None:
            self._finish()
        else:
            self._line_end = line[1]
            self._delimiter = self._line_end + self._boundary
            self._state = "headers"
            del self._buffer[: end + 1]
        return []

    def _finish(self) -> None:
        self._state = "epilogue"
        self.finished = True
        self._buffer.clear()

    def _delimited(self) -> list[Event] | None:
        """Content up to the next delimiter; None when more bytes are needed."""
        at = self._buffer.find(self._delimiter)
        if at < 0:
            return self._content(len(self._buffer) - len(self._delimiter) + 1)
        after = at + len(self._delimiter)
        delimits = self._delimits(after)
        if delimits is False:
            return self._content(after)
        line_end = self._buffer.find(b"\n", after)
        last = self._buffer.startswith(b"--", after)
        if delimits is None or (line_end < 0 and not last):
            if len(self._buffer) - after > HEADERS_LIMIT:
                raise MultipartError("multipart: delimiter line too long")
            # Hand out what is certain; the delimiter stays.
            return self._content(at)
        events: list[Event] = [bytes(self._buffer[:at])] if at else []
        events.append(PartEnd())
        if last:
            self._finish()
        else:
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

    def _content(self, size: int) -> list[Event] | None:
        """So many bytes are content."""
        if size <= 0:
            return None
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return [piece]

    def _headers(self) -> list[Event] | None:
        """Up to the blank line; whatever the delimiters do, each of these lines may end in CR LF or in LF alone."""
        end = _LINE_END.match(self._buffer) or _BLANK_LINE.search(self._buffer)
        if end is None:
            if len(self._buffer) > HEADERS_LIMIT:
                raise MultipartError("multipart: part headers too large")
            return None
        block = bytes(self._buffer[: end.start()])
        # A delimiter may follow at once, without a line end of its own.
        self._buffer[: end.end()] = self._line_end
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
            del self._buffer[: len(self._line_end)]
        self._state = "content"
        return []


def _part(block: bytes) -> Part:
    headers: dict[str, str] = {}
    for line in _CONTINUED.sub(" ", block.decode("utf-8", "surrogateescape")).split("\n"):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    disposition = headers.get("content-disposition", "")
    parameters = _parameters(disposition)
    filename = parameters.get("filename")
    content_type = _media_type(headers.get("content-type", ""))
    filename = None if filename is None else _clean(filename)
    return Part(filename, parameters.get("name", ""), content_type, _readable(disposition))


def _readable(value: str) -> bool:
    """What Go's mime.ParseMediaType accepts: well-formed parameters, no name twice."""
    whole = _WELL_FORMED.fullmatch(value.strip())
    names = [match[1].lower() for match in _PARAMETER.finditer(value)]
    return whole is not None and len(names) == len(set(names))


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


def _spelled(name: str) -> str:
    return _NO_UTF8.sub("\ufffd", name)


class EntryNames:
    """Which top-level entries an `add` body has, and so which event is whose root.

    An entry is named after the first segment of its parts' names, contiguous parts of one directory being one entry;
    an explicit directory part opens a new one always. What claims to lie in a file that comes right before it is passed
    over. An unnamed directory takes all parts after it as its children; an unnamed file is an entry of its own, named
    by its CID in the final event. Names are as the daemon's JSON spells them: what is no UTF-8 is replaced.
    """

    def __init__(self, *, directories: bool = False) -> None:
        """directories: also remember every directory's name, for `is_directory`."""
        self.entries: list[str | None] = []
        self._open = ""
        self._open_file = False
        self._unnamed_directory = False
        self._ended = False
        self._directories: set[str] | None = {""} if directories else None

    def add(self, part: Part) -> None:
        """The next part. Entries are appended as they open: a name, "" for an unnamed directory, None for a file
        without a name."""
        self._ended = self._ended or not part.readable
        if self._ended:
            return
        path = part.filename or ""
        top, slash, _ = path.partition("/")
        inside = bool(slash) and top == self._open
        if inside and self._open_file:
            return
        self._note_directories(path, itself=part.directory)
        if self._unnamed_directory or inside:
            return
        if not path:
            self._unnamed_directory = part.directory
            self._open = ""
            self.entries.append("" if part.directory else None)
            return
        self.entries.append(_spelled(top))
        self._open, self._open_file = top, not (slash or part.directory)

    def is_directory(self, name: str) -> bool:
        """True for the name of a directory of the upload, explicit or implied, and for the unnamed root."""
        return self._directories is not None and name in self._directories

    def _note_directories(self, path: str, *, itself: bool) -> None:
        if self._directories is None:
            return
        path = _spelled(path)
        above = path if itself else posixpath.dirname(path)
        while above and above not in self._directories:
            self._directories.add(above)
            above = posixpath.dirname(above)
