"""The command `ipfs-cluster-service` up to where it needs a node: init, refusals, exit status."""

from __future__ import annotations

import io
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.datafolder import FolderLock
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.settings import load
from ipfs_proxy.service import main, version


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("CLUSTER_", "IPFS_CLUSTER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


def run(folder: Path, *arguments: str) -> int:
    return main(["--config", str(folder), *arguments])


def test_init_says_what_it_made_and_how_to_go_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "init") == 0
    lines = capsys.readouterr().out.splitlines()
    identity = json.loads((folder / "identity.json").read_text())
    peername = json.loads((folder / "service.json").read_text())["cluster"]["peername"]
    assert lines == [
        f"configuration: {folder}/service.json",
        f"peer ID: {identity['id']}",
        f"IPFS node: {peername} at /ip4/127.0.0.1/tcp/5001",
        f"start it with: ipfs-cluster-service -c {folder} daemon",
    ]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        "service.json": "0o600",
        "identity.json": "0o600",
        "peerstore": "0o600",
    }


def test_init_overwrites_only_by_force_and_never_the_identity(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(folder, "init") == 1
    assert capsys.readouterr().err == (
        f"ipfs-cluster-service: {folder}/service.json exists already; --force overwrites it\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    capsys.readouterr()
    assert run(folder, "--force", "init") == 0
    assert f"the configuration before is kept: {folder}/service.json.old.1" in capsys.readouterr().out
    assert (folder / "service.json.old.1").read_bytes() == before["service.json"]
    assert (folder / "identity.json").read_bytes() == before["identity.json"]
    assert (folder / "service.json").read_bytes() != before["service.json"]


def test_init_takes_the_node_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", "/unix/a,/unix/b")
    assert run(folder, "init") == 0
    nodes = json.loads((folder / "service.json").read_text())["ipfs_connector"]["nodes"]
    assert [node["node_multiaddress"] for node in nodes] == ["/unix/a", "/unix/b"]


def test_init_takes_the_flags_of_ipfs_cluster(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (f"/dns4/{host}/tcp/9096/p2p/12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV" for host in "xy")
    assert run(folder, "init", "--consensus", "raft", "--datastore", "badger3", "--peers", f"{one},{other}") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("consensus and datastore: ")] == [
        "consensus and datastore: there is no consensus among services yet: one service drives all nodes and keeps the "
        "pinset in SQLite"
    ]
    assert [line for line in said if line.startswith("peers: ")] == [
        f"peers: kept in {folder}/peerstore, but not used: there are no other services; name their IPFS nodes in "
        "ipfs_connector.nodes"
    ]
    assert (folder / "peerstore").read_text() == f"{one}\n{other}\n"
    assert written(folder)["consensus"] == {"raft": {}}
    assert load(folder, {})[1] == []


def test_init_without_peers_leaves_an_empty_peerstore(folder: Path) -> None:
    assert run(folder, "init", "--peers", f"/ip4/1.2.3.4/tcp/1/p2p/{load_or_create(folder / 'other').id}") == 0
    assert run(folder, "init", "--force") == 0
    assert (folder / "peerstore").read_bytes() == b""
    assert "consensus" not in written(folder)


@pytest.mark.parametrize("flags", [["--consensus", "paxos"], ["--peers", "/ip4/1.2.3.4/tcp/1"], ["--datastore", "x"]])
def test_wrong_flags_of_init_write_nothing(folder: Path, flags: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(folder, "init", *flags)
    assert caught.value.code == 2
    assert not folder.exists()


def written(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "service.json").read_text())
    return document


def test_random_ports_are_free_and_two(folder: Path) -> None:
    assert run(folder, "init", "--randomports") == 0
    api = written(folder)["api"]
    ports = {
        int(address.rsplit("/", 1)[1])
        for address in api["ipfsproxy"]["listen_multiaddress"] + api["restapi"]["http_listen_multiaddress"]
    }
    assert len(ports) == 2
    assert not ports & {9094, 9095}


def test_embedded_nodes_get_free_ports_that_are_written_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "init", "--embedded", "3") == 0
    settings, warnings = load(folder, {})
    assert warnings == []
    ports = [parse_address(node.address).port for node in settings.nodes]
    assert len(set(ports)) == 3
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("IPFS node")] == [
        f"IPFS node: node{i} at /ip4/127.0.0.1/tcp/{port}, embedded, in {folder}/nodes/node{i}"
        for i, port in enumerate(ports, 1)
    ]
    assert not (folder / "nodes").exists(), "they are made when they run"
    with socket.create_server(("127.0.0.1", ports[0])):
        assert run(folder.parent / "other", "init", "--embedded", "1") == 0
    (node,) = load(folder.parent / "other", {})[0].nodes
    assert parse_address(node.address).port != ports[0]


@pytest.mark.parametrize("number", ["0", "-1", "21", "some"])
def test_a_wrong_number_of_embedded_nodes_writes_nothing(folder: Path, number: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(folder, "init", "--embedded", number)
    assert caught.value.code == 2
    assert not folder.exists()


def test_embedded_nodes_and_others_named_elsewhere_contradict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "init", "--embedded", "1", "https://conf.example/") == 1
    assert "--embedded: what is fetched from the URL says which nodes there are" in capsys.readouterr().err
    monkeypatch.setenv("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", "/unix/a")
    wins = "--embedded: CLUSTER_IPFSHTTP_NODEMULTIADDRESS names other nodes, and wins over the configuration"
    for command in (["init"], ["daemon", "--init"]):
        assert run(folder, *command, "--embedded", "2") == 1
        assert wins in capsys.readouterr().err
    assert not folder.exists()


def test_embedded_nodes_are_for_a_first_start(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    assert run(folder, "daemon", "--embedded", "2") == 1
    assert "--embedded goes with --init" in capsys.readouterr().err


def test_the_secret_is_asked_for_or_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("AB" * 32 + "\n"))
    assert run(folder, "init", "--custom-secret") == 0
    assert written(folder)["cluster"]["secret"] == "AB" * 32
    monkeypatch.setenv("CLUSTER_SECRET", "cd" * 32)
    assert run(folder, "init", "--force") == 0
    assert written(folder)["cluster"]["secret"] == "cd" * 32


@pytest.mark.parametrize("given", ["", "hush", "AB" * 31])
def test_a_wrong_secret_writes_nothing(
    folder: Path, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given + "\n"))
    assert run(folder, "init", "-s") == 1
    assert "the secret must be 64 hexadecimal digits" in capsys.readouterr().err
    assert not folder.exists()


def test_init_may_name_a_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "init", "http://127.0.0.1:9/service.json") == 0
    assert written(folder) == {"source": "http://127.0.0.1:9/service.json"}
    assert run(folder, "daemon") == 1
    assert "source: http://127.0.0.1:9/service.json cannot be fetched: Connection refused" in capsys.readouterr().err
    assert run(folder, "init", "--force", "file:///x") == 1
    assert written(folder) == {"source": "http://127.0.0.1:9/service.json"}


def test_a_folder_that_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_text("")
    assert run(folder, "init") == 1
    assert capsys.readouterr().err == f"ipfs-cluster-service: {folder} is no folder\n"


def test_daemon_without_a_configuration_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "daemon") == 1
    assert capsys.readouterr().err == (
        f"ipfs-cluster-service: no configuration in {folder}: run `ipfs-cluster-service init`, or `daemon --init`\n"
    )
    assert not folder.exists()


def test_daemon_names_every_wrong_setting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / "service.yaml").write_text("cluster: {peername: 5}\napi: {ipfsproxy: {wait: long}}\n")
    assert run(folder, "daemon", "--init") == 1
    assert capsys.readouterr().err == (
        "ipfs-cluster-service: cluster.peername: 5: must be a string\n"
        'api.ipfsproxy.wait: "long": must be one of accepted, min, all\n'
    )
    assert [path.name for path in folder.iterdir()] == ["service.yaml"]


def test_one_process_per_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    lock = FolderLock(folder)
    capsys.readouterr()
    assert run(folder, "daemon") == 1
    lock.release()
    assert capsys.readouterr().err == (
        f"ipfs-cluster-service: {folder} is in use by process {os.getpid()}: one process per folder\n"
    )


def test_a_wrong_identity_is_told_before_anything_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    (folder / "identity.json").write_text('{"id": "x", "private_key": ""}')
    assert run(folder, "daemon") == 1
    assert f"{folder}/identity.json: the private key is no ed25519 or RSA key" in capsys.readouterr().err
    FolderLock(folder).release()


def test_an_address_in_use_is_a_line_not_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as node:
        node_port = node.getsockname()[1]
        node.close()  # nobody answers there: a node that is away keeps no service from starting
        monkeypatch.setenv("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", f"/ip4/127.0.0.1/tcp/{node_port}")
        monkeypatch.setenv("CLUSTER_IPFSPROXY_LISTENMULTIADDRESS", f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}")
        assert run(folder, "daemon", "--init") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ipfs-cluster-service: cannot listen: ")
    assert "in use" in error
    FolderLock(folder).release()


@pytest.mark.parametrize("level", ["error", "DEBUG", "info,cluster:debug"])
def test_log_levels(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--loglevel", level, "version"]) == 0
    assert capsys.readouterr().out == version() + "\n"


def test_without_a_command_there_is_help_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    help_text = capsys.readouterr().out
    assert help_text.startswith("usage: ipfs-cluster-service")
    assert main(["help"]) == 0
    assert capsys.readouterr().out == help_text


def test_bootstrap_is_refused_before_anything_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    assert run(folder, "daemon", "--bootstrap", "/ip4/1.2.3.4/tcp/9096/p2p/x") == 1
    assert capsys.readouterr().err == (
        "ipfs-cluster-service: --bootstrap: services do not join each other yet: one service drives all nodes, see "
        "ipfs_connector.nodes\n"
    )


@pytest.mark.parametrize("arguments", [["nosuch"], ["--loglevel", "loud", "version"], ["daemon", "--nosuch"]])
def test_wrong_usage_is_status_2_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ipfs-cluster-service")
