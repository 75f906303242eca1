"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """Implements `ipfs_cluster.ports.Clock`. `advance` moves both clocks and wakes sleepers in order."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall = start
        self._steady = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._steady

    def jitter(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._steady + seconds, next(self._order), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Move time on; sleepers whose time has come are woken."""
        self._wall += seconds
        self._steady += seconds
        while self._sleepers and self._sleepers[0][0] <= self._steady:
            wake = heapq.heappop(self._sleepers)[2]
            if not wake.done():
                wake.set_result(None)

    def wakes_in(self, seconds: float) -> bool:
        """True when somebody sleeps until exactly then."""
        return any(at == self._steady + seconds and not wake.done() for at, _, wake in self._sleepers)

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as an operator or NTP does."""
        self._wall += seconds
