"""Copies in the making that repair asked for: how many at once, and word of each that lands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from ipfs_cluster.cid import Cid
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import PeerId


class Flights:
    """At most `limit` pins at once wait for the first outcome of the copies they were given; a watcher of the hub.

    A pin has landed when each of its new peers has tried once, whatever came of it: content that nobody has, or a peer
    that went away, must not keep others from being repaired.
    """

    def __init__(self, hub: Hub, limit: int) -> None:
        self._hub = hub
        self.limit = limit
        self._waiting: dict[Cid, set[PeerId]] = {}
        self._landed: set[Cid] = set()
        self._freed = asyncio.Event()
        self.landing = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def full(self, begun: int = 0) -> bool:
        """True while no further pin may be given new copies. begun: pins that are about to be launched."""
        return len(self._waiting) + begun >= self.limit

    async def room(self) -> None:
        """Return when one more pin may be given new copies."""
        while self.full():
            self._freed.clear()
            await self._freed.wait()

    def launch(self, cid: Cid, peers: Collection[PeerId]) -> None:
        """Wait for these peers; before the commit that gives them work."""
        if not self._waiting.get(cid):
            self._hub.subscribe(cid, self)
        self._waiting.setdefault(cid, set()).update(peers)

    def abort(self, cid: Cid) -> None:
        """The commit failed, or nobody needs to know any more."""
        if self._waiting.pop(cid, None) is not None:
            self._hub.unsubscribe(cid, self)
            self._freed.set()

    def landed(self) -> list[Cid]:
        """The pins that landed since the last call."""
        found = list(self._landed)
        self._landed.clear()
        self.landing.clear()
        return found

    @property
    def waiting(self) -> list[Cid]:
        """The pins that have not landed."""
        return list(self._waiting)

    def check(self, cid: Cid, trying: Collection[PeerId]) -> None:
        """Of this pin's new peers only these have still to try: the others' work was ended without an attempt."""
        for peer in self._waiting.get(cid, set()) - set(trying):
            self._arrived(cid, peer)

    def notify(self, outcome: Outcome) -> None:
        """From the hub."""
        if not outcome.unpin:
            self._arrived(outcome.cid, outcome.peer)

    def peer_away(self, peer: PeerId, message: str) -> None:
        """From the hub: nothing more is to be heard of this peer for a while."""
        del message
        for cid in [cid for cid, peers in self._waiting.items() if peer in peers]:
            self._arrived(cid, peer)

    def peer_full(self, peer: PeerId, message: str, busy: Callable[[Cid], bool]) -> None:
        """From the hub: what this peer has not begun with, it will not begin with for a while."""
        del message
        for cid in [cid for cid, peers in self._waiting.items() if peer in peers and not busy(cid)]:
            self._arrived(cid, peer)

    def removed(self, cid: Cid) -> None:
        """From the hub."""
        self.abort(cid)

    def stopping(self) -> None:
        """From the hub; who waits for room is cancelled."""

    def _arrived(self, cid: Cid, peer: PeerId) -> None:
        peers = self._waiting.get(cid)
        if peers is None or peer not in peers:
            return
        peers.discard(peer)
        if not peers:
            self.abort(cid)
            self._landed.add(cid)
            self.landing.set()
