"""Importing one file: bytes in, blocks out, O(depth) of memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Protocol

from ipfs_cluster.unixfs.chunkers import parse
from ipfs_cluster.unixfs.cutting import Chunk
from ipfs_cluster.unixfs.encoder import Encoder, Made
from ipfs_cluster.unixfs.layout import layout
from ipfs_cluster.unixfs.model import NO_METADATA, Block, Metadata, Node
from ipfs_cluster.unixfs.options import ImportOptions, Layout


class Leaves(Protocol):
    """Where chunks become leaves: in the caller's thread or in others. Order is kept."""

    def put(self, encoder: Encoder, chunk: Chunk) -> list[Made]:
        """Take a chunk; the leaves that are ready now."""
        ...

    def drain(self, encoder: Encoder) -> Iterable[Made]:
        """All that are left."""
        ...


class InPlace:
    """Hashes as chunks come."""

    def put(self, encoder: Encoder, chunk: Chunk) -> list[Made]:
        return [encoder.leaf(chunk)]

    def drain(self, encoder: Encoder) -> Iterable[Made]:
        return ()


class Pooled:
    """Hashes in an executor's threads, about 1 MiB of chunks a task, at most `window` tasks at once; what is left over
    at the end, and all of a small file, where it comes. For one file at a time.

    hashlib lets go of the interpreter's lock, so that two threads do nearly twice as much. A task for each chunk would
    hand that lock around four times as often.
    """

    TASK = 1 << 20

    def __init__(self, executor: Executor, window: int = 6) -> None:
        self._executor = executor
        self._window = window
        self._waiting: deque[Future[list[Made]]] = deque()
        self._chunks: list[Chunk] = []
        self._bytes = 0

    def put(self, encoder: Encoder, chunk: Chunk) -> list[Made]:
        self._chunks.append(chunk)
        self._bytes += sum(map(len, chunk))
        if self._bytes < self.TASK:
            return []
        self._waiting.append(self._executor.submit(_leaves, encoder, self._chunks))
        self._chunks, self._bytes = [], 0
        return self._waiting.popleft().result() if len(self._waiting) >= self._window else []

    def drain(self, encoder: Encoder) -> Iterator[Made]:
        while self._waiting:
            yield from self._waiting.popleft().result()
        yield from _leaves(encoder, self._chunks)
        self._chunks, self._bytes = [], 0


def _leaves(encoder: Encoder, chunks: list[Chunk]) -> list[Made]:
    return [encoder.leaf(chunk) for chunk in chunks]


class FileImport:
    """One file. Feed it, take the blocks it gives out, finish it; then `node` is there.

    Identity CIDs carry their bytes: their blocks are not given out. Raises InvalidArgument for a bad chunker, at the
    start as the daemon does at the first file.
    """

    def __init__(
        self, options: ImportOptions, metadata: Metadata = NO_METADATA, *, leaves: Leaves | None = None
    ) -> None:
        self._encoder = Encoder(options)
        self._chunker = parse(options.chunker)()
        self._layout = layout(self._encoder, options)
        self._alone = options.layout is Layout.BALANCED
        self._leaves = InPlace() if leaves is None else leaves
        self._metadata = metadata
        self._first: Chunk | None = None
        self._several = False
        self.node: Node | None = None

    def feed(self, data: bytes) -> Iterator[Block]:
        """More of the file; the blocks that are complete. The iterator has to be used up before the next call."""
        for chunk in self._chunker.feed(data):
            for block in self._chunk(chunk):
                if block.stored:
                    yield block

    def finish(self) -> Iterator[Block]:
        """The end of the file; the last blocks."""
        for block in self._finish():
            if block.stored:
                yield block

    def _finish(self) -> Iterator[Block]:
        for chunk in self._chunker.finish():
            yield from self._chunk(chunk)
        if self._alone and not self._several:
            self.node, block = self._encoder.whole(self._first or (), self._metadata)
            yield block
            return
        yield from self._flush_first()
        yield from self._place(self._leaves.drain(self._encoder))
        yield from self._layout.finish(self._metadata)
        self.node = self._layout.root

    def _chunk(self, chunk: Chunk) -> Iterator[Block]:
        """The first chunk waits for a second one: alone, it is the root and carries the metadata."""
        if self._first is None and not self._several:
            self._first = chunk
            return
        yield from self._flush_first()
        yield from self._place(self._leaves.put(self._encoder, chunk))

    def _flush_first(self) -> Iterator[Block]:
        self._several = True
        if self._first is not None:
            chunk, self._first = self._first, None
            yield from self._place(self._leaves.put(self._encoder, chunk))

    def _place(self, leaves: Iterable[Made]) -> Iterator[Block]:
        for node, block in leaves:
            yield block
            yield from self._layout.add(node)
