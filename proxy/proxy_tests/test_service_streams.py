"""`ipfs-cluster-service` when its standard streams are closed, full or left, and when it is interrupted."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ipfs_proxy.service import main

SERVICE = [sys.executable, "-m", "ipfs_proxy.service"]


def shell(line: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with these words, at the place of SERVICE in a line of sh."""
    return subprocess.run(
        ["sh", "-c", line.replace("SERVICE", '"$@"'), "sh", *SERVICE, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_closed_streams_are_no_traceback() -> None:
    done = shell("SERVICE <&- >&-", "version")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("SERVICE <&-", "auth", "password")
    assert (done.returncode, done.stderr) == (1, "ipfs-cluster-service: an empty password protects nothing\n")


def test_a_full_disk_is_not_the_folders_fault() -> None:
    done = shell("SERVICE >/dev/full", "version")
    assert (done.returncode, done.stderr) == (1, "ipfs-cluster-service: standard output: No space left on device\n")


def test_an_interrupt_is_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.readline", interrupted)
    assert main(["auth", "password"]) == 1
    assert capsys.readouterr().err == "ipfs-cluster-service: interrupted\n"


def test_an_end_of_input_at_the_terminal_is_a_line(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.execv(SERVICE[0], [*SERVICE, "-c", str(tmp_path / "folder"), "init", "--custom-secret"])
    seen = b""
    while b"hex string" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x04")
    try:
        while more := os.read(terminal, 4096):
            seen += more
    except OSError:  # how Linux tells the end of the other side
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert seen.endswith(b"ipfs-cluster-service: nothing was entered\r\n")
    assert not (tmp_path / "folder").exists()


def test_a_daemon_whose_lines_nobody_reads_any_more_goes_on(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(
        "api: {ipfsproxy: {listen_multiaddress: /ip4/127.0.0.1/tcp/0},"
        " restapi: {http_listen_multiaddress: /ip4/127.0.0.1/tcp/0}}\n"
        "ipfs_connector: {ipfshttp: {node_multiaddress: /ip4/127.0.0.1/tcp/1}}\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(
            [*SERVICE, "-c", str(tmp_path), "daemon"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as daemon:
            assert daemon.stdout is not None
            assert daemon.stderr is not None
            assert b"READY=1" in manager.recv(4096)
            daemon.stdout.close()
            daemon.send_signal(signal.SIGHUP)
            assert b"RELOADING=1" in manager.recv(4096)
            assert b"READY=1" in manager.recv(4096)
            daemon.terminate()
            assert daemon.wait(60) == 0
            assert b"Traceback" not in daemon.stderr.read()
