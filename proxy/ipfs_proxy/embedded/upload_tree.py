"""What the parts of an `add` body say: which entries begin and end, and their modes and times. Sans-IO."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from ipfs_cluster.errors import NodeError
from ipfs_cluster.unixfs import Metadata, Mtime
from ipfs_cluster.wire.multipart import Part

SYMLINK = "application/symlink"
_MODE = re.compile("[0-7]{1,12}")
_NUMBER = re.compile("-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a part says of its entry. fields: as every event of the top-level entry repeats them."""

    metadata: Metadata
    fields: dict[str, Any]


NOTHING = Told(Metadata(), {})


def told(part: Part) -> Told:
    """Mode and times in the part's name: `file?mode=0640&mtime=…&mtime-nsecs=…`."""
    pairs = dict(parse_qsl(part.name.partition("?")[2], keep_blank_values=True))
    mode, seconds, nanos = pairs.get("mode", ""), pairs.get("mtime", ""), pairs.get("mtime-nsecs", "")
    if not mode and not seconds:
        return NOTHING
    bits = int(mode, 8) if _MODE.fullmatch(mode) else 0
    when = Mtime(int(seconds) if _NUMBER.fullmatch(seconds) else 0, int(nanos) if _NUMBER.fullmatch(nanos) else 0)
    shown = {"Mode": f"0{bits:o}" if bits else "", "Mtime": when.seconds, "MtimeNsecs": when.nanos}
    return Told(Metadata(stat.S_IMODE(bits), when), {name: value for name, value in shown.items() if value})


@dataclass(frozen=True, slots=True)
class Enter:
    """A directory begins. top: it is a top-level entry."""

    name: bytes
    told: Told
    top: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """The innermost directory ends. top: that was a top-level entry."""

    top: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """The part is a file or a symbolic link."""

    name: bytes
    told: Told
    top: bool


Step = Enter | Leave | Entry


class UploadTree:
    """Follows the parts in order. Directories that are only named in paths are entered too, without metadata."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._unnamed = False
        self._file = ""
        self.empty = True

    def part(self, part: Part) -> Iterator[Step]:
        """What a part begins and ends; nothing for one that is passed over."""
        self.empty = False
        path = part.filename or ""
        names = path.split("/") if path else []
        if self._file and len(names) > 1 and names[0] == self._file:
            return  # claims to lie in the file before it
        self._file = ""
        about = told(part)
        if not names:
            yield from self._close(0)
            if self._unnamed:
                raise NodeError("an upload has one unnamed directory at most, and no unnamed file beside it")
            if part.directory:
                self._unnamed = True
                yield Enter(b"", about, True)
            else:
                yield Entry(b"", about, True)
            return
        above = names[:-1]
        keep = 0
        while keep < min(len(above), len(self._open)) and above[keep] == self._open[keep]:
            keep += 1
        yield from self._close(keep)
        for name in above[keep:]:
            yield self._enter(name, NOTHING)
        if part.directory:
            yield self._enter(names[-1], about)
            return
        top = not self._open and not self._unnamed
        self._file = names[-1] if not self._open else ""
        yield Entry(_raw(names[-1]), about, top)

    def end(self) -> Iterator[Step]:
        """The end of the upload."""
        yield from self._close(0)
        if self._unnamed:
            yield Leave(True)

    def _enter(self, name: str, about: Told) -> Enter:
        self._open.append(name)
        return Enter(_raw(name), about, len(self._open) == 1 and not self._unnamed)

    def _close(self, keep: int) -> Iterator[Step]:
        while len(self._open) > keep:
            self._open.pop()
            yield Leave(not self._open and not self._unnamed)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
