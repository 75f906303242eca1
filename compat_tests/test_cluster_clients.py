"""ipfs-cluster's own clients, its Go library and its ipfs-cluster-ctl, against our REST API over three nodes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compat_tests.harness.kubo import EMPTY_DIRECTORY, KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from compat_tests.harness.tools import HERE, go_program
from ipfs_cluster.identity import create

MODULE = HERE / "clients" / "go_cluster"


def program() -> Path:
    """The driver of the client library."""
    return go_program("go_cluster", MODULE, ".")


def arguments(service: Service) -> list[str]:
    return [f"/ip4/127.0.0.1/tcp/{service.rest_port}", service.multiaddr]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory to add."""
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_bytes(b"x\n")
    (folder / "sub" / "y z").write_bytes(b"y" * 600_000)
    return folder


def exported(node: KuboNode, cid: str, path: Path) -> Path:
    """A CAR file of what the node has below a CID."""
    command = [str(node.binary), "dag", "export", cid]
    with open(path, "wb") as file:
        subprocess.run(command, env={**os.environ, **node.environment}, stdout=file, check=True, timeout=60)
    return path


def drive(command: list[str]) -> dict[str, dict[str, Any]]:
    """What the driver saw, by step: `value`, or `error` and the `code` of an answer."""
    done = subprocess.run([str(program()), *command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    seen: dict[str, dict[str, Any]] = {}
    for line in done.stdout.splitlines():
        told = json.loads(line)
        seen[told.pop("step")] = told
    return seen


def test_every_verb_of_the_go_client(
    cluster: Service, trio: list[KuboNode], bare: KuboNode, tree: Path, tmp_path: Path
) -> None:
    in_car, content = bare.add(os.urandom(300_000), pin="false"), trio[2].add(os.urandom(700_000), pin="false")
    car = exported(bare, in_car, tmp_path / "file.car")
    seen = drive(["all", *arguments(cluster), str(tree), str(car), content, str(create().id)])
    home = cluster.rest("/id")[0]["id"]
    value: dict[str, Any] = {step: told.get("value") for step, told in seen.items()}
    errors = {step: (told["code"], told["error"]) for step, told in seen.items() if told.get("error")}

    assert value["id"] == [home, "n0", 3, trio[0].id, "", ""]
    assert value["peers"] == ["n0", "n1", "n2"]
    assert value["metrics ping"] == value["metrics freespace"] == 3
    assert value["metrics nothing"] == value["alerts"] == 0
    assert {"ping", "freespace", "tag:group"} <= set(value["metric names"])
    assert value["ipfs"] == trio[0].id
    assert value["peer add"] == "n0"
    assert errors.pop("peer add unknown")[0] == errors.pop("peer rm")[0] == 500
    assert errors.pop("peer rm unknown")[0] == 400

    own = bare.cli("add", "-r", "-q", "--only-hash", "--cid-version=0", str(tree)).split()
    root, sub = own[-1], own[-2]
    assert [line.split()[0] for line in value["add"]] == own
    assert value["add"][-1] == f"{root} tree"
    assert value["add allocations"] == 3
    assert [line.split()[1] for line in value["add files"]] == ["one", "two"]
    told, (big, wrapper) = value["add with progress"]
    assert told
    assert big.split()[1] == "big"
    assert wrapper.endswith(" ")
    assert value["add car"] == [f"{in_car} file.car"]
    assert "zero" in errors.pop("add badly")[1]
    assert errors.pop("add sharded")[0] == 400

    assert value["pin"] == [content, "pinned by go", "recursive", {"a": "b"}, 2, 7, 1]
    assert sorted(line.split()[1] for line in value["wait for pinned"]) == ["pinned", "pinned", "remote"]
    assert value["allocation"] is True
    assert errors.pop("pin direct over recursive")[0] == 500
    assert value["pin path"] == [sub, "direct", 0]
    assert errors.pop("pin path to nothing")[0] == 500
    assert value["pin update"] == [root, "pinned by go", content]

    assert {f"{content} pinned by go", f"{root} pinned by go", f"{sub} sub", f"{in_car} "} <= set(value["allocations"])
    assert (len(value["allocations"]), value["allocations of shards"]) == (7, 0)
    for local, peers in (("false", 3), ("true", 1)):
        assert value[f"status local={local}"] == ["pinned by go", peers]
        assert value[f"status cids local={local}"] == sorted([content, root])
        assert value[f"status all local={local}"] > 0
        assert value[f"recover all local={local}"] == 0
        assert value[f"recover local={local}"] == peers

    assert value["unpin"] == [content, "pinned by go"]
    assert errors.pop("unpin again") == errors.pop("allocation of nothing") == (404, "pin is not part of the pinset")
    assert {line.split()[1] for line in value["wait for unpinned"]} == {"unpinned"}
    assert value["unpin path"] == [sub, "sub"]
    assert value["repo gc local=true"] == [["n0"], True]
    assert value["repo gc local=false"] == [["n0", "n1", "n2"], True]
    assert value["graph"] == [home, 3, 3, 3]
    assert not errors


def test_a_stream_that_fails_is_an_error_of_the_go_client(cluster: Service) -> None:
    command = [str(program()), "breaking", *arguments(cluster)]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert json.loads(running.stdout.readline()) == {"step": "added", "value": "first"}
            cluster.nodes[0].kill()
            ended = json.loads(running.stdout.readline())
    finally:
        cluster.nodes[0].start()
    assert ended["step"] == "ended"
    assert ended["code"] == 500, "told by a trailer, after a 200"
    assert "127.0.0.1" in ended["error"]


SAME = (
    ("add", "-r", "TREE"),
    ("--enc", "json", "add", "-r", "--no-stream", "TREE"),
    ("pin", "add", "--no-status", "--name", "one", "--metadata", "a=b", "CID"),
    ("--enc", "json", "pin", "ls", "CID"),
    ("pin", "ls"),
    ("status", "--filter", "pinned"),
    ("--enc", "json", "status", "CID"),
    ("recover", "CID"),
    ("peers", "ls"),
    ("health", "metrics", "ping"),
    ("--enc", "json", "ipfs", "gc", "--local"),
    ("--enc", "json", "pin", "rm", "NOTHING"),
    ("pin", "add", "--rmin", "9", "--rmax", "9", "--no-status", "CID"),
)


def test_ipfs_clusters_own_ctl_shows_the_same_as_ours(cluster: Service, trio: list[KuboNode], tree: Path) -> None:
    theirs = go_program("ipfs-cluster-ctl", MODULE, "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl")
    trio[0].rpc("repo/gc")  # so that there is nothing left for the second one to collect
    content = trio[2].add(os.urandom(300_000), pin="false")
    words = {"TREE": str(tree), "CID": content, "NOTHING": EMPTY_DIRECTORY}
    host = f"/ip4/127.0.0.1/tcp/{cluster.rest_port}"
    for words_of in SAME:
        command = [words.get(word, word) for word in words_of]
        done = subprocess.run(
            [str(theirs), "-l", host, *command], capture_output=True, text=True, check=False, timeout=60
        )
        ours = cluster.ctl(*command)
        assert (ours.stdout, ours.returncode) == (done.stdout, done.returncode), (words_of, done.stderr, ours.stderr)
        if words_of[0] == "pin" and content in command:
            eventually(lambda: cluster.pinned_everywhere(content), "it is pinned")
