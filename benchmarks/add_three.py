"""`add` to three nodes through the service, beside the three nodes adding the same alone at once.

Question: what does it cost that one upload reaches three nodes?
Method: the same 256 MiB, content that no node has seen before. Beside: three clients at once, each to one of three
nodes directly; the time of the slowest. Ours: one client to the service before three nodes, with replication 3,
until every peer is `pinned`, which the answer should mean; the time to the answer stands beside it. Sockets with
sendfile; nodes are emptied before each call, outside the time. The service's highest resident size during a call
is taken from the kernel.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.common import MIB, Stage, arguments, cpu_seconds, interleave, pid_of, ratio, reset_peak, resident_mb
from benchmarks.report import Row, report
from benchmarks.streams import file_body, upload
from benchmarks.transfer import clear
from compat_tests.harness.process import eventually

ADD = "/api/v0/add?quieter=true"
EVERYWHERE = "&replication=3&wait=all"


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    size = (32 if options.quick else 256) * MIB
    with Stage() as stage, ThreadPoolExecutor(3) as threads:
        nodes = [stage.node() for _ in range(3)]
        service = stage.service(nodes)
        body = stage.path("body")
        held: list[float] = []
        used: list[float] = []
        grown: list[float] = []

        def fresh() -> None:
            file_body(body, size)
            for node in nodes:
                clear(node, service)

        def alone() -> float:
            fresh()
            return max(threads.map(lambda node: upload(node.address, ADD, body)[0], nodes))

        def through() -> float:
            fresh()
            pid = pid_of(service)
            reset_peak(pid)
            resident = resident_mb(pid)
            begin, before = time.monotonic(), cpu_seconds(pid)
            seconds, answer = upload(service.address, ADD + EVERYWHERE, body)
            cid = str(json.loads(answer.text)["Hash"])
            eventually(lambda: service.pinned_everywhere(cid), "all peers hold it", 300)
            grown.append(resident_mb(pid, peak=True) - resident)
            held.append(time.monotonic() - begin)
            used.append((cpu_seconds(pid_of(service)) - before) / size * 1e9)
            return seconds

        variants: dict[str, Callable[[], float]] = {"service": through, "alone": alone}
        found = interleave(variants, options.rounds)
    beside = f"three nodes alone at once ({median(found['alone']):.2f} s)"
    answered, pinned = ratio(found["service"], found["alone"]), ratio(held, found["alone"])
    rows = [
        Row(
            f"add of {size // MIB} MiB on three nodes, held by all ({median(held):.2f} s)",
            beside,
            pinned,
            must="<= 1.2",
            goal="<= 1.1",
        ),
        Row(f"the same, until the answer ({median(found['service']):.2f} s)", beside, answered),
        Row("CPU of the service", "", median(used), "s/GB"),
        Row("memory of the service above its resident size before, at its peak", "", max(grown), "MB"),
    ]
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
