"""Removing pins when their time has come, by the index on expire_at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ipfs_cluster.model import Pin
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.tasks import sleep_or_event

PAGE = 100
LONGEST_SLEEP = 60.0
"""Seconds after which the wall clock is looked at again, since it may have jumped."""


class Expiry:
    """Runs until cancelled; `wake` after commits that may have brought an earlier expiry."""

    def __init__(self, store: Store, clock: Clock, remove: Callable[[Pin], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._remove = remove
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """An entry was written."""
        self._wake.set()

    async def run(self) -> None:
        """Remove what has expired, then wait for the next."""
        while True:
            self._wake.clear()
            now = self._clock.time()
            for pin in await self._store.expiring(now, PAGE):
                await self._remove(pin)
            following = await self._store.next_expiry()
            if following is None:
                await self._wake.wait()
            elif (wait := following - self._clock.time()) > 0:
                await sleep_or_event(self._clock, min(wait, LONGEST_SLEEP), self._wake)
