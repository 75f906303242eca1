"""What all benchmarks share: real processes on a stage, interleaved rounds, CPU and memory of processes.

A benchmark is a module with a docstring (its question and method) and `main`, run from the repository's root as
`python -m benchmarks.NAME [--quick] [--save]`. Only ratios within one run mean anything on a shared machine: variants
take turns within a round, a ratio is taken for each round, and the median of those is the result.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import Child, reset_peak, resident_mb
from compat_tests.harness.service import Service

T = TypeVar("T")
__all__ = ["Stage", "arguments", "cpu_seconds", "interleave", "need", "pid_of", "ratio", "reset_peak", "resident_mb"]
MIB = 1 << 20
CALM: dict[str, Any] = {"monitor_ping_interval": "15s", "pin_recover_interval": "5m"}
"""The usual timers; the harness makes them fast for tests."""


def arguments(document: str | None) -> argparse.Namespace:
    """The command line of every benchmark: quick, save, rounds."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short smoke run; its numbers mean little")
    parser.add_argument("--save", action="store_true", help="write the result into RESULTS.md")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default: 7; quick: 1)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stage is cleared then, too
    options.rounds = options.rounds or (1 if options.quick else 7)
    return options


def need(program: str, package: str) -> str:
    """The path of a program; ends the benchmark with what to install when it is missing."""
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"this benchmark needs the program {program}: install {package}")
    return found


class Stage:
    """A temporary folder and the processes in it; all end, by their IDs, and the folder goes, when the block ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._count = 0
        self.folder = Path()

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def path(self, name: str) -> Path:
        """A path in the folder that no other call got."""
        self._count += 1
        return self.folder / f"{self._count}-{name}"

    def node(self) -> KuboNode:
        """A running Kubo node."""
        if not os.environ.get("IPFS_BINARY"):
            need("go", "Go, to build Kubo; or set IPFS_BINARY to an ipfs program")
        node = KuboNode(self.path("kubo"))
        self._stack.callback(node.stop)
        node.init()
        node.start()
        return node

    def service(self, nodes: Sequence[KuboNode], *, start: bool = True, **overrides: Any) -> Service:
        """Our service before these nodes, with the usual timers."""
        cluster = {**CALM, **overrides.pop("cluster", {})}
        service = Service(self.path("service"), nodes, cluster=cluster, **overrides)
        self._stack.callback(service.stop)
        if start:
            service.start()
        return service

    def process(self, *command: str) -> Child:
        """Any other process."""
        child = Child(list(command), self.path("log"), {})
        self._stack.callback(child.end)
        return child


def pid_of(service: Service) -> int:
    """The service's process."""
    assert service.child is not None
    return service.child.process.pid


def cpu_seconds(*pids: int) -> float:
    """User and system time of these processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def interleave(variants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run every variant once a round, beginning with another one each time."""
    results: dict[str, list[T]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            results[name].append(variants[name]())
    return results


def ratio(ours: Sequence[float], beside: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(ours, beside, strict=True))
