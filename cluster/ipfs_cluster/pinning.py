"""One request that pins: what it committed, how far the nodes are, and its end."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.quorum import Quorum, Verdict
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.elsewhere import Elsewhere, Placed
from ipfs_cluster.errors import Conflict, PinFailed, Stopping
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import WANTS_PIN, PeerId, Pin, PinMode, PinProgress, Priority
from ipfs_cluster.ports import PutPin, RemovePin, Store, Write


class Wait(enum.StrEnum):
    """How long a pin request waits: for the durable entry only, for replication_min peers, for all allocated ones."""

    ACCEPTED = "accepted"
    MIN = "min"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Progress:
    """Blocks (Kubo's "nodes") and bytes, over all arguments of a request, each the maximum over its peers."""

    nodes: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _GivingUp(Outcome):
    """Said by a request that gives up the entry it created, to all who watch: whoever still waits for the entry takes
    it over, and removes it when it gives up too. before: the direct pin that the entry was, if it was not created.
    """

    revision: int = 0
    before: Pin | None = None
    takers: list[PinCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Promised(Outcome):
    """Said by a request that is about to be answered, to all who watch: whoever created the entry keeps it now."""

    revision: int = 0


@dataclass(frozen=True, slots=True)
class _Left(Outcome):
    """Said by a request that gives up an entry that it rewrote and did not create, to all who watch: whoever created it
    may give it up as it is now."""

    pin: Pin | None = None


@dataclass(frozen=True, slots=True)
class _Moved(Outcome):
    """Said by a request that had an entry's copies made elsewhere, to all who watch: whoever created the entry may give
    it up as it is now."""

    placed: Placed | None = None


@dataclass(slots=True)
class Ticket:
    """One argument of a request. created: there was no entry before, so giving up removes it again; it was created by
    this request, or by one that gave up while this one waited. before: the same of a direct pin that became recursive,
    so giving up makes it direct again.
    """

    pin: Pin
    quorum: Quorum
    created: bool
    before: Pin | None = None
    seen: dict[PeerId, PinProgress] = field(default_factory=dict)


class PinCall:
    """A committed pin request. It watches outcomes from before its commit, so none is missed.

    A caller that just drops it withdraws nothing.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        home: PeerId,
        everyone: Sequence[PeerId],
        progress_of: Callable[[PeerId, Cid], PinProgress],
        quorum_of: Callable[[Pin, Set[PeerId]], Quorum],
        elsewhere: Elsewhere,
        on_withdrawn: Callable[[Cid], None],
    ) -> None:
        self._hub = hub
        self._store = store
        self._home = home
        self._everyone = tuple(everyone)
        self._progress_of = progress_of
        self._quorum_of = quorum_of
        self._elsewhere = elsewhere
        self._on_withdrawn = on_withdrawn
        self._order: tuple[Cid, ...] = ()
        self._tickets: Mapping[Cid, Ticket] = {}
        self._early: list[Outcome] = []
        self._doubtful: set[Cid] = set()
        self._changed = asyncio.Event()

    def watch(self, cids: Sequence[Cid]) -> None:
        """Begin to listen; before the commit."""
        self._order = tuple(cids)
        for cid in self._order:
            self._hub.subscribe(cid, self)

    def begin(self, tickets: Mapping[Cid, Ticket]) -> None:
        """Take the commit's result and what was heard meanwhile."""
        self._tickets = tickets
        early, self._early = self._early, []
        for outcome in early:
            self.notify(outcome)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The entries, in argument order, repeated arguments repeated."""
        return tuple(self._tickets[cid].pin for cid in self._order)

    def notify(self, outcome: Outcome) -> None:
        """From the hub."""
        if not self._tickets:
            if isinstance(outcome, _GivingUp):
                outcome.takers.append(self)
            self._early.append(outcome)
            return
        ticket = self._tickets.get(outcome.cid)
        if ticket is None:
            return
        if outcome.unpin:
            self.removed(outcome.cid)
            return
        if isinstance(outcome, _GivingUp):
            if ticket.pin.revision >= outcome.revision:
                outcome.takers.append(self)
                ticket.created, ticket.before = outcome.before is None, outcome.before
            return
        if isinstance(outcome, _Left):
            if ticket.created and outcome.pin is not None and ticket.pin.revision < outcome.pin.revision:
                ticket.pin = outcome.pin
            return
        if isinstance(outcome, _Moved):
            # Not one that somebody rewrote meanwhile, who may rely on it.
            if outcome.placed is not None and ticket.pin.revision == outcome.placed.before:
                ticket.pin = outcome.placed.pin
            return
        if isinstance(outcome, _Promised):
            if ticket.pin.revision <= outcome.revision:
                ticket.created, ticket.before = False, None
            return
        early = outcome.mode is PinMode.DIRECT and ticket.pin.mode is PinMode.RECURSIVE
        if early and outcome.event is not Event.UNREACHABLE:
            return  # of an attempt that began before the entry became recursive: the one for this request follows
        ticket.seen[outcome.peer] = outcome.progress
        match outcome.event:
            case Event.DONE:
                ticket.quorum.hold(outcome.peer)
            case Event.REFUSED:
                ticket.quorum.fail(outcome.peer, outcome.message, away=False)
            case Event.UNREACHABLE:
                ticket.quorum.fail(outcome.peer, outcome.message, away=True)
            case Event.STALLED:
                # Kubo would wait on; so does the request, while the tracker tries again.
                pass
        self._changed.set()

    def peer_away(self, peer: PeerId, message: str) -> None:
        """From the hub: nothing will come from this peer for now."""
        for ticket in self._tickets.values():
            ticket.quorum.fail(peer, message, away=True)
        self._changed.set()

    def peer_full(self, peer: PeerId, message: str, busy: Callable[[Cid], bool]) -> None:
        """From the hub: nothing new will be pinned on this peer for now. It is there, so it is not done without."""
        for cid, ticket in self._tickets.items():
            if not busy(cid):
                ticket.quorum.fail(peer, message, away=False)
        self._changed.set()

    def removed(self, cid: Cid) -> None:
        """Somebody removed the entry, or took it from a peer; or the one before it, when the news is older than our
        commit."""
        self._doubtful.add(cid)
        self._changed.set()

    def progress(self) -> Progress:
        """How far it is now."""
        nodes = size = 0
        for ticket in self._tickets.values():
            reports = [self._report(ticket, peer) for peer in ticket.quorum.allocated]
            nodes += max((report.nodes for report in reports), default=0)
            size += max((report.bytes for report in reports), default=0)
        return Progress(nodes, size)

    def _report(self, ticket: Ticket, peer: PeerId) -> PinProgress:
        now = self._progress_of(peer, ticket.pin.cid)
        if now.nodes or now.bytes:
            ticket.seen[peer] = now
        return ticket.seen.get(peer, now)

    def stopping(self) -> None:
        """From the hub."""
        self._changed.set()

    async def wait(self) -> None:
        """Return when every argument is held by as many peers as asked for.

        Arguments are judged in order, as Kubo works on them in order. Raises PinFailed for the lowest that cannot
        reach its number, after withdrawing what this request created and has not reached. Raises Stopping when the
        service is about to stop; the entries stay.
        """
        try:
            for index, cid in enumerate(self._order):
                while not await self._reached(cid):
                    if not await self._placed_elsewhere(cid):
                        await self.withdraw()
                        raise PinFailed(index, self._reason(self._tickets[cid].quorum))
            for cid, ticket in self._tickets.items():
                self._hub.publish(_Promised(self._home, cid, Event.DONE, revision=ticket.pin.revision))
        finally:
            # Whoever is cancelled waits no longer: nobody may leave an entry to it.
            self.leave()

    async def _reached(self, cid: Cid) -> bool:
        """Wait until the pin is held by as many peers as asked for; False when it cannot be any more."""
        quorum = self._tickets[cid].quorum
        while (verdict := quorum.verdict()) is Verdict.WAITING:
            if self._hub.stopped:
                raise Stopping
            self._changed.clear()
            if cid in self._doubtful:
                await self._look_again(cid, quorum)
            else:
                await self._changed.wait()
        return verdict is Verdict.REACHED

    async def _placed_elsewhere(self, cid: Cid) -> bool:
        """Who cannot make a copy for reasons of its own is replaced, if anybody can: then the request goes on."""
        ticket = self._tickets[cid]
        failed = dict(ticket.quorum.failed)
        placed = await self._elsewhere.place(cid, ticket.quorum.allocated, failed)
        if placed is None:
            return False
        self._hub.publish(_Moved(self._home, cid, Event.DONE, placed=placed))
        await self._follow(placed.pin, ticket.quorum)
        for peer, reason in failed.items():
            ticket.quorum.fail(peer, reason, away=False)
        return True

    def _reason(self, quorum: Quorum) -> str:
        """The error for the client: what a node says of the content, then which nodes could not make their copies."""
        own, reason = self._elsewhere.own(quorum.failed), quorum.reason(self._home)
        blamed = any(quorum.failed[peer] == reason for peer in own)
        return "; ".join([*([] if blamed else [reason]), *own.values()])

    async def _look_again(self, cid: Cid, quorum: Quorum) -> None:
        """Somebody removed the entry, or placed it anew, so that a peer that is waited for lets go of it."""
        self._doubtful.discard(cid)
        pin = await self._store.get(cid)
        if pin is None:
            for peer in quorum.allocated - quorum.held:
                quorum.fail(peer, "the pin was removed while it was waited for", away=False)
            return
        if not quorum.allocated.issubset(pin.allocations or self._everyone):
            await self._follow(pin, quorum)

    async def _follow(self, pin: Pin, quorum: Quorum) -> None:
        quorum.allocated |= frozenset(pin.allocations or self._everyone)  # from now on their outcomes count
        wanting = {work.peer for work in await self._store.work([pin.cid]) if work.status in WANTS_PIN}
        quorum.follow(self._quorum_of(pin, wanting))

    async def withdraw(self) -> None:
        """Give up: entries that this request created, that no one else waits for or has rewritten, and that have not
        reached their number leave the pinset again; their nodes are cleaned up by the trackers. Those that were direct
        pins before are that again.
        """
        self.leave()
        for cid, ticket in self._tickets.items():
            if ticket.quorum.verdict() is Verdict.REACHED:
                continue
            if not ticket.created and ticket.before is None:
                self._hub.publish(_Left(self._home, cid, Event.DONE, pin=ticket.pin))
                continue
            async with self._hub.withdrawing(cid):
                if not self._taken_over(ticket) and await self._undone(ticket):
                    # At once: later it would be the attempts of who asks for it anew that are given up.
                    self._on_withdrawn(cid)

    async def _undone(self, ticket: Ticket) -> bool:
        pin, before = ticket.pin, ticket.before
        everyone = pin.allocations or self._everyone
        undo: Write = RemovePin(pin.cid, pin.revision, everyone, Priority.REMOVAL)
        if before is not None:
            holders = before.allocations or self._everyone
            release = tuple(peer for peer in everyone if peer not in holders)
            undo = PutPin(before, pin.revision, holders, release=release, priority=Priority.USER)
        try:
            await self._store.commit([undo])
        except Conflict:
            return False
        return True

    def _taken_over(self, ticket: Ticket) -> bool:
        question = _GivingUp(self._home, ticket.pin.cid, Event.DONE, revision=ticket.pin.revision, before=ticket.before)
        self._hub.publish(question)
        return bool(question.takers)

    def leave(self) -> None:
        """Wait no longer: nobody may leave an entry to this request."""
        for cid in self._order:
            self._hub.unsubscribe(cid, self)


class UpdateCall:
    """A pin update: the new pin's call, and what is done when it has been reached."""

    def __init__(self, call: PinCall | None, finish: Callable[[], Awaitable[None]] | None) -> None:
        """call None: nothing had to be done."""
        self._call = call
        self._finish = finish

    def progress(self) -> Progress:
        """How far the new pin is."""
        return self._call.progress() if self._call else Progress()

    async def wait(self) -> None:
        """Return when the new pin is held as asked for and the old one, if it goes, is removed. Raises PinFailed."""
        if self._call is not None:
            await self._call.wait()
        if self._finish is not None:
            await self._finish()

    async def withdraw(self) -> None:
        """Give up on the new pin; the old one stays."""
        if self._call is not None:
            await self._call.withdraw()
