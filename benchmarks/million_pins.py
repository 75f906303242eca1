"""A service with one million pins.

Question: how soon does it start, how much memory does it take, and how fast are listings and searches?
Method: a store with 1 M recursive pins of the service's own peer. Its node holds them all: an nginx before a real Kubo
answers the node's full `pin/ls` from a file, so that the comparison at start has its whole work. Start: from the
command to its `ready` line, median of three. Resident: after that comparison, and its highest value so far. Listing:
`pin/ls` streamed and whole, in turns, by a raw socket; first body byte, rows a second. Memory growth: the highest
resident size during all listings less that before. Search by name: a part that a thousandth of the names have, and
one that a single, random pin has, when the index that the first search asks for is there.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.common import Stage, arguments, cpu_seconds, interleave, pid_of, reset_peak, resident_mb
from benchmarks.load import nginx
from benchmarks.pinset import cid, imported, pin
from benchmarks.report import Row, report
from benchmarks.streams import Download, download
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from ipfs_cluster import cid as cids
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.model import PeerId
from ipfs_cluster.ports import PeerRecord, PutPeer
from ipfs_proxy.compose import STORE_FILE

LS = "/api/v0/pin/ls?type=recursive"
SEARCH = "/api/v0/pin/ls?type=recursive&stream=true&names=true&name=backup-"
STARTS = 3


def node_listing(folder: Path, count: int, peer: PeerId) -> str:
    """nginx locations for the node's full listings: the recursive one from a file, an empty direct one."""
    folder.mkdir()
    with open(folder / "recursive", "w", encoding="ascii") as file:
        for number in range(count):
            value = {"Cid": cids.text(cid(number)), "Type": "recursive", "Name": pin(number, peer).name}
            file.write(json.dumps(value, separators=(",", ":")) + "\n")
    (folder / "direct").touch()
    return f"""
        location = /api/v0/pin/ls {{
            if ($arg_arg = "") {{ rewrite ^ /{folder.name}/$arg_type last; }}
            proxy_pass http://behind;
        }}
        location /{folder.name}/ {{
            internal; root {folder.parent}; default_type application/json; error_page 405 =200 $uri;
        }}
    """


def started(service: Service) -> float:
    """Start it; seconds to its `ready` line."""
    begin = time.monotonic()
    service.start()
    return time.monotonic() - begin


def settle(pid: int) -> None:
    """Return when the process has nothing to do."""
    last = [cpu_seconds(pid), time.monotonic()]

    def quiet() -> bool:
        if time.monotonic() - last[1] < 3:
            return False
        used, last[:] = cpu_seconds(pid) - last[0], [cpu_seconds(pid), time.monotonic()]
        return used < 0.1

    eventually(quiet, "the service is at rest", 300)


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    count = 20_000 if options.quick else 1_000_000
    rows: list[Row] = []
    with Stage() as stage:
        node = stage.node()
        service = stage.service([node], start=False)
        peer = load_or_create(service.folder / "identity.json").id
        seen_at, _ = nginx(stage, node.address, node_listing(stage.path("listing"), count, peer))
        own, node.port = node.port, seen_at[1]
        service.configure(cluster={"monitor_ping_interval": "15s", "pin_recover_interval": "1h"})
        node.port = own
        record = PeerRecord(peer, "n0", surveyed=True, adopted=True)
        seconds = imported(service.folder / STORE_FILE, count, peer, PutPeer(record))
        rows.append(Row(f"import of {count:,} pins into a new file", "", seconds, "s", must="< 45", goal="< 20"))
        starts = []
        for _ in range(1 if options.quick else STARTS):
            service.stop()
            starts.append(started(service))
        pid = pid_of(service)
        settle(pid)
        output = service.child.output() if service.child is not None else ""
        assert "comparing with the node" not in output, output
        resident, peak = resident_mb(pid), resident_mb(pid, peak=True)
        rows.append(Row(f"start with {count:,} pins", "", median(starts), "s", must="< 5"))
        rows.append(Row(f"resident with {count:,} pins, compared with the node", "", resident, "MB", must="< 200"))
        rows.append(Row("highest resident during the comparison", "", peak, "MB"))

        reset_peak(pid)
        variants = {
            "stream": lambda: download(service.address, f"{LS}&stream=true", count_objects=True),
            "whole": lambda: download(service.address, LS),
        }
        listings: dict[str, list[Download]] = interleave(variants, options.rounds)
        growth = resident_mb(pid, peak=True) - resident
        assert all(run.objects == count for run in listings["stream"]), "rows are missing"
        for name, runs in listings.items():
            first = median(run.first for run in runs) * 1000
            rate = count / median(run.seconds for run in runs)
            rows.append(Row(f"pin ls, {name}: first byte", "", first, "ms", must="< 50", goal="< 5"))
            rows.append(Row(f"pin ls, {name}", "", rate, "rows/s", must=">= 500000"))
        rows.append(Row("memory growth during listings", "", growth, "MB", must="< 20"))

        found = download(service.address, f"{SEARCH}{count - 1:07}")
        rows.append(Row("first search, without an index of names: first row", "", found.first * 1000, "ms"))
        settle(pid)
        random = Random(1)
        some: list[Download] = []
        single: list[Download] = []
        for _ in range(options.rounds):
            number = f"{random.randrange(count):07}"
            some.append(download(service.address, SEARCH + number[:4]))
            single.append(download(service.address, SEARCH + number))
        for name, runs in (("of a thousand names", some), ("of one name", single)):
            first = median(run.first for run in runs) * 1000
            rows.append(Row(f"search by a part {name}: first row", "", first, "ms", must="< 50"))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
