"""Counting adds, around whatever they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ipfs_cluster.counters import IngestCounters
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.ingest.call import IngestCall


@asynccontextmanager
async def counted(add: AbstractAsyncContextManager[IngestCall], counters: IngestCounters) -> AsyncIterator[IngestCall]:
    """The same add, counted when it is refused, begins and ends."""
    begun: IngestCall | None = None
    try:
        async with add as call:
            begun = call
            counters.in_progress += 1
            yield call
    except ClusterError:
        counters.refused += begun is None
        raise
    finally:
        if begun is not None:
            _ended(begun, counters)


def _ended(call: IngestCall, counters: IngestCounters) -> None:
    counters.in_progress -= 1
    counters.sent += call.received
    if call.complete:
        counters.complete += 1
        counters.copies.update(call.copies())
    else:
        counters.failed += 1
