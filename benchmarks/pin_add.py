"""`pin add`, answered when pinned, one node, beside Kubo direct.

Question: how many small pins a second get pinned through the service, compared with asking the node itself?
Method: distinct raw blocks put to the node with pin=false; then one `pin/add?arg=CID` is sent for each, on 32
keep-alive connections, and every answer must be a clean 200. Direct and through the service in turns, on the same
node, a set of blocks each; beside that with one connection, for the cost of a lone pin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from statistics import median

from benchmarks.common import Stage, arguments, cpu_seconds, interleave, pid_of, ratio
from benchmarks.each import Address, post_each
from benchmarks.report import Row, report
from compat_tests.harness.http import multipart, post
from compat_tests.harness.kubo import KuboNode

CONNECTIONS = 32
A_PUT = 500


def put_blocks(node: KuboNode, number: int) -> list[str]:
    """Random small blocks on the node, not pinned; their CIDs."""
    found: list[str] = []
    while len(found) < number:
        parts = [(None, os.urandom(64), "application/octet-stream") for _ in range(min(A_PUT, number - len(found)))]
        headers, body = multipart(*parts)
        answer = post(node.address, "/api/v0/block/put?pin=false", headers=headers, body=body)
        assert answer.status == 200, answer.text
        found += [str(json.loads(line)["Key"]) for line in answer.text.splitlines()]
    return found


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    number = 300 if options.quick else 4000
    with Stage() as stage:
        node = stage.node()
        service = stage.service([node])
        doors = {"direct": node.address, "service": service.address}
        used: list[float] = []

        def variant(address: Address, connections: int, size: int) -> Callable[[], float]:
            def run() -> float:
                paths = [f"/api/v0/pin/add?arg={cid}" for cid in put_blocks(node, size)]
                before = cpu_seconds(pid_of(service))
                rate = post_each(address, paths, connections=connections)
                if address == service.address and connections > 1:
                    used.append((cpu_seconds(pid_of(service)) - before) / size * 1000)
                return rate

            return run

        rows = []
        for connections, size, must, goal in ((CONNECTIONS, number, ">= 0.9", ">= 1"), (1, number // 10, "", "")):
            rates = interleave(
                {name: variant(address, connections, size) for name, address in doors.items()}, options.rounds
            )
            rows.append(
                Row(
                    f"pin add answered when pinned, {connections} at once ({median(rates['service']):,.0f}/s)",
                    f"Kubo direct ({median(rates['direct']):,.0f}/s)",
                    ratio(rates["service"], rates["direct"]),
                    must=must,
                    goal=goal,
                )
            )
        rows.append(Row("CPU of the service a pin", "", median(used), "ms"))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
