"""Comparing what one node holds with what the cluster wants there, by draining its streaming `pin/ls`.

The stream goes at full speed into a temporary table of the store; findings are rows and entries that have not changed
since the scan began. A missing pin is asked for once more before its status changes, and a stream that ended in an
error, or from which nothing came for STALL, proves nothing and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid
from ipfs_cluster.counters import Histogram
from ipfs_cluster.errors import NodeStalled
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, NodePin, PeerId, PinMode, TrackerStatus, Work
from ipfs_cluster.ports import FinishWork, ForgetForeign, Node, QueueWork, RecordForeign, Store, Write
from ipfs_cluster.strangers import Strangers

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Findings:
    """Counts of one reconcile. held: pins that the node lists. examples: the first of the missing."""

    held: int = 0
    missing: int = 0
    settled: int = 0
    extra: int = 0
    vanished: int = 0
    examples: tuple[Cid, ...] = ()

    def add(self, other: Findings) -> None:
        """Sum up, but for `held` and `examples`, which are those of the other."""
        self.held, self.examples = other.held, other.examples
        self.missing += other.missing
        self.settled += other.settled
        self.extra += other.extra
        self.vanished += other.vanished


@dataclass(slots=True)
class ReconcileCounters:
    """The comparisons of a peer. seconds: of complete ones. last: when one was complete, 0 before. found: in all."""

    seconds: Histogram = field(default_factory=lambda: Histogram((0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)))
    broken: int = 0
    last: float = 0.0
    found: Findings = field(default_factory=Findings)


async def reconcile(
    peer: PeerId,
    node: Node,
    store: Store,
    strangers: Strangers,
    on_settled: Callable[[Sequence[Work]], Awaitable[None]],
    *,
    first: bool,
) -> Findings:
    """One full comparison; raises NodeError or NodeUnreachable, and then nothing has been changed.

    first: the peer's survey, at which everything that is not ours is recorded as foreign; later such pins are orphans.
    on_settled: is told of rows that turned out to be done, after they were written so.
    """
    found = Findings()
    async with store.scan(peer) as scan:
        for mode in (PinMode.RECURSIVE, PinMode.DIRECT):
            async for pins in _in_time(node.pins(mode)):
                found.held += len(pins)
                await scan.feed(pins)
        await scan.seal()
        async for works in scan.settled():
            if node.cluster:  # what it lists is what it wants to hold: only its answer to a pin is a proof
                works = [work for work in works if work.status in WANTS_UNPIN]
            settled: list[Write] = [FinishWork(work.peer, work.cid, work.generation) for work in works]
            if settled:
                await store.commit(settled)
                await on_settled(works)
            found.settled += sum(work.status in WANTS_PIN for work in works)
        async for page in scan.missing():
            lost: list[QueueWork] = []
            for pin in page:
                if await node.pinned(pin.cid, pin.mode):
                    continue
                reason = "the node no longer has this pin"
                status = TrackerStatus.UNEXPECTEDLY_UNPINNED
                lost.append(QueueWork(peer, pin.cid, status, reason, expect_absent=True))
            if lost:
                found.missing += len(lost)
                await store.commit(lost)
                found.examples = (*found.examples, *(row.cid for row in lost))[:EXAMPLES]
        async for extras in scan.extra():
            still = await _still_held(node, extras) if len(extras) <= ASK_AGAIN else extras
            still = [pin for pin in still if not strangers.claimed(pin.cid)]
            if still:
                if not first:  # what a survey finds has been there before; else it may be an upload's work
                    strangers.found(*(pin.cid for pin in still))
                found.extra += len(still)
                await store.commit([RecordForeign(peer, tuple(still), orphan=not first)])
        async for cids in scan.vanished():
            found.vanished += len(cids)
            await store.commit([ForgetForeign(peer, tuple(cids))])
    return found


EXAMPLES = 3

STALL = 120.0
"""Seconds without a page after which a listing is given up: a node may be busy for a while, or suspended."""


async def _in_time(pages: AsyncIterator[list[NodePin]]) -> AsyncIterator[list[NodePin]]:
    while True:
        try:
            async with asyncio.timeout(STALL):
                page = await anext(pages, None)
        except TimeoutError:
            raise NodeStalled(f"the list of its pins stood still for {STALL:g}s") from None
        if page is None:
            return
        yield page


ASK_AGAIN = 100
"""Extras in one page that are asked for once more: an add may just have undone a few; a survey finds thousands."""


async def _still_held(node: Node, pins: list[NodePin]) -> list[NodePin]:
    return [held for pin in pins if (held := await node.pinned(pin.cid, pin.mode)) is not None]
