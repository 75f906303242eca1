"""The change feed: the pinset as it is, then as it changes; for replicas, and for people who look on.

Whoever applies the batches in order has the pinset as soon as it has caught up with it. A place is where to go on after
a break, also another day: what changed since comes, or, when the store no longer knows that, or has another history
since a restore, everything anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ipfs_cluster.errors import Compacted, InvalidArgument
from ipfs_cluster.ports import Change, Clock, Store
from ipfs_cluster.tasks import alongside

LIMIT = 1000
"""Changes of a batch, but for the rest of one commit."""
IDLE = 30.0
"""Seconds after which an empty batch tells that nothing has changed, so that a dead connection is noticed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes, each CID with its latest state. reset: forget everything first. place: where to go on after this batch;
    empty in the middle of a snapshot, which cannot be gone on with.
    """

    changes: tuple[Change, ...] = ()
    reset: bool = False
    place: str = ""


async def watch(store: Store, clock: Clock, place: str = "", *, idle: float = IDLE) -> AsyncGenerator[Batch, None]:
    """Batches for ever; reads no faster than its reader does, and holds nothing of the store meanwhile.

    place: of a batch got earlier; empty: from nothing. Raises InvalidArgument for what is no place, StoreUnavailable
    when the store is closed.
    """
    history, after = await store.history(), _revision(place)
    if not place or not place.startswith(f"{history}.") or after > await store.revision():
        after = -1
    while True:
        if after < 0:
            after = await store.revision()
            yield Batch(reset=True)
            async for page in store.pins():
                yield Batch(tuple(Change(pin.revision, pin.cid, pin) for pin in page))
            yield Batch(place=f"{history}.{after}")
        # Taken before the changes are read: when there are none, nothing has changed up to there.
        revision = await store.revision()
        try:
            changes = await store.changes(after, LIMIT)
        except Compacted:
            after = -1
            continue
        if changes:
            after = changes[-1].revision
            yield Batch(tuple(changes), place=f"{history}.{after}")
        else:
            after = max(after, revision)
            if not await _changed(store, clock, after, idle):
                yield Batch(place=f"{history}.{after}")


async def _changed(store: Store, clock: Clock, after: int, idle: float) -> bool:
    """Wait for a change, or so long."""
    async with alongside(store.wait_change(after)) as change, alongside(clock.sleep(idle)) as timer:
        await asyncio.wait([change, timer], return_when=asyncio.FIRST_COMPLETED)
        return change.done()


def _revision(place: str) -> int:
    if not place:
        return 0
    revision = place.rpartition(".")[2]
    if not (revision.isascii() and revision.isdigit() and len(revision) < 20):
        raise InvalidArgument(f"{place!r} is no place in the change feed")
    return int(revision)
