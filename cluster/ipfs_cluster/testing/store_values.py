"""CIDs, pins and short forms for tests of stores."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import TypeVar

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import NodePin, PeerId, Pin, PinMode, TrackerStatus, Work
from ipfs_cluster.ports import FailWork, PeerRecord, PutPeer, PutPin, Store

_T = TypeVar("_T")

ALICE, BOB, CAROL = PeerId("12D3KooWAlice"), PeerId("12D3KooWBob"), PeerId("12D3KooWCarol")
RECURSIVE, DIRECT = PinMode.RECURSIVE, PinMode.DIRECT
PIN_QUEUED, PIN_ERROR = TrackerStatus.PIN_QUEUED, TrackerStatus.PIN_ERROR
UNPIN_QUEUED, UNPIN_ERROR = TrackerStatus.UNPIN_QUEUED, TrackerStatus.UNPIN_ERROR
UNEXPECTED = TrackerStatus.UNEXPECTEDLY_UNPINNED


def cid(number: int) -> Cid:
    """A CID for each number: v0, v1 dag-pb and v1 raw in turn."""
    multihash = b"\x12\x20" + hashlib.sha256(number.to_bytes(8, "big")).digest()
    return Cid((b"", b"\x01\x70", b"\x01\x55")[number % 3] + multihash)


def node_pin(number: int, mode: PinMode = RECURSIVE, name: str = "") -> NodePin:
    """What a node lists for the CID of this number."""
    return NodePin(cid(number), mode, name)


def pin(number: int, *peers: PeerId, mode: PinMode = RECURSIVE, name: str = "") -> Pin:
    """An entry allocated to these peers; to none means everywhere."""
    factor = len(peers) or -1
    return Pin(cid(number), mode=mode, name=name, allocations=peers, replication_min=factor, replication_max=factor)


async def known(store: Store, *peers: PeerId) -> None:
    """Put the peers' records."""
    await store.commit([PutPeer(PeerRecord(peer, peer[-5:])) for peer in peers])


async def put(store: Store, *pins: Pin) -> int:
    """Put entries whose peers hold them already."""
    return await store.commit([PutPin(entry) for entry in pins])


async def row(store: Store, peer: PeerId, number: int) -> Work | None:
    """The peer's row for the CID of this number."""
    found = [work for work in await store.work([cid(number)]) if work.peer == peer]
    assert len(found) <= 1
    return found[0] if found else None


async def the_row(store: Store, peer: PeerId, number: int) -> Work:
    """The same, which must be there."""
    found = await row(store, peer, number)
    assert found is not None
    return found


async def flat(pages: AsyncIterator[list[_T]]) -> list[_T]:
    """All items of all pages; none may be empty or longer than 1,000."""
    items: list[_T] = []
    async for page in pages:
        assert 1 <= len(page) <= 1000
        items += page
    return items


async def fail(store: Store, peer: PeerId, number: int, status: TrackerStatus, next_retry: float = 0.0) -> Work:
    """Record a second failed attempt on the row; the row as it is then."""
    work = await the_row(store, peer, number)
    await store.commit([FailWork(peer, work.cid, work.generation, status, 2, "because", next_retry)])
    return await the_row(store, peer, number)
