"""The cluster's verbs on one service: what every door calls.

The engine coordinates; it decides by the pure functions of `core` and `planning`, and acts through the store, the
trackers and the nodes. Order everywhere: intent durable, node call, status durable, answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Container, Iterable, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from ipfs_cluster.adopt import adopt
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.core.quorum import Quorum, required_peers
from ipfs_cluster.errors import ClusterError, Conflict, NotPinned, PinModeError
from ipfs_cluster.expiry import Expiry
from ipfs_cluster.hub import Hub
from ipfs_cluster.ingest import Ingest
from ipfs_cluster.mesh import connect_all
from ipfs_cluster.model import WANTS_PIN, Metric, NodeInfo, PeerId, Pin, PinMode, PinOptions, TrackerStatus, Work
from ipfs_cluster.peer import LocalPeer, PeerSettings, PeerSpec
from ipfs_cluster.pinning import PinCall, Ticket, UpdateCall, Wait
from ipfs_cluster.planning import Defaults, Surroundings, plan_pin
from ipfs_cluster.ports import Clock, ForgetForeign, Node, NodeResponse, PutPin, RemovePin, Store, Write
from ipfs_cluster.removal import RemovalWatch, UnpinOutcome
from ipfs_cluster.tasks import TaskSet, sleep_or_event
from ipfs_cluster.views import Views

log = logging.getLogger(__name__)

GUARD_RETRIES = 16
"""How often a decision is made anew when somebody else's write came in between."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """wait: what a pin request waits for when it does not say. mesh_interval: seconds between connection rounds."""

    defaults: Defaults = Defaults()
    peer: PeerSettings = PeerSettings()
    wait: Wait = Wait.MIN
    adopt: bool = True
    mesh_interval: float = 300.0


class Cluster:
    """The engine of one service: local peers, one store. `start`, the verbs, `close`."""

    def __init__(self, specs: Sequence[PeerSpec], store: Store, clock: Clock, settings: EngineSettings) -> None:
        """specs: at least one, exactly one of them home."""
        self._store = store
        self._clock = clock
        self._settings = settings
        self._hub = Hub()
        self._tasks = TaskSet()
        self._mesh_due = asyncio.Event()
        self.peers_by_id = {
            spec.id: LocalPeer(spec, store, clock, self._hub, settings.peer, self._refuse, self._peer_up)
            for spec in specs
        }
        (self.home,) = [peer for peer in self.peers_by_id.values() if peer.home]
        self.views = Views(store, self.peers_by_id, self.home)
        self.ingest = Ingest(store, clock, self.home, self._around, self._wake)
        self.expiry = Expiry(store, clock, self._expired)
        self.adopted = 0

    # --- life ---

    async def start(self) -> None:
        """Open the store, contact the nodes once, survey new ones, adopt, then work in the background."""
        await self._store.open()
        records = {record.id: record for record in await self._store.peers()}
        for peer in self.peers_by_id.values():
            await peer.load(records)
        await self.ingest.clean_up()
        async with asyncio.TaskGroup() as group:
            for peer in self.peers_by_id.values():
                group.create_task(peer.first_check())
        await self._adopt_home()
        for peer in self.peers_by_id.values():
            peer.start(self._tasks)
        self._tasks.start("swarm mesh", self._mesh_forever())
        self._tasks.start("expiry", self.expiry.run())

    async def close(self) -> None:
        """Stop all work and close the nodes and the store; queued commits are finished."""
        await self._tasks.close()
        for peer in self.peers_by_id.values():
            await peer.node.close()
        await self._store.close()

    async def _adopt_home(self) -> None:
        record = self.home.record
        if record.adopted or not record.surveyed:
            return
        if self._settings.adopt:
            self.adopted = await adopt(self.home.id, self._store, self._clock.time())
        await self.home.remember(adopted=True)

    async def _peer_up(self, peer: LocalPeer) -> None:
        self._mesh_due.set()
        log.info("peer %s: node %s is up", peer.name, peer.state.info.id if peer.state.info else "?")

    def _refuse(self, peer: PeerId, info: NodeInfo) -> str:
        for other in self.peers_by_id.values():
            if other.id != peer and other.state.info is not None and other.state.info.id == info.id:
                return f"node {info.id} is already served as peer {other.name}; a node can be one peer only"
        return ""

    async def _mesh_forever(self) -> None:
        while True:
            await sleep_or_event(self._clock, self._settings.mesh_interval, self._mesh_due)
            self._mesh_due.clear()
            nodes: dict[PeerId, tuple[Node, NodeInfo]] = {
                peer.id: (peer.node, peer.state.info)
                for peer in self.peers_by_id.values()
                if peer.up and peer.state.info is not None
            }
            await connect_all(nodes)

    async def count(self) -> int:
        """How many pins there are."""
        return await self._store.count()

    # --- what decisions are made of ---

    def _around(self) -> Surroundings:
        metrics: dict[str, dict[PeerId, Metric]] = {}
        for peer in self.peers_by_id.values():
            for name, metric in peer.state.metrics.items():
                metrics.setdefault(name, {})[peer.id] = metric
        return Surroundings(
            tuple(self.peers_by_id), metrics, self._clock.time(), self._clock.jitter, self._settings.defaults
        )

    def _wake(self, peers: Iterable[PeerId] | None = None, cancelled: Sequence[Cid] = ()) -> None:
        for peer in self.peers_by_id.values() if peers is None else [self.peers_by_id[peer] for peer in peers]:
            if cancelled:
                peer.tracker.cancel(cancelled)
            peer.tracker.wake()
        self.expiry.wake()

    # --- pin ---

    async def resolve(self, path: str) -> Cid:
        """The CID that a path leads to, by the home node; NodeError with the daemon's text."""
        return await self.home.node.resolve(path)

    def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[NodeResponse]:
        """A request with a streamed body to the home node, full duplex."""
        return self.home.node.upload(command, query, headers, body)

    async def pin(self, requests: Sequence[tuple[Cid, PinOptions]], *, wait: Wait | None = None) -> PinCall:
        """Commit all requests as one batch and start the work; the call's `wait` waits for the nodes.

        The entry of a CID that is pinned already keeps what the options do not name. Raises PinModeError,
        NotEnoughPeers, InvalidArgument, StoreUnavailable; then nothing has been written.
        """
        call = self._call([cid for cid, _ in requests])
        options = dict(requests)
        for _ in range(GUARD_RETRIES):
            try:
                tickets = await self._commit_pins(options, wait or self._settings.wait)
            except Conflict:
                continue
            call.begin(tickets)
            return call
        raise Conflict("the pins kept changing while they were written; try again")

    def _call(self, cids: Sequence[Cid]) -> PinCall:
        call = PinCall(
            self._hub,
            self._store,
            self.home.id,
            tuple(self.peers_by_id),
            lambda peer, cid: self.peers_by_id[peer].tracker.progress(cid),
            lambda removed: self._wake(cancelled=removed),
        )
        call.watch(cids)
        return call

    async def _commit_pins(self, options: dict[Cid, PinOptions], wait: Wait) -> dict[Cid, Ticket]:
        around = self._around()
        cids = list(options)
        existing, rows = await asyncio.gather(self._store.get_many(cids), self._store.work(cids))
        works = _by_cid(rows)
        planned: dict[Cid, Pin] = {}
        writes: list[Write] = []
        for cid, option in options.items():
            pin, changes = plan_pin(existing.get(cid), Pin(cid), option, works.get(cid, ()), around)
            planned[cid] = pin
            writes += changes
        if writes:
            revision = await self._store.commit(writes)
            for write in writes:
                if isinstance(write, PutPin):
                    planned[write.pin.cid] = replace(write.pin, revision=revision)
            self._hand_over(writes, existing, works, revision)
            changed = [cid for cid in cids if cid in existing or cid in works]
            works = _by_cid(await self._store.work(changed)) if changed else {}
        tickets = {}
        for cid, pin in planned.items():
            new = cid not in existing
            wanting = frozenset(around.peers) if new else {w.peer for w in works.get(cid, ()) if w.status in WANTS_PIN}
            tickets[cid] = Ticket(pin, self._quorum(pin, wanting, wait), new)
        return tickets

    def _hand_over(
        self, writes: Sequence[Write], existing: Container[Cid], works: Container[Cid], revision: int
    ) -> None:
        """Tell the trackers of committed work: new rows directly, everything else by a wake-up."""
        known = [
            write
            for write in writes
            if isinstance(write, PutPin) and write.pin.cid not in existing and write.pin.cid not in works
        ]
        if len(known) < len(writes):
            self._wake()
        for write in known:
            for peer in write.queue:
                self.peers_by_id[peer].tracker.offer(_row(write.pin, peer, revision, write.pin.timestamp))
        self.expiry.wake()

    def _quorum(self, pin: Pin, wanting: Set[PeerId], wait: Wait) -> Quorum:
        everywhere = not pin.allocations
        up = frozenset(peer.id for peer in self.peers_by_id.values() if peer.up)
        allocated = frozenset(pin.allocations) or up or frozenset(self.peers_by_id)
        required = required_peers(pin.replication_min, allocated, everywhere=everywhere, every=wait is Wait.ALL)
        quorum = Quorum(allocated, 0 if wait is Wait.ACCEPTED else required, everywhere)
        for peer in allocated - wanting:
            quorum.hold(peer)
        for peer in allocated & wanting - up:
            reason = self.peers_by_id[peer].state.error if peer in self.peers_by_id else "not served here"
            quorum.fail(peer, reason, away=True)
        return quorum

    async def _expired(self, pin: Pin) -> None:
        log.info("pin %s expired", cid_text(pin.cid))
        try:
            await self._store.commit([RemovePin(pin.cid, pin.revision, pin.allocations or tuple(self.peers_by_id))])
        except Conflict:
            return  # rewritten just now, perhaps with a later expiry: the next round sees it
        self._hub.removed(pin.cid)
        self._wake(cancelled=[pin.cid])

    # --- unpin, update ---

    async def unpin(self, requests: Sequence[tuple[Cid, bool]], *, settle: float = 5.0) -> UnpinOutcome:
        """Remove pins in order; (cid, recursive): recursive False refuses a recursive pin, as Kubo does.

        The first that fails ends it, earlier ones stay removed. Waits up to `settle` seconds until the nodes that
        answer have let go, so that a following GC frees the content.
        """
        watch = RemovalWatch(self._hub, [cid for cid, _ in requests])
        removed: dict[Cid, tuple[PeerId, ...]] = {}
        error: ClusterError | None = None
        for cid, recursive in requests:
            try:
                removed[cid] = await self._remove(cid, recursive=recursive)
            except ClusterError as refusal:
                error = refusal
                break
        await watch.settled(self._store, list(removed), self._up_peers(), settle)
        return UnpinOutcome(len(removed), error)

    def _up_peers(self) -> frozenset[PeerId]:
        return frozenset(peer.id for peer in self.peers_by_id.values() if peer.up)

    async def _remove(self, cid: Cid, *, recursive: bool) -> tuple[PeerId, ...]:
        for _ in range(GUARD_RETRIES):
            pin = await self._store.get(cid)
            if pin is None:
                return await self._remove_foreign(cid, recursive=recursive)
            if pin.mode is PinMode.RECURSIVE and not recursive:
                raise PinModeError("is pinned recursively")
            holders = pin.allocations or tuple(self.peers_by_id)
            try:
                await self._store.commit([RemovePin(cid, pin.revision, holders)])
            except Conflict:
                continue
            self._hub.removed(cid)
            self._wake(cancelled=[cid])
            return holders
        raise Conflict("the pin kept changing while it was removed; try again")

    async def _remove_foreign(self, cid: Cid, *, recursive: bool) -> tuple[PeerId, ...]:
        """A pin of the home node that was never adopted is the user's: forwarded, as if the node had been asked."""
        foreign = await self._store.is_foreign(self.home.id, cid)
        if foreign is None:
            raise NotPinned
        if foreign.mode is PinMode.RECURSIVE and not recursive:
            raise PinModeError("is pinned recursively")
        await self.home.node.unpin(cid, foreign.mode)
        await self._store.commit([ForgetForeign(self.home.id, (cid,))])
        return ()

    async def update(self, old: Cid, new: Cid, *, unpin: bool = True) -> UpdateCall:
        """Pin `new` where `old` is, with its name, by fetching the difference; then drop `old` unless told not to.

        Raises ClusterError with Kubo's texts.
        """
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
        call = await self.pin([(new, options)])

        async def drop_old() -> None:
            await self.unpin([(old, True)])

        return UpdateCall(call, drop_old if unpin else None)


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
        name=pin.name,
        pin_update=pin.pin_update,
        origins=pin.origins,
    )


def _by_cid(works: Iterable[Work]) -> dict[Cid, list[Work]]:
    grouped: dict[Cid, list[Work]] = {}
    for work in works:
        grouped.setdefault(work.cid, []).append(work)
    return grouped
