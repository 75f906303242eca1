"""The command `ipfs-cluster-service` up to where it needs a node: init, refusals, exit status."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from ipfs_cluster.datafolder import FolderLock
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
        "start it with: ipfs-cluster-service daemon",
    ]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        "service.json": "0o600",
        "identity.json": "0o600",
    }


def test_init_overwrites_only_by_force_and_never_the_identity(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "init")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(folder, "init") == 1
    assert capsys.readouterr().err == (
        f"ipfs-cluster-service: {folder}/service.json exists already; --force overwrites it\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run(folder, "init", "--force") == 0
    assert (folder / "identity.json").read_bytes() == before["identity.json"]
    assert (folder / "service.json").read_bytes() != before["service.json"]


def test_init_takes_the_node_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", "/unix/a,/unix/b")
    assert run(folder, "init") == 0
    nodes = json.loads((folder / "service.json").read_text())["ipfs_connector"]["nodes"]
    assert [node["node_multiaddress"] for node in nodes] == ["/unix/a", "/unix/b"]


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
    assert f"{folder}/identity.json: the private key is no ed25519 key" in capsys.readouterr().err
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


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["--loglevel", "loud", "version"], ["daemon", "--nosuch"]])
def test_wrong_usage_is_status_2_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ipfs-cluster-service")
