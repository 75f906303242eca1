"""Taking a node's own pins into the pinset, so that a cluster before a long-used node does not look empty."""

from __future__ import annotations

from ipfs_cluster.model import NodePin, PeerId, Pin
from ipfs_cluster.ports import ForgetForeign, PutPin, Store, Write


async def adopt(peer: PeerId, store: Store, now: float) -> int:
    """Each foreign pin of the peer becomes a pin allocated to that peer alone, with its name; how many did.

    A page is one commit, so a crash in between leaves every pin either foreign or adopted, and the next start goes on.
    An entry that exists already wins: the node's copy then simply counts for it.
    """
    adopted = 0
    async for page in store.foreign(peer):
        pins = [foreign.pin for foreign in page if not foreign.orphan]
        present = await store.get_many([pin.cid for pin in pins])
        writes: list[Write] = [
            PutPin(_entry(pin, peer, now), 0, held=(peer,)) for pin in pins if pin.cid not in present
        ]
        adopted += len(writes)
        writes.append(ForgetForeign(peer, tuple(pin.cid for pin in pins)))
        await store.commit(writes)
    return adopted


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
