"""What cuts a stream into chunks: the protocol, chunks of fixed size, and the frame of content-defined chunkers.

A chunker is fed pieces of any size and gives out chunks as soon as they are certain; what it holds is less than the
largest chunk plus a piece.
"""

from __future__ import annotations

from typing import Protocol

from ipfs_cluster.unixfs.model import Part

Chunk = tuple[Part, ...]

_PARTS = 16
"""A chunk that came in more pieces is joined: hashing is slow, and holds the interpreter's lock, for small ones."""


class Chunker(Protocol):
    """One stream's cutter."""

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that are complete now."""
        ...

    def finish(self) -> list[Chunk]:
        """The rest, at the end of the stream; no chunk is empty."""
        ...


class FixedSize:
    """Chunks of `size` bytes. A chunk is views of the pieces it came in, so that large pieces are never copied."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[Part] = []
        self._missing = size

    def feed(self, data: bytes) -> list[Chunk]:
        if len(data) < self._missing:
            if data:
                self._hold(data)
            return []
        view = memoryview(data)
        at = self._missing
        done = [self._take(view[:at])]
        while at + self._size <= len(view):
            done.append((view[at : at + self._size],))
            at += self._size
        if at < len(view):
            self._hold(view[at:])
        return done

    def finish(self) -> list[Chunk]:
        return [self._take(b"")] if self._parts else []

    def _hold(self, part: Part) -> None:
        self._parts.append(part)
        self._missing -= len(part)
        if len(self._parts) >= _PARTS:
            self._parts = [b"".join(self._parts)]

    def _take(self, last: Part) -> Chunk:
        parts = (*self._parts, last) if last else tuple(self._parts)
        self._parts = []
        self._missing = self._size
        return parts


class Cutting:
    """What content-defined chunkers have in common: a buffer that holds the longest chunk, and a rule where to cut.

    longest: bytes that have to be there, unless the stream is over, before a cut can be told.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()

    def cut(self, buffer: bytearray) -> int:
        """Bytes of the chunk at the start of a buffer that holds the longest chunk or all that is left."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[Chunk]:
        self._buffer += data
        done: list[Chunk] = []
        while len(self._buffer) >= self._longest:
            done.append(self._take(self.cut(self._buffer)))
        return done

    def finish(self) -> list[Chunk]:
        done: list[Chunk] = []
        while self._buffer:
            done.append(self._take(self.cut(self._buffer)))
        return done

    def _take(self, length: int) -> Chunk:
        chunk = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return (chunk,)
