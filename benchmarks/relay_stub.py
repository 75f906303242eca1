"""Relayed small requests in front of an upstream that costs nothing, beside other proxies.

Question: what does the door itself cost a request, beside Go's `httputil.ReverseProxy` (tuned: 256 idle connections,
immediate flush) and nginx (keepalive 128)?
Method: the upstream is an nginx that answers a POST with 105 bytes of JSON; behind it a real Kubo serves what the
service asks of its node. wrk with one thread; requests/s at 16 and 64 keep-alive connections, at 16 with a new
connection for each request; CPU time of each proxy's processes from /proc over the run at 64, divided by its requests.
All proxies stand at once and take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.common import Stage, arguments, cpu_seconds, interleave, pid_of, ratio
from benchmarks.load import Address, check, go_proxy, nginx, wrk
from benchmarks.report import Row, report

PATH = "/api/v0/version"
BODY = '{"Version":"0.0.0","Commit":"0123456789abcdef","Repo":"18","System":"amd64/linux","Golang":"go1.0","X":"y"}'
STUB = f"location = {PATH} {{ default_type application/json; return 200 '{BODY}'; }}"


@dataclass(frozen=True)
class Run:
    """Requests a second, and the proxy's CPU microseconds a request."""

    rate: float
    cpu: float


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    seconds = 1 if options.quick else 3
    with Stage() as stage:
        node = stage.node()
        upstream, _ = nginx(stage, node.address, STUB)
        node.port = upstream[1]  # the service knows the node by the stub's address
        service = stage.service([node])
        node.port = int(node.cli("config", "Addresses.API").rsplit("/", 1)[1])
        doors: dict[str, tuple[Address, tuple[int, ...]]] = {
            "service": (service.address, (pid_of(service),)),
            "go": go_proxy(stage, upstream),
            "nginx": nginx(stage, upstream),
        }
        for address, _ in doors.values():
            check(address, PATH)

        def variant(name: str, connections: int, *, close: bool) -> Callable[[], Run]:
            address, pids = doors[name]

            def run() -> Run:
                before = cpu_seconds(*pids)
                load = wrk(stage, address, PATH, connections=connections, seconds=seconds, close=close)
                return Run(load.rate, (cpu_seconds(*pids) - before) / load.requests * 1e6)

            return run

        def measured(connections: int, *, close: bool = False) -> dict[str, list[Run]]:
            variants = {name: variant(name, connections, close=close) for name in doors}
            return interleave(variants, options.rounds)

        cases = {
            "relayed small requests/s, 16 connections": (measured(16), ">= 4", ">= 6"),
            "relayed small requests/s, 64 connections": (measured(64), ">= 4", ">= 6"),
            "a new connection for each request, 16 at once": (measured(16, close=True), ">= 1", ">= 1.3"),
        }
    rows = []
    for work, (found, must, goal) in cases.items():
        rates = {name: [run.rate for run in runs] for name, runs in found.items()}
        for beside, bounds in (("go", (must, goal)), ("nginx", ("", ""))):
            rows.append(
                Row(
                    f"{work} ({median(rates['service']):,.0f}/s)",
                    f"{beside} ({median(rates[beside]):,.0f}/s)",
                    ratio(rates["service"], rates[beside]),
                    must=bounds[0],
                    goal=bounds[1],
                )
            )
    for work, (found, *_) in list(cases.items())[1:]:
        cpu = {name: [run.cpu for run in runs] for name, runs in found.items()}
        keep_alive = "keep-alive" if "new" not in work else "new connections"
        for beside in ("go", "nginx"):
            bounds = ("<= 0.25", "<= 0.167") if beside == "go" and keep_alive == "keep-alive" else ("", "")
            rows.append(
                Row(
                    f"CPU a request, {keep_alive} ({median(cpu['service']):.1f} µs)",
                    f"{beside} ({median(cpu[beside]):.1f} µs)",
                    ratio(cpu["service"], cpu[beside]),
                    must=bounds[0],
                    goal=bounds[1],
                )
            )
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
