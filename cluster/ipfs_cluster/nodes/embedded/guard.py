"""The pin lock of a repository, as Kubo has it: adds and pins share it, a garbage collection has it alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

_shared: ContextVar[frozenset[int]] = ContextVar("pin locks that this task shares", default=frozenset())


class PinLock:
    """Whoever waits to be alone comes before those that ask to share after it. Sharing may be nested in one task, and
    then does not wait again.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._sharing = 0
        self._to_be_alone = 0
        self._alone = False

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """While it is open, nobody is alone."""
        if id(self) in _shared.get():
            yield
            return
        await self._until(lambda: not self._alone and not self._to_be_alone)
        self._sharing += 1
        before = _shared.set(_shared.get() | {id(self)})
        try:
            yield
        finally:
            _shared.reset(before)
            self._sharing -= 1
            self._wake()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """While it is open, nobody else is inside."""
        self._to_be_alone += 1
        try:
            await self._until(lambda: not self._alone and not self._sharing)
            self._alone = True
        finally:
            self._to_be_alone -= 1
            self._wake()
        try:
            yield
        finally:
            self._alone = False
            self._wake()

    async def _until(self, may: Callable[[], bool]) -> None:
        while not may():
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)
