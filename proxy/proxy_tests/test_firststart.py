"""`daemon --init`: which node a service is for that is started for the first time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipfs_cluster.settings import Node, load
from ipfs_proxy.firststart import first_start

USUAL = "/ip4/127.0.0.1/tcp/5001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


@pytest.fixture(autouse=True)
def nobody_at_the_usual_address() -> None:
    """These tests are about what is done then."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 5001)) == 0:
            pytest.skip("something listens at the usual address of IPFS daemons")


def kubo(folder: Path, *, api: str = "", initialised: bool = True) -> dict[str, str]:
    """An environment with Kubo's repository."""
    repository = folder.parent / "kubo"
    repository.mkdir()
    if initialised:
        (repository / "config").write_text("{}")
    if api:
        (repository / "api").write_text(api)
    return {"IPFS_PATH": str(repository)}


def node(folder: Path) -> Node:
    (found,) = load(folder, {})[0].nodes
    return found


def test_without_any_daemon_there_is_one_node_of_our_own_and_a_line_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first_start(folder, kubo(folder, initialised=False))
    assert node(folder).embedded is not None
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"IPFS node: no daemon answers at {USUAL}, so the service runs a node of its own, in {folder}/nodes"
    ]


def test_where_kubo_is_only_down_nothing_takes_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = kubo(folder, api="/ip4/127.0.0.1/tcp/1")
    first_start(folder, environ)
    assert (node(folder).embedded, node(folder).address) == (None, USUAL)
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"IPFS node: no daemon answers at /ip4/127.0.0.1/tcp/1, {USUAL}, whose repository is in "
        f"{environ['IPFS_PATH']}; {USUAL} is written down. Start one there, or name another in ipfs_connector.nodes"
    ]


@contextmanager
def silence() -> Iterator[str]:
    """Something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"/ip4/127.0.0.1/tcp/{server.getsockname()[1]}"


def test_nor_where_it_does_not_answer_soon_enough(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with silence() as address:
        first_start(folder, kubo(folder, api=address, initialised=False), asking=0.05)
    assert (node(folder).embedded, node(folder).address) == (None, address)
    assert f"what listens does not answer within 0.05 s at {address}; written down" in capsys.readouterr().out


def test_no_node_of_our_own_when_the_operator_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_start(folder, kubo(folder, initialised=False), 0)
    assert (node(folder).embedded, node(folder).address) == (None, USUAL)
    assert f"no daemon answers at {USUAL}; {USUAL} is written down" in capsys.readouterr().out


def test_as_many_as_the_operator_says_whatever_else_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_start(folder, kubo(folder), 3)
    assert [found.embedded is not None for found in load(folder, {})[0].nodes] == [True] * 3
    assert f"IPFS nodes: 3 of the service's own, in {folder}/nodes" in capsys.readouterr().out


def test_nodes_that_the_environment_names_are_neither_asked_nor_replaced(folder: Path) -> None:
    first_start(folder, {"CLUSTER_IPFSHTTP_NODEMULTIADDRESS": "/unix/a", **kubo(folder, initialised=False)})
    assert (node(folder).embedded, node(folder).address) == (None, "/unix/a")
