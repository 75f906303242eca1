"""Admission to one node: calls that pin, many at once, or one garbage collection alone.

Kubo's own pin lock is unfair to us: while a collection waits behind an open `add`, every other pin call on the node
blocks, and a `pin/add` of content that nobody has holds the lock for ever. So a collection is not sent to the node
before everybody whom the cluster let in has left; who is slow is asked to leave, and if somebody stays, the collection
gives up after its grace time. Nobody is ever kept out for longer than that grace and the collection itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import sleep_or_event

ASK_INTERVAL = 0.5
"""Seconds between the times that those inside are asked to leave."""

Asked = Callable[[float], None]
"""Called with the seconds that a collection has waited already; leave if you are slow, and at once."""


class GateBusy(Exception):
    """Somebody stayed inside for the whole grace time; holders says how many."""

    def __init__(self, holders: int) -> None:
        super().__init__(f"{holders} adds or pins were still in progress")
        self.holders = holders


class Gate:
    """One node's gate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._inside: dict[object, Asked] = {}
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """False while a collection waits or runs."""
        return self._open.is_set()

    @asynccontextmanager
    async def shared(self, asked: Asked = lambda _waited: None) -> AsyncIterator[None]:
        """Be inside; waits while a collection waits or runs."""
        while not self._open.is_set():
            await self._open.wait()
        token = object()
        self._inside[token] = asked
        self._empty.clear()
        try:
            yield
        finally:
            del self._inside[token]
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def exclusive(self, grace: float) -> AsyncIterator[None]:
        """Be alone inside; nobody is let in meanwhile. Raises GateBusy after `grace` seconds, the gate open again."""
        async with self._turn:
            self._open.clear()
            try:
                await self._wait_until_empty(grace)
                yield
            finally:
                self._open.set()

    async def _wait_until_empty(self, grace: float) -> None:
        began = self._clock.monotonic()
        while self._inside:
            waited = self._clock.monotonic() - began
            if waited >= grace:
                raise GateBusy(len(self._inside))
            for asked in list(self._inside.values()):
                asked(waited)
            await sleep_or_event(self._clock, ASK_INTERVAL, self._empty)
