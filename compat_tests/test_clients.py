"""Programs written with other people's client libraries do the same against Kubo and through the proxy."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from compat_tests.harness.tools import HERE, go_program, node_modules, python_environment, tool

CLIENTS = HERE / "clients"


@pytest.fixture(scope="module")
def front(kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service before one node."""
    service = Service(tmp_path_factory.mktemp("clients") / "service", [kubo_factory()])
    service.start()
    yield service
    service.stop()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory to add."""
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_bytes(b"x\n")
    (folder / "sub" / "y z").write_bytes(os.urandom(0) + b"y" * 300_000)
    return folder


def steps(command: list[str]) -> list[dict[str, Any]]:
    """What a client program reported."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found
    return found


def same(front: Service, bare: KuboNode, program: Callable[[str, int], list[str]]) -> list[dict[str, Any]]:
    """Run a client against both and compare; its report."""
    clear_pins(bare)
    clear_pins_of(front)
    direct = steps(program(bare.multiaddr, bare.port))
    proxied = steps(program(front.multiaddr, front.port))
    assert proxied == direct
    return proxied


def clear_pins_of(service: Service) -> None:
    for cid in service.pins():
        service.rpc("pin/rm", ("arg", cid))


def test_go_ipfs_api(front: Service, bare: KuboNode, tree: Path) -> None:
    binary = go_program("go_api", CLIENTS / "go_api", ".")
    same(front, bare, lambda _, port: [str(binary), f"127.0.0.1:{port}", str(tree)])


def test_pinbot_with_go_ipfs_api_of_2020(front: Service, bare: KuboNode) -> None:
    binary = go_program("go_api_old", CLIENTS / "go_api_old", ".")
    content = os.urandom(700_000)
    for node in (bare, front.nodes[0]):
        cid = node.add(content, pin="false")
    report = same(front, bare, lambda _, port: [str(binary), f"127.0.0.1:{port}", f"/ipfs/{cid}"])
    assert {"step": "pinned", "value": "recursive"} in report
    assert any("not pinned or pinned indirectly" in line.get("error", "") for line in report)


def test_pinbot_conversation_on_three_nodes(cluster: Service) -> None:
    """`refs -r` warms the home node with content of another, then every node pins it, and lets go of it again."""
    binary = go_program("go_api_old", CLIENTS / "go_api_old", ".")
    cid = cluster.nodes[2].add(os.urandom(700_000), pin="false")
    report = {line["step"]: line for line in steps([str(binary), f"127.0.0.1:{cluster.port}", f"/ipfs/{cid}"])}
    assert report["refs"]["value"] == 3
    assert report["pinned"]["value"] == "recursive"
    assert "error" not in report["unpin"]
    assert report["unpin again"]["error"] == "pin/rm: not pinned or pinned indirectly"
    assert report["resolve"]["value"] == cid
    assert 'invalid path "QmNonsense"' in report["pin nonsense"]["error"]
    assert not any(cid in node.pins() for node in cluster.nodes)


def test_kubo_rpc_client(front: Service, bare: KuboNode) -> None:
    folder = node_modules("node_client", CLIENTS / "node")
    node = tool("node")
    same(front, bare, lambda _, port: [node, str(folder / "client.mjs"), f"http://127.0.0.1:{port}/api/v0"])


def test_ipfshttpclient(front: Service, bare: KuboNode, tree: Path) -> None:
    python = python_environment("py_httpclient", CLIENTS / "py_httpclient" / "requirements.txt")
    program = CLIENTS / "py_httpclient" / "client.py"
    same(front, bare, lambda multiaddr, _: [str(python), str(program), multiaddr, str(tree)])


def test_aioipfs(front: Service, bare: KuboNode, tree: Path) -> None:
    python = python_environment("py_aioipfs", CLIENTS / "py_aioipfs" / "requirements.txt")
    program = CLIENTS / "py_aioipfs" / "client.py"
    same(front, bare, lambda multiaddr, _: [str(python), str(program), multiaddr, str(tree)])


def cli(binary: Path, multiaddr: str, *arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    """The `ipfs` command; status, stdout, stderr."""
    done = subprocess.run(
        [str(binary), "--api", multiaddr, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        input=stdin or "",
    )
    return done.returncode, done.stdout, done.stderr


def commands(tree: Path, cid: str) -> list[tuple[list[str], str | None]]:
    """What the `ipfs` command is asked, with its standard input. tree: a folder; cid: of the same."""
    return [
        (["add", "-r", str(tree)], None),
        (["add", "-q", str(tree / "x")], None),
        (["add", "-Q", "-w", str(tree / "x"), str(tree / "sub" / "y z")], None),
        (["add", "--progress", str(tree / "sub" / "y z")], None),
        (["add", "--only-hash", "-r", str(tree)], None),
        (["add", "--to-files=/fromcli", str(tree / "x")], None),
        (["files", "ls", "-l", "/"], None),
        (["files", "rm", "/fromcli"], None),
        (["add", "-Q"], "from stdin\n"),
        (["pin", "ls", "--type=recursive", "--quiet", cid], None),
        (["pin", "ls", "--stream", cid], None),
        (["pin", "add", "--name=tree", cid], None),
        (["pin", "ls", "--names", "--type=recursive", cid], None),
        (["pin", "add", "--progress", cid], None),
        (["pin", "add"], f"{cid}\n{cid}/sub\n"),
        (["pin", "rm", cid], None),
        (["pin", "rm", cid], None),
        (["pin", "rm", f"{cid}/nosuch"], None),
        (["pin", "update", f"{cid}/sub", cid], None),
        (["pin", "verify"], None),
        (["cat", f"{cid}/x"], None),
        (["ls", cid], None),
        (["refs", "-r", cid], None),
        (["cat", "QmNonsense"], None),
        (["pin", "add", "--timeout=300ms", "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"], None),
    ]


def test_the_ipfs_command(front: Service, bare: KuboNode, tree: Path) -> None:
    clear_pins(bare)
    clear_pins_of(front)
    binary = bare.binary
    _, added, _ = cli(binary, bare.multiaddr, "add", "-Q", "-r", "--pin=false", str(tree))
    cid = added.strip()
    for arguments, stdin in commands(tree, cid):
        direct = cli(binary, bare.multiaddr, *arguments, stdin=stdin)
        proxied = cli(binary, front.multiaddr, *arguments, stdin=stdin)
        assert proxied[:2] == direct[:2], arguments
        if direct[0]:  # else stderr is a progress bar with times
            assert proxied[2] == direct[2], arguments


def test_curl(front: Service, bare: KuboNode, tree: Path, tmp_path: Path) -> None:
    curl = tool("curl")
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_000))
    outputs = []
    for port in (bare.port, front.port):
        url = f"http://127.0.0.1:{port}/api/v0"
        common = [curl, "-sS", "--max-time", "60"]
        added = subprocess.run(
            [*common, "-F", f"file=@{big}", f"{url}/add?cid-version=1"], capture_output=True, check=True, timeout=90
        ).stdout
        cid = json.loads(added)["Hash"]
        content = subprocess.run(
            [*common, "-X", "POST", f"{url}/cat?arg={cid}"], capture_output=True, check=True
        ).stdout
        assert content == big.read_bytes()
        outputs.append((added, cid))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("program", ["ipfs", "go", "node", "ipfshttpclient", "aioipfs"])
def test_every_client_notices_when_the_adding_node_dies(cluster: Service, tmp_path: Path, program: str) -> None:
    """The first node, whose events are the answer, is killed in the middle of an add of 1 GiB."""
    home = cluster.nodes[0]
    big = tmp_path / "big"
    with open(big, "wb") as file:
        file.truncate(1 << 30)
    address, url = f"127.0.0.1:{cluster.port}", f"http://127.0.0.1:{cluster.port}/api/v0"
    commands: dict[str, Callable[[], list[str]]] = {
        "ipfs": lambda: [str(home.binary), "--api", cluster.multiaddr, "add", str(big)],
        "go": lambda: [str(go_program("go_api", CLIENTS / "go_api", ".")), address, "add", str(big)],
        "node": lambda: [
            tool("node"),
            f"{node_modules('node_client', CLIENTS / 'node')}/client.mjs",
            url,
            "add",
            str(big),
        ],
        "ipfshttpclient": lambda: python_client("py_httpclient", cluster.multiaddr, "add", str(big)),
        "aioipfs": lambda: python_client("py_aioipfs", cluster.multiaddr, "add", str(big)),
    }
    child = subprocess.Popen(commands[program](), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: busy_with_add(cluster.nodes[2]), "the add has reached the nodes")
        home.kill()
        out, err = child.communicate(timeout=90)
    finally:
        child.kill()
        home.start()
    if program == "ipfs":
        assert child.returncode == 1
        assert "Error" in err
    else:
        assert child.returncode or '"error"' in out, (out, err)
        assert '"value"' not in out
    assert cluster.pins() == {}
    eventually(lambda: not any(node.pins() for node in cluster.nodes[1:]), "the replicas are released")


def python_client(key: str, *arguments: str) -> list[str]:
    python = python_environment(key, CLIENTS / key / "requirements.txt")
    return [str(python), str(CLIENTS / key / "client.py"), *arguments]


def busy_with_add(node: KuboNode) -> bool:
    return any(entry["Command"] == "add" and entry["Active"] for entry in json.loads(node.rpc("diag/cmds").text) or [])
