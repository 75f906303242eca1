"""Keeping every pin on as many peers as it should be on: re-allocation below the minimum and away from nodes that
cannot make their copies, top-up, drain, trimming.

Decisions are those of `core.repair`. What a move has reached is in the pinset alone, so there is nothing to be lost
with the process: a sweep finds everything again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from ipfs_cluster.core.failures import OF_THE_NODE, classify
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.repair import Change, barred, copies_missing, decide
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import PeerId, Pin, TrackerStatus, Work
from ipfs_cluster.pins import Pins
from ipfs_cluster.ports import Clock, PinQuery, Store
from ipfs_cluster.tasks import sleep_or_event
from ipfs_cluster.upkeep.moves import Moves
from ipfs_cluster.upkeep.presence import Presence

log = logging.getLogger(__name__)

STORE_PAUSE = 10.0
"""Seconds to wait after the store refused a change."""
LATER = 30.0
"""Seconds until a sweep that left something for later comes back to it."""
SHARE = 20.0
"""While nothing changes, sweeps over the pinset take one part in this many of the time at most."""
BREATH = 60.0
"""Longest time, in seconds, that a change of the standings waits after a sweep."""
FAILED = frozenset({TrackerStatus.PIN_ERROR})


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """repin: re-allocate by itself what falls below its minimum, and top up to the maximum. sweep_interval: seconds
    between sweeps while nothing changes.
    """

    repin: bool = True
    sweep_interval: float = 600.0


class Repair:
    """Sweeps over the pins that may have something wrong, until cancelled. `wake` when the standings changed.

    unplaced: pins of the last sweeps that have fewer copies than their minimum and found no further peer. stuck: by
    drained peer, its pins for which nobody else has room.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hub: Hub,
        pins: Pins,
        presence: Presence,
        moves: Moves,
        settings: RepairSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub
        self._pins = pins
        self._presence = presence
        self._moves = moves
        self._settings = settings
        self._drain_due, self._repair_due, self._barred_due = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._unplaced = [0, 0]
        self.stuck: Mapping[PeerId, int] = {}
        hub.on_failure = self._failed

    @property
    def unplaced(self) -> int:
        """Pins below their minimum that no further peer can take."""
        return sum(self._unplaced)

    def reconfigure(self, settings: RepairSettings) -> None:
        """Sweep at once with these, and go on."""
        self._settings = settings
        self.wake()

    def wake(self) -> None:
        """Sweep soon; one that is under way goes on by the new standings, and is followed by another."""
        for due in (self._drain_due, self._repair_due, self._barred_due):
            due.set()

    def _failed(self, outcome: Outcome) -> None:
        """From the hub: another node may do better."""
        if not outcome.unpin and classify(outcome.message) in OF_THE_NODE:
            self._barred_due.set()

    async def run(self) -> None:
        """Sweep until cancelled. What an operator asked for does not wait for what has an hourly budget."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._drain, self._drain_due, 1.0))
            group.create_task(self._forever(self._repair, self._repair_due, 1.0))
            # Failures may come all the time; so this one keeps to its share of the time also when it is asked for.
            group.create_task(self._forever(self._leave_barred, self._barred_due, SHARE))

    async def _forever(self, sweep: Callable[[], Awaitable[bool]], due: asyncio.Event, rest: float) -> None:
        """sweep: its answer is whether something was left for later. rest: so many times as long as it took nothing is
        swept, whatever changes.
        """
        while True:
            due.clear()
            began = self._clock.monotonic()
            pause = self._settings.sweep_interval
            try:
                if await sweep():
                    pause = min(pause, LATER)
            except ClusterError as error:
                log.error("repair broke off: %s", error)
                pause = STORE_PAUSE
            took = self._clock.monotonic() - began
            await self._clock.sleep(min(rest * took, BREATH))
            await sleep_or_event(self._clock, max(pause, SHARE * took), due)

    @property
    def repinning(self) -> bool:
        """True while pins are re-allocated without anybody asking."""
        return self._settings.repin and self._presence.brake is None

    async def leaving(self) -> Mapping[PeerId, PeerStanding]:
        """Peers whose pins need others: draining ones; gone ones, also those that are configured no more."""
        standing = dict(self._presence.standing)
        for record in await self._store.peers():
            standing.setdefault(record.id, PeerStanding.GONE)
        return {peer: at for peer, at in standing.items() if at in (PeerStanding.GONE, PeerStanding.DRAINING)}

    async def _drain(self) -> bool:
        leaving = await self.leaving()
        stuck = {}
        for peer in leaving:
            if leaving[peer] is PeerStanding.DRAINING:
                stuck[peer] = 0
                async for pin, works in self._sweep(PinQuery(allocated=peer), asked=True):
                    stuck[peer] += copies_missing(pin, works, self._presence.standing) > 0
        self.stuck = stuck
        return False

    async def _repair(self) -> bool:
        unplaced = 0
        leaving = await self.leaving()
        if self.repinning:
            for peer in leaving:
                if leaving[peer] is PeerStanding.GONE:
                    async for pin, works in self._sweep(PinQuery(allocated=peer)):
                        unplaced += _first_gone(pin, leaving) == peer and self._below(pin, works)
            async for pin, works in self._sweep(PinQuery(short=True), top_up=True):
                unplaced += _first_gone(pin, leaving) is None and self._below(pin, works)
        async for _ in self._sweep(PinQuery(surplus=True), grow=False):
            pass
        self._note_unplaced(0, unplaced)
        return False

    async def _leave_barred(self) -> bool:
        """Copies that their nodes cannot make, for reasons of their own, are made on others. What a request waits for
        is left for later: one that fails takes its entry back as it wrote it.
        """
        unplaced, left = 0, False
        if self.repinning:
            leaving = await self.leaving()
            async for pin, works in self._sweep(PinQuery(statuses=FAILED), top_up=True, unwatched=True):
                left |= self._hub.watched(pin.cid) and bool(barred(works))
                elsewhere = _first_gone(pin, leaving) is not None or len(pin.allocations) < pin.replication_max
                unplaced += not elsewhere and self._below(pin, works)
        self._note_unplaced(1, unplaced)
        return left

    def _note_unplaced(self, which: int, number: int) -> None:
        if number and number != self._unplaced[which]:
            log.warning("%d pins are below their minimum and no further peer can take them", number)
        self._unplaced[which] = number

    def _below(self, pin: Pin, works: Sequence[Work]) -> bool:
        return copies_missing(pin, works, self._presence.standing) > pin.replication_max - pin.replication_min

    async def _sweep(
        self, query: PinQuery, *, grow: bool = True, asked: bool = False, top_up: bool = False, unwatched: bool = False
    ) -> AsyncIterator[tuple[Pin, Sequence[Work]]]:
        """Change what is to be changed; yields the pins that stay as they are, with their rows. asked: by an operator,
        so that it is done without a budget, and while nothing is re-allocated otherwise. unwatched: not those that
        somebody waits for.
        """

        def decision(pin: Pin, works: Sequence[Work]) -> Change | None:
            if unwatched and self._hub.watched(pin.cid):
                return None
            may_grow = grow and (self.repinning or (asked and self._presence.brake is None))
            standing, choose = self._presence.standing, self._pins.further_peers
            return decide(pin, works, standing, choose, grow=may_grow, top_up=top_up)

        batch = self._moves.batch(budgeted=not asked)
        async for page in self._store.pins(query):
            async for pin, works, change in batch.each(page, decision):
                if change is None:
                    yield pin, works


def _first_gone(pin: Pin, leaving: Mapping[PeerId, PeerStanding]) -> PeerId | None:
    """Several sweeps may meet a pin: it counts in that over its first gone peer, else in that over short ones, else in
    that over failed ones.
    """
    return next((peer for peer in pin.allocations if leaving.get(peer) is PeerStanding.GONE), None)
