"""Relayed small requests, counted and not counted.

Question: what do the metrics cost a relayed request: the counting itself, and a scraper that comes every second (the
usual one comes every 15 or 30)?
Method: three services before the stub of `relay_stub`: the last commit that counted nothing, this one, and this one
with a scraper. wrk with one thread and 64 keep-alive connections; requests/s, and CPU time of the service's process
from /proc over the run divided by its requests. Then the time of a scrape of an idle service, to its last byte.
On a busy machine requests/s swing by more than what is asked here, as the two services of the same code show; CPU
time is the number to go by.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.common import Stage, arguments, cpu_seconds, interleave, pid_of, ratio
from benchmarks.load import check, nginx, wrk
from benchmarks.relay_stub import PATH, STUB
from benchmarks.report import ROOT, Row, report
from compat_tests.harness.http import Answer, post
from compat_tests.harness.service import Service

UNCOUNTED = "5f140bc"
CONNECTIONS = 64
SCRAPES = 50


@dataclass(frozen=True)
class Run:
    """Requests a second, and the service's CPU microseconds a request."""

    rate: float
    cpu: float


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    seconds = 1 if options.quick else 3
    with Stage() as stage:
        services = _services(stage)
        for service in services.values():
            check(service.address, PATH)

        def variant(name: str) -> Callable[[], Run]:
            service = services[name]

            def run() -> Run:
                with _scraped(service, every=1.0 if name == "scraped" else None):
                    before = cpu_seconds(pid_of(service))
                    load = wrk(stage, service.address, PATH, connections=CONNECTIONS, seconds=seconds)
                    used = cpu_seconds(pid_of(service)) - before
                return Run(load.rate, used / load.requests * 1e6)

            return run

        found = interleave({name: variant(name) for name in services}, options.rounds)
        scrapes = [_timed(lambda: _scrape(services["counted"])) for _ in range(SCRAPES)]
    rates = {name: [run.rate for run in runs] for name, runs in found.items()}
    costs = {name: [run.cpu for run in runs] for name, runs in found.items()}
    rows = []
    for name in ("counted", "scraped"):
        for work, unit, values in (("relayed small requests/s", "/s", rates), ("CPU a request", " µs", costs)):
            ours, theirs = (f"{median(values[one]):,.{0 if unit == '/s' else 1}f}{unit}" for one in (name, "uncounted"))
            number = ratio(values[name], values["uncounted"])
            rows.append(Row(f"{work}, {name} ({ours})", f"uncounted ({theirs})", number))
    rows.append(Row("a scrape, one peer", "", median(scrapes) * 1e3, "ms"))
    report(__name__, __doc__, rows, options)


def _services(stage: Stage) -> dict[str, Service]:
    """All before one stub; behind it a real Kubo serves what services ask of their node."""
    node = stage.node()
    upstream, _ = nginx(stage, node.address, STUB)
    node.port, real = upstream[1], node.port
    old = stage.path("uncounted")
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(old)], check=True)
    subprocess.run(["git", "-C", str(old), "checkout", "-q", UNCOUNTED], check=True)
    services = {}
    for name in ("uncounted", "counted", "scraped"):
        code = old if name == "uncounted" else ROOT
        services[name] = stage.service([node], start=False)
        services[name].start(env={"PYTHONPATH": f"{code}/proxy:{code}/cluster"})
    node.port = real
    return services


def _scrape(service: Service) -> Answer:
    answer = post(("127.0.0.1", service.rest_port), "/metrics", method="GET")
    if b"ipfscluster_proxy_requests_total" not in answer.body:
        raise SystemExit(f"no metrics: {answer.status} {answer.text[:300]}")
    return answer


@contextmanager
def _scraped(service: Service, every: float | None) -> Iterator[None]:
    """A scraper beside the block."""
    over = threading.Event()

    def scrape() -> None:
        while every is not None and not over.wait(every):
            _scrape(service)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
