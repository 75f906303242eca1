"""The cluster's own garbage collection: node after node, each alone behind its gate."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.gate import GateBusy
from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.patience import while_up
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.tasks import TaskSet, sleep_or_event

POLL = 0.1
FIRST = (TrackerStatus.UNPIN_QUEUED, TrackerStatus.UNEXPECTEDLY_UNPINNED)
"""What trackers do before a collection."""
PAGES = 16
"""Pages that may wait for the reader."""
AWAY = 10.0
"""Seconds on end for which a node may miss its pings while it collects, busy as it is."""


@dataclass(frozen=True, slots=True)
class Collected:
    """One thing that happened: a block that was freed (cid), or what went wrong in words (error), on a peer."""

    peername: str
    cid: Cid | None = None
    error: str = ""


async def collect(
    peers: Sequence[LocalPeer], store: Store, clock: Clock, grace: float
) -> AsyncGenerator[list[Collected], None]:
    """Let the trackers finish the removals that are queued now, and the pins that nodes lost (for at most `grace`
    seconds), then collect.

    A node that is away, or where somebody stays inside its gate for the whole grace time, is named; the others go on.
    """
    await _flush(peers, store, clock, grace)
    for peer in peers:
        if not peer.up:
            yield [Collected(peer.name, error=f"the node cannot be reached: {peer.state.error}")]
            continue
        collection = _Collection(peer, store, clock, grace)
        tasks = TaskSet()
        tasks.start(f"collect {peer.name}", collection.run())
        try:
            async for page in collection.pages():
                yield page
        finally:
            await tasks.close()


class _Collection:
    """One node's collection. It keeps the gate closed, so it does not wait for a reader for longer than the grace."""

    def __init__(self, peer: LocalPeer, store: Store, clock: Clock, grace: float) -> None:
        self._peer = peer
        self._store = store
        self._clock = clock
        self._grace = grace
        self._patience = grace
        self._pages: deque[list[Collected]] = deque()
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Collect, behind the gate. What goes wrong is the last page."""
        name, counters, failed = self._peer.name, self._peer.collections, 1
        try:
            async with self._peer.gate.exclusive(self._grace), while_up(self._peer, AWAY):
                await self._check()
                async for page in self._peer.node.gc():
                    counters.blocks += sum(cid is not None for cid, _ in page)
                    self._put([Collected(name, cid, error) for cid, error in page])
                    await self._wait_for_reader()
            failed = 0
        except GateBusy as busy:
            self._put([Collected(name, error=f"not collected: {busy}; try again later")])
        except ClusterError as error:
            self._put([Collected(name, error=str(error))])
        finally:
            counters.failed += failed
            counters.complete += 1 - failed
            self._ended = True
            self._changed.set()

    async def _check(self) -> None:
        """Content that lost its pin on the node must not lose its blocks too: there may be no others."""
        if not await self._peer.settle_doubt():
            raise ClusterError("not collected: it could not be compared with the pinset before; try again later")
        lost = (await self._store.work_counts()).get((self._peer.id, TrackerStatus.UNEXPECTEDLY_UNPINNED), 0)
        if lost:
            raise ClusterError(
                f"not collected: {lost} pins were missing on the node and are made again; try again later"
            )

    async def pages(self) -> AsyncIterator[list[Collected]]:
        """As they come, to the end."""
        while self._pages or not self._ended:
            if self._pages:
                page = self._pages.popleft()
                self._room.set()
                yield page
            else:
                self._changed.clear()
                await self._changed.wait()

    def _put(self, page: list[Collected]) -> None:
        self._pages.append(page)
        self._changed.set()

    async def _wait_for_reader(self) -> None:
        began = self._clock.monotonic()
        while len(self._pages) >= PAGES:
            self._room.clear()
            await sleep_or_event(self._clock, self._patience, self._room)
            if not self._room.is_set():
                raise ClusterError("broken off: what was freed was read too slowly")
        self._patience = max(0.0, self._patience - (self._clock.monotonic() - began))


async def _flush(peers: Sequence[LocalPeer], store: Store, clock: Clock, grace: float) -> None:
    up = [peer for peer in peers if peer.up]
    for peer in up:
        peer.tracker.wake()
    began = clock.monotonic()
    while clock.monotonic() - began < grace:
        counts = await store.work_counts()
        if not any(counts.get((peer.id, status)) for peer in up for status in FIRST):
            return
        await clock.sleep(POLL)
