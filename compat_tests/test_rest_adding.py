"""`POST /add` of the REST API with curl and ipfs-cluster-ctl, on real nodes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service
from compat_tests.harness.tools import tool


def curl(service: Service, query: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An upload, as a person would make it."""
    url = f"http://127.0.0.1:{service.rest_port}/add?{query}"
    command = [tool("curl"), "-sS", "-i", "-X", "POST", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def values(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The JSON values of a 200."""
    head, _, body = done.stdout.partition("\n\n")
    assert done.returncode == 0, done.stderr
    assert " 200 " in head.splitlines()[0], done.stdout
    return [json.loads(line) for line in body.splitlines()]


def test_curl_adds_a_file_to_three_nodes(cluster: Service, trio: list[KuboNode], tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(b"hello rest\n")
    (added,) = values(curl(cluster, "name=hello&meta-a=b", "-F", f"file=@{tmp_path / 'hello.txt'}"))
    cid = str(added["cid"])
    assert added["name"] == "hello.txt"
    assert len(added["allocations"]) == 3  # type: ignore[arg-type]
    assert all(cid in node.pins("recursive") for node in trio)
    assert cluster.pinned_everywhere(cid)
    assert cluster.pins()[cid] == "hello"


def test_a_tree_added_by_ctl_has_the_cids_of_the_daemons_own_add(
    cluster: Service, bare: KuboNode, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a b.txt").write_bytes(b"a" * 300_000)
    (tree / "sub" / "ü").write_bytes(b"")
    done = cluster.ctl("add", "-r", "--name", "tree", str(tree))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = bare.cli("add", "-r", "--cid-version=0", str(tree))
    assert sorted(done.stdout.splitlines()) == sorted(expected.splitlines())
    root = done.stdout.splitlines()[-1].split()[1]
    assert cluster.pinned_everywhere(root)
