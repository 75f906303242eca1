"""What a store holds, counted seldom enough that scraping costs it next to nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from math import inf

from ipfs_cluster.errors import ClusterError
from ipfs_cluster.model import PeerId
from ipfs_cluster.ports import Clock, Store, StoreFigures
from ipfs_cluster.tasks import TaskSet, sleep_or_event

log = logging.getLogger(__name__)

FRESH = 5.0
"""Seconds for which figures are as good as new."""
SHARE = 100
"""Counting may take one part in this many of the time: a large pinset is counted more seldom."""
PATIENCE = 1.0
"""Seconds that a scrape waits for new figures; then it makes do with the last ones."""


class FiguresCache:
    """`latest` figures of one store, None before the first are there; and how many pins remain on each peer that is
    being drained.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.latest: StoreFigures | None = None
        self.draining: Mapping[PeerId, int] = {}
        self.remaining: Callable[[], Awaitable[Mapping[PeerId, int]]] | None = None
        """Counts those."""
        self._store = store
        self._clock = clock
        self._taken = -inf
        self._due = -inf
        self._counted = asyncio.Event()
        self._tasks = TaskSet()

    @property
    def age(self) -> float:
        """Seconds since the latest were taken; infinite without any."""
        return self._clock.monotonic() - self._taken

    async def refresh(self) -> None:
        """Count anew if it is time. Never raises; a store that hangs is asked once, however often this is called."""
        if self._clock.monotonic() < self._due:
            return
        if not len(self._tasks):
            self._counted.clear()
            self._tasks.start("count for metrics", self._count())
        await sleep_or_event(self._clock, PATIENCE, self._counted)

    async def close(self) -> None:
        """Wait for nothing any more; before the store is closed."""
        await self._tasks.close()

    async def _count(self) -> None:
        began = self._clock.monotonic()
        try:
            self.latest = await self._store.figures()
            if self.remaining is not None:
                self.draining = await self.remaining()
            self._taken = began
        except ClusterError as error:
            log.info("the pinset cannot be counted now: %s", error)
        finally:
            now = self._clock.monotonic()
            self._due = now + max(FRESH, SHARE * (now - began))
            self._counted.set()
