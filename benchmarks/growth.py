"""How the store grows: one million pins, and ten.

Question: what does ten times as many cost in time, memory and disk; what grows with the pinset and what does not?
Method: a store of each size, each in a process of its own. Import: into a new file, the values made on the way; the
highest resident memory of that process. Open: until the first answer, median of three; resident memory then. Then the
lists that a service is asked for, in pages, by text; searches for single, random names before and after there is an
index of them; lookups by metadata, status and expiry with ten hits. Memory growth: the highest resident memory of all
that less that after opening. At last pins committed by 64 callers at once, each with its row of work; a copy (backup).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.common import Stage, arguments, reset_peak, resident_mb
from benchmarks.durable_pins import CALLERS, at_once
from benchmarks.pinset import ELSEWHERE, cid, pin
from benchmarks.report import Row, report
from ipfs_cluster import SystemClock
from ipfs_cluster.model import Pin, TrackerStatus
from ipfs_cluster.ports import FailWork, PinQuery, PutPin
from ipfs_cluster.stores.sqlite import SqliteStore, backup, import_pins

Figures = dict[str, float]
HITS = 10
"""Entries that have metadata and an expiry, or an error."""


def entries(count: int) -> Iterator[Pin]:
    """The pins; HITS of them with what is looked for later."""
    for number in range(count):
        entry = pin(number, ELSEWHERE)
        if number % (count // HITS) == 0:
            entry = replace(entry, metadata={"owner": "ann"}, expire_at=1000.0 + number)
        yield entry


def imported(path: Path, count: int) -> Figures:
    """Make the store."""
    begin = time.monotonic()
    import_pins(path, entries(count), time.time())
    seconds = time.monotonic() - begin
    return {
        "import": seconds,
        "import: highest resident": resident_mb(os.getpid(), peak=True),
        "file": path.stat().st_size / 1e6,
    }


async def used(path: Path, count: int) -> Figures:
    """Open it and ask it."""
    found: Figures = {}
    opens = []
    store = SqliteStore(path, SystemClock())
    for _ in range(3):
        begin = time.monotonic()
        await store.open()
        assert await store.get(cid(count // 2)) is not None
        opens.append(time.monotonic() - begin)
        await store.close()
    await store.open()
    found["open"] = median(opens)
    found["resident after opening"] = before = resident_mb(os.getpid())
    reset_peak(os.getpid())
    random = Random(1)
    for name, by_text in (("pages", False), ("by text", True)):
        first, rate = await listed(store, count, by_text=by_text)
        found[f"listing, {name}: first page"], found[f"listing, {name}"] = first, rate
    found["search for one name, no index: first row"] = await timed(store, [name_of(random, count)])
    assert store._open is not None
    begin = time.monotonic()
    await asyncio.gather(*store._open.names._tasks._tasks)
    found["index of names: made in"] = time.monotonic() - begin
    found["index of names: file"] = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}.tmp-*")) / 1e6
    found["search for one name: first row"] = await timed(store, [name_of(random, count) for _ in range(20)])
    await trouble(store, count)
    for name, query in (
        ("metadata", PinQuery(metadata=(("owner", "ann"),))),
        ("an error", PinQuery(statuses=frozenset({TrackerStatus.PIN_ERROR}))),
        ("expiry", PinQuery(expires_before=1000.0 + count)),
    ):
        assert await store.count(query) == HITS
        found[f"ten entries by {name}: first row"] = await timed(store, [query] * 20)
    found["memory growth"] = resident_mb(os.getpid(), peak=True) - before
    writes = [PutPin(pin(number, ELSEWHERE), 0, queue=(ELSEWHERE,)) for number in range(count, count + 20_000)]

    async def commit(write: PutPin) -> None:
        await store.commit([write])

    found[f"commits, {CALLERS} at once"] = len(writes) / await at_once(writes, commit)
    copy = path.with_name("copy")
    begin = time.monotonic()
    await asyncio.to_thread(backup, path, copy)
    found["backup, checked"] = time.monotonic() - begin
    await store.close()
    return found


async def listed(store: SqliteStore, count: int, *, by_text: bool) -> tuple[float, float]:
    """Milliseconds to the first page, rows a second."""
    begin = time.monotonic()
    first, rows = 0.0, 0
    async for page in store.listing(by_text=by_text):
        first = first or time.monotonic() - begin
        rows += len(page)
    assert rows == count
    return first * 1000, rows / (time.monotonic() - begin)


def name_of(random: Random, count: int) -> PinQuery:
    """A part that one name has."""
    return PinQuery(name=f"ckup-{random.randrange(count):07}")


async def timed(store: SqliteStore, queries: list[PinQuery]) -> float:
    """Milliseconds to the first row; the median."""
    seconds = []
    for query in queries:
        begin = time.monotonic()
        pages = store.listing(query)
        assert await anext(pages)
        seconds.append(time.monotonic() - begin)
        await pages.aclose()  # type: ignore[attr-defined]
    return median(seconds) * 1000


async def trouble(store: SqliteStore, count: int) -> None:
    """HITS entries whose pin failed."""
    cids = [cid(number * (count // HITS)) for number in range(HITS)]
    found = await store.get_many(cids)
    await store.commit([PutPin(entry, queue=(ELSEWHERE,)) for entry in found.values()])
    rows = await store.work(cids)
    failed = [
        FailWork(row.peer, row.cid, row.generation, TrackerStatus.PIN_ERROR, 1, "for a test", 2e9) for row in rows
    ]
    await store.commit(failed)


def unit_of(name: str) -> str:
    """By what the figure is called."""
    if any(word in name for word in ("resident", "file", "memory")):
        return "MB"
    if "first" in name:
        return "ms"
    if name.startswith("listing"):
        return "rows/s"
    return "pins/s" if name.startswith("commits") else "s"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def child(part: str, path: Path, count: int) -> Figures:
    """A part of this module, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", part, str(path), str(count)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: Figures = json.loads(output)
    return found


def main() -> None:
    """Run it; or, in a child, one part for one size."""
    if len(sys.argv) == 4 and sys.argv[1] in ("import", "use"):
        path, number = Path(sys.argv[2]), int(sys.argv[3])
        print(json.dumps(imported(path, number) if sys.argv[1] == "import" else asyncio.run(used(path, number))))
        return
    options = arguments(__doc__)
    sizes = (20_000, 200_000) if options.quick else (1_000_000, 10_000_000)
    found: list[Figures] = []
    for count in sizes:
        with Stage() as stage:
            path = stage.path("pinset.sqlite")
            found.append(child("import", path, count) | child("use", path, count))
            print(count, json.dumps(found[-1]), file=sys.stderr)
    small, large = found
    rows = [
        Row(f"{name}, {sizes[1]:,} pins", f"{sizes[0]:,} pins: {_shown(small[name])}", large[name], unit_of(name))
        for name in small
    ]
    report("benchmarks.growth", __doc__, rows, options)


if __name__ == "__main__":
    main()
