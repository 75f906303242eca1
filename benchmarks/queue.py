"""A queue of 100,000 pins before one node.

Question: does the service stay responsive while so many pins wait, does the queue drain at the daemon's speed, and
does a restart with it make no storm?
Method: distinct raw blocks put to the node with pin=false. The node is stopped, all are pinned through the service with
wait=accepted on 32 connections, and the node is started again. While the queue drains: every 50 ms one relayed
`version`, one `pin/ls?arg` and one `pin/add` of a new CID (accepted) in turns, and the connections that the service has
open to the node. Half-way the service is killed and started again. The drain is counted from the queue's length that
the store tells at both ends of each half, and compared with the same calls (`pin/ls?arg`, `pin/add`) sent to the node
directly on ten connections, before and after.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import Stage, arguments, pid_of, reset_peak, resident_mb
from benchmarks.each import post_each
from benchmarks.pin_add import put_blocks
from benchmarks.report import Row, report
from compat_tests.harness.http import post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service

PLACES = 10
ASKED = ("version", "pin/ls", "pin/add")
PAUSE = 0.05


@dataclass
class Probe:
    """Asks the service all the time; milliseconds by command, and the most connections to the node at once."""

    service: Service
    node: KuboNode
    pinned: str
    fresh: list[str]
    took: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ASKED})
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `over`, in turns."""
        turn = 0
        while not self.over.wait(PAUSE):
            command = ASKED[turn % len(ASKED)]
            turn += 1
            cid = self.pinned if command == "pin/ls" else self.fresh.pop()
            pairs = "" if command == "version" else f"?arg={cid}"
            began = time.monotonic()
            try:
                post(self.service.address, f"/api/v0/{command}{pairs}")
            except OSError:
                continue  # it is being restarted
            self.took[command].append((time.monotonic() - began) * 1000)
            self.connections = max(self.connections, connections_to(self.node.port))


def connections_to(port: int) -> int:
    """Established connections to a port of this machine, counted at their far end."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def queued(service: Service) -> int:
    """How many rows wait, by the store itself: asking the service would be work for it."""
    with sqlite3.connect(f"file:{service.folder / 'pinset.sqlite'}?mode=ro", uri=True) as connection:
        (number,) = connection.execute("SELECT count(*) FROM work").fetchone()
    return int(number)


def drained_to(service: Service, left: int) -> float:
    """Wait until no more than this wait; pins a second meanwhile."""
    first, began = queued(service), time.monotonic()
    while (now := queued(service)) > left:
        time.sleep(0.25)
    return (first - now) / (time.monotonic() - began)


def direct(node: KuboNode, number: int) -> float:
    """What the node does of the tracker's two calls for each pin, a second."""
    cids = put_blocks(node, number)
    rate = post_each(node.address, [f"/api/v0/pin/add?arg={cid}&progress=true" for cid in cids], connections=PLACES)
    asked = post_each(node.address, [f"/api/v0/pin/ls?arg={cid}&type=recursive" for cid in cids], connections=PLACES)
    return 1 / (1 / rate + 1 / asked)


def probed(probe: Probe, work: Callable[[], float]) -> float:
    """Do the work with the probe beside it."""
    thread = threading.Thread(target=probe.run)
    thread.start()
    try:
        return work()
    finally:
        probe.over.set()
        thread.join()


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    options.rounds = 1
    number = 3000 if options.quick else 100_000
    with Stage() as stage:
        node = stage.node()
        cids, fresh = put_blocks(node, number), put_blocks(node, 2 * number // 10)
        rates = [direct(node, min(number, 5000))]
        service = stage.service([node], proxy={"wait": "accepted"})
        node.stop()
        accepted = post_each(service.address, [f"/api/v0/pin/add?arg={cid}" for cid in cids], connections=32)
        reset_peak(pid_of(service))
        node.start()
        first = Probe(service, node, cids[0], fresh)
        halves = [probed(first, lambda: drained_to(service, number // 2))]
        peak = resident_mb(pid_of(service), peak=True)
        service.kill()
        began = time.monotonic()
        service.start()
        ready = time.monotonic() - began
        second = Probe(service, node, cids[0], fresh)
        halves.append(probed(second, lambda: drained_to(service, number // 100)))
        drained_to(service, 0)
        rates.append(direct(node, min(number, 5000)))
        took = {name: first.took[name] + second.took[name] for name in ASKED}
        drain, alone = statistics.harmonic_mean(halves), statistics.mean(rates)
        rows = [
            Row(f"drain of {number:,} queued pins ({drain:,.0f}/s)", f"the same calls ({alone:,.0f}/s)", drain / alone),
            Row("drain after the restart", "before it", halves[1] / halves[0]),
            Row("pins accepted while the node is away", "", accepted, "/s"),
            *(Row(f"{name} meanwhile: median", "", statistics.median(values), "ms") for name, values in took.items()),
            *(
                Row(f"{name} meanwhile: 99 of 100 within", "", statistics.quantiles(values, n=100)[98], "ms")
                for name, values in took.items()
            ),
            Row("highest resident meanwhile", "", peak, "MB"),
            Row("restart, killed, half of the queue left", "", ready, "s"),
            Row("most connections to the node after the restart", "", second.connections, ""),
        ]
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
