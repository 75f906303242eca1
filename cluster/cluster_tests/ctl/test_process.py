"""`ipfs-cluster-ctl` as a process: streams that are closed or full."""

from __future__ import annotations

import subprocess
import sys

import pytest

CTL = [sys.executable, "-m", "ipfs_cluster.ctl.main"]


def shell(line: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with these words, at the place of CTL in a line of sh."""
    return subprocess.run(
        ["sh", "-c", line.replace("CTL", '"$@"'), "sh", *CTL, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_traceback(closed: str) -> None:
    done = shell(f"CTL {closed}", "commands")
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.split())


def test_a_closed_standard_input_is_an_empty_file_and_not_the_connection() -> None:
    """Else the first file opened would get its number: the connection to the API, which `add -` would then read."""
    done = shell("CTL <&-", "--host", "/ip4/127.0.0.1/tcp/1", "add", "-")
    assert done.returncode == 1
    assert done.stderr.startswith("error contacting the cluster at /ip4/127.0.0.1/tcp/1: Connection refused; ")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_told() -> None:
    done = shell("CTL >/dev/full", "commands")
    assert (done.returncode, done.stderr) == (1, "error: standard input or output: No space left on device\n")


def test_who_has_read_enough_is_not_told_of_it() -> None:
    done = shell("{ CTL; echo $? >&2; } | true", "completion", "fish")
    assert done.stderr in ("0\n", "1\n")


@pytest.mark.parametrize("words", [["help"], ["h"], []])
def test_help_is_a_command_too_and_what_is_shown_without_one(words: list[str]) -> None:
    done = shell("CTL", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shell("CTL", "--help").stdout


def test_help_of_a_command_and_of_a_group() -> None:
    assert shell("CTL", "help", "pin", "add").stdout == shell("CTL", "pin", "add", "-h").stdout != ""
    group = shell("CTL", "pin")
    assert (group.returncode, group.stdout) == (0, shell("CTL", "pin", "--help").stdout)
    assert shell("CTL", "help", "nosuch").returncode == 1
