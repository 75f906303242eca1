"""Watching one peer's node: is it there, which node is it, how much room has it. Source of the peer's metrics.

The peer is told when its node comes (back) or goes, and when there is room on it or no longer, with the reason in
words. A node whose ID changed is a node that came back with another repository.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ipfs_cluster.core.room import Room, RoomRule, measured, told_full
from ipfs_cluster.counters import PingCounters
from ipfs_cluster.errors import ClusterError, NodeError, NodeUnreachable, StoreUnavailable
from ipfs_cluster.model import Metric, NodeInfo, PeerId, RepoStat
from ipfs_cluster.ports import Clock, Node
from ipfs_cluster.reposize import RepoSize
from ipfs_cluster.sizes import size_text
from ipfs_cluster.tasks import sleep_or_event

log = logging.getLogger(__name__)

KNOWN_GOOD = ((0, 42), (0, 44))
"""From (inclusive) to (exclusive): below 0.42 Kubo's pinner may lock up under load."""


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """ping_interval, call_timeout: seconds. disk_ttl, tags_ttl, queue_ttl: seconds for which these metrics count, at
    least two ping intervals. queue_bucket: rows of the queue that weigh as one, 0 for each by itself. repo_interval:
    seconds between looks at the size of the repository.
    """

    ping_interval: float = 15.0
    call_timeout: float = 10.0
    disk_ttl: float = 30.0
    tags_ttl: float = 30.0
    queue_ttl: float = 30.0
    queue_bucket: int = 100_000
    repo_interval: float = 300.0


class Keeper(Protocol):
    """The peer whose node is watched: what the monitor tells it and asks it."""

    id: PeerId
    name: str
    node: Node
    tags: Sequence[tuple[str, str]]
    rule: RoomRule

    async def node_up(self, changed: bool) -> None:
        """The node answers again. changed: it is another node than before."""
        ...

    def node_down(self, reason: str) -> None:
        """The node is away."""
        ...

    def room_changed(self, room: Room) -> None:
        """Something new may go there from now on, or may not; that it may not is told at every measurement."""
        ...

    def refuse(self, info: NodeInfo) -> str:
        """Why this node must not be driven (already served by another peer), empty when it may."""
        ...

    async def queued(self) -> int:
        """How many pins wait to be made on the node."""
        ...


Listener = Callable[[Mapping[str, Metric]], None]
"""Is told all metrics of a peer when some of them changed."""


@dataclass(slots=True)
class PeerState:
    """What is known of a peer's node now. error: why it cannot be used, empty while it can. room: whether something new
    may go there. metrics: changed by `put` only, so that allocation, which keeps its peers in order, hears of every
    change.
    """

    info: NodeInfo | None = None
    error: str = "not contacted yet"
    up: bool = False
    since: float = 0.0
    room: Room = Room()
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
    """Pings one node until cancelled. `suspect` when a connection to it failed, `full` when it said so of its disk."""

    def __init__(self, keeper: Keeper, clock: Clock, settings: MonitorSettings) -> None:
        self.state = PeerState()
        self._keeper = keeper
        self._clock = clock
        self._settings = settings
        self._soon = asyncio.Event()
        self._warned = ""
        self.pings = PingCounters()
        interval = (
            min(settings.repo_interval, settings.disk_ttl) if keeper.rule.honour_storage_max else settings.repo_interval
        )
        self.repo = RepoSize(keeper.node, clock, interval, lambda: self.state.up, self._weighed)

    def reconfigure(self, settings: MonitorSettings) -> None:
        """Measure anew at once, then at these intervals; repo_interval stays as it was."""
        self._settings = settings
        self._soon.set()

    def suspect(self, reason: str) -> None:
        """Somebody lost the connection: the node counts as away until the ping that follows at once says otherwise."""
        self._down(reason)
        self._soon.set()

    def full(self, words: str) -> None:
        """The daemon said that its disk is full: nothing new goes there until there is room again. words: its own."""
        room = told_full(self.state.room, words, self._clock.monotonic())
        if room is not self.state.room:
            self._take_room(room)
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
        queued = await self._queued()
        asked = await self._ask()
        if isinstance(asked, str):
            self.pings.failed += 1
            self._down(asked)
            return
        info, free = asked
        await self._weigh_first(info)
        # From here to where the node is taken up nothing may wait: two peers must not take up the same one.
        if reason := self._keeper.refuse(info):
            self._down(reason)
            return
        self._measure(info, free, queued)
        try:
            await self._up(info)
        except ClusterError as error:
            # The next ping tells again that the node came, until everybody could take note of it.
            self._down(f"the node answers, but cannot be taken into service: {error}")

    async def _ask(self) -> tuple[NodeInfo, int] | str:
        """Which node it is and what is free on its disk, or why that is not known."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._settings.call_timeout):
                found = await self._keeper.node.info(), await self._keeper.node.free_space()
        except TimeoutError:
            return f"no answer within {self._settings.call_timeout:g}s"
        except NodeUnreachable as error:
            return str(error)
        except NodeError as error:
            return f"the node refused a ping: {error}"
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return f"what answers there is no IPFS node: {type(error).__name__}: {error}"
        self.pings.answered.observe(self._clock.monotonic() - began)
        return found

    async def _up(self, info: NodeInfo) -> None:
        state = self.state
        changed = state.info is not None and state.info.id != info.id
        came = not state.up
        state.info, state.error, state.up = info, "", True
        if came or changed:
            state.since = self._clock.time()
            self._warn_version(info)
            await self._keeper.node_up(changed)

    def _down(self, reason: str) -> None:
        state = self.state
        if state.up:
            state.since = self._clock.time()
            log.warning("peer %s: node is away: %s", self._keeper.name, reason)
        state.up, state.error = False, reason
        self._keeper.node_down(reason)

    # --- measurements ---

    async def _queued(self) -> int | None:
        try:
            return await self._keeper.queued()
        except StoreUnavailable:
            return None

    async def _weigh_first(self, info: NodeInfo) -> None:
        """Of a node that comes into service, how large its repository is, when that decides whether there is room."""
        state, unknown = self.state, self.repo.last is None and not self.state.up
        if state.info is not None and state.info.id != info.id:
            self.repo.forget()
            unknown = True
        if unknown and self._keeper.rule.honour_storage_max:
            await self.repo.ask(self._settings.call_timeout)

    def _measure(self, info: NodeInfo, free: int, queued: int | None) -> None:
        state, keeper = self.state, self._keeper
        if state.info is not None and state.info.id != info.id:
            state.room = Room()
        now, at_least = self._clock.monotonic(), 2 * self._settings.ping_interval
        room = measured(state.room, free, self.repo.last, keeper.rule, now)
        ping = json.dumps({"peer_name": keeper.name, "ipfs_id": info.id, "ipfs_addresses": list(info.addresses)})
        found = [Metric("ping", keeper.id, ping, now + at_least, now)]
        expire = now + max(self._settings.tags_ttl, at_least)
        found += [Metric(f"tag:{key}", keeper.id, tag, expire, now, partitionable=True) for key, tag in keeper.tags]
        if queued is not None:
            weight = -(queued // (self._settings.queue_bucket or 1))
            expire = now + max(self._settings.queue_ttl, at_least)
            found.append(Metric("pinqueue", keeper.id, str(queued), expire, now, weight))
        self._take_room(room, *found)

    def _take_room(self, room: Room, *others: Metric) -> None:
        """Put `freespace` with what was measured together with it, and tell when the node opens or closes."""
        state, now = self.state, self._clock.monotonic()
        before, state.room = state.room, room
        expire = now + max(self._settings.disk_ttl, 2 * self._settings.ping_interval)
        space = Metric(
            "freespace", self._keeper.id, str(room.free), expire, now, room.free, valid=room.open, reason=room.why
        )
        state.put(*others, space)
        if before.open != room.open:
            if room.why:
                log.warning("peer %s gets nothing new: %s", self._keeper.name, room.why)
            elif before.low or before.told:
                log.warning("peer %s has room again: %s", self._keeper.name, size_text(room.free))
        if not (before.open and room.open):
            self._keeper.room_changed(room)

    def _weighed(self, repo: RepoStat, ttl: float) -> None:
        """The `reposize` metric."""
        now, size = self._clock.monotonic(), repo.repo_size
        if self._keeper.rule.honour_storage_max and not self.state.room.open:
            self._soon.set()
        self.state.put(Metric("reposize", self._keeper.id, str(size), now + ttl, now, weight=-size))

    def count_pins(self, number: int, ttl: float) -> None:
        """The `numpin` metric: pins that the node was found to hold; good for `ttl` seconds."""
        now = self._clock.monotonic()
        self.state.put(Metric("numpin", self._keeper.id, str(number), now + ttl, now, weight=-number))

    def _warn_version(self, info: NodeInfo) -> None:
        try:
            major, minor = (int(part) for part in info.version.split("-")[0].split(".")[:2])
        except ValueError:
            return
        if not KNOWN_GOOD[0] <= (major, minor) < KNOWN_GOOD[1] and self._warned != info.version:
            self._warned = info.version
            log.warning(
                "peer %s: Kubo %s is outside the versions this was tested with (0.42, 0.43)",
                self._keeper.name,
                info.version,
            )
