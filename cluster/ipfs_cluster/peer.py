"""One local peer of the service: its node, its tracker, its monitor, and the reconcile that ties them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ipfs_cluster.attempt import TrackerSettings
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.core.room import Room, RoomRule
from ipfs_cluster.core.transitions import Event
from ipfs_cluster.counters import CollectCounters
from ipfs_cluster.doubt import SETTLE, Doubt
from ipfs_cluster.errors import ClusterError, NodeError
from ipfs_cluster.gate import Gate
from ipfs_cluster.hub import Hub, Outcome
from ipfs_cluster.model import WANTS_UNPIN, ClaimKind, NodeInfo, PeerId, PeerInfo, Work
from ipfs_cluster.monitor import Monitor, MonitorSettings, PeerState
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.ports import Clock, Node, PeerRecord, PutClaim, PutPeer, Store
from ipfs_cluster.queues import Queues
from ipfs_cluster.reconcile import Findings, ReconcileCounters, reconcile
from ipfs_cluster.tasks import TaskSet, sleep_or_event
from ipfs_cluster.tracker import Tracker

log = logging.getLogger(__name__)

SYSTEM_OWNER = "system"
SHARE = 20
"""After a comparison a peer rests for at least so many times as long as it took."""
RETRY = 60.0
"""Seconds until one that broke off is tried again."""


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """What the service is told about a local peer. home: the proxy forwards to its node. rule: when it has no room.
    concurrent: pins at work on it, 0 for as many as on the others.
    """

    id: PeerId
    name: str
    node: Node
    home: bool = False
    tags: tuple[tuple[str, str], ...] = (("group", "default"),)
    rule: RoomRule = RoomRule()
    concurrent: int = 0


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """reconcile_interval: seconds between full comparisons with the node, more when they take long."""

    tracker: TrackerSettings = TrackerSettings()
    monitor: MonitorSettings = MonitorSettings()
    reconcile_interval: float = 720.0


def _tracker(settings: PeerSettings, spec: PeerSpec) -> TrackerSettings:
    return replace(settings.tracker, concurrent=spec.concurrent or settings.tracker.concurrent)


class LocalPeer:
    """Drives one node. `start` begins watching and working; `first_check` is done when it returns. on_record: is told
    what the store is to remember of the peer, whenever that changes.
    """

    def __init__(
        self,
        spec: PeerSpec,
        store: Store,
        clock: Clock,
        hub: Hub,
        settings: PeerSettings,
        queues: Queues,
        turns: asyncio.Semaphore,
        refuse: Callable[[PeerId, NodeInfo], str],
        on_up: Callable[[LocalPeer], Awaitable[None]],
    ) -> None:
        """turns: whoever compares takes one, so that not all peers of the service do at once."""
        self.id = spec.id
        self.name = spec.name
        self.home = spec.home
        self.node = spec.node
        self.tags: Sequence[tuple[str, str]] = spec.tags
        self.rule = spec.rule
        self.record = PeerRecord(spec.id, spec.name)
        self.on_record: Callable[[PeerRecord], None] | None = None
        self._store = store
        self._clock = clock
        self._hub = hub
        self._settings = settings
        self._queues = queues
        self._refuse = refuse
        self._announce_up = on_up
        self._turns = turns
        self._due = asyncio.Event()
        self._rest_until = 0.0
        self.doubt = Doubt(clock)
        self.surveyed = asyncio.Event()
        self.gate = Gate(clock)
        self.comparisons = ReconcileCounters()
        self.collections = CollectCounters()
        told = (self._lost, self.full)
        self.tracker = Tracker(spec.id, spec.node, self.gate, store, clock, hub, _tracker(settings, spec), *told)
        self.monitor = Monitor(self, clock, settings.monitor)

    def reconfigure(self, settings: PeerSettings, spec: PeerSpec) -> None:
        """Go on with these times and limits, tags and reserve; node and concurrency have to be as they were."""
        self.tags, self.rule, self._settings = spec.tags, spec.rule, settings
        self.tracker.reconfigure(_tracker(settings, spec))
        self.monitor.reconfigure(settings.monitor)

    @property
    def state(self) -> PeerState:
        """What the monitor knows now."""
        return self.monitor.state

    @property
    def up(self) -> bool:
        """True while the node answers."""
        return self.state.up

    @property
    def known(self) -> bool:
        """True when the node's pins were compared with the pinset since it is this peer's node, so that having no work
        on a pin means holding it.
        """
        return self.record.surveyed

    @property
    def has_room(self) -> bool:
        """True while something new may go to the node; else `state.room.why` says why not."""
        return self.state.room.open

    def info(self) -> PeerInfo:
        """The peer as listings show it."""
        state = self.state
        full = state.room.why if state.up else ""
        return PeerInfo(self.id, self.name, (), state.info, state.error, self.home, state.room.free, full)

    async def load(self, records: dict[PeerId, PeerRecord]) -> None:
        """Take up the stored record, or write a new one (which queues every pin that belongs everywhere)."""
        known = records.get(self.id)
        self._keep(replace(known, name=self.name) if known else self.record)
        if known != self.record:
            await self._store.commit([PutPeer(self.record)])

    async def remember(self, **changes: object) -> None:
        """Change the stored record durably."""
        self._keep(replace(self.record, **changes))  # type: ignore[arg-type]
        await self._store.commit([PutPeer(self.record)])

    def _keep(self, record: PeerRecord) -> None:
        self.record = record
        if self.on_record is not None:
            self.on_record(record)

    async def first_check(self, tasks: TaskSet) -> None:
        """Ping once and begin watching: others may take long, and a measurement does not keep for ever. If the node has
        never been surveyed, survey it before anything may be unpinned there.
        """
        await self.monitor.check()
        tasks.start(f"monitor {self.name}", self.monitor.run())
        if self.up and not self.record.surveyed:
            await self.reconcile_now()

    def start(self, tasks: TaskSet) -> None:
        """Begin working and comparing, until the task set is closed; after `first_check`."""
        tasks.start(f"repository size {self.name}", self.monitor.repo.run())
        tasks.start(f"tracker {self.name}", self.tracker.run())
        tasks.start(f"reconcile {self.name}", self._reconcile_forever())

    # --- the node comes and goes ---

    def _lost(self, reason: str) -> None:
        self.monitor.suspect(reason)

    def full(self, words: str) -> None:
        """The daemon said, in these words, that its disk is full: nothing new goes there until there is room again."""
        self.monitor.full(words)

    def refuse(self, info: NodeInfo) -> str:
        """Why this node must not be driven, empty when it may."""
        return self._refuse(self.id, info)

    async def queued(self) -> int:
        """How many pins wait to be made on the node. Raises StoreUnavailable."""
        return await self._queues.length(self.id)

    async def node_up(self, changed: bool) -> None:
        """From the monitor: it answers again; changed: it is another node than before."""
        info = self.state.info
        if info is not None and info.id != self.record.node_id:
            if self.record.node_id:
                log.warning(
                    "peer %s: now drives node %s instead of %s: its pins will be compared and fetched again",
                    self.name,
                    info.id,
                    self.record.node_id,
                )
            # Another repository may hold other people's pins: it is surveyed before anything is unpinned there.
            await self.remember(node_id=info.id, surveyed=self.record.surveyed and not self.record.node_id)
        if changed:
            self.surveyed.clear()
        self.doubt.cast()  # requests of before, also of a service that died, may still be at work there
        await self._store.retry_now(self.id, self._clock.time())
        self.tracker.node_up()
        self._due.set()
        await self._announce_up(self)

    def node_down(self, reason: str) -> None:
        """From the monitor: it is away."""
        self.tracker.node_down()
        self._hub.peer_away(self.id, reason)

    def room_changed(self, room: Room) -> None:
        """From the monitor: something new may go there, or may not."""
        if not room.open:
            self._hub.peer_full(self.id, f"{self.name}: {room.why}", lambda cid: self.tracker.phase(cid) is not None)

    # --- comparing ---

    async def _reconcile_forever(self) -> None:
        complete = True
        while True:
            pause = self._settings.reconcile_interval if complete else min(RETRY, self._settings.reconcile_interval)
            if complete and self.doubt.left is not None:
                pause = min(pause, max(self.doubt.left, SETTLE / 5))
            # Spread: peers that all came up with the service would go on comparing at the same moments.
            await sleep_or_event(self._clock, pause * (0.9 + 0.2 * self._clock.jitter()), self._due)
            await self._rest()
            self._due.clear()
            if self.up:
                complete = await self.reconcile_now() is not None

    def upload_was_cut(self) -> None:
        """What the node held may have lost its pin: it is looked for, as soon as comparing may cost something again."""
        self.doubt.cast()
        self._due.set()

    async def settle_doubt(self) -> bool:
        """Compare as often as it takes to know what the node lost; False when it did not answer to the end."""
        while (left := self.doubt.left) is not None:
            await self._clock.sleep(left)
            if await self.reconcile_now() is None:
                return False
        return True

    async def _rest(self) -> None:
        """Until comparing costs no more than its share of the time, however often the node comes and goes. Another
        repository is surveyed without delay, as nothing may be unpinned there before.
        """
        while self.record.surveyed and (rest := self._rest_until - self._clock.monotonic()) > 0:
            self._due.clear()
            await sleep_or_event(self._clock, rest, self._due)

    async def _settled(self, works: Sequence[Work]) -> None:
        """A comparison found these rows done: whoever waits for them hears it, as no attempt will end any more."""
        waited = [work for work in works if self._hub.watched(work.cid)]
        rows = {work.cid for work in await self._store.work([one.cid for one in waited]) if work.peer == self.id}
        for work in waited:
            if work.cid not in rows:  # else it was asked for anew meanwhile, which is the tracker's to answer
                unpin = work.status in WANTS_UNPIN
                self._hub.publish(Outcome(self.id, work.cid, Event.DONE, unpin, mode=work.mode))

    async def reconcile_now(self) -> Findings | None:
        """Compare once; None when the node did not answer to the end (then it is tried again soon)."""
        async with self._turns:
            began = self._clock.monotonic()
            found = await self._compare()
            took = self._clock.monotonic() - began
            self._rest_until = began + took + SHARE * took
        if found is None:
            self.comparisons.broken += 1
            return None
        self.doubt.compared(began)
        self.comparisons.seconds.observe(took)
        self.comparisons.last = self._clock.time()
        self.comparisons.found.add(found)
        if found.missing:
            which = ", ".join(map(cid_text, found.examples)) + (", …" if found.missing > len(found.examples) else "")
            text = "peer %s: %d pins were missing on the node and are queued again: %s"
            log.warning(text, self.name, found.missing, which)
        if found.missing or found.vanished:
            await self._announce_up(self)  # it may have been restarted between two pings, and know nobody any more
        self.surveyed.set()
        self.monitor.count_pins(found.held, 2 * (self._settings.reconcile_interval + SHARE * took))
        self.tracker.allow_unpin()
        return found

    async def _compare(self) -> Findings | None:
        try:
            # Claimed first: the block that a service before us pinned here is the cluster's, not a foreign pin.
            claim = PutClaim(self.id, EMPTY_RAW_BLOCK, SYSTEM_OWNER, ClaimKind.SYSTEM)
            await self._store.commit([claim])
            first = not self.record.surveyed
            found = await reconcile(self.id, self.node, self._store, self.tracker.strangers, self._settled, first=first)
            if first:
                await self.remember(surveyed=True)
            await self.node.ensure_empty_block()
        except NodeError as error:
            log.warning("peer %s: comparing with the node broke off: %s", self.name, error)
            return None
        except ClusterError as error:
            log.error("peer %s: comparing with the node failed: %s", self.name, error)
            return None
        return found
