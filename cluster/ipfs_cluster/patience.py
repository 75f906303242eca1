"""Calls to a node that have no time limit of their own: they end when the node is known to be away.

A node that is suspended, or a host that vanished, keeps its connections open and never answers on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from ipfs_cluster.errors import NodeUnreachable
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.tasks import alongside

T = TypeVar("T")

INTERVAL = 0.5
"""Seconds between looks at whether the node is there."""


@asynccontextmanager
async def while_up(peer: LocalPeer, grace: float = 0.0) -> AsyncIterator[None]:
    """Run the block; NodeUnreachable once the peer has been away for more than `grace` seconds on end."""
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        there = loop.time()
        while peer.up or loop.time() - there < grace:
            there = loop.time() if peer.up else there
            await asyncio.sleep(INTERVAL)
        limit.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as limit, alongside(watch()):
            yield
    except TimeoutError:
        raise NodeUnreachable(peer.state.error) from None


async def pages_while_up(peer: LocalPeer, pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same pages; NodeUnreachable when the next one does not come as the peer is away."""
    while True:
        async with while_up(peer):
            page = await anext(pages, None)
        if page is None:
            return
        yield page
