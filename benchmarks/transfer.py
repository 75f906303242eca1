"""`cat` and `add` of 1 GiB on one node, beside Kubo direct.

Question: what do large transfers lose by going through the service?
Method: client is a raw socket that reads into one 1 MiB buffer and sends its body with sendfile. `cat` of the same
file; `add` of content that the node has never seen, the same body for no two calls, unpinned and collected afterwards
outside the time. Direct and through the service in turns; CPU is the service's own, user and system, per 10^9 bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from statistics import median

from benchmarks.common import MIB, Stage, arguments, cpu_seconds, interleave, pid_of, ratio
from benchmarks.report import Row, report
from benchmarks.streams import Address, download, file_body, upload
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service


def clear(node: KuboNode, service: Service) -> None:
    """No pins but the cluster's own, and nothing but what they hold."""
    for cid in service.pins():
        service.rpc("pin/rm", ("arg", cid))
    for cid in node.pins():
        node.rpc("pin/rm", ("arg", cid))
    assert node.rpc("repo/gc", ("quiet", "true"), seconds=600).status == 200
    os.sync()


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    size = 64 * MIB if options.quick else 1024 * MIB
    with Stage() as stage:
        node = stage.node()
        service = stage.service([node])
        pid = pid_of(service)
        doors = {"direct": node.address, "service": service.address}
        body = stage.path("body")
        used: dict[str, list[float]] = {"cat": [], "add": []}

        def timed(work: str, address: Address, call: Callable[[], float]) -> float:
            before = cpu_seconds(pid)
            seconds = call()
            if address == service.address:
                used[work].append((cpu_seconds(pid) - before) / size * 1e9)
            return seconds

        def add(address: Address) -> Callable[[], float]:
            def run() -> float:
                file_body(body, size)
                clear(node, service)
                return timed("add", address, lambda: upload(address, "/api/v0/add?quieter=true", body)[0])

            return run

        adds = interleave({name: add(address) for name, address in doors.items()}, options.rounds)
        file_body(body, size)
        clear(node, service)
        cid = str(json.loads(upload(node.address, "/api/v0/add?quieter=true", body)[1].text)["Hash"])

        def cat(address: Address) -> Callable[[], float]:
            return lambda: timed("cat", address, lambda: download(address, f"/api/v0/cat?arg={cid}").seconds)

        for address in doors.values():
            cat(address)()  # into the page cache
        used["cat"].clear()
        cats = interleave({name: cat(address) for name, address in doors.items()}, options.rounds)
    rows = []
    for work, found, must, goal in (("cat", cats, "<= 1.05", ""), ("add", adds, "<= 1.1", "<= 1.03")):
        ours, direct = (f"{median(found[name]):.2f} s" for name in ("service", "direct"))
        what = f"{work} of {size // MIB} MiB, one node ({ours})"
        rows.append(
            Row(what, f"Kubo direct ({direct})", ratio(found["service"], found["direct"]), must=must, goal=goal)
        )
    rows.append(Row("cat, CPU of the service", "", median(used["cat"]), "s/GB", must="<= 0.7", goal="<= 0.3"))
    rows.append(Row("add, CPU of the service", "", median(used["add"]), "s/GB"))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
