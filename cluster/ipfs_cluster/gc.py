"""The cluster's own garbage collection: node after node, each alone behind its gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.gate import GateBusy
from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import Clock, Store

POLL = 0.1


@dataclass(frozen=True, slots=True)
class Collected:
    """One thing that happened: a block that was freed (cid), or what went wrong in words (error), on a peer."""

    peername: str
    cid: Cid | None = None
    error: str = ""


async def collect(
    peers: Sequence[LocalPeer], store: Store, clock: Clock, grace: float
) -> AsyncIterator[list[Collected]]:
    """Let the trackers finish the removals that are queued now (for at most `grace` seconds), then collect.

    A node that is away, or where somebody stays inside its gate for the whole grace time, is named; the others go on.
    """
    await _flush(peers, store, clock, grace)
    for peer in peers:
        if not peer.up:
            yield [Collected(peer.name, error=f"the node cannot be reached: {peer.state.error}")]
            continue
        try:
            async with peer.gate.exclusive(grace):
                async for page in peer.node.gc():
                    yield [Collected(peer.name, cid, error) for cid, error in page]
        except GateBusy as busy:
            yield [Collected(peer.name, error=f"not collected: {busy}; try again later")]
        except ClusterError as error:
            yield [Collected(peer.name, error=str(error))]


async def _flush(peers: Sequence[LocalPeer], store: Store, clock: Clock, grace: float) -> None:
    up = [peer for peer in peers if peer.up]
    for peer in up:
        peer.tracker.wake()
    began = clock.monotonic()
    while clock.monotonic() - began < grace:
        counts = await store.work_counts()
        if not any(counts.get((peer.id, TrackerStatus.UNPIN_QUEUED)) for peer in up):
            return
        await clock.sleep(POLL)
