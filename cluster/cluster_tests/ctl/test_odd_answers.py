"""What answers at the address is no REST API, or another one: one line that says so, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import responses

from ipfs_cluster.client import BadAnswer, Client
from ipfs_cluster.ctl.main import main

ANYWHERE = re.compile("http://127.0.0.1:9094/.*")
CID = "QmccvEeJ1S95baJ6brLwNCKc6uq89vpVEoUGcEXc5FHhaX"
COMMANDS = (
    "id",
    "version",
    "peers ls",
    "peers add P",
    "add FILE",
    "add --no-stream FILE",
    f"pin add {CID}",
    f"pin add --no-status {CID}",
    f"pin rm {CID}",
    f"pin update {CID} {CID}",
    "pin ls",
    "status",
    f"status {CID}",
    "recover",
    "foreign",
    "watch",
    "health graph",
    "health metrics ping",
    "health alerts",
    "health bandwidth",
    "ipfs gc",
    f"why {CID}",
    "why -p north",
    "drain north",
    "adopt",
    "adopt north",
    "rebalance status",
)
BODIES = (
    b"1",
    b'"x"',
    b"[1]",
    b"[null]",
    b'{"a":1}',
    b'{"cid":1}',
    b'{"peer_map":[1],"cid":"x","name":"y"}',
    b'{"code":"x","message":"y"}',
    b"<html>no</html>",
    b"\xff\xfe",
    b"[" * 100_000,
)


@pytest.fixture
def answered() -> Iterator[responses.RequestsMock]:
    """Everything is answered with the same."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def answer(mock: responses.RequestsMock, body: bytes, status: int = 200) -> None:
    mock.reset()
    for method in ("GET", "POST", "DELETE"):
        mock.add(method, ANYWHERE, body=body, status=status)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_of_something_else_is_told_in_a_line(
    answered: responses.RequestsMock, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "file").write_text("content")
    for body in BODIES:
        answer(answered, body)
        assert main(command.replace("FILE", str(tmp_path / "file")).split()) == 1, body
        told = capsys.readouterr().err
        assert told.startswith("error reading the answer: "), (body, told)
        assert told.count("\n") == 1, (body, told)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"code":1e999,"message":"x"}', b'{"code":[],"message":"x"}'])
def test_an_error_of_something_else_is_still_one(
    answered: responses.RequestsMock, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    answer(answered, body, 500)
    assert main(["id"]) == 2
    assert capsys.readouterr().out.startswith("An error occurred:\n  Code: 500\n")


def test_with_json_any_json_is_shown_as_it_came(
    answered: responses.RequestsMock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that adds fields or leaves some out does not get in the way of scripts."""
    answer(answered, b'{"a":1}')
    assert main(["--enc", "json", "status"]) == 0
    assert capsys.readouterr().out == '{\n    "a": 1\n}\n'


@pytest.mark.parametrize("body", BODIES)
def test_the_client_calls_it_a_bad_answer(answered: responses.RequestsMock, body: bytes) -> None:
    answer(answered, body)
    with Client("/ip4/127.0.0.1/tcp/9094") as client, pytest.raises(BadAnswer):
        client.id()
