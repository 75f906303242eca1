"""One million pins out of a stopped service's folder and into another one, as ipfs-cluster's JSON lines.

Question: how long do `state export` and `state import` take, and does their memory stay small?
Method: the command itself, as its users run it, on a pinset of ordinary pins (a name, one allocation); the time of the
whole process and its highest resident size. What comes out after the import is compared with what went in.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import MIB, Stage, arguments
from benchmarks.pinset import imported
from benchmarks.report import Row, report
from ipfs_cluster.identity import load_or_create
from ipfs_proxy.compose import STORE_FILE

_RUN = """
import resource, sys
from ipfs_proxy.service import main
status = main(sys.argv[1:])
sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
sys.exit(status)
"""


def run(folder: Path, *command: str) -> tuple[float, float]:
    """Seconds and megabytes of one `ipfs-cluster-service state …`."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "--config", str(folder), "state", *command],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return time.monotonic() - begin, int(done.stderr) * 1024 / MIB


def folder_of(stage: Stage) -> Path:
    """A data folder without a pinset."""
    folder = stage.path("folder")
    folder.mkdir()
    (folder / "service.yaml").write_text("cluster: {peername: n0}\n")
    return folder


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    count = 20_000 if options.quick else 1_000_000
    rows: list[Row] = []
    with Stage() as stage:
        source, target = folder_of(stage), folder_of(stage)
        peer = load_or_create(source / "identity.json").id
        (target / "identity.json").write_bytes((source / "identity.json").read_bytes())
        imported(source / STORE_FILE, count, peer)
        first, second = stage.path("first"), stage.path("second")
        seconds, size = run(source, "export", "-f", str(first))
        rows.append(Row(f"state export of {count:,} pins", "", seconds, "s"))
        rows.append(Row("its highest resident", "", size, "MB", must="< 200"))
        seconds, size = run(target, "import", str(first))
        rows.append(
            Row(f"state import of {count:,} pins, queued on their peer", "", seconds, "s", must="< 45", goal="< 20")
        )
        rows.append(Row("its highest resident", "", size, "MB", must="< 200"))
        run(target, "export", "-f", str(second))
        assert first.read_bytes() == second.read_bytes(), "the pinset is another one"
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
