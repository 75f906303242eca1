"""Removing pins when their time has come, by the index on expire_at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ipfs_cluster.errors import ClusterError
from ipfs_cluster.model import Pin
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.tasks import sleep_or_event

log = logging.getLogger(__name__)

PAGE = 100
STORE_PAUSE = 10.0
"""Seconds to wait after the store refused a removal."""
LONGEST_SLEEP = 60.0
"""Seconds after which the wall clock is looked at again, since it may have jumped."""


class Expiry:
    """Runs until cancelled; `wake` after commits that may have brought an earlier expiry."""

    def __init__(
        self, store: Store, clock: Clock, held: Callable[[], float], remove: Callable[[Pin], Awaitable[None]]
    ) -> None:
        """held: seconds for which nothing may expire yet, see `ClockWatch`."""
        self._store = store
        self._clock = clock
        self._held = held
        self._remove = remove
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """An entry was written."""
        self._wake.set()

    async def run(self) -> None:
        """Remove what has expired, then wait for the next."""
        while True:
            self._wake.clear()
            if (held := self._held()) > 0:
                await sleep_or_event(self._clock, min(held, LONGEST_SLEEP), self._wake)
                continue
            try:
                following = await self._round()
            except ClusterError as error:
                log.error("expired pins cannot be removed now: %s", error)
                await self._clock.sleep(STORE_PAUSE)
                continue
            if following is None:
                await self._wake.wait()
            elif (wait := following - self._clock.time()) > 0:
                await sleep_or_event(self._clock, min(wait, LONGEST_SLEEP), self._wake)

    async def _round(self) -> float | None:
        """Remove what has expired; when the next one expires."""
        for pin in await self._store.expiring(self._clock.time(), PAGE):
            await self._remove(pin)
        return await self._store.next_expiry()
