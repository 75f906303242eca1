"""`/health`, the connectivity graph and the bandwidth of the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, until, world
from ipfs_cluster import swarm
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import Bandwidth
from ipfs_cluster.rest.app import app

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]
BITSWAP = "/ipfs/bitswap/1.2.0"


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    cluster = await world.start()
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def test_health_is_an_empty_answer(client: Client) -> None:
    answer = await client.get("/health")
    assert (answer.status, await answer.read()) == (204, b"")


async def test_the_graph_has_peers_nodes_and_their_links(world: World, client: Client) -> None:
    await until(lambda: world.nodes[2].connected == {"node0", "node1"}, "the nodes are connected")
    world.nodes[0].connected = {"node1", "elsewhere"}
    world.nodes[1].connected = {"node0"}
    world.nodes[2].away = "gone"
    assert await (await client.get("/health/graph")).json() == {
        "cluster_id": "peer0",
        "id_to_peername": {"peer0": "name0", "peer1": "name1", "peer2": "name2"},
        "ipfs_links": {"node0": ["elsewhere", "node1"], "node1": ["node0"]},
        "cluster_links": {
            "peer0": ["peer1", "peer2"],
            "peer1": ["peer0", "peer2"],
            "peer2": ["peer0", "peer1"],
        },
        "cluster_trust_links": {"peer0": True, "peer1": True, "peer2": True},
        "cluster_to_ipfs": {"peer0": "node0", "peer1": "node1"},
    }
    asked = world.nodes[2].calls["swarm/peers"]
    await world.peers[2].monitor.check()
    await client.get("/health/graph")
    assert world.nodes[2].calls["swarm/peers"] == asked


async def test_a_node_that_hangs_is_left_out_of_the_graph(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> frozenset[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(swarm, "TIMEOUT", 0)
    monkeypatch.setattr(world.nodes[1], "swarm_peers", hang)
    assert (await (await client.get("/health/graph")).json())["cluster_to_ipfs"] == {
        "peer0": "node0",
        "peer2": "node2",
    }


async def test_bandwidth_is_that_of_the_nodes_by_protocol(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nodes[0].traffic = {"": Bandwidth(100, 50, 2.5, 1.0), BITSWAP: Bandwidth(60, 20, 1.0, 1.5)}
    world.nodes[1].traffic = {"": Bandwidth(5, 5, 0.0, 0.0), BITSWAP: Bandwidth(5, 5, 0.0, 0.0)}

    async def refused(protocol: str = "") -> Bandwidth:
        raise NodeError("bandwidth reporter disabled in config")

    monkeypatch.setattr(world.nodes[2], "bandwidth", refused)
    assert await (await client.get("/health/bandwidth")).json() == {
        BITSWAP: {"total_in": 65, "total_out": 25, "rate_in": 1.0, "rate_out": 1.5},
        "other": {"total_in": 40, "total_out": 30, "rate_in": 1.5, "rate_out": 0.0},
    }
