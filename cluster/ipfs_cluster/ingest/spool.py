"""A request's body at a fair pace: what comes slowly goes to disk first, so that no node's pin lock waits for it.

A node holds its pin lock from the first byte of an add to the last. A client that sends quickly is passed on as it
sends. One that trickles has its body collected in a file, until it has caught up or has sent everything. One that
pauses may be waiting for our answer to what it sent, as a full-duplex client may: it is passed on as well.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.ingest.outlet import Outlet
from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import TaskSet

BLOCK = 256 * 1024
MEMORY = 1024 * 1024
"""Bytes that are collected in memory before a file is made, and that are read ahead of the nodes."""
PAUSE = 1.0
"""Seconds of silence that count as a pause."""


class Spool:
    """Wraps a body. Inside its block: `settle`, then `pieces` once."""

    def __init__(
        self, body: AsyncIterator[bytes], clock: Clock, folder: Path | None, rate: int, first_wait: float
    ) -> None:
        """folder: where files go, None for the system's. rate: bytes a second that are quick enough. first_wait:
        seconds over which the rate is taken.
        """
        self._body = body
        self._clock = clock
        self._folder = folder
        self._enough = rate * first_wait
        self._window = first_wait
        self._queue = Outlet(MEMORY)
        self._kept: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._error: Exception | None = None
        self._tasks = TaskSet()

    async def __aenter__(self) -> Spool:
        self._tasks.start("body", self._pump())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        if self._file is not None:
            self._file.close()

    async def _pump(self) -> None:
        try:
            async for piece in self._body:
                self._queue.put(piece)
                if self._queue.full:
                    await self._queue.room()
        except Exception as error:  # noqa: BLE001 - the body's own error, raised where the body is read
            self._error = error
        self._queue.close()

    async def settle(self) -> None:
        """Return when the body is complete, comes quickly, or pauses. Raises what the body raises, and
        StoreUnavailable when the disk is full.
        """
        since, arrived = self._clock.monotonic(), 0
        while True:
            piece = self._queue.take()
            if piece is None:
                if self._queue.closed or not await self._queue.arrived(self._clock, PAUSE):
                    break
                continue
            await self._keep(piece)
            arrived += len(piece)
            passed = self._clock.monotonic() - since
            if arrived >= self._enough and passed <= self._window:
                return
            if passed > self._window:
                since, arrived = self._clock.monotonic(), 0
        if self._error is not None:
            raise self._error

    async def pieces(self) -> AsyncIterator[bytes]:
        """The whole body. Raises what the body raises."""
        if self._file is not None:
            await asyncio.to_thread(self._file.seek, 0)
            while piece := await asyncio.to_thread(self._file.read, BLOCK):
                yield piece
            self._file.close()
        kept, self._kept = self._kept, []
        kept.reverse()
        while kept:
            yield kept.pop()
        async for piece in self._queue:
            yield piece
        if self._error is not None:
            raise self._error

    async def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._size += len(piece)
        if self._size <= MEMORY:
            return
        pieces, self._kept, self._size = self._kept, [], 0
        try:
            await asyncio.to_thread(self._write, pieces)
        except OSError as error:
            raise StoreUnavailable(f"cannot keep the body of a slow request: {error.strerror}") from error

    def _write(self, pieces: list[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".add-")  # noqa: SIM115 - closed by the block
        self._file.writelines(pieces)
