"""Allocation among 1,000 peers.

Question: what does a decision cost, and how evenly do 100,000 pins of unknown size spread?
Method: 1,000 peers with 1 TB free each and tags that part them into four groups, in the service's own allocator
without anything else; three copies a pin. Sizes are exponentially distributed around 4 MB, and known to the peers
alone. As in a service, each peer is measured every 15 s, and then reports its free space and its queue, which it works
off at 10 pins a second. Pins come at 500 a second, or all before anything is measured. A decision is everything from
the wish to the promise; the 99th percentile of its CPU time is shown. Spread: the peer that is furthest from the mean.
Refusal: the error that names what is wrong with 1,000 peers. Known size: 100 MB that must fit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles

from benchmarks.common import arguments
from benchmarks.report import Row, report
from ipfs_cluster.core.allocate import Wish, allocate
from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.errors import NotEnoughPeers
from ipfs_cluster.model import Metric, PeerId

PEERS = 1000
GROUPS = 4
COPIES = 3
DISK = 10**12
MEAN_SIZE = 4 * 10**6
INTERVAL = 15.0
DRAIN = 10.0
"""Pins a peer makes in a second."""


@dataclass
class Disk:
    """One simulated peer. queue: sizes of the pins that it has yet to make. given: bytes of all that it was given."""

    id: PeerId
    group: str
    free: int = DISK
    given: int = 0
    queue: deque[int] = field(default_factory=deque)

    def work(self, seconds: float) -> None:
        """Make pins for some time."""
        for _ in range(min(len(self.queue), round(seconds * DRAIN))):
            self.free -= self.queue.popleft()

    def metrics(self, now: float) -> dict[str, Metric]:
        """What its monitor measures."""
        until = now + 2 * INTERVAL
        found = (
            Metric("ping", self.id, "{}", until, now),
            Metric("freespace", self.id, str(self.free), until, now, weight=self.free),
            Metric("pinqueue", self.id, str(len(self.queue)), until, now, weight=-len(self.queue)),
            Metric("tag:group", self.id, self.group, until, now, partitionable=True),
        )
        return {metric.name: metric for metric in found}


class Cluster:
    """Simulated peers before the real allocator."""

    def __init__(self) -> None:
        self.land = Landscape(("tag:group", "freespace"))
        self.disks = [Disk(PeerId(f"peer{number:04}"), f"group{number % GROUPS}") for number in range(PEERS)]
        self.by_id = {disk.id: disk for disk in self.disks}
        for disk in self.disks:
            self.measure(disk, 0.0)

    def measure(self, disk: Disk, now: float) -> None:
        """Tell the allocator of one peer."""
        self.land.measure(disk.id, str(disk.id), disk.metrics(now))

    def measure_due(self, before: float, now: float) -> None:
        """Let the peers whose turn comes in this time work and be measured: one after the other in the interval."""
        first, last = (int(at / INTERVAL * PEERS) for at in (before, now))
        for turn in range(first, last):
            disk = self.disks[turn % PEERS]
            disk.work(INTERVAL)
            self.measure(disk, now)

    def pin(self, size: int, now: float) -> float:
        """Place one pin; CPU seconds of the decision."""
        begin = time.process_time()
        chosen = allocate(Wish(COPIES, COPIES), self.land, now)
        self.land.promise(chosen)
        seconds = time.process_time() - begin
        for peer in chosen:
            disk = self.by_id[peer]
            disk.queue.append(size)
            disk.given += size
        return seconds

    def furthest(self) -> float:
        """How far the peer that is furthest from the mean is from it, in percent."""
        given = [disk.given for disk in self.disks]
        mean = sum(given) / PEERS
        return max(abs(one - mean) for one in given) / mean * 100


def spread(pins: int, per_second: float | None, size: Callable[[], int]) -> tuple[float, list[float]]:
    """Place pins; percent of the furthest peer, and CPU seconds of each decision. per_second: None for all at once."""
    cluster, now, seconds = Cluster(), 0.0, []
    for _ in range(pins):
        if per_second is not None:
            before, now = now, now + 1 / per_second
            cluster.measure_due(before, now)
        seconds.append(cluster.pin(size(), now))
    return cluster.furthest(), seconds


def timed(action: Callable[[], object], times: int) -> list[float]:
    """CPU seconds of each call."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        action()
        found.append(time.process_time() - begin)
    return found


def refused(land: Landscape) -> None:
    """Ask for one copy too many."""
    try:
        allocate(Wish(PEERS + 1, PEERS + 1), land, 2 * INTERVAL)
    except NotEnoughPeers:
        return
    raise AssertionError("there were not as many peers")


def worst(seconds: list[float]) -> float:
    """The 99th percentile, in milliseconds."""
    return quantiles(seconds, n=100)[-1] * 1000


def main() -> None:
    """Run and report."""
    options = arguments(__doc__)
    pins, times = (10_000, 100) if options.quick else (100_000, 1000)
    options.rounds = 1
    random = Random(5)

    def some() -> int:
        return round(random.expovariate(1 / MEAN_SIZE))

    steady, seconds = spread(pins, 500.0, some)
    burst, _ = spread(pins, None, some)
    equal, _ = spread(pins, None, lambda: MEAN_SIZE)
    land = Cluster().land
    known = timed(lambda: allocate(Wish(COPIES, COPIES, size=100 * 10**6), land, 0.0), times)
    many = f"{pins:,} pins"
    rows = [
        Row("a decision, p99", "", worst(seconds), "ms", "< 1", "< 0.1"),
        Row("a decision for a known size, p99", "", worst(known), "ms", "< 1"),
        Row("a refusal that tells of 1,000 peers, p99", "", worst(timed(lambda: refused(land), times)), "ms"),
        Row(f"{many}, 500/s: furthest peer from even", "mean", steady, "%", "<= 10", "<= 5"),
        Row(f"{many} of one size before anything is measured", "mean", equal, "%", "<= 10"),
        Row(f"{many} of random sizes before anything is measured", "mean", burst, "%"),
    ]
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
