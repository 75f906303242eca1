"""Watching one peer's node: is it there, which node is it, how much room has it. Source of the peer's metrics.

A node that comes (back) is told to everybody through `on_up`, one that goes through `on_down`; both get the reason in
words. A node whose ID changed is a node that came back with another repository.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ipfs_cluster.errors import ClusterError, NodeError, NodeUnreachable
from ipfs_cluster.model import Metric, NodeInfo, PeerId
from ipfs_cluster.ports import Clock, Node
from ipfs_cluster.tasks import sleep_or_event

log = logging.getLogger(__name__)

KNOWN_GOOD = ((0, 42), (0, 44))
"""From (inclusive) to (exclusive): below 0.42 Kubo's pinner may lock up under load."""


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """ping_interval, metric_ttl, call_timeout in seconds; tags: the peer's `tag:<key>` metrics."""

    ping_interval: float = 15.0
    metric_ttl: float = 30.0
    call_timeout: float = 10.0
    reserve: int = 0
    tags: tuple[tuple[str, str], ...] = (("group", "default"),)


Listener = Callable[[Mapping[str, Metric]], None]
"""Is told all metrics of a peer when some of them changed."""


@dataclass(slots=True)
class PeerState:
    """What is known of a peer's node now. error: why it cannot be used, empty while it can. metrics: changed by `put`
    only, so that allocation, which keeps its peers in order, hears of every change.
    """

    info: NodeInfo | None = None
    error: str = "not contacted yet"
    up: bool = False
    since: float = 0.0
    metrics: dict[str, Metric] = field(default_factory=dict)
    listener: Listener | None = None

    def put(self, *metrics: Metric) -> None:
        """Take up measurements. What belongs together is put together: a new `freespace` settles what was promised to
        the peer before, down to the `pinqueue` that comes with it.
        """
        self.metrics.update((metric.name, metric) for metric in metrics)
        if self.listener is not None:
            self.listener(self.metrics)


class Monitor:
    """Pings one node until cancelled. `suspect` when a connection to it failed."""

    def __init__(
        self,
        peer: PeerId,
        name: str,
        node: Node,
        clock: Clock,
        settings: MonitorSettings,
        on_up: Callable[[bool], Awaitable[None]],
        on_down: Callable[[str], None],
        refuse: Callable[[NodeInfo], str],
    ) -> None:
        """on_up(changed): the node answers again; changed: it is another node than before. refuse: why this node must
        not be driven (already served by another peer), empty when it may.
        """
        self.state = PeerState()
        self._peer = peer
        self._name = name
        self._node = node
        self._clock = clock
        self._settings = settings
        self._on_up = on_up
        self._on_down = on_down
        self._refuse = refuse
        self._soon = asyncio.Event()
        self._warned = ""

    def suspect(self, reason: str) -> None:
        """Somebody lost the connection: the node counts as away until the ping that follows at once says otherwise."""
        self._down(reason)
        self._soon.set()

    async def run(self) -> None:
        """Ping at every interval, more often while the node is away."""
        while True:
            await self._pause()
            await self.check()

    async def _pause(self) -> None:
        interval = self._settings.ping_interval if self.state.up else min(1.0, self._settings.ping_interval)
        if self._soon.is_set():
            # Whoever asked saw a failure just now: a short breath keeps a flapping node from being hammered.
            self._soon.clear()
            interval = min(0.25, interval)
        await sleep_or_event(self._clock, interval, self._soon)

    async def check(self) -> None:
        """One ping: update state and metrics, tell about changes."""
        try:
            async with asyncio.timeout(self._settings.call_timeout):
                info = await self._node.info()
                space = await self._node.space()
        except TimeoutError:
            self._down(f"no answer within {self._settings.call_timeout:g}s")
            return
        except NodeUnreachable as error:
            self._down(str(error))
            return
        except NodeError as error:
            self._down(f"the node refused a ping: {error}")
            return
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._down(f"what answers there is no IPFS node: {type(error).__name__}: {error}")
            return
        if reason := self._refuse(info):
            self._down(reason)
            return
        self._measure(info, max(space.free - self._settings.reserve, 0))
        try:
            await self._up(info)
        except ClusterError as error:
            # The next ping tells again that the node came, until everybody could take note of it.
            self._down(f"the node answers, but cannot be taken into service: {error}")

    async def _up(self, info: NodeInfo) -> None:
        state = self.state
        changed = state.info is not None and state.info.id != info.id
        came = not state.up
        state.info, state.error, state.up = info, "", True
        if came or changed:
            state.since = self._clock.time()
            self._warn_version(info)
            await self._on_up(changed)

    def _down(self, reason: str) -> None:
        state = self.state
        if state.up:
            state.since = self._clock.time()
            log.warning("peer %s: node is away: %s", self._name, reason)
        state.up, state.error = False, reason
        self._on_down(reason)

    def _measure(self, info: NodeInfo, free: int) -> None:
        now, peer = self._clock.monotonic(), self._peer
        ping = json.dumps({"peer_name": self._name, "ipfs_id": info.id, "ipfs_addresses": list(info.addresses)})
        expire = now + max(self._settings.metric_ttl, 2 * self._settings.ping_interval)
        self.state.put(
            Metric("ping", peer, ping, now + 2 * self._settings.ping_interval, now),
            Metric("freespace", peer, str(free), expire, now, weight=free, valid=free > 0),
            *(Metric(f"tag:{key}", peer, tag, expire, now, partitionable=True) for key, tag in self._settings.tags),
        )

    def count_pins(self, number: int, ttl: float) -> None:
        """The `numpin` metric: pins that the node was found to hold; good for `ttl` seconds."""
        now = self._clock.monotonic()
        self.state.put(Metric("numpin", self._peer, str(number), now + ttl, now, weight=-number))

    def _warn_version(self, info: NodeInfo) -> None:
        try:
            major, minor = (int(part) for part in info.version.split("-")[0].split(".")[:2])
        except ValueError:
            return
        if not KNOWN_GOOD[0] <= (major, minor) < KNOWN_GOOD[1] and self._warned != info.version:
            self._warned = info.version
            log.warning(
                "peer %s: Kubo %s is outside the versions this was tested with (0.42, 0.43)", self._name, info.version
            )
