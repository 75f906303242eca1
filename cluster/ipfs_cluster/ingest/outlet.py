"""The bounded queue between the tee and one node."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import sleep_or_event


class Dropped(Exception):
    """The outlet was given up; str(error) is the reason."""


class Outlet:
    """Pieces of the body on their way to one node. The tee puts and waits for room; the node's sender iterates."""

    def __init__(self, limit: int) -> None:
        """limit: bytes that may wait; one piece more fits always."""
        self.dropped = ""
        self.closed = False
        self.size = 0
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        """True while the tee has to wait for this node."""
        return not self._room.is_set()

    def put(self, piece: bytes) -> None:
        """The next piece; nothing happens once the outlet is dropped."""
        if self.dropped:
            return
        self._pieces.append(piece)
        self.size += len(piece)
        if self.size > self._limit:
            self._room.clear()
        self._arrived.set()

    def close(self) -> None:
        """The body is complete."""
        self.closed = True
        self._arrived.set()

    def drop(self, reason: str) -> None:
        """Give up: who iterates gets Dropped, who waits for room goes on. The first reason stays."""
        self.dropped = self.dropped or reason
        self._pieces.clear()
        self.size = 0
        self._room.set()
        self._arrived.set()

    async def room(self) -> None:
        """Return when the node has taken enough, or the outlet was dropped."""
        await self._room.wait()

    def take(self) -> bytes | None:
        """The next piece that is there; None when none is."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self.size -= len(piece)
        if self.size <= self._limit:
            self._room.set()
        return piece

    async def arrived(self, clock: Clock, seconds: float) -> bool:
        """Wait for a piece or the end; False when neither came for so long."""
        if not self._pieces and not self.closed:
            self._arrived.clear()
            await sleep_or_event(clock, seconds, self._arrived)
        return self._arrived.is_set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while (piece := self.take()) is not None:
                yield piece
            if self.dropped:
                raise Dropped(self.dropped)
            if self.closed:
                return
            self._arrived.clear()
            await self._arrived.wait()
