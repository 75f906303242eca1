"""Taking a node's own pins into the pinset, so that a cluster before a long-used node does not look empty."""

from __future__ import annotations

from collections.abc import Sequence

from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import NodePin, PeerId, Pin
from ipfs_cluster.ports import ForgetForeign, PutPin, Store, Write


async def adopt(peer: PeerId, store: Store, now: float) -> int:
    """Each foreign pin of the peer becomes a pin allocated to that peer alone, with its name; how many did.

    A page is one commit, so a crash in between leaves every pin either foreign or adopted, and the next time goes on.
    An entry that exists already wins, also one that is made meanwhile: the node's copy then simply counts for it.
    """
    adopted = 0
    async for page in store.foreign(peer):
        adopted += await _adopted([foreign.pin for foreign in page if not foreign.orphan], peer, store, now)
    return adopted


async def _adopted(pins: Sequence[NodePin], peer: PeerId, store: Store, now: float) -> int:
    while True:
        present = await store.get_many([pin.cid for pin in pins])
        writes: list[Write] = [
            PutPin(_entry(pin, peer, now), 0, held=(peer,)) for pin in pins if pin.cid not in present
        ]
        try:
            await store.commit([*writes, ForgetForeign(peer, tuple(pin.cid for pin in pins))])
        except Conflict:  # somebody pinned one of them in between; entries only become more here
            continue
        return len(writes)


def _entry(pin: NodePin, peer: PeerId, now: float) -> Pin:
    return Pin(
        pin.cid,
        mode=pin.mode,
        name=pin.name,
        allocations=(peer,),
        replication_min=1,
        replication_max=1,
        timestamp=now,
    )
