"""Routes about the cluster's health: alive, who is connected to whom, what was sent and received.

The peers of one service speak to each other within it, so each sees and trusts all others, and none of them has a
swarm of its own: the bandwidth is that of their nodes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from ipfs_cluster import swarm
from ipfs_cluster.rest.answers import answer
from ipfs_cluster.rest.keys import CLUSTER


async def _health(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _graph(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    peers = cluster.views.peers()
    found = await swarm.links(cluster.nodes_up())
    homes = {peer.id: peer.node.id for peer in peers if peer.node is not None and peer.id in found}
    value: dict[str, Any] = {
        "cluster_id": cluster.home.id,
        "id_to_peername": {peer.id: peer.name for peer in peers},
        "ipfs_links": {homes[peer]: sorted(found[peer]) for peer in homes},
        "cluster_links": {peer.id: [other.id for other in peers if other is not peer] for peer in peers},
        "cluster_trust_links": {peer.id: True for peer in peers},
        "cluster_to_ipfs": homes,
    }
    return answer(value)


async def _bandwidth(request: web.Request) -> web.StreamResponse:
    carried = await swarm.bandwidth(request.app[CLUSTER].nodes_up())
    return answer({protocol: asdict(amount) for protocol, amount in sorted(carried.items())})


ROUTES = (
    web.get("/health", _health),
    web.get("/health/graph", _graph),
    web.get("/health/bandwidth", _bandwidth),
)
