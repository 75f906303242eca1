"""Large pinsets without content: CIDs of nothing, and stores filled with them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

from ipfs_cluster import Cid, SystemClock
from ipfs_cluster import cid as cids
from ipfs_cluster.model import PeerId, Pin
from ipfs_cluster.ports import PutPeer, PutPin
from ipfs_cluster.stores.sqlite import SqliteStore, import_pins

ELSEWHERE = PeerId("12D3KooWElsewhereElsewhereElsewhereElsewhereElsewhere")
"""A peer that no service of a benchmark drives."""
BATCH = 1000
"""Pins a commit while a store is filled."""


def cid(number: int) -> Cid:
    """A CIDv1 of its own for each number."""
    return cids.from_bytes(b"\x01\x55\x12\x20" + hashlib.sha256(str(number).encode()).digest())


def pin(number: int, peer: PeerId) -> Pin:
    """An entry as an ordinary request makes it."""
    return Pin(cid(number), name=f"backup-{number:07}", allocations=(peer,), replication_min=1, replication_max=1)


def batches(start: int, stop: int) -> Iterator[range]:
    """Ranges of BATCH numbers."""
    for first in range(start, stop, BATCH):
        yield range(first, min(stop, first + BATCH))


async def fill(path: Path, count: int, peer: PeerId, *records: PutPeer) -> float:
    """A store with this many pins of a peer that holds them; seconds for the commits, without making the values."""
    store = SqliteStore(path, SystemClock())
    await store.open()
    seconds = 0.0
    try:
        if records:
            await store.commit(records)
        for numbers in batches(0, count):
            writes = [PutPin(pin(number, peer), 0, held=(peer,)) for number in numbers]
            begin = time.monotonic()
            await store.commit(writes)
            seconds += time.monotonic() - begin
    finally:
        await store.close()
    return seconds


def imported(path: Path, count: int, peer: PeerId, *records: PutPeer) -> float:
    """The same at once, for callers without a loop; seconds for the import, making the values included."""

    async def put() -> None:
        store = SqliteStore(path, SystemClock())
        await store.open()
        await store.commit(records)
        await store.close()

    begin = time.monotonic()
    import_pins(path, (pin(number, peer) for number in range(count)), time.time())
    seconds = time.monotonic() - begin
    asyncio.run(put())
    return seconds
