"""Outcomes of node work, told to whoever waits for them in this process.

Durable state comes first: an outcome is published only after the store has it, so a watcher that subscribed before
its commit misses nothing. Watchers are held weakly: a request that is simply dropped leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.model import PeerId, PinMode, PinProgress


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt on one peer has ended. unpin: it was a removal. message: the reason unless event is DONE. mode: that
    of the attempt; an entry may have become recursive while it was made direct, so that this is not yet its end.
    """

    peer: PeerId
    cid: Cid
    event: Event
    unpin: bool = False
    message: str = ""
    progress: PinProgress = PinProgress()
    mode: PinMode = PinMode.RECURSIVE


class Watcher(Protocol):
    """Gets the outcomes of the CIDs it subscribed to; must not block or raise."""

    def notify(self, outcome: Outcome) -> None: ...

    def peer_away(self, peer: PeerId, message: str) -> None:
        """No attempt of this peer will end before its node is back."""
        ...

    def peer_full(self, peer: PeerId, message: str, busy: Callable[[Cid], bool]) -> None:
        """No pin will be made on this peer before there is room on it again, but for attempts in progress (busy)."""
        ...

    def removed(self, cid: Cid) -> None:
        """The entry left the pinset: no attempt will make it pinned."""
        ...

    def stopping(self) -> None:
        """The service is about to stop: nothing more is worth waiting for."""
        ...


class Hub:
    """Subscriptions by CID. on_failure: is told of every attempt that failed, whoever waits for it; must not raise."""

    def __init__(self) -> None:
        self.on_failure: Callable[[Outcome], None] | None = None
        self._watchers: dict[Cid, weakref.WeakSet[Watcher]] = {}
        self._withdrawals: dict[Cid, asyncio.Event] = {}
        self.stopped = False

    def subscribe(self, cid: Cid, watcher: Watcher) -> None:
        """Tell the watcher about this CID until it unsubscribes or is collected."""
        self._watchers.setdefault(cid, weakref.WeakSet()).add(watcher)

    def unsubscribe(self, cid: Cid, watcher: Watcher) -> None:
        """Undo `subscribe`; unknown ones are ignored."""
        watchers = self._watchers.get(cid)
        if watchers is None:
            return
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[cid]

    @property
    def waiting(self) -> int:
        """CIDs that somebody waits for."""
        return sum(1 for watchers in self._watchers.values() if watchers)

    def watched(self, cid: Cid) -> bool:
        """True while anybody waits for this CID."""
        return bool(self._watchers.get(cid))

    def publish(self, outcome: Outcome) -> None:
        """Tell all watchers of the outcome's CID."""
        if outcome.event is not Event.DONE and self.on_failure is not None:
            self.on_failure(outcome)
        watchers = self._watchers.get(outcome.cid)
        if watchers is None:
            return
        for watcher in list(watchers):
            watcher.notify(outcome)
        if not watchers and self._watchers.get(outcome.cid) is watchers:
            del self._watchers[outcome.cid]

    def removed(self, cid: Cid) -> None:
        """Tell all watchers of the CID that its entry is gone."""
        for watcher in list(self._watchers.get(cid, ())):
            watcher.removed(cid)

    def peer_away(self, peer: PeerId, message: str) -> None:
        """Tell every watcher that a peer's node is away."""
        for watcher in self._everybody():
            watcher.peer_away(peer, message)

    def peer_full(self, peer: PeerId, message: str, busy: Callable[[Cid], bool]) -> None:
        """Tell every watcher that a peer has no room. busy: an attempt is in progress there, which may end well."""
        for watcher in self._everybody():
            watcher.peer_full(peer, message, busy)

    def stop(self) -> None:
        """Tell every watcher, and those to come, that the service is about to stop."""
        self.stopped = True
        for watcher in self._everybody():
            watcher.stopping()

    def _everybody(self) -> list[Watcher]:
        return list({id(watcher): watcher for watchers in self._watchers.values() for watcher in watchers}.values())

    # --- entries that are given up ---

    @asynccontextmanager
    async def withdrawing(self, cid: Cid) -> AsyncIterator[None]:
        """A request gives up its entry: inside, it asks whether anybody watches, and if not, removes it."""
        await self.settled([cid])
        over = self._withdrawals[cid] = asyncio.Event()
        try:
            yield
        finally:
            del self._withdrawals[cid]
            over.set()

    async def settled(self, cids: Iterable[Cid]) -> None:
        """Return when none of these is being withdrawn. Who subscribes, waits for this and then reads an entry may rely
        on it: whoever gives it up later finds the subscription.
        """
        for cid in cids:
            while (over := self._withdrawals.get(cid)) is not None:
                await over.wait()
