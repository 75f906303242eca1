"""The real clock: the system's time, the loop's sleep, the process's randomness."""

from __future__ import annotations

import asyncio
import random
import time


class SystemClock:
    """Implements `ipfs_cluster.ports.Clock`."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()
