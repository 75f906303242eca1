"""A scrape of the metrics, with small and large pinsets.

Question: what does a scrape cost, does it grow with the pinset, and for how long at once does it hold the event loop?
Method: the metrics of a whole service with three peers over a store of so many pins, a tenth of which are queued on a
peer; no node answers. Counting: the store counted as for a scrape, on its reading thread, median; the service does it
at most a hundredth of the time. Scrape: with that at hand, to the last byte of the text, median. Loop: the longest of
the parts that run on the event loop without a break, its median over the scrapes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.common import arguments
from benchmarks.pinset import batches, imported, pin
from benchmarks.report import Row, report
from ipfs_cluster.model import PeerId
from ipfs_cluster.ports import PutPin
from ipfs_cluster.settings import Settings, parse
from ipfs_cluster.telemetry import Table
from ipfs_proxy.compose import STORE_FILE, Service, compose

NODES = [{"name": f"n{number}", "node_multiaddress": f"/ip4/127.0.0.1/tcp/{number + 1}"} for number in range(3)]
SCRAPES = 30
COUNTS = 7


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    rows: list[Row] = []
    for count in (1_000, 20_000) if options.quick else (10_000, 1_000_000):
        with TemporaryDirectory(prefix="benchmark-") as folder:
            rows += asyncio.run(_measured(Path(folder), count))
    report(__name__, __doc__, rows, options)


def _settings() -> Settings:
    return parse({"ipfs_connector": {"nodes": NODES}}, {})[0]


async def _measured(folder: Path, count: int) -> list[Row]:
    peer = next(iter(compose(folder, _settings(), {}, "0").cluster.peers_by_id))
    await asyncio.to_thread(imported, folder / STORE_FILE, count, peer)
    service = compose(folder, _settings(), {}, "0")
    store = service.cluster._store
    await store.open()
    try:
        await _queue(service, peer, count)
        counting = [await _timed(store.figures) for _ in range(COUNTS)]
        await service.telemetry.scrape()
        whole = [await _timed(service.telemetry.scrape) for _ in range(SCRAPES)]
        held = [_longest(service.telemetry.tables) for _ in range(SCRAPES)]
    finally:
        await service.telemetry.close()
        await store.close()
    numbers = {"counting": median(counting), "scrape": median(whole), "loop": median(held)}
    return [Row(f"{count:,} pins: {name}", "", value * 1e3, "ms") for name, value in numbers.items()]


async def _queue(service: Service, peer: PeerId, count: int) -> None:
    for numbers in batches(0, count // 10):
        pins = [replace(pin(number, peer), name="again") for number in numbers]
        entries = await service.cluster._store.get_many([one.cid for one in pins])
        await service.cluster._store.commit([PutPin(one, entries[one.cid].revision, queue=(peer,)) for one in pins])


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def _longest(tables: Iterable[Table[object]]) -> float:
    """Seconds for the metric that took longest to read."""
    longest = 0.0
    for table in tables:
        began = time.perf_counter()
        for _ in table.families():
            now = time.perf_counter()
            longest, began = max(longest, now - began), now
    return longest


if __name__ == "__main__":
    main()
