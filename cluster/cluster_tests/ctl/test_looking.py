"""`ipfs-cluster-ctl` before a REST API that answers what it is told: requests, text forms, exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses

from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.main import main

URL = "http://127.0.0.1:9094"
HOST = "/ip4/127.0.0.1/tcp/9094"
LOST = f"error contacting the cluster at {HOST}: refused; does it speak TLS (--https)?\n"
CID = "QmccvEeJ1S95baJ6brLwNCKc6uq89vpVEoUGcEXc5FHhaX"
ZERO_TIME = "0001-01-01T00:00:00Z"
PIN = {
    "replication_factor_min": 2,
    "replication_factor_max": 3,
    "name": "greeting",
    "mode": "recursive",
    "expire_at": ZERO_TIME,
    "metadata": None,
    "cid": CID,
    "type": "pin",
    "allocations": ["A", "B"],
    "max_depth": -1,
    "timestamp": "2026-11-25T17:05:01.804592Z",
}


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def info(status: str, **more: Any) -> dict[str, Any]:
    return {
        "peername": "north",
        "status": status,
        "timestamp": "2026-11-25T17:05:01Z",
        "error": "",
        "attempt_count": 0,
        "priority_pin": False,
        **more,
    }


def asked(api: responses.RequestsMock) -> list[str]:
    """Paths and queries of the requests so far."""
    return [str(call.request.url).removeprefix(URL) for call in api.calls]


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_pin_ls(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    direct = {**PIN, "mode": "direct", "max_depth": 0, "replication_factor_min": -1, "metadata": {"k": "v"}}
    api.get(f"{URL}/allocations", body=lines(PIN, direct))
    assert main(["pin", "ls"]) == 0
    assert asked(api) == ["/allocations?filter=all"]
    assert capsys.readouterr().out.splitlines() == [
        f"{CID} | greeting | PIN | Repl. Factor: 2--3 | Allocations: [A B] | Recursive | Metadata: no | Exp: ∞ | "
        "Added: 2026-11-25 17:05:01",
        f"{CID} | greeting | PIN-DIRECT | Repl. Factor: -1 | Allocations: [everywhere] | Direct | Metadata: yes | "
        "Exp: ∞ | Added: 2026-11-25 17:05:01",
    ]


def test_pin_ls_asks_for_names_and_metadata(api: responses.RequestsMock) -> None:
    api.get(f"{URL}/allocations", body=lines(PIN))
    assert main(["pin", "ls", "--name", "a", "--name-prefix", "b", "--metadata", "k=v=w"]) == 0
    assert asked(api) == ["/allocations?name=a&name-prefix=b&filter=all&meta-k=v%3Dw"]


def test_watch(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    events = [{"type": "reset"}, {"type": "pin", "pin": PIN}, {"type": "unpin", "cid": CID}]
    api.get(f"{URL}/pins/watch", body=lines(*events, {"type": "place", "place": "a.7"}))
    assert main(["watch", "--after", "a.1"]) == 0
    assert asked(api) == ["/pins/watch?after=a.1"]
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "RESET | the whole pinset follows"
    assert shown[1].startswith(f"PINNED | {CID} | greeting | PIN |")
    assert shown[2:] == [f"REMOVED | {CID}", "PLACE | a.7"]


def test_foreign(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    found = {"cid": CID, "peer": "12D3", "peername": "two", "kind": "orphan", "mode": "direct", "name": "left"}
    api.get(f"{URL}/pins/foreign", body=lines(found))
    assert main(["foreign", "--peer", "two"]) == 0
    assert asked(api) == ["/pins/foreign?peer=two"]
    assert capsys.readouterr().out == f"{CID} | two | ORPHAN | Direct | left\n"


def test_why(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    copies = [{"peer": "A", "peername": "north", "why": "holds it"}, {"peer": "B", "peername": "", "why": "lost it"}]
    api.get(f"{URL}/pins/{CID}/why", json={"cid": CID, "name": "it", "why": "All is well.", "peers": copies})
    api.get(f"{URL}/peers/north/why", json={"peer": "A", "peername": "north", "why": "Its node answers."})
    assert main(["why", CID]) == 0
    assert main(["why", "--peer", "north"]) == 0
    assert capsys.readouterr().out == (
        f"{CID} | it: All is well.\n    > north holds it\n    > B lost it\nnorth | A: Its node answers.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "method", "answer", "text"),
    [
        ([], "POST", {"draining": True, "done": False, "remaining": 1200, "stuck": 0}, "1,200 pins have still"),
        (
            ["--status"],
            "GET",
            {"draining": True, "done": False, "remaining": 5, "stuck": 5},
            "no other peer can take 5 of them",
        ),
        (["--status"], "GET", {"draining": True, "done": True, "remaining": 0, "stuck": 0}, "may be taken out of"),
        (["--undo"], "DELETE", {"draining": False, "done": False, "remaining": 3, "stuck": 0}, "is in service; 3 pins"),
    ],
)
def test_drain(
    api: responses.RequestsMock,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    method: str,
    answer: dict[str, Any],
    text: str,
) -> None:
    api.add(method, f"{URL}/peers/north/drain", json={"peer": "A", "peername": "north", **answer})
    assert main(["drain", *arguments, "north"]) == 0
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "method", "state", "text"),
    [
        ("preview", "GET", "preview", "10 pins (5,000 bytes) from A to B\n"),
        ("start", "POST", "running", "10 pins (5,000 bytes) from A to B, 4 so far\n"),
        ("status", "GET", "done", "Rebalance done:"),
        ("cancel", "DELETE", "cancelled", "Rebalance cancelled:"),
    ],
)
def test_rebalance(
    api: responses.RequestsMock, capsys: pytest.CaptureFixture[str], command: str, method: str, state: str, text: str
) -> None:
    moves = [{"from": "A", "to": "B", "pins": 10, "bytes": 5000, "moved": 4}]
    api.add(method, f"{URL}/rebalance", json={"state": state, "moves": moves})
    assert main(["rebalance", command]) == 0
    assert text in capsys.readouterr().out
    assert asked(api) == ["/rebalance" + ("?preview=true" if command == "preview" else "")]


def test_health_alerts(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    alert = {"peer": "A", "name": "ping", "value": "", "valid": True, "expire": 1_700_000_000 * 10**9}
    api.get(f"{URL}/health/alerts", json=[{**alert, "triggered_at": "2023-11-14T22:13:30.5Z"}])
    assert main(["health", "alerts"]) == 0
    text = "A: ping. Expired at: 2023-11-14 22:13:20. Triggered at: 2023-11-14 22:13:30\n"
    assert capsys.readouterr().out == text


def test_pin_ls_of_one_in_json(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(f"{URL}/allocations/{CID}", json=PIN)
    assert main(["--enc", "json", "pin", "ls", CID]) == 0
    assert json.loads(capsys.readouterr().out) == PIN


def test_status(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    peers = {"B": info("pinned"), "A": info("pin_error", peername="", error="no one has it", attempt_count=3)}
    api.get(f"{URL}/pins/{CID}", json={"cid": CID, "name": "greeting", "peer_map": peers})
    assert main(["status", CID]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{CID} | greeting:",
        "    > A                    : PIN_ERROR: no one has it | 2026-11-25T17:05:01Z | Attempts: 3 | Priority: false",
        "    > north                : PINNED | 2026-11-25T17:05:01Z | Attempts: 0 | Priority: false",
    ]


def test_status_passes_its_options_on(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(f"{URL}/pins", status=204)
    api.get(f"{URL}/pins", status=204)
    assert main(["status", "--local", "--filter", "error,queued"]) == 0
    assert main(["status", "a", "b"]) == 0
    assert asked(api) == ["/pins?local=true&filter=error%2Cqueued", "/pins?cids=a%2Cb"]
    assert capsys.readouterr().out == ""


def test_peers_ls(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    peer = {"id": "A", "peername": "north", "addresses": [], "cluster_peers": ["A", "B"], "error": ""}
    up = {**peer, "ipfs": {"id": "N", "addresses": ["/ip4/127.0.0.1/tcp/4001"], "error": ""}}
    away = {**peer, "id": "B", "peername": "east", "ipfs": {"addresses": [], "error": "Connection refused"}}
    api.get(f"{URL}/peers", body=lines(up, away))
    assert main(["peers", "ls"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "A | north | Sees 1 other peers",
        "  > Addresses:",
        "  > IPFS: N",
        "    - /ip4/127.0.0.1/tcp/4001",
        "B | east | Sees 1 other peers",
        "  > Addresses:",
        "  > IPFS ERROR: Connection refused",
    ]


def test_version(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(f"{URL}/version", json={"version": "1.2.3"})
    assert main(["version"]) == 0
    assert capsys.readouterr().out == "1.2.3\n"


# --- errors ---


def test_an_error_of_the_api_is_status_2(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(f"{URL}/pins/x", json={"code": 400, "message": "error decoding Cid: cid too short"}, status=400)
    api.get(f"{URL}/pins/x", json={"code": 400, "message": "error decoding Cid: cid too short"}, status=400)
    api.get(f"{URL}/pins/x", body="bad gateway", status=502)
    assert main(["status", "x"]) == 2
    assert capsys.readouterr().out == "An error occurred:\n  Code: 400\n  Message: error decoding Cid: cid too short\n"
    assert main(["--enc", "json", "status", "x"]) == 2
    assert json.loads(capsys.readouterr().out) == {"code": 400, "message": "error decoding Cid: cid too short"}
    assert main(["status", "x"]) == 2
    assert "Message: bad gateway" in capsys.readouterr().out


def test_the_first_host_that_answers_is_asked(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get("http://[::1]:1/version", body=requests.ConnectionError("refused"))
    api.get("https://host.example:2/version", json={"version": "1.2.3"})
    assert main(["--host", "/ip6/::1/tcp/1,/dns4/host.example/tcp/2/https", "version"]) == 0
    assert capsys.readouterr().out == "1.2.3\n"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (requests.ConnectionError("refused"), LOST),
        (requests.ReadTimeout("too slow"), "error reading the answer: no answer in time\n"),
        ("no json\n", "error reading the answer: Expecting value: line 1 column 1 (char 0)\n"),
    ],
)
def test_what_goes_wrong_here_is_status_1_and_one_line(
    api: responses.RequestsMock, capsys: pytest.CaptureFixture[str], body: str | Exception, error: str
) -> None:
    api.get(f"{URL}/id", body=body)
    assert main(["id"]) == 1
    assert capsys.readouterr() == ("", error)


@pytest.mark.parametrize("host", ["nonsense", "/ip4/127.0.0.1/udp/1", f"{HOST}/p2p/12D3KooWA"])
def test_a_host_that_cannot_be_dialled(capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert main(["--host", host, "id"]) == 1
    assert capsys.readouterr().err.startswith("error reading --host: ")


@pytest.mark.parametrize("arguments", [["pin", "nosuch"], ["nosuch"], ["pin", "add"], ["--enc", "xml", "id"]])
def test_wrong_usage_is_status_1_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("usage: ipfs-cluster-ctl")


MEASURED = {
    "name": "freespace",
    "peer": "A",
    "value": "12000000000",
    "expire": 1_700_000_020_500_000_000,
    "valid": True,
    "weight": 12_000_000_000,
    "partitionable": False,
    "received_at": 1_700_000_000_000_000_000,
}


def test_health_metrics(api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(f"{URL}/monitor/metrics", json=["freespace", "tag:group"])
    api.get(f"{URL}/monitor/metrics/tag%3Agroup", json=[{**MEASURED, "name": "tag:group", "value": "rack-1"}])
    assert main(["health", "metrics"]) == 0
    assert main(["health", "metrics", "tag:group"]) == 0
    *names, line = capsys.readouterr().out.splitlines()
    assert names == ["freespace", "tag:group"]
    assert line.startswith("A | tag:group: rack-1 | Expires in: ")
    assert line.endswith(" ago")


@pytest.mark.parametrize(
    ("changes", "after", "shown"),
    [
        ({}, 0, "A | freespace: 12 GB | Expires in: 20 seconds from now"),
        ({"weight": 1_500_000_000}, 19, "A | freespace: 1.5 GB | Expires in: 1 second from now"),
        ({"weight": 0, "value": "0"}, 20, "A | freespace: 0 | Expires in: now"),
        ({"name": "reposize", "value": "7", "weight": -7}, 81, "A | reposize: 7 | Expires in: 1 minute ago"),
        ({"weight": 999}, -7200, "A | freespace: 999 B | Expires in: 2 hours from now"),
    ],
)
def test_a_measurement_on_one_line(changes: dict[str, Any], after: float, shown: str) -> None:
    assert output.metric({**MEASURED, **changes}, 1_700_000_000 + after) == shown


@pytest.mark.parametrize("words", [[], ["north"]])
def test_adopt(words: list[str], api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]) -> None:
    if not words:
        api.get(f"{URL}/id", json={"id": "A", "peername": "north", "ipfs": {}})
    where = words[0] if words else "A"
    api.post(f"{URL}/peers/{where}/adopt", json={"peer": "A", "peername": "north", "adopted": 1200})
    assert main(["adopt", *words]) == 0
    assert capsys.readouterr().out == "adopted 1,200 pins of north, on that peer alone\n"
