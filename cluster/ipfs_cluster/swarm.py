"""What the nodes' swarms say of themselves: who is connected to whom, and how much they carried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import Bandwidth, PeerId
from ipfs_cluster.ports import Node

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds for what one node is asked here: whoever draws a graph wants the rest of it when a node hangs."""
PROTOCOLS = ("/ipfs/bitswap/1.2.0", "/ipfs/kad/1.0.0", "/ipfs/lan/kad/1.0.0", "/ipfs/id/1.0.0")
"""What nodes are asked for by name: the transfer of blocks, both DHTs, and the exchange of addresses."""
OTHER = "other"
"""The rest of what the nodes carried; no name of a protocol."""


async def links(nodes: Mapping[PeerId, Node]) -> dict[PeerId, frozenset[str]]:
    """IDs of the nodes that each node is connected to; without those that do not answer."""
    return await _answers(nodes, lambda node: node.swarm_peers())


async def bandwidth(nodes: Mapping[PeerId, Node]) -> dict[str, Bandwidth]:
    """What the nodes that answer carried since their daemons started, added up by protocol, the rest as OTHER."""
    found: dict[str, Bandwidth] = {}
    for carried in (await _answers(nodes, _by_protocol)).values():
        for name, amount in carried.items():
            found[name] = _sum((found.get(name, Bandwidth()), amount))
    return {name: amount for name, amount in found.items() if amount != Bandwidth()}


async def _by_protocol(node: Node) -> dict[str, Bandwidth]:
    named = {name: await node.bandwidth(name) for name in PROTOCOLS}
    known, every = _sum(named.values()), await node.bandwidth()
    # Asked last, so it is the largest; rates are averages of their own and may still add up to more than theirs.
    rest = Bandwidth(
        max(every.total_in - known.total_in, 0),
        max(every.total_out - known.total_out, 0),
        max(every.rate_in - known.rate_in, 0.0),
        max(every.rate_out - known.rate_out, 0.0),
    )
    return {**named, OTHER: rest}


def _sum(amounts: Iterable[Bandwidth]) -> Bandwidth:
    every = list(amounts)
    return Bandwidth(
        sum(amount.total_in for amount in every),
        sum(amount.total_out for amount in every),
        sum(amount.rate_in for amount in every),
        sum(amount.rate_out for amount in every),
    )


async def _answers(nodes: Mapping[PeerId, Node], ask: Callable[[Node], Awaitable[T]]) -> dict[PeerId, T]:
    found: dict[PeerId, T] = {}

    async def one(peer: PeerId, node: Node) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                found[peer] = await ask(node)
        except (NodeError, TimeoutError):
            return

    async with asyncio.TaskGroup() as group:
        for peer, node in nodes.items():
            group.create_task(one(peer, node))
    return found
