"""Results on their way from threads to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

Outcome = tuple["asyncio.Future[Any] | None", object, BaseException | None]
"""(future, result, error): one of the two is to be set; without a future nobody waits."""


class Mailbox:
    """Sets futures of one loop from any thread; the loop is woken once for all that came meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outcomes: deque[Outcome] = deque()
        self._announced = False

    def post(self, outcomes: Iterable[Outcome]) -> None:
        """From any thread. When the loop is closed nobody waits any more, and they are dropped."""
        self._outcomes.extend(outcomes)
        # Read after the append: whoever clears the flag empties the queue afterwards, so nothing is left behind.
        if self._announced:
            return
        self._announced = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            self._outcomes.clear()

    def tell(self, callback: Callable[[], object]) -> None:
        """Have the loop call this. From any thread; nothing happens when the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def _deliver(self) -> None:
        self._announced = False
        while self._outcomes:
            future, result, error = self._outcomes.popleft()
            if future is None or future.done():
                continue  # nobody waits, or its caller was cancelled
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
