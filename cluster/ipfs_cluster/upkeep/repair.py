"""Keeping every pin on as many peers as it should be on: re-allocation below the minimum, top-up, drain, trimming.

Decisions are those of `core.repair`. What a move has reached is in the pinset alone, so there is nothing to be lost
with the process: a sweep finds everything again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.repair import copies_missing, decide
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.model import PeerId, Pin
from ipfs_cluster.pins import Pins, by_cid
from ipfs_cluster.ports import Clock, PinQuery, Store
from ipfs_cluster.tasks import sleep_or_event
from ipfs_cluster.upkeep.moves import Moves
from ipfs_cluster.upkeep.presence import Presence

log = logging.getLogger(__name__)

STORE_PAUSE = 10.0
"""Seconds to wait after the store refused a change."""
SHARE = 20.0
"""While nothing changes, sweeps over the pinset take one part in this many of the time at most."""
BREATH = 60.0
"""Longest time, in seconds, that a change of the standings waits after a sweep that took as long."""


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """repin: re-allocate by itself what falls below its minimum, and top up to the maximum. sweep_interval: seconds
    between sweeps while nothing changes.
    """

    repin: bool = True
    sweep_interval: float = 600.0


class Repair:
    """Sweeps over the pins that may have something wrong, until cancelled. `wake` when the standings changed.

    unplaced: pins of the last sweep that have fewer copies than their minimum and found no further peer. stuck: by
    drained peer, its pins for which nobody else has room.
    """

    def __init__(
        self, store: Store, clock: Clock, pins: Pins, presence: Presence, moves: Moves, settings: RepairSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._pins = pins
        self._presence = presence
        self._moves = moves
        self._settings = settings
        self._due = (asyncio.Event(), asyncio.Event())
        self.unplaced = 0
        self.stuck: Mapping[PeerId, int] = {}

    def reconfigure(self, settings: RepairSettings) -> None:
        """Sweep at once with these, and go on."""
        self._settings = settings
        self.wake()

    def wake(self) -> None:
        """Sweep soon; one that is under way goes on by the new standings, and is followed by another."""
        for due in self._due:
            due.set()

    async def run(self) -> None:
        """Sweep until cancelled. What an operator asked for does not wait for what has an hourly budget."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._drain, self._due[0]))
            group.create_task(self._forever(self._repair, self._due[1]))

    async def _forever(self, sweep: Callable[[], Awaitable[None]], due: asyncio.Event) -> None:
        while True:
            due.clear()
            began = self._clock.monotonic()
            pause = self._settings.sweep_interval
            try:
                await sweep()
            except ClusterError as error:
                log.error("repair broke off: %s", error)
                pause = STORE_PAUSE
            took = self._clock.monotonic() - began
            await self._clock.sleep(min(took, BREATH))
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

    async def _drain(self) -> None:
        leaving = await self.leaving()
        stuck = {}
        for peer in leaving:
            if leaving[peer] is PeerStanding.DRAINING:
                stuck[peer] = 0
                async for pin in self._sweep(PinQuery(allocated=peer), budgeted=False):
                    stuck[peer] += copies_missing(pin, self._presence.standing) > 0
        self.stuck = stuck

    async def _repair(self) -> None:
        unplaced = 0
        leaving = await self.leaving()
        if self.repinning:
            for peer in leaving:
                if leaving[peer] is PeerStanding.GONE:
                    async for pin in self._sweep(PinQuery(allocated=peer), budgeted=True):
                        unplaced += _first_gone(pin, leaving) == peer and self._below(pin)
            async for pin in self._sweep(PinQuery(short=True), budgeted=True, top_up=True):
                unplaced += _first_gone(pin, leaving) is None and self._below(pin)
        async for _ in self._sweep(PinQuery(surplus=True), budgeted=True):
            pass
        if unplaced and unplaced != self.unplaced:
            log.warning("%d pins are below their minimum and no further peer can take them", unplaced)
        self.unplaced = unplaced

    def _below(self, pin: Pin) -> bool:
        return copies_missing(pin, self._presence.standing) > pin.replication_max - pin.replication_min

    async def _sweep(self, query: PinQuery, *, budgeted: bool, top_up: bool = False) -> AsyncIterator[Pin]:
        """Change what is to be changed; yields the pins that stay as they are."""
        batch = self._moves.batch(budgeted=budgeted)
        async for page in self._store.pins(query):
            works = by_cid(await self._store.work([pin.cid for pin in page]))
            for pin in page:
                change = decide(
                    pin,
                    works.get(pin.cid, ()),
                    self._presence.standing,
                    self._pins.further_peers,
                    grow=self._presence.brake is None,
                    top_up=top_up and self.repinning,
                )
                if change is not None:
                    await batch.add(pin, change)
                else:
                    yield pin
            await batch.flush()


def _first_gone(pin: Pin, leaving: Mapping[PeerId, PeerStanding]) -> PeerId | None:
    """Several sweeps may meet a pin: it counts in that over its first gone peer, else in that over short ones."""
    return next((peer for peer in pin.allocations if leaving.get(peer) is PeerStanding.GONE), None)
