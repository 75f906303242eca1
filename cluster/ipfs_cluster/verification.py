"""`pin/verify` over all nodes: what they hold of their pins, node after node, merged.

A pin that is broken on some node is told as soon as that node says so, once for each such node, with its peer's name.
A pin is told to be well when every node that holds it has said so; over several nodes that is known at the end only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import VerifiedPin
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.patience import pages_while_up
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import Distinct, Store


async def verify(store: Store, peers: Sequence[LocalPeer], *, well: bool) -> AsyncIterator[list[VerifiedPin]]:
    """The nodes' recursive pins that are broken, and with `well` those that are not, each CID once, in pages.

    Nothing is fetched. Raises NodeError at the end, naming the nodes that could not be asked to the end: what is told
    of the others' pins stands.
    """
    failures: list[str] = []
    hidden = set() if await store.get(EMPTY_RAW_BLOCK) is not None else {EMPTY_RAW_BLOCK}
    async with store.distinct() as broken, store.distinct() as sound:
        for peer in peers:
            try:
                async for page in _of_node(peer):
                    found = [pin for pin in page if pin.cid not in hidden]
                    bad = [pin if len(peers) == 1 else _named(pin, peer.name) for pin in found if not pin.ok]
                    good = [pin for pin in found if pin.ok] if well else []
                    if len(peers) == 1:
                        bad += good
                    else:
                        await broken.add([pin.cid for pin in bad])
                        await sound.add([pin.cid for pin in good])
                    if bad:
                        yield bad
            except NodeError as error:
                failures.append(f"{peer.name}: {error}")
        if well and len(peers) > 1:
            async for cids in _without(sound, broken):
                yield [VerifiedPin(cid) for cid in cids]
    if failures:
        raise NodeError(f"not all pins were verified: {'; '.join(failures)}")


async def _of_node(peer: LocalPeer) -> AsyncIterator[list[VerifiedPin]]:
    if not peer.up:
        raise NodeError(f"node unreachable: {peer.state.error}")
    async for page in pages_while_up(peer, peer.node.verify()):
        yield page


def _named(pin: VerifiedPin, name: str) -> VerifiedPin:
    return VerifiedPin(pin.cid, ok=False, bad=tuple((cid, f"{name}: {reason}") for cid, reason in pin.bad))


async def _without(some: Distinct, others: Distinct) -> AsyncIterator[list[Cid]]:
    """The CIDs of one set that are not in the other; both come sorted by text."""
    behind = _texts(others)
    other = await anext(behind, None)
    async for page in some.sorted():
        left: list[Cid] = []
        for text, cid in page:
            while other is not None and other < text:
                other = await anext(behind, None)
            if other != text:
                left.append(cid)
        if left:
            yield left


async def _texts(distinct: Distinct) -> AsyncIterator[str]:
    async for page in distinct.sorted():
        for text, _ in page:
            yield text
