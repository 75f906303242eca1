"""`why`: everything that is known of a pin or a peer, put together for `core.why` to make a sentence of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.repair import barred
from ipfs_cluster.core.why import Outlook, PeerFacts, Wait, about_copy, about_peer, about_pin
from ipfs_cluster.model import WANTS_UNPIN, PeerId, Pin, PinStatus, TrackerStatus, Work
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pins import Pins
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.standing import Standing, WaitsFor
from ipfs_cluster.upkeep.upkeep import Upkeep
from ipfs_cluster.views import Views

REPINNING_OFF = "re-allocation is switched off (cluster.disable_repinning)"

UNTIL = {
    WaitsFor.NODE: "goes on when its node is back",
    WaitsFor.SURVEY: "goes on when what the node holds has been compared",
    WaitsFor.COLLECTION: "goes on when the garbage collection on the node is over",
}


@dataclass(frozen=True, slots=True)
class PinWhy:
    """A pin explained. copies: each peer's status and its sentence."""

    cid: Cid
    pin: Pin | None
    sentence: str
    copies: tuple[tuple[PinStatus, str], ...]


@dataclass(frozen=True, slots=True)
class PeerWhy:
    """A peer explained."""

    peer: PeerId
    name: str
    standing: PeerStanding
    facts: PeerFacts
    sentence: str


class Diagnosis:
    """The verb `why`."""

    def __init__(
        self, store: Store, clock: Clock, peers: Mapping[PeerId, LocalPeer], pins: Pins, views: Views, upkeep: Upkeep
    ) -> None:
        self._store = store
        self._clock = clock
        self._peers = peers
        self._pins = pins
        self._views = views
        self._upkeep = upkeep

    async def pin(self, cid: Cid) -> PinWhy:
        """Why a pin is as it is; also of a CID that is not in the pinset."""
        pin, statuses, works = await self._views.status_and_rows(cid)
        now = self._clock.time()
        standing = self._upkeep.presence.standing
        rows = await self._standings(works)
        waits = {row.peer: Wait(row.failure, UNTIL.get(row.waits_for, ""), row.ahead) for row in rows}
        sentence = about_pin(pin, statuses, self._outlook(pin, works), now)
        everywhere = pin is not None and not pin.allocations

        def about(status: PinStatus) -> str:
            wait = waits.get(status.peer, Wait())
            return about_copy(status, standing.get(status.peer), wait, now, everywhere=everywhere)

        copies = tuple((status, about(status)) for status in statuses)
        return PinWhy(cid, pin, sentence, copies)

    async def standings(self, cid: Cid) -> list[Standing]:
        """One for each peer that has work to do on a CID; where there is none, all is as wanted."""
        return await self._standings(await self._store.work([cid]))

    async def _standings(self, works: Sequence[Work]) -> list[Standing]:
        ours = [work for work in works if work.peer in self._peers]
        return await asyncio.gather(*(self._peers[work.peer].tracker.standing(work) for work in ours))

    def _outlook(self, pin: Pin | None, works: Sequence[Work]) -> Outlook:
        presence = self._upkeep.presence
        gone_in = {peer: left for peer in self._peers if (left := self._gone_in(peer)) is not None}
        hold = presence.brake.reason if presence.brake is not None else ""
        off = "" if hold or self._upkeep.repair.repinning else REPINNING_OFF
        return Outlook(presence.standing, gone_in, hold, off, self._unfit(pin), barred(works))

    def _unfit(self, pin: Pin | None) -> Mapping[str, str] | None:
        if pin is None or not pin.allocations:
            return None
        why_not = self._pins.landscape.why_not(self._clock.monotonic())
        others = [peer for peer in self._peers if peer not in pin.allocations]
        if any(peer not in why_not for peer in others):
            return None
        return dict(why_not[peer] for peer in others)

    async def peer(self, peer: PeerId) -> PeerWhy:
        """Why a peer does what it does, or does not. Raises UnknownPeer."""
        found = self._peers[self._upkeep.find(peer)]
        figures = (await self._store.figures()).queues
        mine = {status: queue for (owner, status), queue in figures.items() if owner == found.id}
        now = self._clock.time()
        standing = self._upkeep.presence.standing.get(found.id, PeerStanding.AWAY)
        leaving = standing in (PeerStanding.GONE, PeerStanding.DRAINING)
        drain = await self._upkeep.drained(found.id) if leaving else None
        queued = mine.get(TrackerStatus.PIN_QUEUED)
        pinning = found.tracker.pinning
        facts = PeerFacts(
            up=found.up,
            error=found.state.error,
            since=now - found.state.since if found.state.since else 0.0,
            standing=standing,
            pinning=pinning,
            queued=max((queued.rows if queued else 0) - pinning, 0),
            failing=sum(
                mine[status].rows
                for status in (TrackerStatus.PIN_ERROR, TrackerStatus.UNEXPECTEDLY_UNPINNED)
                if status in mine
            ),
            unpinning=sum(queue.rows for status, queue in mine.items() if status in WANTS_UNPIN),
            oldest=now - queued.oldest if queued else 0.0,
            gone_in=self._gone_in(found.id),
            remaining=drain.remaining if drain else 0,
            stuck=drain.stuck if drain else 0,
            unfit=self._pins.landscape.why_not(self._clock.monotonic()).get(found.id, ("", ""))[1],
            known=found.known,
        )
        return PeerWhy(found.id, found.name, standing, facts, about_peer(facts))

    def _gone_in(self, peer: PeerId) -> float | None:
        at = self._upkeep.presence.gone_at(peer)
        return None if at is None else at - self._clock.monotonic()
