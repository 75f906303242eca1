"""`why`, `drain`, `rebalance` and alerts over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, cid, world
from ipfs_cluster import Wait
from ipfs_cluster import cid as cids
from ipfs_cluster.model import NodePin, PinMode, PinOptions
from ipfs_cluster.rest.app import app

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    cluster = await world.start(1, 2)
    await world.pass_time(70)
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def test_why_explains_a_pin_and_a_peer(world: World, client: Client) -> None:
    assert world.cluster is not None
    call = await world.cluster.pin([(cid(1), PinOptions(name="it"))], wait=Wait.ALL)
    await call.wait()
    value = await (await client.get(f"/pins/{cids.text(cid(1))}/why")).json()

    assert (value["name"], value["why"]) == ("it", "Held by 2, wanted on 1 to 2 peers: complete.")
    assert [peer["why"] for peer in value["peers"]].count("holds it") == 2
    assert {peer["peername"] for peer in value["peers"]} == {"name0", "name1", "name2"}

    world.nodes[1].away = "connection refused"
    await world.pass_time(40)
    for name in ("name1", "peer1"):
        value = await (await client.get(f"/peers/{name}/why")).json()
        assert (value["peer"], value["standing"], value["up"]) == ("peer1", "away", False)
        assert "connection refused" in value["why"]


async def test_a_peer_is_drained_and_taken_back(world: World, client: Client) -> None:
    started = await (await client.post("/peers/name2/drain")).json()
    assert (started["peer"], started["draining"], started["done"]) == ("peer2", True, True)
    assert (await (await client.get("/peers/peer2/drain")).json())["draining"] is True
    assert (await (await client.delete("/peers/peer2/drain")).json())["draining"] is False


async def test_a_nodes_own_pins_are_adopted(world: World) -> None:
    world.nodes[1].pins_held[cid(7)] = NodePin(cid(7), PinMode.RECURSIVE, "mine")
    world.nodes[2].away = "gone"
    async with TestClient(TestServer(app(await world.start(1, 2), "0"))) as client:
        for adopted in (1, 0):
            answer = await (await client.post("/peers/name1/adopt")).json()
            assert answer == {"peer": "peer1", "peername": "name1", "adopted": adopted}
        value = await (await client.get(f"/allocations/{cids.text(cid(7))}")).json()
        assert (value["name"], value["allocations"], value["replication_factor_max"]) == ("mine", ["peer1"], 1)
        refused = await client.post("/peers/name2/adopt")
        assert (refused.status, "name2 holds is not known yet" in await refused.text()) == (500, True)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/peers/nobody/adopt", 404, "there is no peer nobody"),
        ("POST", "/peers/nobody/drain", 404, "there is no peer nobody"),
        ("GET", "/peers/nobody/why", 404, "there is no peer nobody"),
        ("GET", "/pins/nonsense/why", 400, "error decoding Cid"),
        ("DELETE", "/rebalance", 400, "no rebalance is running"),
    ],
)
async def test_what_cannot_be_done_is_told(client: Client, method: str, path: str, status: int, message: str) -> None:
    answer = await client.request(method, path)
    value = await answer.json()
    assert (answer.status, value["code"]) == (status, status)
    assert message in value["message"]


async def test_a_rebalance_is_previewed_started_and_followed(world: World, client: Client) -> None:
    assert await (await client.get("/rebalance")).json() == {
        "state": "idle",
        "since": "0001-01-01T00:00:00Z",
        "ended": "0001-01-01T00:00:00Z",
        "moves": [],
    }
    for number, node in enumerate(world.nodes):
        node.repo_size, node.free = 500, 500 + number
    await world.pass_time(1000)
    assert (await (await client.get("/rebalance?preview=true")).json())["state"] == "preview"
    await client.post("/rebalance")
    await world.pass_time(10)
    assert (await (await client.get("/rebalance")).json())["state"] == "done"


async def test_alerts_are_those_of_ipfs_cluster(world: World, client: Client) -> None:
    assert await (await client.get("/health/alerts")).json() == []
    world.nodes[1].away = "connection refused"
    await world.pass_time(120)
    alerts = await (await client.get("/health/alerts")).json()

    assert {alert["peer"] for alert in alerts} == {"peer1"}
    (ping,) = [alert for alert in alerts if alert["name"] == "ping"]
    assert set(ping) == {
        "name",
        "peer",
        "value",
        "expire",
        "valid",
        "weight",
        "partitionable",
        "received_at",
        "triggered_at",
    }
    assert ping["received_at"] < ping["expire"] <= world.clock.time() * 1e9


async def test_a_web_page_may_not_change_anything(world: World, client: Client) -> None:
    answer = await client.post("/peers/name2/drain", headers={"Origin": "http://evil.example"})
    assert answer.status == 403
    assert not world.peers[2].record.draining


async def test_measurements_are_shown_while_they_count_in_unix_time(world: World, client: Client) -> None:
    names = await (await client.get("/monitor/metrics")).json()
    assert {"ping", "freespace", "numpin", "tag:group"} <= set(names)
    assert names == sorted(names)
    shown = await (await client.get("/monitor/metrics/freespace")).json()
    assert [metric["peer"] for metric in shown] == ["peer0", "peer1", "peer2"]
    now = world.clock.time() * 1e9
    assert now - 60e9 < shown[1]["received_at"] <= now < shown[1]["expire"] <= now + 60e9
    assert (shown[1]["value"], shown[1]["weight"]) == (str(10**12 - 1), 10**12 - 1)

    world.nodes[1].away = "gone"
    await world.pass_time(70)
    shown = await (await client.get("/monitor/metrics/freespace")).json()
    assert [metric["peer"] for metric in shown] == ["peer0", "peer2"]
    answer = await client.get("/monitor/metrics/nosuch")
    assert (answer.status, await answer.json()) == (200, [])
