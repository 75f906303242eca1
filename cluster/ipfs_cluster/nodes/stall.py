"""Watching a call for growth: a pin is given up when it stalls, never for being long."""

from __future__ import annotations

import asyncio
from typing import Any


class StallWatch:
    """A deadline that moves on with every growth. Raises TimeoutError inside its `async with`."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last: object = None
        self._timeout = asyncio.timeout(limit or None)

    async def __aenter__(self) -> StallWatch:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._timeout.__aexit__(*error)

    def seen(self, progress: tuple[int, int], *, alive: bool) -> None:
        """A report; only growth moves the deadline, unless each report is a sign of life."""
        if (alive or progress != self._last) and self._limit:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._limit)
        self._last = progress

    def reason(self) -> str:
        """What to tell about the stall."""
        nodes, size = self._last if isinstance(self._last, tuple) else (0, 0)
        return (
            f"no new block for {self._limit:g}s after {nodes} blocks ({size} bytes): "
            "no reachable node seems to have the missing content"
        )
