"""Watching which peers count: the shell around `core.membership`, and the alerts that come of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ipfs_cluster.core.membership import Brake, Patience, PeerStanding, Sighting, brake, observe, standings
from ipfs_cluster.model import PeerId
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import sleep_or_event
from ipfs_cluster.upkeep.alerts import Alerts

log = logging.getLogger(__name__)

STARTING = Brake("the service is starting", outage=False)


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """check_interval: seconds between looks."""

    patience: Patience = Patience()
    check_interval: float = 15.0


class Presence:
    """The standing of each peer, as of the last look. Runs until cancelled; `wake` to look at once."""

    def __init__(
        self,
        clock: Clock,
        peers: Mapping[PeerId, LocalPeer],
        alerts: Alerts,
        settings: PresenceSettings,
        on_change: Callable[[], None],
    ) -> None:
        """on_change: the standings are others than before, or the brake was put on or off."""
        self._clock = clock
        self._peers = peers
        self._alerts = alerts
        self._settings = settings
        self._on_change = on_change
        self._sightings: Mapping[PeerId, Sighting] = {}
        self._quiet_since = 0.0
        self._wake = asyncio.Event()
        self.standing: Mapping[PeerId, PeerStanding] = {}
        self.brake: Brake | None = STARTING

    def reconfigure(self, settings: PresenceSettings) -> None:
        """Look at once with these, and go on."""
        self._settings = settings
        self.wake()

    def wake(self) -> None:
        """A peer came, went, or is (not) to be drained."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        self._quiet_since = self._clock.monotonic()
        while True:
            self._wake.clear()
            self._look()
            await sleep_or_event(self._clock, self._pause(), self._wake)

    def gone_at(self, peer: PeerId) -> float | None:
        """Monotonic time at which an absent peer is given up; None for one that is there."""
        seen = self._sightings.get(peer)
        return None if seen is None or seen.up else seen.since + self._settings.patience.grace

    def _pause(self) -> float:
        """Until the next look: earlier when a grace or quiet time ends before."""
        now, interval = self._clock.monotonic(), self._settings.check_interval
        ends = [at for peer in self._sightings if (at := self.gone_at(peer)) is not None]
        ends.append(self._quiet_since + self._settings.patience.settle)
        return min([interval, *(end - now for end in ends if end > now)])

    def _look(self) -> None:
        now, patience = self._clock.monotonic(), self._settings.patience
        up = {peer.id for peer in self._peers.values() if peer.up}
        draining = {peer.id for peer in self._peers.values() if peer.record.draining}
        unknown = {peer.id for peer in self._peers.values() if not peer.known}
        self._sightings = observe(self._sightings, up, draining, self._peers, now, unknown=unknown)
        before, standing = self.brake, self.standing
        self.brake = brake(self._sightings, self._quiet_since, now, patience)
        outage = self.brake is not None and self.brake.outage
        if before is not None and before.outage and not outage:
            self._quiet_since = now
            self.brake = brake(self._sightings, now, now, patience)
        self.standing = standings(self._sightings, now, patience, braked=self.brake is not None)
        self._tell(before, now)
        if (before is None, standing) != (self.brake is None, self.standing):
            self._on_change()

    def _tell(self, before: Brake | None, now: float) -> None:
        wall = self._clock.time()
        if self.brake is not None and self.brake.outage and (before is None or not before.outage):
            log.warning("re-allocation is on hold: %s", self.brake.reason)
            self._alerts.tell("repinning", next(iter(self._peers)), self.brake.reason, wall)
        for alert in self._alerts.check((m for p in self._peers.values() for m in p.state.metrics.values()), now, wall):
            name = self._peers[alert.metric.peer].name
            log.warning("alert: metric %s of peer %s counts no longer", alert.metric.name, name)
