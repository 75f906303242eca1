"""`ipfs-cluster-ctl` on a terminal: how far an add or a wait is, on one line that goes; Ctrl-C."""

from __future__ import annotations

import re
from pathlib import Path

from compat_tests.harness.service import CTL, Service
from compat_tests.harness.terminal import CLEARED, CTRL_C, Terminal

ABSENT = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def ctl(service: Service, *words: str) -> Terminal:
    return Terminal([*CTL, "-l", f"/ip4/127.0.0.1/tcp/{service.rest_port}", *words])


def test_an_add_shows_how_far_it_is(cluster: Service, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (200_000_000 // 256))
    with ctl(cluster, "add", "--name", "large", "--wait", str(path)) as terminal:
        assert terminal.end() == 0
    shares = [int(share) for share in re.findall(r"\r\x1b\[K[0-9.]+ MB of 200 MB ([0-9]+)%", terminal.shown)]
    assert shares == sorted(shares)
    assert len(set(shares)) > 1
    assert re.search(r"\r\x1b\[Kadded Qm\w+ large\r\n", terminal.shown)
    assert terminal.shown.rpartition("\n")[2].replace(CLEARED, "") == "", "nothing of the line is left"


def test_what_is_read_by_programs_has_no_such_line(cluster: Service, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(100_000_000))
    for words in (["--enc", "json", "add"], ["add", "--quieter"]):
        with ctl(cluster, *words, str(path)) as terminal:
            assert terminal.end() == 0
        assert "%" not in terminal.shown


def test_a_wait_shows_how_many_peers_there_are_and_ends_by_ctrl_c(cluster: Service) -> None:
    with ctl(cluster, "pin", "add", "--wait", ABSENT) as terminal:
        terminal.until(f"{CLEARED}{ABSENT}: pinned on 0 of 3 peers")
        terminal.press(CTRL_C)
        assert terminal.end() == 1
    assert terminal.shown.endswith(f"^C{CLEARED}interrupted\r\n")
    assert ABSENT in cluster.pins(), "the request stays; only the waiting ended"
