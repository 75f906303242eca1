"""One attempt at one row: what is asked of the node, in which order, and how far it is.

The loop that starts attempts and writes down how they ended is the tracker's.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from dataclasses import dataclass, field
from math import inf

from ipfs_cluster.cid import Cid
from ipfs_cluster.core.failures import Failure, classify
from ipfs_cluster.core.transitions import Backoff
from ipfs_cluster.errors import NodeError, NodeStalled, NodeUnreachable
from ipfs_cluster.model import WANTS_UNPIN, PeerId, PinMode, PinProgress, Work
from ipfs_cluster.ports import Clock, Node, RecordForeign, Store
from ipfs_cluster.strangers import Strangers
from ipfs_cluster.tasks import alongside

PATIENCE = 2.0
"""Seconds without growth after which a pin attempt only waits: it then keeps no other work from being started."""
ORIGINS = 10
"""How many of a pin's origins are connected to."""
ORIGIN_TIMEOUT = 30.0
"""Seconds that connecting to origins may take beside the pin; Kubo's own dialling gives up about then."""
LOCK_QUESTION = 5.0
"""Seconds for the question whether a daemon that does nothing has the root block."""

LOCK_HELD = "pin lock is held by an add or a garbage collection"


class PinMethod(enum.StrEnum):
    """How a node is made to fetch a DAG: by the pin itself, or by `refs -r` first, which holds no pin lock."""

    PIN = "pin"
    REFS = "refs"


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """concurrent: node calls at once, not counting pins that only wait for content. pin_timeout: stall limit of a pin;
    unpin_timeout: of an unpin (seconds). A pin that failed more often than priority_retries, or has waited longer than
    priority_age (seconds), no longer comes before the background's work.
    """

    concurrent: int = 10
    pin_timeout: float = 120.0
    unpin_timeout: float = 3 * 3600.0
    backoff: Backoff = Backoff()
    method: PinMethod = PinMethod.PIN
    priority_retries: int = 5
    priority_age: float = 24 * 3600.0


@dataclass(slots=True)
class Operation:
    """One attempt. grew: when the last block came (monotonic). over: the node calls have ended. call: what the daemon
    is asked now, empty before it is asked anything.
    """

    work: Work
    task: asyncio.Task[None] | None = None
    since: float = 0.0
    progress: PinProgress = PinProgress()
    grew: float = 0.0
    call: str = ""
    over: bool = False
    making_room: bool = False
    look_again: bool = False

    @property
    def unpin(self) -> bool:
        """True for a removal."""
        return self.work.status in WANTS_UNPIN

    @property
    def asked(self) -> bool:
        """Has the node been asked to pin it?"""
        return self.call in ("pin/add", "pin/update")

    @property
    def waits_from(self) -> float:
        """When it will only wait, unless something comes before: nobody reachable seems to have the content."""
        return inf if self.unpin or self.over else self.grew + PATIENCE


@dataclass(slots=True)
class AttemptCounters:
    """Attempts on one node that have ended, by (was it a removal, kind of failure or None), and what pins reported."""

    ended: Counter[tuple[bool, Failure | None]] = field(default_factory=Counter)
    blocks: int = 0
    bytes: int = 0

    def count(self, operation: Operation, failure: Failure | None) -> None:
        """One has ended."""
        self.ended[operation.unpin, failure] += 1
        self.blocks += operation.progress.nodes
        self.bytes += operation.progress.bytes


class NodeCalls:
    """The calls of one peer's attempts. Raise NodeError; StoreUnavailable for a foreign pin that cannot be noted."""

    def __init__(
        self,
        peer: PeerId,
        node: Node,
        store: Store,
        clock: Clock,
        settings: TrackerSettings,
        strangers: Strangers,
    ) -> None:
        self._peer = peer
        self._node = node
        self._store = store
        self._clock = clock
        self._settings = settings
        self._strangers = strangers

    def reconfigure(self, settings: TrackerSettings) -> None:
        """For calls from now on."""
        self._settings = settings

    async def pin(self, operation: Operation) -> None:
        """Make the node hold the CID. Never re-pins what it holds: Kubo drops the old record before it walks."""
        work, strangers = operation.work, self._strangers
        operation.call = "pin/ls"
        if strangers.is_untouched(work.cid) or not self._node.cluster:
            held = await self._node.pinned(work.cid, work.mode)
            if held is not None and strangers.is_untouched(work.cid):
                # Somebody else's pin: it counts, and is never ours to remove.
                strangers.found(work.cid)
                await self._store.commit([RecordForeign(self._peer, (held,))])
                strangers.touched(work.cid)  # from now on the record tells whose it is
            if held is not None and not self._node.cluster:
                return
        if not work.origins:
            await self._fetch(operation)
            return
        # Beside the pin, not before it: a daemon asks each node that it gets connected to for what it waits for.
        async with alongside(self._connect(work.origins)):
            await self._fetch(operation)

    async def unpin(self, operation: Operation) -> None:
        """Make the node let go of the CID."""
        operation.call = "pin/rm"
        cid, mode = operation.work.cid, operation.work.mode
        try:
            async with asyncio.timeout(self._settings.unpin_timeout):
                if mode is PinMode.DIRECT and await self._node.pinned(cid, PinMode.RECURSIVE):
                    mode = PinMode.RECURSIVE  # a removal of it had not begun when it was pinned again, directly
                await self._node.unpin(cid, mode)
        except TimeoutError:
            limit = self._settings.unpin_timeout
            raise NodeStalled(f"unpin did not finish within {limit:g}s, as if the daemon's {LOCK_HELD}") from None

    async def held_up(self, operation: Operation) -> bool:
        """Does this attempt only wait for the daemon's pin lock? May ask the node, for some seconds."""
        if self._clock.time() - operation.since < PATIENCE:
            return False
        if operation.call == "pin/rm":
            return not operation.over  # the daemon does nothing else for it that takes time
        begins = operation.call == "pin/add" and not operation.progress.nodes and not operation.over
        return begins and await self._locked(operation.work.cid)

    # --- steps of a pin ---

    async def _locked(self, cid: Cid) -> bool:
        """Asked about a pin without any progress: does the node have the root block, so that only its pin lock can keep
        it from beginning?
        """
        if self._node.cluster:
            return False
        try:
            async with asyncio.timeout(LOCK_QUESTION):
                await self._node.local_block(cid)
        except (NodeError, TimeoutError):
            return False
        return True

    async def _fetch(self, operation: Operation) -> None:
        if await self._updated(operation):
            return
        work, limit = operation.work, self._settings.pin_timeout

        def on_progress(nodes: int, size: int) -> None:
            if (nodes, size) != (operation.progress.nodes, operation.progress.bytes):
                operation.progress = PinProgress(nodes, size, self._clock.time())
                operation.grew = self._clock.monotonic()

        if self._settings.method is PinMethod.REFS and work.mode is PinMode.RECURSIVE and not self._node.cluster:
            operation.call = "refs"
            await self._node.fetch(work.cid, on_progress, limit)
        operation.call = "pin/add"
        self._strangers.touched(work.cid)
        try:
            await self._node.pin(work.cid, work.mode, work.name, on_progress, limit)
        except NodeStalled:
            if not operation.progress.nodes and await self._locked(work.cid):
                reason = f"the daemon has the root block and did not begin for {limit:g}s"
                raise NodeStalled(f"{reason}: its {LOCK_HELD}") from None
            raise

    async def _updated(self, operation: Operation) -> bool:
        """Try `pin/update` once, when the node holds the pin before it: it walks the difference only. It tells no
        progress, so where it takes its time, or is refused, the pin itself decides.
        """
        work = operation.work
        old = work.pin_update
        if old is None or work.mode is not PinMode.RECURSIVE or work.attempts:
            return False
        if not await self._node.pinned(old, PinMode.RECURSIVE):
            return False
        operation.call = "pin/update"
        self._strangers.touched(work.cid)
        try:
            await self._node.pin_update(old, work.cid, self._settings.pin_timeout)
        except NodeUnreachable:
            raise
        except NodeError as error:
            if classify(str(error)) is Failure.DISK_FULL:
                raise
            operation.grew = self._clock.monotonic()
            return False
        return True

    async def _connect(self, origins: tuple[str, ...]) -> None:
        """Connect to the nodes that are said to have the content, as far as they answer in time."""
        addresses: dict[str, list[str]] = {}
        for address in origins[:ORIGINS]:
            addresses.setdefault(address.rpartition("/p2p/")[2], []).append(address)
        try:
            async with asyncio.timeout(ORIGIN_TIMEOUT), asyncio.TaskGroup() as group:
                for of_one in addresses.values():
                    group.create_task(self._connect_one(of_one))
        except TimeoutError:
            pass  # the pin goes on with those that are connected

    async def _connect_one(self, addresses: list[str]) -> None:
        try:
            await self._node.connect(addresses)
        except NodeError:
            pass  # an origin is a hint; the pin's own error tells what matters
