"""An event loop whose time moves only when a test moves it, and which says when there is nothing left to do.

Everything with a timer obeys it, asyncio's own time limits too, so minutes pass in milliseconds and each run takes the
same course as the one before.
"""

from __future__ import annotations

import asyncio
import selectors
from math import inf
from typing import Any

THREAD = 60.0
"""Seconds, real ones, after which no thread is at work any more."""
START = 1_700_000_000.0
"""The wall clock at the beginning of every run, unix seconds."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`idle` and `move` are for the one task that drives a test; everything else just runs."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._waiter: asyncio.Future[float] | None = None
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        """Let time pass; the timers that are due then run at the next turn, in order."""
        self._now += seconds

    async def idle(self) -> float:
        """Return when no other task can go on before time moves; seconds until the next timer, inf without one."""
        self._waiter = self.create_future()
        return await self._waiter

    def tasks(self) -> str:
        """Where each task waits, innermost last."""
        return "; ".join(f"{task.get_name()} {_where(task)}" for task in asyncio.all_tasks(self))

    def _is_idle(self, timeout: float | None) -> bool:
        """Tell the driver, if it waits for that; else somebody waits for a thread."""
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return False
        waiter.set_result(inf if timeout is None else timeout)
        return True


def _where(task: asyncio.Task[Any]) -> str:
    places: list[str] = []
    at: Any = task.get_coro()
    while frame := getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None):
        places.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
    return " > ".join(places)


class VirtualClock:
    """Implements `ipfs_cluster.ports.Clock` on the time of a `VirtualLoop`. Randomness is always the middle."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._jumped = 0.0

    def time(self) -> float:
        return START + self._jumped + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    def jitter(self) -> float:
        return 0.5

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as an operator or NTP does."""
        self._jumped += seconds


class _Selector(selectors.DefaultSelector):
    """Blocks for real only while the loop waits for a thread."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._loop._is_idle(timeout):
            return []
        found = super().select(THREAD)
        if not found:
            raise AssertionError(f"the driver waits for what nothing brings: {self._loop.tasks()}")
        return found
