"""One tracker per peer: makes the node hold what the pinset wants on it, and nothing of ours that it does not want.

The queue is the store's work rows of the peer; this module only runs them, a bounded number at a time, at most one
per CID, and writes down how each attempt ended. A row in work keeps its stored status, so a crash at any point finds
it and asks the node first. Only the tracker unpins, and only what `begin_unpin` allows in the writer's turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from math import inf

from ipfs_cluster.ahead import Ahead
from ipfs_cluster.attempt import PATIENCE, AttemptCounters, NodeCalls, Operation, TrackerSettings
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.core.failures import Failure, classify, retries
from ipfs_cluster.core.transitions import Event, after
from ipfs_cluster.errors import ClusterError, NodeError, NodeStalled, NodeUnreachable
from ipfs_cluster.gate import Gate
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import WANTS_UNPIN, PeerId, PinProgress, Priority, TrackerStatus, Work
from ipfs_cluster.ports import Clock, FailWork, FinishWork, Node, Store
from ipfs_cluster.standing import Standing, WaitsFor, running, waiting
from ipfs_cluster.strangers import Meanwhile, Strangers
from ipfs_cluster.tasks import TaskSet, sleep_or_event

log = logging.getLogger(__name__)

NO_GROWTH = 3.0
"""Seconds without a new block after which a pin gives way to a garbage collection."""
STORE_PAUSE = 1.0
"""Seconds to wait after the store refused a write."""
OFFERED = 10_000
"""New rows that are kept for a free place without being read back; more are found in the store."""
WAITING = 100
"""Attempts that may wait on a node at once; the one that has waited longest makes room for other work."""
RESERVE = 5
"""One in this many places is kept for what is asked for now while old failures are tried again."""


class Tracker:
    """Runs the work rows of one peer until cancelled. `wake` after commits; `cancel` what is no longer wanted."""

    def __init__(
        self,
        peer: PeerId,
        node: Node,
        gate: Gate,
        store: Store,
        clock: Clock,
        hub: Hub,
        settings: TrackerSettings,
        on_unreachable: Callable[[str], None],
        on_full: Callable[[str], None],
    ) -> None:
        """on_unreachable, on_full: told in the daemon's words that it is away, that its disk is full."""
        self.peer = peer
        self._gate = gate
        self._store = store
        self._clock = clock
        self._hub = hub
        self._settings = settings
        self._on_unreachable = on_unreachable
        self._on_full = on_full
        self.strangers = Strangers(self._not_new)
        self._calls = NodeCalls(peer, node, store, clock, settings, self.strangers)
        self.counters = AttemptCounters()
        self._ahead = Ahead(peer, store, settings.concurrent)
        self._running: dict[Cid, Operation] = {}
        self._wake = asyncio.Event()
        self._usable = asyncio.Event()
        self._may_unpin = asyncio.Event()
        self._operations = TaskSet()
        self._more = True
        self._retry_at = inf
        self._retrying = False
        self._full_until = 0.0
        self._offered: dict[Cid, Work] = {}

    def reconfigure(self, settings: TrackerSettings) -> None:
        """For attempts from now on; `concurrent` has to be as it was."""
        self._settings = settings
        self._calls.reconfigure(settings)

    # --- what others tell the tracker ---

    def wake(self) -> None:
        """There may be new work, also on CIDs that are being worked on: those are looked at again afterwards."""
        self._more = True
        self._ahead.forget()
        for operation in self._running.values():
            operation.look_again = True
        self._wake.set()

    def offer(self, work: Work) -> None:
        """A row that was just committed for a CID that had neither entry nor row here: what the node holds of it, it
        holds for somebody else. It is started without being read back, now or when there is room.
        """
        operation = self._running.get(work.cid)
        if self.strangers.claimed(work.cid):
            self.wake()
            return
        self._ahead.offered(work)
        read_back = operation is not None and operation.work.generation == work.generation
        if operation is None or not read_back or not operation.asked:
            self.strangers.untouched(work.cid)
        if read_back:
            return  # before its writer came to tell
        if operation is not None:
            operation.look_again = True
        if len(self._offered) < OFFERED:
            self._offered[work.cid] = work
            self._start_offered()
            if len(self._offered) == 1:
                self._wake.set()  # it has to wait, and while it does the loop looks for a place now and then
        else:
            self._more = True

    def node_up(self) -> None:
        """The node answers: work goes on."""
        self._usable.set()
        self.wake()

    def node_down(self) -> None:
        """The node is away: nothing new is started until `node_up`."""
        self._usable.clear()

    def allow_unpin(self) -> None:
        """The node was surveyed: from now on unpinning is safe."""
        self._may_unpin.set()
        self.wake()

    def cancel(self, cids: Iterable[Cid]) -> None:
        """These are no longer wanted: give up pin attempts in progress, so that their removal can start. One that is
        over is let write down and tell how it ended: its row may be gone already, and somebody waits for it.
        """
        for cid in cids:
            self._offered.pop(cid, None)
            operation = self._running.get(cid)
            if operation is not None and not operation.unpin and not operation.over and operation.task is not None:
                operation.task.cancel()

    def _not_new(self, cid: Cid) -> None:
        """An upload pins it, or did a moment ago: its row is no longer one that may start without being read back."""
        if self._offered.pop(cid, None) is not None:
            self.wake()

    def upload(self) -> AbstractContextManager[Meanwhile]:
        """While an upload to the node lasts: what happens there meanwhile."""
        return self.strangers.upload(one.work.cid for one in self._running.values() if one.unpin)

    # --- what others ask ---

    def phase(self, cid: Cid) -> tuple[TrackerStatus, float] | None:
        """PINNING or UNPINNING and since when, while an attempt is in progress."""
        if (operation := self._running.get(cid)) is None:
            return None
        return (TrackerStatus.UNPINNING if operation.unpin else TrackerStatus.PINNING), operation.since

    @property
    def pinning(self) -> int:
        """Pin attempts in progress."""
        return sum(not operation.unpin for operation in self._running.values())

    def progress(self, cid: Cid) -> PinProgress:
        """Blocks and bytes of the attempt in progress; zeros when there is none."""
        return one.progress if (one := self._running.get(cid)) is not None else PinProgress()

    def unpinning(self, cid: Cid) -> bool:
        """True while a removal of this CID is on its way to the node."""
        return (one := self._running.get(cid)) is not None and one.unpin

    def at_work(self) -> Iterable[Operation]:
        """The attempts in progress."""
        return self._running.values()

    async def standing(self, work: Work) -> Standing:
        """Where a row of this peer, as it was just read, stands now. May ask the node, for a few seconds, about an
        attempt that does not begin. Raises StoreUnavailable.
        """
        operation = self._running.get(work.cid)
        if operation is not None and (operation.call or operation.over):
            return running(work, operation, locked=await self._calls.held_up(operation))
        waits_for, ahead = self._waits_for(work, operation), 0
        if waits_for is WaitsFor.TURN:
            ahead = await self._ahead.of(work, self._clock.time(), self._running)
        return waiting(work, waits_for, ahead)

    def _waits_for(self, work: Work, operation: Operation | None) -> WaitsFor:
        if not self._usable.is_set():
            return WaitsFor.NODE
        if operation is not None:
            return WaitsFor.NOTHING if self._gate.is_open else WaitsFor.COLLECTION
        if work.status in WANTS_UNPIN and not self._may_unpin.is_set():
            return WaitsFor.SURVEY
        return WaitsFor.RETRY if work.next_retry > self._clock.time() else WaitsFor.TURN

    # --- the loop ---

    async def run(self) -> None:
        """Work off due rows until cancelled; running attempts are then cancelled and waited for."""
        try:
            while True:
                await self._usable.wait()
                self._wake.clear()
                self._start_offered()
                if self._clock.time() >= self._retry_at:
                    self._more = True
                if self._free_for_queue > 0 and self._more:
                    try:
                        await self._start_due()
                    except ClusterError as error:
                        await self._store_refused(error)
                else:
                    await self._idle_until_woken()
        finally:
            self._offered.clear()  # an attempt that ends makes room, and nothing may be started any more
            await self._operations.close()

    def _has_room(self) -> bool:
        """Asked for every new row: while all places are taken and nothing ends, it is not counted again."""
        if len(self._running) < self._settings.concurrent:
            return True
        return self._clock.monotonic() >= self._full_until and self._free > 0

    @property
    def _free(self) -> int:
        """Places for node calls. As many attempts again may be over and only be writing down how they ended."""
        now = self._clock.monotonic()
        places = self._settings.concurrent
        calls = [one.waits_from for one in self._running.values() if not one.over and one.waits_from > now]
        over = sum(one.over for one in self._running.values())
        free = places - len(calls) - max(over - places, 0)
        self._full_until = min(calls, default=inf) if free <= 0 else 0.0
        return free

    @property
    def _free_for_queue(self) -> int:
        return self._free - (self._settings.concurrent // RESERVE if self._retrying else 0)

    async def _start_due(self) -> None:
        """Start as many due rows as fit; afterwards it is known whether there are more, and when the next is due."""
        now, may_unpin = self._clock.time(), self._may_unpin.is_set()
        self._more = False
        works, more = await self._ahead.take(now, self._free_for_queue, self._running, may_unpin=may_unpin)
        self._retrying = any(work.attempts for work in works)
        self._more |= more
        for work in works:
            self._offered.pop(work.cid, None)
            self._start(work)
        if not self._more:
            self._retry_at = await self._store.next_due(self.peer, now) or inf

    def _start_offered(self) -> None:
        """As many of the rows that were handed over as there is room for, the oldest first."""
        while self._offered and self._may_start_offered():
            self._start(self._offered.pop(next(iter(self._offered))))

    def _may_start_offered(self) -> bool:
        """While the store has others, which may come before them, only in the places that are kept from those."""
        if not (self._usable.is_set() and self._may_unpin.is_set() and self._has_room()):
            return False
        return not self._more or self._free_for_queue <= 0

    def _start(self, work: Work) -> None:
        if work.cid in self._running or not self._has_room():
            self._ahead.forget()
            self._more = True
            return
        if len(self._running) >= self._settings.concurrent + WAITING:
            self._make_room()
        operation = Operation(work, since=self._clock.time(), grew=self._clock.monotonic())
        self._running[work.cid] = operation
        operation.task = self._operations.start(f"{self.peer} {cid_text(work.cid)}", self._attempt(operation))
        # The attempt says so itself when it ends; one that is cancelled before its first step never gets there.
        operation.task.add_done_callback(lambda _task: self._ended(operation))

    def _ended(self, operation: Operation) -> None:
        if self._running.get(operation.work.cid) is not operation:
            return
        del self._running[operation.work.cid]
        if operation.look_again:
            self._more = True
            self._ahead.forget()
        self._place_is_free()

    def _place_is_free(self) -> None:
        self._full_until = 0.0
        self._start_offered()
        if self._more:
            self._wake.set()

    def _make_room(self) -> None:
        """End the attempt that has waited longest, as stalled: it is tried again later like any other."""
        now = self._clock.monotonic()
        waiting = [one for one in self._running.values() if one.waits_from <= now and not one.making_room]
        longest = min(waiting, key=lambda one: one.grew, default=None)
        if longest is not None and longest.task is not None:
            longest.making_room = True
            longest.task.cancel()

    async def _idle_until_woken(self) -> None:
        if (self._more or self._offered) and self._running:
            # No place is free now; in a while one of those who hold them may only be waiting.
            await sleep_or_event(self._clock, PATIENCE, self._wake)
        elif self._retry_at == inf:
            await self._wake.wait()
        else:
            await sleep_or_event(self._clock, max(self._retry_at - self._clock.time(), 0.05), self._wake)

    # --- one attempt ---

    async def _attempt(self, operation: Operation) -> None:
        """One row from start to its durable end. A cancelled attempt leaves the row to whatever replaced it."""
        try:
            ended = await self._until_room_is_needed(operation)
            self._place_is_free()
            if ended is not None:
                await self._record(operation, *ended)
        except ClusterError as error:
            await self._store_refused(error)
        finally:
            self._ended(operation)

    async def _until_room_is_needed(self, operation: Operation) -> tuple[Event, str] | None:
        try:
            return await self._perform(operation)
        except asyncio.CancelledError:
            task = operation.task
            if not operation.making_room or task is None or task.cancelling() > 1:
                raise
            task.uncancel()
            waited = self._clock.monotonic() - operation.grew
            return Event.STALLED, f"no new block for {waited:.0f}s; given up for a while as other pins need the node"
        finally:
            operation.over = True  # what follows is writing it down, which nothing may interrupt

    async def _perform(self, operation: Operation) -> tuple[Event, str] | None:
        """The node calls; how they ended, or None when the row is gone and there is nothing to write down."""
        try:
            async with self._gate.shared(lambda _waited: self._asked_to_leave(operation)):
                return await self._call_node(operation)
        except NodeUnreachable as error:
            self._on_unreachable(str(error))
            return Event.UNREACHABLE, str(error)
        except NodeStalled as error:
            return Event.STALLED, str(error)
        except NodeError as error:
            return Event.REFUSED, str(error)

    async def _call_node(self, operation: Operation) -> tuple[Event, str] | None:
        work = operation.work
        operation.since = self._clock.time()
        if not operation.unpin:
            await self._calls.pin(operation)
            return Event.DONE, ""
        if self.strangers.is_untouched(work.cid):
            # Removed before its turn to be pinned came: what the node holds of it is somebody else's.
            return Event.DONE, ""
        self.strangers.removes(work.cid)
        if await self._store.begin_unpin(self.peer, work.cid, work.generation):
            await self._calls.unpin(operation)
            return Event.DONE, ""
        self._hub.publish(Outcome(self.peer, work.cid, Event.DONE, unpin=True))
        return None

    def _asked_to_leave(self, operation: Operation) -> None:
        """A garbage collection waits. A pin that does not get on would hold it, and with it everybody, up for ever:
        it is interrupted, and taken up again afterwards; one that grows may finish within the collection's patience.
        """
        stays = operation.over or self._clock.monotonic() - operation.grew < NO_GROWTH
        if not operation.unpin and operation.task is not None and not stays:
            operation.look_again = True  # its row, which is passed over as long as it runs
            operation.task.cancel()

    async def _record(self, operation: Operation, event: Event, message: str) -> None:
        """Write down how the attempt ended, then tell those who wait."""
        work = operation.work
        failure = None if event is Event.DONE else classify(message)
        self.counters.count(operation, failure)
        if failure is None:
            await self._store.commit([FinishWork(self.peer, work.cid, work.generation)])
        else:
            await self._record_failure(work, event, failure, message)
        self._hub.publish(Outcome(self.peer, work.cid, event, operation.unpin, message, operation.progress, work.mode))

    async def _record_failure(self, work: Work, event: Event, failure: Failure, message: str) -> None:
        if failure is Failure.DISK_FULL:
            self._on_full(message)
        now, backoff = self._clock.time(), retries(failure, self._settings.backoff)
        result = after(work.status, event, work.attempts, now, backoff, self._clock.jitter())
        status, next_retry = result.status or work.status, result.next_retry
        priority = self._lowered(work, result.attempts, now)
        change = FailWork(self.peer, work.cid, work.generation, status, result.attempts, message, next_retry, priority)
        await self._store.commit([change])
        if next_retry < self._retry_at:
            self._retry_at = next_retry
            self._wake.set()

    def _lowered(self, work: Work, attempts: int, now: float) -> int | None:
        """What has failed for too long or too often no longer comes before the background's work."""
        old = attempts > self._settings.priority_retries or now - work.since > self._settings.priority_age
        return Priority.BACKGROUND if old and work.priority > Priority.BACKGROUND else None

    async def _store_refused(self, error: ClusterError) -> None:
        """The row stays as it is and is tried again: the node is asked first, so nothing is done twice."""
        log.error("peer %s: the store refused a status: %s", self.peer, error)
        await self._clock.sleep(STORE_PAUSE)
        self.wake()
