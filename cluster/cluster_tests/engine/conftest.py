"""A cluster of fake nodes over the store in memory, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from ipfs_cluster import Cluster, EngineSettings, PeerSettings, PeerSpec
from ipfs_cluster import cid as cids
from ipfs_cluster.attempt import TrackerSettings
from ipfs_cluster.cid import Cid
from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.doubt import SETTLE
from ipfs_cluster.model import PeerId, PinMode, TrackerStatus
from ipfs_cluster.monitor import MonitorSettings
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.planning import Defaults
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.fake_node import FakeNetwork, FakeNode
from ipfs_cluster.upkeep import UpkeepSettings

TURNS = 2000
"""Turns of the event loop that anything without a timer must get by with."""


def cid(number: int) -> Cid:
    """A CIDv1 of its own for each number."""
    return cids.from_bytes(b"\x01\x55\x12\x20" + hashlib.sha256(str(number).encode()).digest())


async def until(probe: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
    """Let the loop run until the probe is true; no time passes on the test's clock."""
    for _ in range(TURNS):
        answer = probe()
        if (await answer) if isinstance(answer, Awaitable) else answer:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"not reached: {what}")


@dataclass
class World:
    """Everything a test holds in its hands."""

    clock: FakeClock = field(default_factory=FakeClock)
    network: FakeNetwork = field(default_factory=FakeNetwork)
    nodes: list[FakeNode] = field(default_factory=list)
    tracker: TrackerSettings = TrackerSettings()
    concurrent: dict[int, int] = field(default_factory=dict)
    store: MemoryStore | None = None
    cluster: Cluster | None = None
    rule: RoomRule = RoomRule()
    upkeep: UpkeepSettings = UpkeepSettings()
    factors: tuple[int, int] = (-1, -1)

    async def start(self, minimum: int = -1, maximum: int = -1, *, adopt: bool = True) -> Cluster:
        """Start (again) over the same store and nodes."""
        self.store = self.store or MemoryStore(self.clock)
        self.factors = minimum, maximum
        specs = [
            PeerSpec(PeerId(f"peer{i}"), f"name{i}", node, i == 0, rule=self.rule, concurrent=self.concurrent.get(i, 0))
            for i, node in enumerate(self.nodes)
        ]
        settings = EngineSettings(
            defaults=Defaults(minimum, maximum, ("freespace",)),
            peer=PeerSettings(tracker=self.tracker, monitor=MonitorSettings(ping_interval=10.0)),
            upkeep=self.upkeep,
            adopt=adopt,
        )
        self.cluster = Cluster(specs, self.store, self.clock, settings)
        await self.cluster.start()
        return self.cluster

    async def pass_time(self, seconds: float, step: float = 5.0) -> None:
        """Move the clock on in steps, and let everything due at each of them happen."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            for _ in range(200):
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """Until nothing is in doubt any more: a node that came may still be at work on what others asked of it."""
        await self.pass_time(4 * SETTLE)

    async def restart(self) -> Cluster:
        """Stop and start over what is durable."""
        assert self.cluster is not None
        await self.cluster.close()
        return await self.start(*self.factors)

    @property
    def peers(self) -> list[LocalPeer]:
        """The running cluster's peers, in the order of the nodes."""
        assert self.cluster is not None
        return list(self.cluster.peers_by_id.values())

    def holders(self, wanted: Cid) -> list[int]:
        """Which nodes hold a CID."""
        return [i for i, node in enumerate(self.nodes) if wanted in node.pins_held]

    async def status(self, wanted: Cid) -> list[TrackerStatus]:
        """The statuses of a CID, peer by peer."""
        assert self.cluster is not None
        return [status.status for status in (await self.cluster.views.status(wanted))[1]]

    def kept(self) -> MemoryStore:
        """The store; it is there since the start."""
        assert self.store is not None
        return self.store

    async def quiet(self) -> None:
        """Until no work is left."""
        assert self.store is not None
        store = self.store

        async def nothing() -> bool:
            return not [work async for page in store.works() for work in page]

        await until(nothing, "all work is done")

    def foreign_to_us(self, node: FakeNode) -> set[Cid]:
        """What a node holds beside the cluster's own block."""
        return {held for held in node.pins_held if held != EMPTY_RAW_BLOCK}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Three nodes, nothing started."""
    made = World()
    made.nodes = [FakeNode(made.network, f"node{i}", free=10**12 - i) for i in range(3)]
    await made.network.publish(*(cid(i) for i in range(100)))
    yield made
    if made.cluster is not None:
        await made.cluster.close()


RECURSIVE = PinMode.RECURSIVE
