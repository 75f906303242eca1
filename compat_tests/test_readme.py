"""The README's tour, its commands and outputs taken from its text, as a newcomer goes it: a fresh home, only Python."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat_tests.harness.kubo import free_port
from compat_tests.harness.process import eventually
from compat_tests.harness.tools import kubo_binary, tool

README = Path(__file__).resolve().parents[1] / "README.md"
ASKED_AGAIN = ("ipfs-cluster-ctl status", "ipfs-cluster-ctl why")
"""What comes to be as the README has it; everything else is said once."""
GRACE = "10s"
"""Twice the README's, as a busy machine may need longer from the one command to the next."""


@dataclass(frozen=True)
class Step:
    """A command and what the README shows of it."""

    command: str
    shown: str


def tour() -> tuple[str, list[Step]]:
    """How the service is started, and the steps after that."""
    section = README.read_text().split("\n## A tour\n")[1].split("\n## ")[0]
    (start,) = re.findall(r"```sh\n(.*?)\n```", section, re.S)
    steps: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", section, re.S):
        for piece in block.split("$ ", 1)[1].split("\n$ "):
            command, _, shown = piece.partition("\n")
            steps.append(Step(command, shown.strip("\n")))
    return start, steps


def same(output: str) -> str:
    """Without what differs from run to run: times, process IDs, the order of peers, a moment's grace after a start."""
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output.strip("\n"))
    output = re.sub(
        r"\d+ s\b", "N s", re.sub(r"process \d+", "process N", re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", output))
    )
    output = re.sub(r"(does not answer).*", r"\1", output)
    head, *peers = output.split("\n")
    return "\n".join([head, *sorted(peers)])


class Newcomer:
    """Somebody with a fresh home, a shell and a Python environment in which the project is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy, self.rest = free_port(), free_port()
        programs = folder / "bin"
        programs.mkdir()
        for name, module in (("service", "ipfs_proxy.service"), ("ctl", "ipfs_cluster.ctl.main")):
            program = programs / f"ipfs-cluster-{name}"
            host = f"--host /ip4/127.0.0.1/tcp/{self.rest} " if name == "ctl" else ""
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} {host}"$@"\n')
            program.chmod(0o700)
        self.env = {
            "HOME": str(folder),
            "PATH": f"{programs}:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{self.proxy}",
            "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{self.rest}",
            "CLUSTER_REPINGRACE": GRACE,
        }

    def at_our_ports(self, command: str) -> str:
        return command.replace("/9095", f"/{self.proxy}").replace(":9095", f":{self.proxy}")

    def start(self, command: str) -> None:
        """In a terminal of its own, until it says `ready`."""
        log = self.folder / "service.log"
        with open(log, "ab") as output:
            self.service = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: "\nready\n" in log.read_text() or self.service.poll() is not None, "it starts", 60)
        assert self.service.poll() is None, log.read_text()

    def says(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self.at_our_ports(command)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + ("" if command.startswith("curl") else done.stderr)

    def goes(self, step: Step) -> None:
        """Do it and see what the README shows."""
        said = ""

        def shown() -> bool:
            nonlocal said
            said = same(self.says(step.command))
            return said == same(step.shown)

        if step.command.startswith(ASKED_AGAIN):
            with contextlib.suppress(AssertionError):
                eventually(shown, step.command, 60)
        else:
            shown()
        assert said == same(step.shown), step.command

    def end(self) -> int:
        """Ctrl-C; the exit status."""
        if self.service.poll() is None:
            os.killpg(self.service.pid, signal.SIGINT)
        try:
            return self.service.wait(30)
        finally:
            if self.service.poll() is None:
                os.killpg(self.service.pid, signal.SIGKILL)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """Ends the service that was started."""
    one = Newcomer(tmp_path)
    yield one
    one.end()


def test_the_tour_shows_replication_a_death_and_repair(newcomer: Newcomer) -> None:
    tool("curl")
    start, steps = tour()
    assert len(steps) > 6
    newcomer.start(start)
    for step in steps:
        if not step.command.startswith("ipfs "):
            newcomer.goes(step)
    assert newcomer.end() == 0


def test_the_tour_s_content_is_there_for_the_ipfs_command(newcomer: Newcomer) -> None:
    (newcomer.folder / "bin" / "ipfs").symlink_to(kubo_binary())
    start, steps = tour()
    newcomer.start(start)
    for step in steps[:2]:
        newcomer.goes(step)
    asked = [step for step in steps if step.command.startswith("ipfs ")]
    assert asked
    for step in asked:
        newcomer.goes(step)
