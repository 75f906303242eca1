"""Keeping the cluster's nodes connected to each other: every fetch from one node to another depends on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import NodeInfo, PeerId
from ipfs_cluster.ports import Node

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0


async def connect_all(nodes: Mapping[PeerId, tuple[Node, NodeInfo]]) -> int:
    """Connect every node to every other one that it is not connected to; how many connections were made.

    Each pair both ways, as an embedded node only fetches from those it was told of itself; a daemon's connection is one
    for both, so that the other way is there already. A full mesh: right for the few dozen nodes one service drives. A
    failure is logged and tried again at the next round, which the caller schedules at start, on change, after a restart
    and from time to time.
    """
    made = 0
    for peer, (node, info) in nodes.items():
        if others := [told for other, (_, told) in nodes.items() if other != peer]:
            made += await _connect_missing(node, info, others)
    return made


async def _connect_missing(node: Node, info: NodeInfo, others: list[NodeInfo]) -> int:
    made = 0
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connected = await node.swarm_peers()
    except (NodeError, TimeoutError) as error:
        log.info("node %s: cannot list its connections: %s", info.id, error)
        return 0
    for other in others:
        if other.id in connected or not other.addresses:
            continue
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await node.connect(other.addresses)
            made += 1
        except (NodeError, TimeoutError) as error:
            log.warning("node %s cannot connect to node %s: %s", info.id, other.id, error)
    return made
