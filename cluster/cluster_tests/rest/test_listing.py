"""What `/allocations` and `/pins` find."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, cid, world
from ipfs_cluster import Wait
from ipfs_cluster import cid as cids
from ipfs_cluster.model import NodePin, Pin, PinMode, PinOptions
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.rest.app import LISTED, TURNS, app

__all__ = ["world"]


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    cluster = await world.start()
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def found(client: TestClient, path: str) -> list[Any]:  # type: ignore[type-arg]
    """The names in an answer."""
    answer = await client.get(path)
    return sorted(json.loads(line)["name"] for line in (await answer.text()).splitlines())


async def test_entries_are_found_by_name_and_metadata(world: World, client: TestClient) -> None:  # type: ignore[type-arg]
    assert world.cluster is not None
    for number, name, owner in ((1, "a/photo", "ann"), (2, "photo", "bob"), (3, "text", "bob")):
        await (await world.cluster.pin([(cid(number), PinOptions(name=name, metadata={"owner": owner}))])).wait()
    assert await found(client, "/allocations") == ["a/photo", "photo", "text"]
    assert await found(client, "/allocations?name=photo") == ["a/photo", "photo"]
    assert await found(client, "/allocations?name-prefix=photo") == ["photo"]
    assert await found(client, "/allocations?meta-owner=bob&name=o") == ["photo"]
    assert await found(client, "/allocations?meta-owner=eve") == []


async def test_a_status_filter_reads_only_entries_with_work(
    world: World,
    client: TestClient,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert world.cluster is not None
    assert world.store is not None
    await (await world.cluster.pin([(cid(1), PinOptions(name="held"))])).wait()
    await (await world.cluster.pin([(cid(1000), PinOptions(name="absent"))], wait=Wait.ACCEPTED)).wait()
    queries: list[PinQuery] = []
    pins = world.store.pins

    def noted(query: PinQuery = PinQuery(), after_revision: int = 0, *, most: int = 1000) -> AsyncIterator[list[Pin]]:
        queries.append(query)
        return pins(query, after_revision, most=most)

    monkeypatch.setattr(world.store, "pins", noted)
    assert await found(client, "/pins?filter=pinned") == ["held"]
    assert await found(client, "/pins?filter=pinning,queued") == ["absent"]
    assert await found(client, "/pins?filter=error") == []
    assert [query.statuses is None for query in queries] == [True, False, False]
    # A node that is away makes what it holds an error, which no row tells.
    world.nodes[1].away = "gone"
    await world.peers[1].monitor.check()
    assert await found(client, "/pins?filter=error") == ["held"]
    assert cids.text(cid(1)) in await (await client.get("/pins?filter=cluster_error")).text()


async def test_a_status_names_the_node_of_each_peer(world: World, client: TestClient) -> None:  # type: ignore[type-arg]
    assert world.cluster is not None
    await (await world.cluster.pin([(cid(1), PinOptions())])).wait()
    await (await world.cluster.pin([(cid(1000), PinOptions())], wait=Wait.ACCEPTED)).wait()
    for wanted in (cid(1), cid(1000), cid(2)):
        peers = json.loads(await (await client.get(f"/pins/{cids.text(wanted)}")).text())["peer_map"]
        assert {peer: info["ipfs_peer_id"] for peer, info in peers.items()} == {
            f"peer{i}": f"node{i}" for i in range(3)
        }


async def test_pins_that_are_none_of_the_pinsets_are_listed_by_peer(world: World, client: TestClient) -> None:  # type: ignore[type-arg]
    for number in (1, 2):
        world.nodes[number].pins_held[cid(number)] = NodePin(cid(number), PinMode.RECURSIVE, f"theirs{number}")
        await world.peers[number].reconcile_now()
    assert await found(client, "/pins/foreign") == ["theirs1", "theirs2"]
    assert (
        await found(client, "/pins/foreign?peer=name2")
        == await found(client, "/pins/foreign?peer=peer2")
        == ["theirs2"]
    )
    (line,) = (await (await client.get("/pins/foreign?peer=name1")).text()).splitlines()
    assert json.loads(line) == {
        "cid": cids.text(cid(1)),
        "peer": "peer1",
        "peername": "name1",
        "kind": "orphan",
        "mode": "recursive",
        "name": "theirs1",
    }
    assert (await client.get("/pins/foreign?peer=name0")).status == 204
    refused = await client.get("/pins/foreign?peer=nobody")
    assert refused.status == 400
    assert (await refused.json())["message"].startswith("there is no peer nobody; known are name0")


async def test_a_crowd_of_listings_takes_turns_and_a_slow_reader_keeps_none(
    world: World,
    client: TestClient,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert world.cluster is not None
    rows = [Pin(cid(number), name="n" * 10_000) for number in range(LISTED)]
    now: list[int] = []
    at_once: list[int] = []

    async def endless(query: PinQuery, *, most: int) -> AsyncIterator[list[Pin]]:
        assert most == LISTED
        while True:
            now.append(0)
            at_once.append(len(now))
            await asyncio.sleep(0)
            now.pop()
            yield rows

    monkeypatch.setattr(world.cluster.views, "pins", endless)
    crowd = await asyncio.gather(*(client.get("/allocations") for _ in range(8)))
    assert (await client.get(f"/allocations/{cids.text(cid(1))}")).status == 404, "others are answered"
    # Nobody of the crowd reads on, so all of them stand still, and somebody who reads is served.
    reader = await client.get("/allocations")
    for _ in range(300):
        assert await reader.content.readline()
    assert max(at_once) == TURNS
    for answer in [*crowd, reader]:
        answer.close()
