"""The `ipfs` command and programs written with other people's client libraries, at an embedded node as at a Kubo."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.embedded import EmbeddedProcess
from compat_tests.harness.http import post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.tools import go_program, node_modules, python_environment, tool
from compat_tests.test_clients import CLIENTS, cli, commands, steps, tree

__all__ = ["tree"]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedProcess]:
    """A node of its own."""
    node = EmbeddedProcess(tmp_path / "node")
    node.start()
    yield node
    node.stop()


def same(embedded: EmbeddedProcess, bare: KuboNode, program: Callable[[str, int], list[str]]) -> None:
    """Run a client against both and compare; of their versions the number."""
    clear_pins(bare)
    reports = []
    for node in (bare, embedded):
        report = steps(program(node.multiaddr, node.port))
        for step in report:
            if step["step"] == "version" and isinstance(step["value"], dict):
                step["value"] = step["value"]["Version"]
        reports.append(report)
    assert reports[1] == reports[0]


def test_go_ipfs_api(embedded: EmbeddedProcess, bare: KuboNode, tree: Path) -> None:
    binary = go_program("go_api", CLIENTS / "go_api", ".")
    same(embedded, bare, lambda _, port: [str(binary), f"127.0.0.1:{port}", str(tree)])


def test_kubo_rpc_client(embedded: EmbeddedProcess, bare: KuboNode) -> None:
    folder = node_modules("node_client", CLIENTS / "node")
    node = tool("node")
    same(embedded, bare, lambda _, port: [node, str(folder / "client.mjs"), f"http://127.0.0.1:{port}/api/v0"])


def test_ipfshttpclient(embedded: EmbeddedProcess, bare: KuboNode, tree: Path) -> None:
    python = python_environment("py_httpclient", CLIENTS / "py_httpclient" / "requirements.txt")
    program = CLIENTS / "py_httpclient" / "client.py"
    same(embedded, bare, lambda multiaddr, _: [str(python), str(program), multiaddr, str(tree)])


def test_aioipfs(embedded: EmbeddedProcess, bare: KuboNode, tree: Path) -> None:
    python = python_environment("py_aioipfs", CLIENTS / "py_aioipfs" / "requirements.txt")
    program = CLIENTS / "py_aioipfs" / "client.py"
    same(embedded, bare, lambda multiaddr, _: [str(python), str(program), multiaddr, str(tree)])


def test_the_ipfs_command(embedded: EmbeddedProcess, bare: KuboNode, tree: Path, tmp_path: Path) -> None:
    clear_pins(bare)
    binary = bare.binary
    for node in (bare, embedded):
        status, added, _ = cli(binary, node.multiaddr, "add", "-Q", "-r", "--pin=false", str(tree))
        assert status == 0
    cid = added.strip()
    archive = tmp_path / "tree.car"
    more: list[tuple[list[str], str | None]] = [
        (["add", "-r", "--preserve-mode", "--preserve-mtime", str(tree)], None),
        (["add", "-r", "--cid-version=1", "--trickle", str(tree)], None),
        (["block", "stat", cid], None),
        (["block", "put"], "a block\n"),
        (["dag", "get", cid], None),
        (["dag", "put"], '{"a": 1}'),
        (["dag", "stat", "--progress=false", cid], None),
        (["dag", "import", "--stats", str(archive)], None),
        (["resolve", f"/ipfs/{cid}/sub"], None),
        (["refs", "--edges", "-r", cid], None),
        (["files", "cp", f"/ipfs/{cid}", "/tree"], None),
        (["files", "ls", "-l", "/tree"], None),
        (["files", "read", "/tree/x"], None),
        (["files", "stat", "/tree"], None),
        (["files", "write", "--create", "/w"], "written\n"),
        (["files", "mv", "/w", "/tree/w"], None),
        (["files", "flush", "/tree"], None),
        (["files", "rm", "-r", "/tree"], None),
        (["pin", "ls", "--type=nosuch"], None),
        (["get", "-o", str(tmp_path / "got"), cid], None),
        (["ls", "--nonsense", cid], None),
    ]
    archive.write_bytes(post(bare.address, f"/api/v0/dag/export?arg={cid}").body)
    for arguments, stdin in [*commands(tree, cid), *more]:
        shutil.rmtree(tmp_path / "got", ignore_errors=True)
        direct = cli(binary, bare.multiaddr, *arguments, stdin=stdin)
        shutil.rmtree(tmp_path / "got", ignore_errors=True)
        answered = cli(binary, embedded.multiaddr, *arguments, stdin=stdin)
        assert answered[:2] == direct[:2], arguments
        if direct[0]:  # else stderr is a progress bar with times
            assert answered[2] == direct[2], arguments
        if arguments[0] == "get":
            assert (tmp_path / "got" / "x").read_bytes() == b"x\n"
