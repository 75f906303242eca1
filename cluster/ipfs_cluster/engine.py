"""The cluster's verbs on one service: what every door calls. The facade of the engine, and its life.

Decisions are made in `core` and `planning`, changes of the pinset in `pins`, adding in `ingest`; what one node is asked
to do is its tracker's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from ipfs_cluster.adopt import adopt
from ipfs_cluster.cid import Cid
from ipfs_cluster.clockwatch import ClockWatch
from ipfs_cluster.counters import IngestCounters, PinsetCounters
from ipfs_cluster.errors import NotSurveyed
from ipfs_cluster.feed import Batch, watch
from ipfs_cluster.gc import Collected, collect
from ipfs_cluster.hops import loop_message
from ipfs_cluster.hub import Hub
from ipfs_cluster.ingest import Ingest, IngestCall, IngestSettings, Upload, counted
from ipfs_cluster.mesh import connect_all
from ipfs_cluster.model import Metric, NodeInfo, PeerId, PinOptions, RepoStat
from ipfs_cluster.peer import LocalPeer, PeerSettings, PeerSpec
from ipfs_cluster.pinning import PinCall, UpdateCall, Wait
from ipfs_cluster.pins import SETTLE, Pins
from ipfs_cluster.planning import Defaults
from ipfs_cluster.ports import Clock, ForgetPeer, Node, PeerRecord, PinQuery, PutPeer, Store
from ipfs_cluster.queues import Queues
from ipfs_cluster.removal import UnpinOutcome
from ipfs_cluster.tasks import TaskSet, sleep_or_event
from ipfs_cluster.upkeep import Diagnosis, Upkeep, UpkeepSettings
from ipfs_cluster.views import Views

log = logging.getLogger(__name__)

COMPARING = 2
"""Peers that compare with their nodes at the same time."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """wait: what a pin request waits for when it does not say. mesh_interval: seconds between connection rounds."""

    defaults: Defaults = Defaults()
    peer: PeerSettings = PeerSettings()
    ingest: IngestSettings = IngestSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    wait: Wait = Wait.MIN
    adopt: bool = True
    mesh_interval: float = 60.0


class Cluster:
    """The engine of one service: local peers, one store. `start`, the verbs, `close`."""

    def __init__(
        self,
        specs: Sequence[PeerSpec],
        store: Store,
        clock: Clock,
        settings: EngineSettings,
        claim: Callable[[str], str] = lambda _node: "",
    ) -> None:
        """specs: at least one, exactly one of them home. claim: takes a daemon by its ID for this service; why that
        cannot be, or nothing.
        """
        self._claim = claim
        self._store = store
        self._clock = clock
        self._settings = settings
        self._hub = Hub()
        self._tasks = TaskSet()
        self._mesh_due = asyncio.Event()
        queues, turns = Queues(store, clock), asyncio.Semaphore(COMPARING)
        self.peers_by_id = {
            spec.id: LocalPeer(spec, store, clock, self._hub, settings.peer, queues, turns, self._refuse, self._peer_up)
            for spec in specs
        }
        (self.home,) = [peer for peer in self.peers_by_id.values() if peer.home]
        self._watch = ClockWatch(clock, self._clock_jumped)
        held = self._watch.held
        self._pins = Pins(store, clock, self._hub, self.peers_by_id, settings.defaults, settings.wait, held)
        self._ingest = Ingest(store, clock, self.peers_by_id, self._pins, settings.ingest)
        self.views = Views(store, self.peers_by_id, self.home)
        self.upkeep = Upkeep(store, clock, self._hub, self.peers_by_id, self._pins, settings.upkeep, settings.defaults)
        self.why = Diagnosis(store, clock, self.peers_by_id, self._pins, self.views, self.upkeep)
        self.adopted = 0
        self.adds = IngestCounters()

    # --- life ---

    async def start(self) -> None:
        """Open the store, contact the nodes once, survey new ones, adopt, then work in the background."""
        await self._store.open()
        records = {record.id: record for record in await self._store.peers()}
        for peer in self.peers_by_id.values():
            await peer.load(records)
        await self._take_leave([record for record in records.values() if record.id not in self.peers_by_id])
        await self._ingest.clean_up()
        async with asyncio.TaskGroup() as group:
            for peer in self.peers_by_id.values():
                group.create_task(peer.first_check(self._tasks))
        await self._adopt_home()
        for peer in self.peers_by_id.values():
            peer.start(self._tasks)
        self.upkeep.start(self._tasks)
        self._tasks.start("swarm mesh", self._mesh_forever())
        self._tasks.start("expiry", self._pins.expiry.run())
        self._tasks.start("clock", self._watch.run())

    def reconfigure(self, settings: EngineSettings, specs: Sequence[PeerSpec]) -> None:
        """Go on with other values of what may change meanwhile: defaults, times, limits, tags and reserves of the same
        peers. What is bound to the start (nodes, concurrency, allocate_by) has to be as it was.
        """
        self._settings = settings
        self._pins.reconfigure(settings.defaults, settings.wait)
        self.upkeep.reconfigure(settings.upkeep)
        for spec in specs:
            self.peers_by_id[spec.id].reconfigure(settings.peer, spec)

    def end_waiting(self) -> None:
        """Requests that wait for nodes end with Stopping, those to come too: the doors are about to close."""
        self._hub.stop()

    async def close(self) -> None:
        """Stop all work and close the nodes and the store; queued commits are finished."""
        await self.upkeep.close()
        await self._tasks.close()
        for peer in self.peers_by_id.values():
            await peer.node.close()
        await self._store.close()

    async def _take_leave(self, records: Sequence[PeerRecord]) -> None:
        """Of peers that are configured no more. One that nothing is allocated to is forgotten, with the work that
        nobody will ever do. Another one is missed; should it return, its node is compared before it works, as what is
        pinned everywhere goes on without it.
        """
        for record in records:
            if not await self._store.count(PinQuery(allocated=record.id)):
                log.info("peer %s is configured no more, and nothing is allocated to it: it is forgotten", record.name)
                await self._store.commit([ForgetPeer(record.id)])
            elif record.surveyed:
                await self._store.commit([PutPeer(replace(record, surveyed=False))])

    async def _adopt_home(self) -> None:
        record = self.home.record
        if record.adopted or not record.surveyed:
            return
        if self._settings.adopt:
            self.adopted = await adopt(self.home.id, self._store, self._clock.time())
        await self.home.remember(adopted=True)

    async def adopt(self, peer: PeerId) -> int:
        """Take what the node of a peer held before it joined into the pinset, on that peer alone; how many pins that
        were. Raises UnknownPeer, NotSurveyed, StoreUnavailable.
        """
        local = self.peers_by_id[self.upkeep.find(peer)]
        if not local.record.surveyed:
            raise NotSurveyed(local.name)
        return await adopt(local.id, self._store, self._clock.time())

    async def _clock_jumped(self, seconds: float) -> None:
        """After a jump back, retries keep their distance. After one ahead they come sooner, as many as there is room
        for: which of those that are due now had to wait can no longer be told.
        """
        for peer in self.peers_by_id.values():
            if seconds < 0:
                await self._store.shift_retries(peer.id, self._clock.time(), seconds)
            peer.tracker.wake()
        self._pins.expiry.wake()

    async def _peer_up(self, peer: LocalPeer) -> None:
        self._mesh_due.set()
        self.upkeep.presence.wake()
        log.info("peer %s: node %s is up", peer.name, peer.state.info.id if peer.state.info else "?")

    @property
    def counters(self) -> PinsetCounters:
        """Entries that came and went, by what brought and took them."""
        return self._pins.counters

    @property
    def waiting(self) -> int:
        """CIDs that requests wait for now."""
        return self._hub.waiting

    @property
    def services(self) -> tuple[str, ...]:
        """Peer IDs of this service and of those that its nodes stand for, if they are clusters themselves."""
        behind = [
            service
            for peer in self.peers_by_id.values()
            if peer.up and peer.state.info is not None
            for service in peer.state.info.services
        ]
        return tuple(dict.fromkeys([self.home.id, *behind]))

    def _refuse(self, peer: PeerId, info: NodeInfo) -> str:
        if self.home.id in info.services:
            return loop_message(info.services, self.home.id)
        for other in self.peers_by_id.values():
            if other.id != peer and other.state.info is not None and other.state.info.id == info.id:
                keeper = self.home if peer == self.home.id else other
                reason = f"node {info.id} is already served as peer {keeper.name}; a node can be one peer only"
                if keeper is other:
                    return reason
                # The proxy forwards to this node whatever happens, so the other peer has to go.
                if other.up:
                    other.monitor.suspect(reason)
        # What answers with its node's ID but stands for a cluster is not that node.
        return "" if self.peers_by_id[peer].node.cluster else self._claim(info.id)

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

    def nodes_up(self) -> dict[PeerId, Node]:
        """The nodes that answer now."""
        return {peer.id: peer.node for peer in self.peers_by_id.values() if peer.up}

    def metric_names(self) -> list[str]:
        """What is measured of peers, sorted."""
        return sorted({name for peer in self.peers_by_id.values() for name in peer.state.metrics})

    def metrics(self, name: str) -> list[Metric]:
        """The latest measurement of this name of each peer where one counts, by peer ID."""
        now = self._clock.monotonic()
        found = [peer.state.metrics.get(name) for _, peer in sorted(self.peers_by_id.items())]
        return [metric for metric in found if metric is not None and metric.usable(now)]

    @property
    def steady_offset(self) -> float:
        """What has to be added to a measurement's times to make them unix seconds, as the wall clock is now."""
        return self._clock.time() - self._clock.monotonic()

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self._clock.time()

    async def count(self) -> int:
        """How many pins there are."""
        return await self._store.count()

    # --- pins ---

    async def resolve(self, path: str) -> Cid:
        """The CID that a path leads to, by the home node; NodeError with the daemon's text."""
        return await self.home.node.resolve(path)

    async def local_root(self, cid: Cid) -> None:
        """Return if the home node has this block, else raise NodeError with its text. Nobody else is asked."""
        await self.home.node.local_block(cid)

    async def pin(self, requests: Sequence[tuple[Cid, PinOptions]], *, wait: Wait | None = None) -> PinCall:
        """Commit all requests as one batch and start the work; the call's `wait` waits for the nodes.

        The entry of a CID that is pinned already keeps what the options do not name. Raises PinModeError,
        NotEnoughPeers, InvalidArgument, StoreUnavailable; then nothing has been written.
        """
        return await self._pins.pin(requests, wait)

    async def unpin(self, requests: Sequence[tuple[Cid, bool]], *, settle: float = SETTLE) -> UnpinOutcome:
        """Remove pins in order; (cid, recursive): recursive False refuses a recursive pin, as Kubo does.

        The first that fails ends it, earlier ones stay removed. Waits up to `settle` seconds until the nodes that
        answer have let go, so that a following GC frees the content.
        """
        return await self._pins.unpin(requests, settle)

    async def update(self, old: Cid, new: Cid, *, unpin: bool = True) -> UpdateCall:
        """Pin `new` where `old` is, with its name, by fetching the difference; then drop `old` unless told not to.

        Raises ClusterError with Kubo's texts.
        """
        return await self._pins.update(old, new, unpin=unpin)

    def watch(self, place: str = "") -> AsyncGenerator[Batch, None]:
        """The pinset as it is, then as it changes, for ever; from a place of an earlier batch on, if there is one."""
        return watch(self._store, self._clock, place)

    async def recover(self, cids: Sequence[Cid], *, local: bool = False) -> None:
        """Try again now what has failed of these, with new attempts. local: on the home peer only."""
        await self._pins.recover(cids, self.home.id if local else None)

    def recover_all(self, *, local: bool = False) -> AsyncIterator[list[Cid]]:
        """Try again whatever has failed; the CIDs it was done for, each once."""
        return self._pins.recover_all(self.home.id if local else None)

    # --- adding ---

    def add(self, upload: Upload) -> AbstractAsyncContextManager[IngestCall]:
        """Send a body to all nodes that are to hold it, the first one's events coming back as they are made.

        Leaving the block early breaks it off and releases what it had the nodes pin.
        """
        return counted(self._ingest.add(upload), self.adds)

    # --- repositories ---

    def gc(self, *, local: bool = False) -> AsyncGenerator[list[Collected], None]:
        """Finish removals, then collect garbage node after node; a node that cannot is named, and the others go on.
        local: on the home node only.
        """
        peers = [self.home] if local else list(self.peers_by_id.values())
        return collect(peers, self._store, self._clock, self._settings.ingest.tee.grace)

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        """The sum over all nodes that answer; path and version are the home node's. Raises NodeError when none does."""
        return await self.views.repo_stat(size_only=size_only)
