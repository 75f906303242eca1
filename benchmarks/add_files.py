"""`add` of a directory of 20,000 small files, beside Kubo direct.

Question: what does reading along cost where an upload is all part heads and its answer all events?
Method: one multipart body with 20,000 files of 200 random bytes in 200 folders, fresh for every call; the answer has an
event for each. Direct and through the service in turns on one node, emptied before each call, outside the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import quote

from benchmarks.common import Stage, arguments, cpu_seconds, interleave, pid_of, ratio, reset_peak, resident_mb
from benchmarks.report import Row, report
from benchmarks.streams import BOUNDARY, Address, upload
from benchmarks.transfer import clear
from compat_tests.harness.http import directory_part, file_part, multipart

FILES_A_FOLDER = 100


def directory_body(path: Path, files: int) -> Path:
    """A multipart body as the `ipfs` command sends a directory: folders first, then what is in them."""
    parts = [directory_part("d")]
    for folder in range(files // FILES_A_FOLDER):
        parts.append(directory_part(f"d/{folder:04}"))
        parts += [file_part(f"d/{folder:04}/{number:04}", os.urandom(200)) for number in range(FILES_A_FOLDER)]
    path.write_bytes(multipart(*parts, boundary=BOUNDARY)[1])
    return path


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    files = 1000 if options.quick else 20_000
    events = files + files // FILES_A_FOLDER + 1
    with Stage() as stage:
        node = stage.node()
        service = stage.service([node])
        used: list[float] = []
        grown: list[float] = []
        body = stage.path("body")

        def add(address: Address) -> Callable[[], float]:
            def run() -> float:
                directory_body(body, files)
                clear(node, service)
                pid = pid_of(service)
                reset_peak(pid)
                resident, before = resident_mb(pid), cpu_seconds(pid)
                seconds, answer = upload(address, "/api/v0/add?progress=false", body)
                if address == service.address:
                    grown.append(resident_mb(pid, peak=True) - resident)
                    used.append(cpu_seconds(pid_of(service)) - before)
                seen = answer.body.count(b"\n")
                assert seen == events, f"{seen} events instead of {events}: {quote(answer.text[-300:])}"
                return seconds

            return run

        doors = {"direct": node.address, "service": service.address}
        found = interleave({name: add(address) for name, address in doors.items()}, options.rounds)
    ours, direct = (f"{median(found[name]):.2f} s" for name in ("service", "direct"))
    value = ratio(found["service"], found["direct"])
    rows = [
        Row(
            f"directory of {files:,} small files ({ours})",
            f"Kubo direct ({direct})",
            value,
            must="<= 1.1",
            goal="<= 1.03",
        ),
        Row("CPU of the service a file", "", median(used) / files * 1e6, "µs"),
        Row("memory of the service above its resident size before, at its peak", "", max(grown), "MB"),
    ]
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
