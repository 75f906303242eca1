"""The verbs that change the pinset: pin, unpin, update.

They decide by the pure functions of `planning`, write with guards, and tell the trackers. Order everywhere: intent
durable, node call, status durable, answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence, Set
from functools import partial

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.core.membership import NOT_COMPARED
from ipfs_cluster.core.quorum import Quorum, required_peers
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.counters import PinsetCounters
from ipfs_cluster.elsewhere import Elsewhere
from ipfs_cluster.errors import ClusterError, Conflict, InvalidArgument, NotEnoughPeers, NotPinned, PinModeError
from ipfs_cluster.expiry import Expiry
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import WANTS_PIN, PeerId, Pin, PinMode, PinOptions, Priority, TrackerStatus, Work
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pinning import PinCall, Ticket, UpdateCall, Wait
from ipfs_cluster.planning import AWAY, GUARD_RETRIES, Defaults, Surroundings, plan_new, plan_pin
from ipfs_cluster.ports import Clock, ForgetForeign, PeerRecord, PutPin, QueueWork, RemovePin, Store, Write
from ipfs_cluster.removal import RemovalWatch, UnpinOutcome

FAILED = frozenset({TrackerStatus.PIN_ERROR, TrackerStatus.UNPIN_ERROR, TrackerStatus.UNEXPECTEDLY_UNPINNED})
"""What a recovery tries again."""


class Pins:
    """The pinset of one service as its doors change it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hub: Hub,
        peers: Mapping[PeerId, LocalPeer],
        defaults: Defaults,
        wait: Wait,
        held: Callable[[], float],
    ) -> None:
        """wait: what a request waits for when it does not say. held: seconds for which nothing may expire."""
        self._store = store
        self._clock = clock
        self._hub = hub
        self._peers = peers
        (self._home,) = [peer for peer in peers.values() if peer.home]
        self._defaults = defaults
        self._wait = wait
        self.counters = PinsetCounters()
        self.expiry = Expiry(store, clock, held, self._expired)
        self.landscape = Landscape(defaults.allocate_by)
        self._elsewhere = Elsewhere(store, peers, self.further_peers, self.landscape.promise, self.wake)
        for peer in peers.values():
            self.landscape.measure(peer.id, peer.name, peer.state.metrics)
            peer.state.listener = partial(self.landscape.measure, peer.id, peer.name)
            peer.on_record = self._recorded

    def reconfigure(self, defaults: Defaults, wait: Wait) -> None:
        """For requests from now on; allocate_by has to be as it was."""
        self._defaults = defaults
        self._wait = wait

    # --- what decisions are made of ---

    def around(self) -> Surroundings:
        """The cluster as it is now."""
        now, steady = self._clock.time(), self._clock.monotonic()
        return Surroundings(tuple(self._peers), self._is_up, self.landscape, now, steady, self._defaults)

    def further_peers(self, staying: Sequence[PeerId], leaving: Collection[PeerId], number: int) -> tuple[PeerId, ...]:
        """Up to `number` peers for more copies of what is on `staying`, the best first; none that is away, full or
        being drained. Whoever takes them promises them the pin (`landscape`), so that the next call spreads. leaving:
        peers whose copies are to go, so that the new ones may take their place in the balance.
        """
        without = {peer: AWAY for peer in self._peers if not self._is_up(peer)}
        without.update(dict.fromkeys(leaving, "its copy is to go"))
        return self.landscape.grow(staying, number, self._clock.monotonic(), without=without)

    def _is_up(self, peer: PeerId) -> bool:
        return peer in self._peers and self._peers[peer].up

    def _recorded(self, record: PeerRecord) -> None:
        self.landscape.exclude(record.id, "it is being drained" if record.draining else "")

    def wake(self, cancelled: Sequence[Cid] = ()) -> None:
        """There is new work. cancelled: CIDs that are no longer wanted."""
        for peer in self._peers.values():
            if cancelled:
                peer.tracker.cancel(cancelled)
            peer.tracker.wake()
        self.expiry.wake()

    def call(self, cids: Sequence[Cid]) -> PinCall:
        """A request for these CIDs that listens already; it begins when its tickets are there."""
        call = PinCall(
            self._hub,
            self._store,
            self._home.id,
            tuple(self._peers),
            lambda peer, cid: self._peers[peer].tracker.progress(cid),
            lambda pin, wanting: self.quorum(pin, wanting, Wait.ALL),
            self._elsewhere,
            self._withdrawn,
        )
        call.watch(cids)
        return call

    async def settled(self, cids: Iterable[Cid]) -> None:
        """Until nobody is withdrawing these: what a call that listens reads now, it may rely on."""
        await self._hub.settled(cids)

    def held(self, cid: Cid, peers: Iterable[PeerId]) -> None:
        """An upload's commit took the rows of these peers, as they hold it: who waited for attempts hears it."""
        for peer in peers:
            self._hub.publish(Outcome(peer, cid, Event.DONE))

    def _withdrawn(self, cid: Cid) -> None:
        self.counters.withdrawn += 1
        self.wake(cancelled=[cid])

    def answered_at_once(self, wait: Wait | None) -> bool:
        """Whether a request is answered as soon as it is stored."""
        return (wait or self._wait) is Wait.ACCEPTED

    def quorum(self, pin: Pin, wanting: Set[PeerId], wait: Wait | None) -> Quorum:
        """What a request for this entry waits for. wanting: the peers that do not hold it yet. Nobody waits for a peer
        that is being drained to get what belongs everywhere, unless there is no other.
        """
        wait = wait or self._wait
        everywhere = not pin.allocations
        up = frozenset(peer.id for peer in self._peers.values() if peer.up)
        unknown = frozenset(peer.id for peer in self._peers.values() if not peer.known) - wanting
        draining = frozenset(peer.id for peer in self._peers.values() if peer.record.draining)
        allocated = frozenset(pin.allocations) or up - unknown - draining or up or frozenset(self._peers)
        # A pin on the move has more allocations than it will keep.
        minimum = pin.replication_max if wait is Wait.ALL and not everywhere else pin.replication_min
        required = required_peers(minimum, allocated, everywhere=everywhere)
        quorum = Quorum(allocated, 0 if wait is Wait.ACCEPTED else required, everywhere)
        for peer in allocated - wanting - unknown:
            quorum.hold(peer)
        for peer in allocated & unknown:
            quorum.fail(peer, f"{self._peers[peer].name}: {NOT_COMPARED}", away=True)
        for peer in allocated & wanting - up:
            reason = self._peers[peer].state.error if peer in self._peers else "not served here"
            quorum.fail(peer, reason, away=True)
        for peer in allocated & wanting & up:
            if why := self._peers[peer].state.room.why:
                quorum.fail(peer, f"{self._peers[peer].name}: {why}", away=False)
        return quorum

    # --- pin ---

    async def pin(self, requests: Sequence[tuple[Cid, PinOptions]], wait: Wait | None) -> PinCall:
        """Commit all requests as one batch and start the work."""
        call = self.call([cid for cid, _ in requests])
        options = dict(requests)
        try:
            call.begin(await self._commit_unseen(options, wait) or await self._commit_seen(options, wait))
        except BaseException:
            call.leave()
            raise
        self.counters.pinned += len(options)
        return call

    async def _commit_unseen(self, options: dict[Cid, PinOptions], wait: Wait | None) -> dict[Cid, Ticket] | None:
        """Pin a lone CID as if it were new, which it nearly always is: reading first would cost more than the commit.
        None when it is not, or cannot be pinned anew: then what is there decides.
        """
        if len(options) != 1:
            return None
        ((cid, option),) = options.items()
        around = self.around()
        try:
            write = plan_new(cid, option, around, unseen=True)
            revision = await self._store.commit((write,))
        except (Conflict, NotEnoughPeers, InvalidArgument):
            return None
        self._offer(write, revision)
        pin = write.pin.written(revision)
        return {cid: Ticket(pin, self.quorum(pin, frozenset(around.peers), wait), created=True)}

    async def _commit_seen(self, options: dict[Cid, PinOptions], wait: Wait | None) -> dict[Cid, Ticket]:
        for _ in range(GUARD_RETRIES):
            try:
                return await self._commit_pins(options, wait)
            except Conflict:
                continue
        raise Conflict("the pins kept changing while they were written; try again")

    async def _commit_pins(self, options: dict[Cid, PinOptions], wait: Wait | None) -> dict[Cid, Ticket]:
        around = self.around()
        cids = list(options)
        await self.settled(cids)
        existing, rows = await asyncio.gather(self._store.get_many(cids), self._store.work(cids))
        works = by_cid(rows)
        planned: dict[Cid, Pin] = {}
        writes: list[Write] = []
        for cid, option in options.items():
            pin, changes = plan_pin(existing.get(cid), cid, option, works.get(cid, ()), around)
            planned[cid] = pin
            writes += changes
        if writes:
            revision = await self._store.commit(writes)
            for write in writes:
                if isinstance(write, PutPin):
                    planned[write.pin.cid] = write.pin.written(revision)
            self._hand_over(writes, revision)
            changed = [cid for cid in cids if cid in existing or cid in works]
            works = by_cid(await self._store.work(changed)) if changed else {}
        tickets = {}
        for cid, pin in planned.items():
            new = cid not in existing
            wanting = frozenset(around.peers) if new else {w.peer for w in works.get(cid, ()) if w.status in WANTS_PIN}
            before = existing.get(cid)
            promoted = before is not None and before.mode is not pin.mode
            tickets[cid] = Ticket(pin, self.quorum(pin, wanting, wait), new, before if promoted else None)
        return tickets

    def _hand_over(self, writes: Sequence[Write], revision: int) -> None:
        """Tell the trackers of committed work: new rows directly, everything else by a wake-up."""
        known = [write for write in writes if isinstance(write, PutPin) and write.unseen]
        for write in writes:
            if isinstance(write, PutPin):
                self._cancel(write.pin.cid, write.release)
        if len(known) < len(writes):
            self.wake()
        for write in known:
            self._offer(write, revision)

    def _cancel(self, cid: Cid, peers: Iterable[PeerId]) -> None:
        for peer in peers:
            if peer in self._peers:
                self._peers[peer].tracker.cancel([cid])

    def _offer(self, write: PutPin, revision: int) -> None:
        """Tell the trackers of the rows that a commit made for a CID that had nothing."""
        for peer in write.queue:
            self._peers[peer].tracker.offer(_row(write.pin, peer, revision, write.pin.timestamp))
        if write.pin.expire_at:
            self.expiry.wake()

    async def _expired(self, pin: Pin) -> None:
        try:
            await self._store.commit([RemovePin(pin.cid, pin.revision, pin.allocations or tuple(self._peers))])
        except Conflict:
            return  # rewritten just now, perhaps with a later expiry: the next round sees it
        self.counters.expired += 1
        self._hub.removed(pin.cid)
        self.wake(cancelled=[pin.cid])

    # --- unpin ---

    async def unpin(self, requests: Sequence[tuple[Cid, bool]], settle: float) -> UnpinOutcome:
        """Remove pins in order; the first that fails ends it, earlier ones stay removed."""
        watch = RemovalWatch(self._hub, [cid for cid, _ in requests])
        removed: list[Cid] = []
        error: ClusterError | None = None
        for cid, recursive in requests:
            try:
                await self._remove(cid, recursive=recursive)
            except ClusterError as refusal:
                error = refusal
                break
            removed.append(cid)
        up = frozenset(peer.id for peer in self._peers.values() if peer.up)
        await watch.settled(self._store, removed, up, settle)
        return UnpinOutcome(len(removed), error)

    async def _remove(self, cid: Cid, *, recursive: bool) -> None:
        for _ in range(GUARD_RETRIES):
            pin = await self._store.get(cid)
            if pin is None:
                await self._remove_foreign(cid, recursive=recursive)
                return
            if pin.mode is PinMode.RECURSIVE and not recursive:
                raise PinModeError("is pinned recursively")
            try:
                await self._store.commit([self._removal(pin)])
            except Conflict:
                continue
            self.counters.removed += 1
            self._hub.removed(cid)
            self.wake(cancelled=[cid])
            return
        raise Conflict("the pin kept changing while it was removed; try again")

    def _removal(self, pin: Pin) -> RemovePin:
        everyone = pin.allocations or tuple(self._peers)
        return RemovePin(pin.cid, pin.revision, everyone, Priority.REMOVAL)

    async def _remove_foreign(self, cid: Cid, *, recursive: bool) -> None:
        """A pin of the home node that was never adopted is the user's, who now gives it up. The tracker removes it, as
        everything else: an add or a pin request may want the CID in the same moment.
        """
        foreign = await self._store.is_foreign(self._home.id, cid)
        if foreign is None:
            raise NotPinned
        if foreign.mode is PinMode.RECURSIVE and not recursive:
            raise PinModeError("is pinned recursively")
        self._home.tracker.strangers.touched(cid)
        await self._store.commit([ForgetForeign(self._home.id, (cid,), release=True, priority=Priority.REMOVAL)])
        self.wake()

    # --- recover ---

    async def recover(self, cids: Sequence[Cid], peer: PeerId | None) -> None:
        """Queue anew what has failed of these, on one peer or on all."""
        await self._retry([work for work in await self._store.work(cids) if peer in (None, work.peer)])

    async def recover_all(self, peer: PeerId | None) -> AsyncIterator[list[Cid]]:
        """Queue anew all that has failed, and say of what, each CID once."""
        last: list[Cid] = []
        async for page in self._store.works(peer):
            # Rows of one CID are beside each other, but a page may end between them.
            if found := list(dict.fromkeys(last + await self._retry(page)))[len(last) :]:
                last = found[-1:]
                yield found

    async def _retry(self, works: Sequence[Work]) -> list[Cid]:
        failed = [work for work in works if work.status in FAILED and work.peer in self._peers]
        writes = [
            QueueWork(
                work.peer,
                work.cid,
                TrackerStatus.PIN_QUEUED if work.status in WANTS_PIN else TrackerStatus.UNPIN_QUEUED,
                priority=Priority.USER,
            )
            for work in failed
        ]
        if writes:
            await self._store.commit(writes)
            self.wake()
        return [work.cid for work in failed]

    # --- update ---

    async def update(self, old: Cid, new: Cid, *, unpin: bool) -> UpdateCall:
        """Pin `new` where `old` is, with its name; the call drops `old` at its end, if asked."""
        before = await self._store.get(old)
        if before is None or before.mode is not PinMode.RECURSIVE:
            raise NotPinned("'from' cid was not recursively pinned already")
        if old == new:
            return UpdateCall(None, None)  # Kubo: a success that changes nothing
        target = await self._store.get(new)
        if target is not None and target.mode is PinMode.RECURSIVE:
            raise PinModeError("'to' cid was already recursively pinned")
        options = PinOptions(
            name=before.name,
            mode=PinMode.RECURSIVE,
            replication_min=before.replication_min,
            replication_max=before.replication_max,
            user_allocations=before.allocations,
            metadata=before.metadata,
            origins=before.origins,
            expire_at=before.expire_at,
            pin_update=old,
        )
        call = await self.pin([(new, options)], None)

        async def drop_old() -> None:
            await self.unpin([(old, True)], SETTLE)

        return UpdateCall(call, drop_old if unpin else None)


SETTLE = 5.0
"""Seconds that a removal waits for the nodes to let go, so that a garbage collection right after it frees the data."""


def _row(pin: Pin, peer: PeerId, revision: int, now: float) -> Work:
    """The row that a commit made for a new entry; a row's generation is the revision of the commit."""
    return Work(
        peer,
        pin.cid,
        TrackerStatus.PIN_QUEUED,
        pin.mode,
        revision,
        since=now,
        next_retry=now,
        priority=Priority.USER,
        name=pin.name,
        pin_update=pin.pin_update,
        origins=pin.origins,
    )


def by_cid(works: Iterable[Work]) -> dict[Cid, list[Work]]:
    """Rows grouped by their CID."""
    grouped: dict[Cid, list[Work]] = {}
    for work in works:
        grouped.setdefault(work.cid, []).append(work)
    return grouped
