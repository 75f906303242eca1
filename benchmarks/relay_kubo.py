"""Relayed small requests in front of a real Kubo, beside Kubo direct.

Question: what does the door cost a tool that sends many small requests (`POST /api/v0/version`)?
Method: wrk with one thread, keep-alive; requests/s at 16 and 64 connections and the 99th percentile at 64, the median
latency at 1; direct and through the service in turns, on the same node.
"""

from __future__ import annotations

from statistics import median

from benchmarks.common import Stage, arguments, interleave, ratio
from benchmarks.load import Load, check, wrk
from benchmarks.report import Row, report

PATH = "/api/v0/version"


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    seconds = 1 if options.quick else 4
    with Stage() as stage:
        node = stage.node()
        service = stage.service([node])
        doors = {"direct": node.address, "proxy": service.address}
        for address in doors.values():
            check(address, PATH)

        def variant(name: str, connections: int) -> Load:
            return wrk(stage, doors[name], PATH, connections=connections, seconds=seconds)

        found: dict[int, dict[str, list[Load]]] = {}
        for connections in (1, 16, 64):
            variants = {name: lambda name=name, n=connections: variant(name, n) for name in doors}
            found[connections] = interleave(variants, options.rounds)
    rows = []
    for connections in (16, 64):
        direct, proxy = ([load.rate for load in found[connections][name]] for name in doors)
        rows.append(
            Row(
                f"relayed small requests/s, {connections} connections ({median(proxy):,.0f}/s)",
                f"Kubo direct ({median(direct):,.0f}/s)",
                ratio(proxy, direct),
                must=">= 0.75",
                goal=">= 0.87",
            )
        )
    p50 = {name: [load.p50 for load in found[1][name]] for name in doors}
    p99 = {name: [load.p99 for load in found[64][name]] for name in doors}
    for what, values, must, goal in (
        ("latency p50, 1 connection", p50, "<= 2.2", "<= 1.8"),
        ("latency p99, 64 connections", p99, "<= 1.2", "<= 1"),
    ):
        ours, beside = (f"{median(values[name]) * 1000:.2f} ms" for name in ("proxy", "direct"))
        value = ratio(values["proxy"], values["direct"])
        rows.append(Row(f"{what} ({ours})", f"Kubo direct ({beside})", value, must=must, goal=goal))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
