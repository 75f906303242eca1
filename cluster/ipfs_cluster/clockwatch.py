"""Noticing that the wall clock jumped: what is stored with its times must neither hang nor all happen at once.

Waiting is by the clock that never goes back. Times in the store are the wall clock's, as they outlive the process:
after a jump back, retries would wait for as long as it was; after a jump ahead, pins would expire before their time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from math import inf

from ipfs_cluster.errors import ClusterError
from ipfs_cluster.ports import Clock

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two looks."""
SLEW = 2.0
"""Seconds by which the clocks may move apart between two looks without that being a jump."""
AHEAD = 60.0
"""A jump ahead by more seconds than this holds what expires."""
HOLD = 600.0
"""For so many seconds: a clock that was set wrong is mostly set right again soon."""


class ClockWatch:
    """Compares the two clocks. `run` until cancelled; `held` may be asked at any time."""

    def __init__(self, clock: Clock, on_jump: Callable[[float], Awaitable[None]]) -> None:
        """on_jump: told by how many seconds the wall clock jumped, at the latest after INTERVAL; told again when it
        raised ClusterError.
        """
        self._clock = clock
        self._on_jump = on_jump
        self._apart = clock.time() - clock.monotonic()
        self._jumped = 0.0
        self._held_until = -inf

    def held(self) -> float:
        """Seconds for which nothing may expire yet, as the clock jumped ahead; 0 when it may."""
        self._look()
        return max(self._held_until - self._clock.monotonic(), 0.0)

    async def run(self) -> None:
        """Tell about jumps."""
        while True:
            await self._clock.sleep(INTERVAL)
            self._look()
            if not self._jumped:
                continue
            try:
                await self._on_jump(self._jumped)
            except ClusterError as error:
                log.error("times cannot be moved with the clock now: %s", error)
                continue
            self._jumped = 0.0

    def _look(self) -> None:
        now = self._clock.monotonic()
        apart = self._clock.time() - now
        jump, self._apart = apart - self._apart, apart
        if abs(jump) < SLEW:
            return
        log.warning("the system's clock jumped by %+.0f seconds", jump)
        self._jumped += jump
        if jump > AHEAD:
            self._held_until = now + HOLD
        elif jump < -AHEAD:
            self._held_until = -inf
