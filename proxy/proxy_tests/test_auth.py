"""`ipfs-cluster-service auth`."""

from __future__ import annotations

import io
import re

import pytest

from ipfs_cluster.security.stored import parse_stored
from ipfs_proxy.service import main


def test_a_password_comes_from_standard_input_and_leaves_as_a_hash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO("CANARY word\n"))
        assert main(["auth", "password"]) == 0
        out, err = capsys.readouterr()
        assert "CANARY" not in out + err
        assert parse_stored(out.strip()).matches(b"CANARY word")
        hashes.append(out)
    assert hashes[0] != hashes[1], "each has a salt of its own"


@pytest.mark.parametrize("given", ["", "\n"])
def test_an_empty_password_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert main(["auth", "password"]) == 1
    assert capsys.readouterr().err == "ipfs-cluster-service: an empty password protects nothing\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("second", "status"), [("word", 0), ("wrod", 1)])
def test_on_a_terminal_it_is_asked_for_twice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, second: str, status: int
) -> None:
    answers = iter(["word", second])
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda *_: next(answers))
    assert main(["auth", "password"]) == status
    out, err = capsys.readouterr()
    assert (out == "") == bool(status)
    assert ("not the same" in err) == bool(status)


def test_a_token_is_random_and_its_hash_is_what_the_configuration_gets(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = set()
    for _ in range(2):
        assert main(["auth", "token"]) == 0
        found = re.fullmatch(r"token, .*: (\S{43})\nAuthSecret, .*: bearer:(\S+)\n", capsys.readouterr().out)
        assert found is not None
        token, secret = found.groups()
        assert parse_stored(secret).matches(token.encode())
        tokens.add(token)
    assert len(tokens) == 2
