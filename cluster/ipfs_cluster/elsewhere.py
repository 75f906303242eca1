"""A copy that its node cannot make, while somebody waits for it: another node is asked at once.

What nobody waits for is repair's, which has a budget. The rule is the same, that of `core.repair`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.failures import OF_THE_NODE, classify
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.repair import Choose, barred, decide
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import WANTS_PIN, PeerId, Pin, Priority, Work
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.planning import GUARD_RETRIES
from ipfs_cluster.ports import PutPin, Store


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry as it is placed now. before: its revision until then; its own when that was somebody else's doing."""

    before: int
    pin: Pin


class Elsewhere:
    """`place` for a request that would fail otherwise."""

    def __init__(
        self,
        store: Store,
        peers: Mapping[PeerId, LocalPeer],
        choose: Choose,
        promise: Callable[[Iterable[PeerId]], None],
        wake: Callable[[], None],
    ) -> None:
        """promise: is told of peers that were given the pin; wake: that there is new work."""
        self._store = store
        self._peers = peers
        self._choose = choose
        self._promise = promise
        self._wake = wake

    async def place(self, cid: Cid, known: frozenset[PeerId], failed: Mapping[PeerId, str]) -> Placed | None:
        """Give the pin further peers in the place of those that cannot make their copies; the entry as it is then, also
        when somebody else has done so. known: the peers that the request waits for or has given up; failed: the latter,
        with their words. None when no copy failed for reasons of its node, or nobody else can make it. Raises
        StoreUnavailable.
        """
        if not self.own(failed):
            return None
        for _ in range(GUARD_RETRIES):
            pin = await self._store.get(cid)
            if pin is None or not pin.allocations:
                return None
            if not known.issuperset(pin.allocations):
                return Placed(pin.revision, pin)
            works = await self._store.work([cid])
            closed = self._closed(works)
            if not closed and not barred(works):
                return None
            change = decide(pin, works, self._standing(), self._choose, top_up=True, closed=closed)
            if change is None or not change.queue:
                return None
            put = PutPin(
                replace(pin, allocations=change.allocations), pin.revision, queue=change.queue, priority=Priority.USER
            )
            try:
                revision = await self._store.commit([put])
            except Conflict:
                continue
            self._promise(change.queue)
            self._wake()
            return Placed(pin.revision, put.pin.written(revision))
        return None

    def own(self, failed: Mapping[PeerId, str]) -> dict[PeerId, str]:
        """The failures that have to do with the node alone, in words that name it."""
        found = {}
        for peer, words in failed.items():
            if peer in self._peers and (classify(words) in OF_THE_NODE or not self._peers[peer].has_room):
                name = f"{self._peers[peer].name}: "
                found[peer] = words if words.startswith(name) else name + words
        return found

    def _closed(self, works: Sequence[Work]) -> frozenset[PeerId]:
        """Peers that have no room any more for the copy that they have not begun with."""
        waiting = [self._peers[work.peer] for work in works if work.status in WANTS_PIN and work.peer in self._peers]
        return frozenset(peer.id for peer in waiting if not peer.has_room and peer.tracker.phase(works[0].cid) is None)

    def _standing(self) -> dict[PeerId, PeerStanding]:
        """Whose copies count for a request that waits: of all that are there, and may be back."""
        return {
            peer.id: PeerStanding.UP if peer.up and peer.known else PeerStanding.AWAY for peer in self._peers.values()
        }
