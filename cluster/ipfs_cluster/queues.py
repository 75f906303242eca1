"""How many pins wait on each peer, counted for all of them at once and not more often than it is cheap."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from math import inf

from ipfs_cluster.model import WANTS_PIN, PeerId
from ipfs_cluster.ports import Clock, Store

SHARE = 20
"""Counting takes at most about one part in so many of the time."""


class Queues:
    """The lengths of the peers' queues, as of the last count."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lengths: Mapping[PeerId, int] = {}
        self._fresh_until = -inf
        self._turn = asyncio.Lock()

    async def length(self, peer: PeerId) -> int:
        """Rows of a peer that want a pin. Raises StoreUnavailable."""
        async with self._turn:
            began = self._clock.monotonic()
            if began >= self._fresh_until:
                lengths: Counter[PeerId] = Counter()
                for (one, status), rows in (await self._store.work_counts()).items():
                    lengths[one] += rows if status in WANTS_PIN else 0
                self._lengths = lengths
                now = self._clock.monotonic()
                self._fresh_until = now + SHARE * (now - began)
            return self._lengths.get(peer, 0)
