"""Walking DAGs of any codec, block by block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ipfs_cluster.cid import Cid
from ipfs_cluster.unixfs.opened import inlined
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver


async def walk(resolver: Resolver, root: Cid, *, present: Node | None = None) -> AsyncIterator[tuple[Cid, bytes]]:
    """All blocks of a DAG, each once: depth first, links in order; identity CIDs too, as they link as well.

    present: leave out what this node does not have, and all below it. Raises what `get` raises.
    """
    seen: set[Cid] = set()
    stack: list[Iterator[Cid]] = [iter((root,))]
    while stack:
        cid = next(stack[-1], None)
        if cid is None:
            stack.pop()
            continue
        if cid in seen:
            continue
        seen.add(cid)
        if present is not None and inlined(cid) is None and not await present.has(cid):
            continue
        data = await resolver.get(cid)
        yield cid, data
        stack.append(iter([link.cid for link in ipld.links(cid, data)]))
