"""Pins accepted durably, beside bare SQLite.

Question: how much of what SQLite can do on this disk is left when the store (`commit`) or the whole engine (`pin`,
answered when accepted) does it?
Method: two copies of a file with 1 M pins. 64 callers at once write pins one by one, each with its row of work, into
one; the other takes the same rows by prepared statements in transactions of 64, with the same schema, cache and syncs.
All values are made before. In turns, 10,000 pins a round. The engine runs over a node in memory that never answers a
pin.
From nothing: the same store filled with 1,000 pins a commit, beside bare inserts into the same tables.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import uvloop

from benchmarks.common import Stage, arguments, ratio
from benchmarks.pinset import ELSEWHERE, batches, cid, fill, pin
from benchmarks.report import Row, report
from ipfs_cluster import Cid, Cluster, EngineSettings, PeerSpec, SystemClock, Wait
from ipfs_cluster import cid as cids
from ipfs_cluster.model import PeerId, PinOptions
from ipfs_cluster.ports import PutPin
from ipfs_cluster.stores.sqlite import SqliteStore, schema
from ipfs_cluster.testing.fake_node import FakeNetwork, FakeNode

T = TypeVar("T")
CALLERS = 64
OURS = PeerId("12D3KooWOursOursOursOursOursOursOursOursOursOursOurs")
PINS = (
    "INSERT INTO pins (mode, type, name, allocations, replication_min, replication_max, expire_at, timestamp, "
    "revision, more, visible, text, cid) VALUES (0, 0, ?, '!', 1, 1, 0, ?, ?, NULL, 1, ?, ?)"
)
WORK = (
    "INSERT INTO work (pin, peer, status, mode, generation, attempts, error, since, next_retry, priority) "
    "VALUES (?, 1, 1, 0, ?, 0, '', ?, ?, 0)"
)


class Bare:
    """SQLite with our tables, and nothing else."""

    def __init__(self, path: Path) -> None:
        self.connection = schema.open_writer(path)
        self.revision = 10**7

    def write(self, numbers: range, group: int, *, work: bool) -> float:
        """Rows in transactions of `group`; seconds."""
        values = [(pin(number, OURS).name, cids.text(cid(number)), cid(number)) for number in numbers]
        run = self.connection.cursor().execute
        begin = now = time.monotonic()
        for first in range(0, len(values), group):
            run("BEGIN IMMEDIATE")
            for name, text, raw in values[first : first + group]:
                self.revision += 1
                row = run(PINS, (name, now, self.revision, text, raw)).lastrowid
                if work:
                    run(WORK, (row, self.revision, now, now))
            run("UPDATE state SET revision = ?", (self.revision,))
            run("COMMIT")
        return time.monotonic() - begin


async def at_once(values: list[T], call: Callable[[T], Awaitable[object]]) -> float:
    """CALLERS callers take value after value; seconds."""
    rest = iter(values)

    async def caller() -> None:
        for value in rest:
            await call(value)

    begin = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    return time.monotonic() - begin


async def measure(stage: Stage, count: int, size: int, rounds: int) -> list[Row]:
    """Everything, in one loop."""
    ours, beside, through = (stage.path(f"{name}.sqlite") for name in ("store", "bare", "engine"))
    imported = await fill(ours, count, ELSEWHERE)
    empty = Bare(stage.path("import.sqlite"))
    bare_import = sum(empty.write(numbers, len(numbers), work=False) for numbers in batches(0, count))
    empty.connection.close()
    for copy in (beside, through):
        shutil.copy(ours, copy)
    bare = Bare(beside)
    store = SqliteStore(ours, SystemClock())
    await store.open()
    node = FakeNode(FakeNetwork(), "12D3KooWNode")
    spec = PeerSpec(OURS, "ours", node, home=True)
    cluster = Cluster([spec], SqliteStore(through, SystemClock()), SystemClock(), EngineSettings())
    await cluster.start()

    async def commit(write: PutPin) -> None:
        await store.commit([write])

    async def verb(request: tuple[Cid, PinOptions]) -> None:
        call = await cluster.pin([request], wait=Wait.ACCEPTED)
        await call.wait()

    rates: dict[str, list[float]] = {"store": [], "engine": [], "bare": []}
    try:
        for first in itertools.islice(itertools.count(count, size), rounds):
            numbers = range(first, first + size)
            rates["bare"].append(size / bare.write(numbers, CALLERS, work=True))
            writes = [PutPin(pin(number, OURS), 0, queue=(OURS,)) for number in numbers]
            rates["store"].append(size / await at_once(writes, commit))
            requests = [(write.pin.cid, PinOptions(name=write.pin.name)) for write in writes]
            rates["engine"].append(size / await at_once(requests, verb))
    finally:
        await cluster.close()
        await store.close()
        bare.connection.close()
    what = f"bare SQLite, groups of {CALLERS} ({median(rates['bare']):,.0f}/s)"
    rows = [
        Row(
            f"pins accepted durably, {name}, {count:,} present ({median(rates[key]):,.0f}/s)",
            what,
            ratio(rates[key], rates["bare"]),
            must=">= 0.5",
            goal=">= 0.8",
        )
        for name, key in (("engine verb", "engine"), ("store.commit", "store"))
    ]
    beside_it = f"bare ({count / bare_import:,.0f}/s)"
    name = f"1,000 pins a commit, from nothing ({count / imported:,.0f}/s)"
    rows.append(Row(name, beside_it, bare_import / imported))
    return rows


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    count, size = (20_000, 2_000) if options.quick else (1_000_000, 10_000)
    with Stage() as stage, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(stage, count, size, options.rounds))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
