"""One million pins out of a stopped service's folder and into another one, as ipfs-cluster's JSON lines.

Question: how long do `state export` and `state import` take, and does their memory stay small?
Method: the command itself, as its users run it, on a pinset of ordinary pins (a name, one allocation); the time of the
whole process, its CPU and its highest resident size. What goes in is shuffled before; what comes out after the import
is, sorted, compared with it. Between them everything is listed by name, from the store.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import MIB, Stage, arguments
from benchmarks.pinset import imported
from benchmarks.report import Row, report
from ipfs_cluster import SystemClock
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_proxy.compose import STORE_FILE

_RUN = """
import re, sys, time
from ipfs_proxy.service import main
status = main(sys.argv[1:])
highest = re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1]
sys.stderr.write(f"{highest} {time.process_time()}")
sys.exit(status)
"""


def run(folder: Path, *command: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and megabytes of one `ipfs-cluster-service state …`."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "--config", str(folder), "state", *command],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    size, cpu = done.stderr.split()
    return time.monotonic() - begin, float(cpu), int(size) * 1024 / MIB


async def listed(store: Path, part: str) -> tuple[float, float, int]:
    """Of a listing by a part of the name: milliseconds until the first page, seconds until the last, entries."""
    opened = SqliteStore(store, SystemClock())
    await opened.open()
    try:
        begin, first, count = time.monotonic(), 0.0, 0
        async for page in opened.pins(PinQuery(name=part)):
            first = first or time.monotonic() - begin
            count += len(page)
        return first * 1000, time.monotonic() - begin, count
    finally:
        await opened.close()


def folder_of(stage: Stage) -> Path:
    """A data folder without a pinset."""
    folder = stage.path("folder")
    folder.mkdir()
    (folder / "service.yaml").write_text("cluster: {peername: n0}\n")
    return folder


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    count = 20_000 if options.quick else 1_000_000
    rows: list[Row] = []
    with Stage() as stage:
        source, target = folder_of(stage), folder_of(stage)
        peer = load_or_create(source / "identity.json").id
        (target / "identity.json").write_bytes((source / "identity.json").read_bytes())
        imported(source / STORE_FILE, count, peer)
        first, second = stage.path("first"), stage.path("second")
        seconds, cpu, size = run(source, "export", "-f", str(first))
        rows.append(Row(f"state export of {count:,} pins", "", seconds, "s"))
        rows.append(Row("its CPU", "", cpu, "s"))
        rows.append(Row("its highest resident", "", size, "MB", must="< 200"))
        lines = first.read_bytes().splitlines(keepends=True)
        random.Random(1).shuffle(lines)
        first.write_bytes(b"".join(lines))
        seconds, cpu, size = run(target, "import", str(first))
        rows.append(
            Row(f"state import of {count:,} pins in any order, queued on their peer", "", seconds, "s", must="< 45")
        )
        rows.append(Row("its CPU", "", cpu, "s"))
        rows.append(Row("its highest resident", "", size, "MB", must="< 200"))
        page, seconds, found = asyncio.run(listed(target / STORE_FILE, "backup-"))
        assert found == count, f"{found} of {count} pins are listed by name"
        rows.append(Row("a listing of all by a part of their name: first page", "", page, "ms", must="< 50"))
        rows.append(Row("the same: all", "", count / seconds, "rows/s"))
        run(target, "export", "-f", str(second))
        assert sorted(lines) == sorted(second.read_bytes().splitlines(keepends=True)), "the pinset is another one"
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
