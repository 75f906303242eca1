"""One answer to a scrape, in the format that the scraper asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from ipfs_cluster.telemetry.figures import FiguresCache
from ipfs_cluster.telemetry.meters import Table


class Telemetry:
    """The metrics of one service, in a registry of its own, so that two services in one process do not mix."""

    def __init__(self, tables: Iterable[Table[Any]], cache: FiguresCache) -> None:
        """cache: the figures that some of the tables show."""
        self.tables = list(tables)
        self._cache = cache
        self._turn = asyncio.Lock()
        self._taken: list[Metric] = []
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """For the registry: what `scrape` has taken."""
        return self._taken

    async def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """(content type, body): OpenMetrics where the Accept header asks for it, else Prometheus' text.

        Values are taken on the loop, one metric after the other with room for others in between; text is made of them
        beside it.
        """
        encode, content_type = choose_encoder(accept)
        async with self._turn:
            await self._cache.refresh()
            taken = []
            for table in self.tables:
                for family in table.families():
                    taken.append(family)
                    await asyncio.sleep(0)
            self._taken = taken
            return content_type, await asyncio.to_thread(encode, self._registry)

    async def close(self) -> None:
        """Nobody scrapes any more; before the store is closed."""
        await self._cache.close()
