"""A node is served by one process of a machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ipfs_proxy.nodeclaim import NodeClaims

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets are Linux's")
PREFIX = f"ipfs-cluster-proxy/test/{os.getpid()}/"


def test_the_second_is_told_who_the_first_is_until_that_ends() -> None:
    first, second = NodeClaims(PREFIX), NodeClaims(PREFIX)
    assert [first.claim("a"), first.claim("a"), second.claim("b")] == ["", "", ""]
    assert second.claim("a") == (
        f"node a is already served by process {os.getpid()}; a node can be a peer of one service only"
    )
    assert "node b" in first.claim("b")
    first.release()
    assert second.claim("a") == ""
    second.release()


def test_a_killed_process_holds_nothing() -> None:
    program = (
        f"from ipfs_proxy.nodeclaim import NodeClaims; claims = NodeClaims({PREFIX!r}); "
        "print(claims.claim('k'), flush=True); input()"
    )
    claims = NodeClaims(PREFIX)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n"
        assert f"process {child.pid};" in claims.claim("k")
        child.kill()
        child.wait(30)
    assert claims.claim("k") == ""
    claims.release()


def test_what_another_user_claims_is_told_and_not_believed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = NodeClaims(PREFIX), NodeClaims(PREFIX)
    first.claim("a")
    monkeypatch.setattr("ipfs_proxy.nodeclaim._CREDENTIALS", Foreign())
    assert [second.claim("a"), second.claim("a")] == ["", ""]
    assert [record.getMessage() for record in caplog.records] == [
        "process 7 of user 12345 says that it serves node a too"
    ]
    first.release()


class Foreign:
    """What the kernel tells of somebody else's process."""

    size = 12

    def unpack(self, _raw: bytes) -> tuple[int, int, int]:
        return 7, 12345, 12345
