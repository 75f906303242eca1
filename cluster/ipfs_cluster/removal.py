"""Waiting until the nodes have let go of removed pins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import PeerId, TrackerStatus
from ipfs_cluster.ports import Store


@dataclass(frozen=True, slots=True)
class UnpinOutcome:
    """removed: how many arguments, from the first on, are gone. error: why the next one is not; None when all are."""

    removed: int
    error: ClusterError | None


class RemovalWatch:
    """Hears of finished removals from before they are asked for."""

    def __init__(self, hub: Hub, cids: Sequence[Cid]) -> None:
        self._gone: set[tuple[PeerId, Cid]] = set()
        self._pending: set[tuple[PeerId, Cid]] = set()
        self._empty = asyncio.Event()
        for cid in cids:
            hub.subscribe(cid, self)

    def notify(self, outcome: Outcome) -> None:
        """From the hub. A failed removal is no longer waited for: its status tells the rest."""
        if outcome.unpin or outcome.event is not Event.DONE:
            self._done(outcome.peer, outcome.cid)

    def peer_full(self, peer: PeerId, message: str, busy: Callable[[Cid], bool]) -> None:
        """From the hub: removals go on."""

    def peer_away(self, peer: PeerId, message: str) -> None:
        """From the hub."""
        del message
        for waiting in [item for item in self._pending if item[0] == peer]:
            self._done(*waiting)

    def removed(self, cid: Cid) -> None:
        """From the hub; our own doing."""

    def stopping(self) -> None:
        """From the hub: the rest of the removals is made after the next start."""
        self._empty.set()

    def _done(self, peer: PeerId, cid: Cid) -> None:
        self._gone.add((peer, cid))
        self._pending.discard((peer, cid))
        if not self._pending:
            self._empty.set()

    async def settled(self, store: Store, cids: Sequence[Cid], up: frozenset[PeerId], seconds: float) -> None:
        """Return when every node that answers has let go of these, or after `seconds`."""
        works = await store.work(cids)
        waiting = {(w.peer, w.cid) for w in works if w.status is TrackerStatus.UNPIN_QUEUED and w.peer in up}
        self._pending = waiting - self._gone
        if not self._pending:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            pass
