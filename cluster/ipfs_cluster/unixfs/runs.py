"""Entries of a large directory in the order of their names' hashes, sorted outside memory when there are many."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from ipfs_cluster.cid import Cid
from ipfs_cluster.unixfs.model import Link

RUN = 100_000
"""Entries held in memory, about 40 MB."""

_HEAD = struct.Struct("<QQHH")
_BUFFER = 64 << 10


class Entry(NamedTuple):
    """An entry with the hash of its name; entries order by hash, then name."""

    key: int
    name: bytes
    cid: Cid
    tsize: int

    @property
    def link(self) -> Link:
        """The entry as a link of a basic directory."""
        return Link(self.name, self.cid, self.tsize)


class SortedRuns:
    """Collects entries; each full run is sorted and written to a file of its own. spool: makes such a file."""

    def __init__(self, spool: Callable[[], IO[bytes]] = tempfile.TemporaryFile, run: int = RUN) -> None:
        self._spool = spool
        self._run = run
        self._entries: list[Entry] = []
        self._files: list[IO[bytes]] = []

    def add(self, entry: Entry) -> None:
        """One more, in any order."""
        self._entries.append(entry)
        if len(self._entries) >= self._run:
            self._spill()

    def merged(self) -> Iterator[Entry]:
        """All entries in order; once."""
        self._entries.sort()
        if not self._files:
            return iter(self._entries)
        return heapq.merge(self._entries, *[_read(file) for file in self._files])

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.close()
        self._files.clear()
        self._entries.clear()

    def _spill(self) -> None:
        self._entries.sort()
        file = self._spool()
        out = bytearray()
        for key, name, cid, tsize in self._entries:
            out += _HEAD.pack(key, tsize, len(name), len(cid)) + name + cid
            if len(out) >= _BUFFER:
                file.write(out)
                out.clear()
        file.write(out)
        file.seek(0)
        self._files.append(file)
        self._entries = []


def _read(file: IO[bytes]) -> Iterator[Entry]:
    buffer = b""
    at = 0
    while True:
        if len(buffer) - at < _HEAD.size or len(buffer) - at < _needed(buffer, at):
            more = file.read(_BUFFER)
            if not more:
                return
            buffer = buffer[at:] + more
            at = 0
            continue
        key, tsize, name, cid = _HEAD.unpack_from(buffer, at)
        at += _HEAD.size
        yield Entry(key, buffer[at : at + name], Cid(buffer[at + name : at + name + cid]), tsize)
        at += name + cid


def _needed(buffer: bytes, at: int) -> int:
    _, _, name, cid = _HEAD.unpack_from(buffer, at)
    return _HEAD.size + int(name) + int(cid)
