"""Child processes that end with the test run, and waiting for conditions without sleeping blindly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """The first true answer of a probe, asked again and again; fails with `what` and the last answer in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s; last answer: {answer!r}")
        time.sleep(0.05)  # the one place that polls


class Child:
    """A process we started, ended by its own ID."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str]) -> None:
        self.log = log
        self._file = open(log, "ab")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._file, stderr=subprocess.STDOUT, env={**os.environ, **env}
        )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Signal and wait; killed when it does not end. The exit status."""
        self.send(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._file.close()
        return self.process.returncode

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory in MB (10^6 bytes), now or at its highest since `reset_peak`."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(rf"^{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status, re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024 / 1e6


def reset_peak(pid: int) -> None:
    """The highest resident memory counts from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
