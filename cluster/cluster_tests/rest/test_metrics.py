"""`/metrics` on the REST API, and what it counts of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, world
from cluster_tests.telemetry.conftest import samples
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.metrics import add_metrics
from ipfs_cluster.telemetry import FiguresCache, Telemetry, cluster_tables

__all__ = ["world"]


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    cluster = await world.start()
    assert world.store is not None
    cache = FiguresCache(world.store, world.clock)
    telemetry = Telemetry(cluster_tables(cluster, world.store, cache, world.clock), cache)
    application = app(cluster, "0")
    add_metrics(application, telemetry)
    async with TestClient(TestServer(application)) as made:
        yield made
    await telemetry.close()


async def test_a_scrape_tells_all_and_counts_requests_by_route(client: TestClient) -> None:  # type: ignore[type-arg]
    nobody = "bafkqaaa"
    for path in ("/peers", "/allocations/" + nobody, "/allocations/x", "/allocations/y", "/nosuch/path"):
        await (await client.get(path)).read()
    await client.patch("/peers")
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    found = samples(await answer.text())
    assert found["ipfscluster_pins"] == 0
    prefix = "ipfscluster_restapi_requests_total"
    assert {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)} == {
        '{route="/peers",status="2xx"}': 1,
        '{route="/allocations/{cid}",status="4xx"}': 3,
        '{route="unknown",status="4xx"}': 2,
    }
    again = samples(await (await client.get("/metrics")).text())
    assert again[prefix + '{route="/metrics",status="2xx"}'] == 1


async def test_a_scraper_is_answered_in_the_format_it_asks_for(client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await answer.text()).endswith("# EOF\n")
