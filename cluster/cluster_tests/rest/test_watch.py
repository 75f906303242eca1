"""`/pins/watch`: the pinset, then its changes, until one side ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, cid, until, world
from ipfs_cluster import cid as cids
from ipfs_cluster.feed import IDLE
from ipfs_cluster.model import PinOptions
from ipfs_cluster.rest.app import app

__all__ = ["world"]


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    cluster = await world.start()
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def line(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next one."""
    value: dict[str, Any] = json.loads(await asyncio.wait_for(answer.content.readline(), 10))
    return value


async def test_the_pinset_and_then_its_changes(world: World, client: TestClient) -> None:  # type: ignore[type-arg]
    assert world.cluster is not None
    await (await world.cluster.pin([(cid(1), PinOptions(name="one"))])).wait()
    answer = await client.get("/pins/watch")
    assert answer.status == 200
    assert await line(answer) == {"type": "reset"}
    first = await line(answer)
    assert (first["type"], first["pin"]["name"]) == ("pin", "one")
    place = (await line(answer))["place"]
    await (await world.cluster.pin([(cid(2), PinOptions(name="two"))])).wait()
    assert (await line(answer))["pin"]["cid"] == cids.text(cid(2))
    assert (await line(answer))["type"] == "place"
    await world.cluster.unpin([(cid(1), True)])
    assert await line(answer) == {"type": "unpin", "cid": cids.text(cid(1))}
    answer.close()
    again = await client.get("/pins/watch", params={"after": place})
    assert [(await line(again))["type"] for _ in range(3)] == ["pin", "unpin", "place"]
    again.close()


async def test_silence_is_told(world: World, client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.get("/pins/watch")
    assert [(await line(answer))["type"] for _ in range(2)] == ["reset", "place"]
    await until(lambda: world.clock.wakes_in(IDLE), "it waits")
    world.clock.advance(IDLE)
    assert (await line(answer))["type"] == "place"
    answer.close()


async def test_what_is_no_place_is_a_bad_request(client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.get("/pins/watch?after=nowhere")
    assert answer.status == 400
    assert "no place" in (await answer.json())["message"]


async def test_a_watcher_does_not_hold_up_the_end(world: World) -> None:
    cluster = await world.start()
    server = TestServer(app(cluster, "0"))
    async with TestClient(server) as client:
        answer = await client.get("/pins/watch")
        assert await line(answer) == {"type": "reset"}
        await asyncio.wait_for(server.close(), 10)
