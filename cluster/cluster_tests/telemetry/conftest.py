"""A cluster of fake nodes with its metrics, read as Prometheus reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster_tests.engine.conftest import World, world
from ipfs_cluster.telemetry import FiguresCache, Telemetry, cluster_tables

__all__ = ["world"]


def samples(text: str) -> dict[str, float]:
    """`name{label="value"}` → value of all that is ours in an answer."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ipfscluster_"):
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@dataclass
class Scraper:
    """Scrapes the cluster of a world."""

    world: World
    telemetry: Telemetry

    async def scrape(self, after: float = 3600.0) -> dict[str, float]:
        """All metrics after so many seconds: by default figures are then counted anew."""
        self.world.clock.advance(after)
        _, body = await self.telemetry.scrape()
        return samples(body.decode())


@pytest.fixture
async def scraper(world: World) -> AsyncIterator[Scraper]:
    """The world's cluster, started, with one copy of each pin."""
    cluster = await world.start(1, 1)
    assert world.store is not None
    cache = FiguresCache(world.store, world.clock)
    telemetry = Telemetry(cluster_tables(cluster, world.store, cache, world.clock), cache)
    yield Scraper(world, telemetry)
    await telemetry.close()
