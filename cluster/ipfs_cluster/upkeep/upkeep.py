"""What keeps the pinset where it should be without a request: who counts, repair, drain, rebalance, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.errors import UnknownPeer
from ipfs_cluster.hub import Hub
from ipfs_cluster.model import WANTS_PIN, PeerId, PinType
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pins import Pins, by_cid
from ipfs_cluster.planning import Defaults
from ipfs_cluster.ports import Clock, PinQuery, Store
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.upkeep.alerts import Alerts
from ipfs_cluster.upkeep.moves import Moves, MoveSettings
from ipfs_cluster.upkeep.presence import Presence, PresenceSettings
from ipfs_cluster.upkeep.rebalance import Rebalance
from ipfs_cluster.upkeep.repair import Repair, RepairSettings


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """Of the parts."""

    presence: PresenceSettings = PresenceSettings()
    moves: MoveSettings = MoveSettings()
    repair: RepairSettings = RepairSettings()


@dataclass(frozen=True, slots=True)
class Drain:
    """How far a peer's draining is. remaining: pins that are still allocated to it, and those that belong everywhere
    and that nobody else holds yet. stuck: of the former, those for which no other peer has room. standing: of the peer
    now.
    """

    peer: PeerId
    name: str
    draining: bool
    standing: PeerStanding
    remaining: int
    stuck: int

    @property
    def done(self) -> bool:
        """True when the peer may be taken out of service."""
        return self.draining and not self.remaining


class Upkeep:
    """The parts, wired; `start` once the peers were contacted."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hub: Hub,
        peers: Mapping[PeerId, LocalPeer],
        pins: Pins,
        settings: UpkeepSettings,
        defaults: Defaults,
    ) -> None:
        self._store = store
        self._peers = peers
        self.alerts = Alerts()
        self.presence = Presence(clock, peers, self.alerts, settings.presence, self._standings_changed)
        self.moves = Moves(store, clock, hub, peers, pins, self.presence, settings.moves)
        self.repair = Repair(store, clock, hub, pins, self.presence, self.moves, settings.repair)
        self.rebalance = Rebalance(store, clock, peers, self.presence, self.moves, defaults.allocate_by)

    def start(self, tasks: TaskSet) -> None:
        """Begin, until the task set is closed."""
        tasks.start("presence", self.presence.run())
        tasks.start("repair", self.repair.run())
        tasks.start("trimming", self.moves.trim_forever())

    def reconfigure(self, settings: UpkeepSettings) -> None:
        """Go on with other times, limits and switches."""
        self.presence.reconfigure(settings.presence)
        self.moves.reconfigure(settings.moves)
        self.repair.reconfigure(settings.repair)

    async def close(self) -> None:
        """Stop the rebalance."""
        await self.rebalance.close()

    def _standings_changed(self) -> None:
        self.repair.wake()

    # --- drain ---

    async def drain(self, peer: PeerId, *, on: bool) -> Drain:
        """Move everything off this peer and give it nothing new; or (on False) take it into service again. Durable.
        Raises UnknownPeer.
        """
        found = self._peer(peer)
        if found.record.draining is not on:
            await found.remember(draining=on)
            self.presence.wake()
        return await self.drained(peer)

    async def drained(self, peer: PeerId) -> Drain:
        """How far it is. Raises UnknownPeer."""
        found = self._peer(peer)
        standing = self.presence.standing.get(peer, PeerStanding.AWAY)
        draining = found.record.draining
        remaining = await self._store.count(PinQuery(allocated=peer)) + (await self._alone(peer) if draining else 0)
        stuck = self.repair.stuck.get(peer, 0) if draining else 0
        return Drain(peer, found.name, draining, standing, remaining, min(stuck, remaining))

    async def _alone(self, peer: PeerId) -> int:
        """Pins that belong everywhere, and that nobody but this peer holds yet, as far as is known; peers that are
        being drained as well do not count.
        """
        found = 0
        others = {
            other.id for other in self._peers.values() if other.id != peer and other.known and not other.record.draining
        }
        if not others:
            placed = PinQuery(allocated=peer, types=frozenset(PinType) - {PinType.META})
            return await self._store.count(PinQuery(peer=peer)) - await self._store.count(placed)
        async for page in self._store.pins(PinQuery(statuses=WANTS_PIN)):
            wanting = by_cid(await self._store.work([pin.cid for pin in page if not pin.allocations]))
            for works in wanting.values():
                without = {work.peer for work in works}
                found += others <= without and peer not in without
        return found

    async def draining(self) -> dict[PeerId, int]:
        """How many pins remain on each peer that is being drained."""
        peers = [peer.id for peer in self._peers.values() if peer.record.draining]
        return {peer: (await self.drained(peer)).remaining for peer in peers}

    def find(self, text: str) -> PeerId:
        """The peer with this ID or name. Raises UnknownPeer."""
        for peer in self._peers.values():
            if text in (peer.id, peer.name):
                return peer.id
        raise UnknownPeer(f"there is no peer {text}; known are {', '.join(peer.name for peer in self._peers.values())}")

    def _peer(self, peer: PeerId) -> LocalPeer:
        return self._peers[self.find(peer)]
