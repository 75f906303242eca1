"""IPFS nodes in memory that can be told to fail: for tests of the engine without daemons.

They keep Kubo's pinning rules as far as the engine can see them: recursive replaces direct, a re-pin of a recursive
pin first drops the old record, unpinning what is not pinned is success. `FakeNetwork` says what content exists and
which node has it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import NodeError, NodeStalled, NodeUnreachable
from ipfs_cluster.model import Bandwidth, NodeInfo, NodePin, PinMode, RepoStat, VerifiedPin
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.ports import NodeResponse


class FakeNetwork:
    """Content that some node can serve. A pin of anything else waits, as with bitswap, until it appears."""

    def __init__(self) -> None:
        self.content: set[Cid] = set()
        self.changed = asyncio.Condition()

    async def publish(self, *cids: Cid) -> None:
        """Make content available."""
        async with self.changed:
            self.content.update(cids)
            self.changed.notify_all()


CarryOut = Callable[[str, Callable[[], Any]], Awaitable[Any]]
"""(what, effect): lets the effect of a call take place."""


async def at_once(_what: str, effect: Callable[[], Any]) -> Any:
    """How effects take place unless a test wants to come in between."""
    return effect()


class FakeNode:
    """One node. Public attributes are the test's handles: `pins_held`, `refusals`, `calls`, `away`, `hold`,
    `carry_out`; `stalled`: pins that get no block in time; `grows`: reports of a pin before it waits; `blocks`: roots
    that it has without a pin.
    """

    def __init__(self, network: FakeNetwork, node_id: str, free: int = 10**12) -> None:
        self.network = network
        self.node_id = node_id
        self.free = free
        self.pins_held: dict[Cid, NodePin] = {}
        self.refusals: dict[Cid, str] = {}
        self.stalled: dict[Cid, str] = {}
        self.grows: dict[Cid, list[tuple[int, int]]] = {}
        self.updates_refused: dict[Cid, str] = {}
        self.blocks: set[Cid] = set()
        self.calls: Counter[str] = Counter()
        self.pin_calls: list[Cid] = []
        self.away = ""
        self.connected: set[str] = set()
        self.traffic: dict[str, Bandwidth] = {}
        self.hold: dict[Cid, asyncio.Event] = {}
        self.cluster = False
        self.services: tuple[str, ...] = ()
        self.repo_size = 0
        self.storage_max = 10**10
        self.damaged: dict[Cid, tuple[tuple[Cid, str], ...]] = {}
        self.garbage: list[Cid] = []
        self.collecting: asyncio.Event | None = None
        self.imports: dict[str, str] = {}
        self.uploads: list[str] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.telling = asyncio.Event()
        self.telling.set()
        self.add_refused = b""
        self.add_trailer = ""
        self.adds_instead: dict[Cid, Cid] = {}
        self.carry_out: CarryOut = at_once

    def _call(self, name: str) -> None:
        self.calls[name] += 1
        if self.away:
            raise NodeUnreachable(self.away)

    async def info(self) -> NodeInfo:
        self._call("id")
        address = f"/ip4/127.0.0.1/tcp/4001/p2p/{self.node_id}"
        return NodeInfo(self.node_id, (address,), "kubo/0.43.0", "0.43.0", self.services)

    async def pin(
        self, cid: Cid, mode: PinMode, name: str, on_progress: Callable[[int, int], None], stall: float
    ) -> None:
        self._call("pin/add")
        self.pin_calls.append(cid)
        if (held := self.pins_held.get(cid)) is not None and held.mode is mode:
            del self.pins_held[cid]
        for nodes, size in self.grows.get(cid, ()):
            on_progress(nodes, size)
        if cid in self.hold:
            await self.hold[cid].wait()
        if cid in self.refusals:
            raise NodeError(self.refusals[cid])
        await self._content(cid, stall)

        def arrived() -> None:
            self._call("pin/add end")
            self.pins_held[cid] = NodePin(cid, mode, name)

        on_progress(1, 100)
        await self.carry_out(f"pin/add {cid_text(cid)}", arrived)

    async def fetch(self, cid: Cid, on_progress: Callable[[int, int], None], stall: float) -> None:
        self._call("refs")
        await self._content(cid, stall)
        on_progress(1, 0)

    async def _content(self, cid: Cid, stall: float) -> None:
        if cid in self.stalled:
            raise NodeStalled(self.stalled[cid])
        if cid not in self.network.content:
            if stall and stall < 1:
                raise NodeStalled("no new block")
            async with self.network.changed:
                await self.network.changed.wait_for(lambda: cid in self.network.content or bool(self.away))

    async def pin_update(self, old: Cid, new: Cid, stall: float) -> None:
        self._call("pin/update")
        if new in self.updates_refused:
            raise NodeError(self.updates_refused[new])
        await self.pin(new, PinMode.RECURSIVE, self.pins_held[old].name, lambda _n, _b: None, stall)

    async def unpin(self, cid: Cid, mode: PinMode) -> None:
        self._call("pin/rm")
        held = self.pins_held.get(cid)
        if held is not None and held.mode is PinMode.RECURSIVE and mode is PinMode.DIRECT:
            raise NodeError(f"{cid_text(cid)} is pinned recursively")
        self.pins_held.pop(cid, None)

    async def pinned(self, cid: Cid, mode: PinMode) -> NodePin | None:
        self._call("pin/ls?arg")
        held = self.pins_held.get(cid)
        return held if held is not None and held.mode in (mode, PinMode.RECURSIVE) else None

    async def pins(self, mode: PinMode) -> AsyncIterator[list[NodePin]]:
        self._call("pin/ls")
        batch = [pin for pin in self.pins_held.values() if pin.mode is mode]
        if batch:
            yield batch

    async def indirect(self) -> AsyncIterator[list[Cid]]:
        self._call("pin/ls indirect")
        batch: list[Cid] = []
        if batch:
            yield batch

    async def indirect_root(self, cid: Cid) -> Cid | None:
        self._call("pin/ls indirect")
        return None

    async def resolve(self, path: str) -> Cid:
        self._call("resolve")
        raise NodeError(f'invalid path "{path}": path does not have enough components')

    async def local_block(self, cid: Cid) -> None:
        self._call("block/stat")
        if cid not in self.pins_held and cid not in self.blocks:
            raise NodeError(f"block was not found locally (offline): ipld: could not find {cid_text(cid)}")

    async def connect(self, addresses: Sequence[str]) -> None:
        self._call("swarm/connect")
        self.connected.add(addresses[0].rsplit("/", 1)[1])

    async def swarm_peers(self) -> frozenset[str]:
        self._call("swarm/peers")
        return frozenset(self.connected)

    async def bandwidth(self, protocol: str = "") -> Bandwidth:
        self._call("stats/bw")
        return self.traffic.get(protocol, Bandwidth())

    async def ensure_empty_block(self) -> None:
        self._call("block/put")
        self.pins_held.setdefault(EMPTY_RAW_BLOCK, NodePin(EMPTY_RAW_BLOCK, PinMode.RECURSIVE))

    async def free_space(self) -> int:
        self._call("diag/sys")
        return self.free

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        self._call("repo/stat")
        return RepoStat(self.repo_size, self.storage_max, 0 if size_only else len(self.pins_held), "/repo", "18")

    async def verify(self) -> AsyncIterator[list[VerifiedPin]]:
        self._call("pin/verify")
        for pin in list(self.pins_held.values()):
            if pin.mode is PinMode.RECURSIVE:
                bad = self.damaged.get(pin.cid, ())
                yield [VerifiedPin(pin.cid, ok=not bad, bad=bad)]
                self._call("pin/verify line")

    async def gc(self) -> AsyncIterator[list[tuple[Cid | None, str]]]:
        self._call("repo/gc")
        garbage, self.garbage = self.garbage, []
        if self.collecting is not None:
            await self.collecting.wait()
        if garbage:
            yield [(cid, "") for cid in garbage]

    async def import_options(self) -> Mapping[str, str]:
        self._call("config")
        return self.imports

    @asynccontextmanager
    async def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AsyncIterator[NodeResponse]:
        """As Kubo's add, with the CIDs as the body: each of its lines is the text of a root, or empty."""
        self._call(command)
        self.uploads.append(query)
        yield FakeAdd(self, body)

    async def close(self) -> None:
        self.calls["close"] += 1


class FakeAdd:
    """One upload on a fake node: reads while the node's `reading` is set, pins a root after the event that names it.
    While `telling` is not set, the event is on its way, and the pin is made meanwhile.
    """

    def __init__(self, node: FakeNode, body: AsyncIterator[bytes]) -> None:
        self.status = 500 if node.add_refused else 200
        self.headers: Mapping[str, str] = {}
        self._node = node
        self._body = body
        self._rest = b""

    @property
    def trailers(self) -> Mapping[str, str]:
        return {"x-stream-error": self._node.add_trailer} if self._node.add_trailer else {}

    async def read(self) -> bytes:
        return self._node.add_refused

    async def batches(self) -> AsyncIterator[list[bytes]]:
        node = self._node
        root: Cid | None = None
        async for piece in self._body:
            await node.reading.wait()
            node._call("add read")
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in filter(None, lines):
                await self._pin(root)
                root = cids.parse(line.decode())
                root = node.adds_instead.get(root, root)
                event = [json.dumps({"Hash": cid_text(root)}).encode()]
                if not node.telling.is_set():
                    await self._pin(root)
                    root = None
                    await node.telling.wait()
                yield event
        if not node.add_trailer:
            await self._pin(root)

    async def _pin(self, root: Cid | None) -> None:
        if root is None:
            return

        def pinned() -> None:
            self._node.network.content.add(root)
            self._node.pins_held[root] = NodePin(root, PinMode.RECURSIVE)

        await self._node.carry_out(f"add {cid_text(root)}", pinned)
