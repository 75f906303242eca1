"""pin add, rm, update, recover, ipfs gc, peers: requests, what is shown, and waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from ipfs_cluster.ctl import main as command
from ipfs_cluster.ctl.context import Context
from ipfs_cluster.ctl.main import main

URL = "http://127.0.0.1:9094"
CID = "QmccvEeJ1S95baJ6brLwNCKc6uq89vpVEoUGcEXc5FHhaX"
OTHER = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
ZERO_TIME = "0001-01-01T00:00:00Z"
PIN = {
    "replication_factor_min": 2,
    "replication_factor_max": 3,
    "name": "it",
    "mode": "recursive",
    "expire_at": ZERO_TIME,
    "metadata": None,
    "cid": CID,
    "type": "pin",
    "allocations": ["A", "B"],
    "max_depth": -1,
    "timestamp": "2026-11-25T17:05:01Z",
}


class Pauses:
    """A clock that only moves in sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return sum(self.slept)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    clock = Pauses()

    def context(api: Any, *, json: bool) -> Context:
        return Context(api, json=json, now=clock.now, sleep=clock.sleep)

    monkeypatch.setattr(command, "Context", context)
    return clock


@pytest.fixture
def api(pauses: Pauses) -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def asked(api: responses.RequestsMock) -> list[str]:
    return [f"{call.request.method} {str(call.request.url).removeprefix(URL)}" for call in api.calls]


def status(*statuses: str) -> dict[str, Any]:
    peers = {
        f"P{number}": {
            "peername": f"n{number}",
            "status": text,
            "timestamp": ZERO_TIME,
            "error": "no one has it" if "error" in text else "",
            "attempt_count": 0,
            "priority_pin": False,
        }
        for number, text in enumerate(statuses)
    }
    return {"cid": CID, "name": "it", "peer_map": peers}


def test_pin_add_sends_its_options_and_shows_the_status(
    api: responses.RequestsMock, pauses: Pauses, capsys: pytest.CaptureFixture[str]
) -> None:
    api.post(f"{URL}/pins/ipfs/{CID}", json=PIN)
    api.get(f"{URL}/pins/{CID}", json=status("pinned", "pinning"))
    flags = ["--rmin", "1", "--rmax=2", "--allocs", "A, B", "--metadata", "k=v=w", "--expire-in", "72h", "-n", "a b"]
    assert main(["pin", "add", *flags, "--mode", "direct", "--origins", "/ip4/1.2.3.4/tcp/1/p2p/X", CID]) == 0
    assert asked(api) == [
        f"POST /pins/ipfs/{CID}?name=a+b&replication-min=1&replication-max=2&user-allocations=A%2CB&expire-in=72h"
        "&meta-k=v%3Dw&mode=direct&origins=%2Fip4%2F1.2.3.4%2Ftcp%2F1%2Fp2p%2FX",
        f"GET /pins/{CID}",
    ]
    assert pauses.slept == [1]
    assert capsys.readouterr().out.startswith(f"{CID} | it:\n    > n0                   : PINNED | ")


@pytest.mark.parametrize(
    ("what", "path"),
    [
        (f"/ipfs/{CID}/a b", f"/ipfs/{CID}/a%20b"),
        ("/ipns/x.example", "/ipns/x.example"),
        (f"{CID}/a", f"/ipfs/{CID}/a"),
    ],
)
def test_pin_add_of_paths(api: responses.RequestsMock, what: str, path: str) -> None:
    api.post(f"{URL}/pins{path}", json=PIN)
    assert main(["pin", "add", "-r", "-1", "--rmin", "7", "--ns", what]) == 0
    assert asked(api) == [f"POST /pins{path}?replication-min=-1&replication-max=-1&mode=recursive"]


def test_no_status_shows_the_pin(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.delete(f"{URL}/pins/ipfs/{CID}", json=PIN)
    api.post(f"{URL}/pins/ipfs/{CID}", json=PIN)
    assert main(["pin", "rm", "--no-status", CID]) == 0
    assert main(["--enc", "json", "pin", "update", "--ns", "--name", "n", OTHER, CID]) == 0
    assert asked(api)[1] == f"POST /pins/ipfs/{CID}?pin-update={OTHER}&name=n"
    text, _, value = capsys.readouterr().out.partition("\n")
    assert text.startswith(f"{CID} | it | PIN | Repl. Factor: 2--3 ")
    assert json.loads(value) == PIN


@pytest.mark.parametrize(
    ("arguments", "courses", "code"),
    [
        (["add"], [("pinning", "pinned", "pinned", "remote"), ("pinning", "pinned", "pinning", "remote")], 0),
        (["add", "--wl", "1"], [("pinned", "pinning")], 0),
        (["rm"], [("unpinned", "unpinned"), ("unpinned", "unpinning")], 0),
        (["add"], [("pinned", "pin_error"), ("pinned", "pinning")], 1),
    ],
)
def test_waiting(
    api: responses.RequestsMock,
    pauses: Pauses,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    courses: list[tuple[str, ...]],
    code: int,
) -> None:
    api.add("DELETE" if "rm" in arguments else "POST", f"{URL}/pins/ipfs/{CID}", json=PIN)
    for statuses in reversed(courses):
        api.get(f"{URL}/pins/{CID}", json=status(*statuses))
    assert main(["pin", *arguments, "--wait", CID]) == code
    assert pauses.slept == [1] * (len(courses) - 1)
    told = capsys.readouterr()
    assert told.err == ("error waiting for pin status: n1: pin_error: no one has it\n" if code else "")
    assert bool(told.out) is not bool(code)


def test_waiting_ends(api: responses.RequestsMock, pauses: Pauses, capsys: pytest.CaptureFixture[str]) -> None:
    api.post(f"{URL}/pins/ipfs/{CID}", json=PIN)
    api.get(f"{URL}/pins/{CID}", json=status("pinned", "pinning"))
    assert main(["pin", "add", "-w", "--wt", "3s", CID]) == 1
    assert pauses.now() == 3
    text = "error waiting for pin status: pinned on 1 of 2 peers when the time was over\n"
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--expire-in", "soon"], 'error parsing expire-in: must be a duration such as "1m30s"\n'),
        (["--wt", "5"], 'error parsing wait-timeout: must be a duration such as "1m30s"\n'),
        (["--metadata", "k"], "error parsing metadata: metadata were not in the format key=value\n"),
    ],
)
def test_wrong_values_are_found_before_anything_is_asked(
    api: responses.RequestsMock, capsys: pytest.CaptureFixture[str], flags: list[str], error: str
) -> None:
    assert main(["pin", "add", *flags, CID]) == 1
    assert capsys.readouterr() == ("", error)


def test_recover(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.post(f"{URL}/pins/recover", body=(json.dumps(status("pin_queued")) + "\n") * 2)
    api.post(f"{URL}/pins/{CID}/recover", json=status("pin_queued"))
    assert main(["recover", "--local"]) == 0
    assert main(["recover", CID]) == 0
    assert asked(api) == ["POST /pins/recover?local=true", f"POST /pins/{CID}/recover"]
    assert capsys.readouterr().out.count("PIN_QUEUED") == 3


def test_gc(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [{"key": CID}, {"key": None, "error": "busy"}]
    peers = {
        "B": {"peer": "B", "peername": "", "keys": None, "error": "away"},
        "A": {"peer": "A", "peername": "north", "keys": keys},
    }
    api.post(f"{URL}/ipfs/gc", json={"peer_map": peers})
    assert main(["ipfs", "gc"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "north          ",
        "  > CIDs:",
        f"    - {CID}",
        "    - ERROR: busy",
        "B               | ERROR: away",
        "  > CIDs:",
    ]


def test_peers_add_and_rm(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    peer = {"id": "A", "peername": "north", "addresses": [], "cluster_peers": ["A"], "ipfs": {"id": "N"}, "error": ""}
    api.post(f"{URL}/peers", json=peer, match=[responses.matchers.json_params_matcher({"peer_id": "A"})])
    api.delete(f"{URL}/peers/A", status=204)
    assert main(["peers", "add", "A"]) == 0
    assert capsys.readouterr().out.startswith("A | north | Sees 0 other peers\n")
    assert main(["peers", "rm", "A"]) == 0
    assert capsys.readouterr().out == ""


def test_bandwidth(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    stats = {"total_in": 12000, "total_out": 5, "rate_in": 1.5, "rate_out": 0}
    api.get(f"{URL}/health/bandwidth", json={"/p/1": stats})
    assert main(["health", "bandwidth"]) == 0
    text = f"{'/p/1':>25}: In:   12 kB. Out:     5 B. RateIn: 1.50B/s. RateOut: 0.00B/s\n"
    assert capsys.readouterr().out == text
