"""Carrying out changes of allocations: guarded writes, a bounded number of copies in the making, trimming after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.budget import Budget
from ipfs_cluster.core.repair import Change, decide
from ipfs_cluster.errors import ClusterError, Conflict
from ipfs_cluster.hub import Hub
from ipfs_cluster.model import WANTS_PIN, PeerId, Pin, Priority, Work
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pins import Pins, by_cid
from ipfs_cluster.ports import Clock, PutPin, Store
from ipfs_cluster.tasks import sleep_or_event
from ipfs_cluster.upkeep.flights import Flights
from ipfs_cluster.upkeep.presence import Presence

log = logging.getLogger(__name__)

Decision = Callable[[Pin, Sequence[Work]], Change | None]
"""(pin, its rows) → what is to be changed about it now."""

BATCH = 100
CHECK = 60.0
"""Seconds without a landing after which it is looked whether copies in the making still are."""


@dataclass(frozen=True, slots=True)
class MoveSettings:
    """concurrent: pins that may have copies in the making. per_hour: pins re-allocated in an hour at most, 0 for no
    limit."""

    concurrent: int = 1000
    per_hour: int = 0


class Moves:
    """Where all changes of allocations go that no request asked for."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hub: Hub,
        peers: Mapping[PeerId, LocalPeer],
        pins: Pins,
        presence: Presence,
        settings: MoveSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._peers = peers
        self._pins = pins
        self._presence = presence
        self._budget = Budget(settings.per_hour)
        self._flights = Flights(hub, settings.concurrent)
        self.grown = 0
        self.trimmed = 0

    def reconfigure(self, settings: MoveSettings) -> None:
        """For changes from now on."""
        self._budget.per_hour = settings.per_hour
        self._flights.limit = settings.concurrent

    @property
    def in_flight(self) -> int:
        """Pins with copies in the making."""
        return len(self._flights)

    def batch(self, *, budgeted: bool) -> Batch:
        """A group of changes to be written together. budgeted: they are paid for from the hourly allowance."""
        return Batch(self, budgeted=budgeted)

    async def trim_forever(self) -> None:
        """When the copies of a pin have landed, let go of what is too much; until cancelled."""
        while True:
            await sleep_or_event(self._clock, CHECK, self._flights.landing)
            try:
                if not self._flights.landing.is_set():
                    await self._check()
                cids = self._flights.landed()
                for start in range(0, len(cids), BATCH):
                    await self.trim(cids[start : start + BATCH])
            except ClusterError as error:
                log.error("what is too much is let go of by a later sweep: %s", error)

    async def _check(self) -> None:
        """Rows may also go without an attempt: the pin was placed anew, or a comparison or an upload found it made."""
        cids = self._flights.waiting
        for start in range(0, len(cids), BATCH):
            await self._check_page(cids[start : start + BATCH])

    async def _check_page(self, cids: Sequence[Cid]) -> None:
        works = by_cid(await self._store.work(cids))
        for cid in cids:
            rows = works.get(cid, ())
            self._flights.check(cid, [row.peer for row in rows if row.status in WANTS_PIN and not row.attempts])

    async def trim(self, cids: Sequence[Cid]) -> None:
        """Let go of what these pins have too much, as far as enough peers hold them."""

        def decision(pin: Pin, works: Sequence[Work]) -> Change | None:
            return decide(pin, works, self._presence.standing, _nobody, grow=False)

        pins = await self._store.get_many(cids)
        async for _ in self.batch(budgeted=False).each(pins.values(), decision):
            pass

    # --- for batches ---

    async def rows(self, pins: Iterable[Pin]) -> Mapping[Cid, Sequence[Work]]:
        """The pins' rows of work."""
        return by_cid(await self._store.work([pin.cid for pin in pins]))

    async def again(self, cid: Cid) -> tuple[Pin, Sequence[Work]] | None:
        """An entry and its rows as they are now; None when it is gone."""
        pin = await self._store.get(cid)
        return None if pin is None else (pin, await self._store.work([cid]))

    def must_wait(self, begun: int, *, budgeted: bool) -> bool:
        """True while no further pin may be given copies. begun: those of the batch that are still to be written."""
        return self._flights.full(begun) or (budgeted and self._budget.wait(self._clock.monotonic()) > 0)

    async def turn(self, *, budgeted: bool) -> None:
        """Return when one more pin may be given copies, as things are then."""
        await self._flights.room()
        while budgeted and (wait := self._budget.wait(self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)

    def accept(self, change: Change, *, budgeted: bool) -> None:
        """This pin is given copies: paid for, and promised to the peers, so that the next choice spreads."""
        if budgeted:
            self._budget.spend(self._clock.monotonic())
        self._pins.landscape.promise(change.queue)

    async def write(self, changes: Sequence[tuple[Pin, Change]]) -> int:
        """Write changes together; each alone when one of them came too late. How many pins were given copies. Raises
        StoreUnavailable.
        """
        before = self.grown
        for pin, change in changes:
            if change.queue:
                self._flights.launch(pin.cid, change.queue)
        try:
            await self._write_all(changes)
        except Conflict:
            for one in changes:
                try:
                    await self._write_all([one])
                except Conflict:  # perhaps another sweep was faster, and the same peers make the copies for that one
                    await self._check_page([one[0].cid])
        except BaseException:
            for pin, _ in changes:
                self._flights.abort(pin.cid)
            raise
        return self.grown - before

    async def _write_all(self, changes: Sequence[tuple[Pin, Change]]) -> None:
        await self._store.commit([_put(pin, change) for pin, change in changes])
        for pin, change in changes:
            self.grown += bool(change.queue)
            self.trimmed += bool(change.release)
            for peer in change.release:
                if peer in self._peers:
                    self._peers[peer].tracker.cancel([pin.cid])
        self._pins.wake()


class Batch:
    """Changes that are written together, before it is waited for anything. begun: pins that were given copies."""

    def __init__(self, moves: Moves, *, budgeted: bool) -> None:
        self._moves = moves
        self._budgeted = budgeted
        self._changes: list[tuple[Pin, Change]] = []
        self._growing = 0
        self.begun = 0

    async def each(
        self, pins: Iterable[Pin], decision: Decision
    ) -> AsyncIterator[tuple[Pin, Sequence[Work], Change | None]]:
        """Decide about each of these pins, and write; each is yielded with its rows and what was decided. To be read to
        the end.
        """
        pins = list(pins)
        works = await self._moves.rows(pins)
        for pin in pins:
            rows = works.get(pin.cid, ())
            yield pin, rows, await self._take(pin, rows, decision)
        await self._flush()

    async def _take(self, pin: Pin, works: Sequence[Work], decision: Decision) -> Change | None:
        """A pin that has to wait until it may be given copies is read and decided about anew after that."""
        change = decision(pin, works)
        while change is not None and change.queue and self._moves.must_wait(self._growing, budgeted=self._budgeted):
            await self._flush()
            await self._moves.turn(budgeted=self._budgeted)
            found = await self._moves.again(pin.cid)
            if found is None:
                return None
            pin, works = found
            change = decision(pin, works)
        if change is None:
            return None
        if change.queue:
            self._moves.accept(change, budgeted=self._budgeted)
            self._growing += 1
        self._changes.append((pin, change))
        if len(self._changes) >= BATCH:
            await self._flush()
        return change

    async def _flush(self) -> None:
        changes, self._changes, self._growing = self._changes, [], 0
        if changes:
            self.begun += await self._moves.write(changes)


def _put(pin: Pin, change: Change) -> PutPin:
    return PutPin(
        replace(pin, allocations=change.allocations),
        pin.revision,
        queue=change.queue,
        release=change.release,
        release_mode=pin.mode,
        priority=Priority.BACKGROUND if change.below_min else Priority.REBALANCE,
    )


def _nobody(_stay: Sequence[PeerId], _leaving: Sequence[PeerId], _number: int) -> Sequence[PeerId]:
    return ()
