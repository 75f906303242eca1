"""What the proxy writes into the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.security.audit import AuditLog
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_proxy.front.audit import SHOWN_ARGUMENTS
from ipfs_proxy.front.roles import ROLES
from proxy_tests.front.test_access import COMMANDS, NOW, USERS, basic, bearer
from proxy_tests.front.wires import Doors, get, ok, post


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[AuditLog]:
    made = AuditLog(tmp_path / "audit.log", lambda: NOW)
    yield made
    made.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    for line in found:
        assert (line.pop("time"), line.pop("door")) == ("1970-01-12T13:46:40.000Z", "proxy")
        assert line.pop("remote") == "127.0.0.1"
    return found


async def test_changes_and_denials_are_written_down_and_reading_is_not(
    door: Doors, audit: AuditLog, tmp_path: Path
) -> None:
    gatekeeper = Gatekeeper(USERS, clock=lambda: NOW)
    here = await door(COMMANDS, gatekeeper=gatekeeper, audit=audit)
    client = await here.connect()
    admin = bearer("admin-token")
    for request in (
        post(b"", "/api/v0/pin/ls", bearer("read-token")),
        post(b"", "/api/v0/pin/add/QmTail?arg=Qm2&name=n&api-auth=CANARY&meta-x=CANARY", basic("ann", "plain")),
        post(b"", "/api/v0/pin/rm?arg=Qm", bearer("read-token")),
        post(b"", "/api/v0/pin/rm?arg=Qm", bearer("CANARY")),
        get("/webui?CANARY", bearer("CANARY")),
    ):
        client.send(request)
        await client.answer()
    for request in (
        post(b"", "/api/v0/id", admin),
        post(b"", "/api/v0/config/CANARY?arg=CANARY&arg=CANARY", admin),
        post(b"", "/api/v0/pin/remote/service/add?arg=s&arg=http://x&arg=CANARY", admin),
        post(b"", "/api/v0/files/rm?arg=/f&recursive=true", admin),
    ):
        client.send(request)
        wire, _ = await here.daemon.request()
        wire.send(ok())
        await client.answer()
    client.send(post(b"", "/api/v0/shutdown", admin))
    await here.daemon.request()
    client.close()
    await here.connections(0)
    asked = {"method": "POST", "outcome": "ok"}
    denied = {"user": "", "outcome": "refused"}
    assert lines(tmp_path) == [
        {**asked, "user": "ann", "command": "pin/add", "query": {"arg": ["QmTail", "Qm2"], "name": ["n"]}},
        {**asked, "user": "read", "command": "pin/rm", "query": {"arg": ["Qm"]}, "outcome": "refused"},
        {**asked, "command": "pin/rm", "query": {"arg": ["Qm"]}, **denied},
        {"method": "GET", "path": "/webui", **denied},
        {**asked, "user": "admin", "command": "config"},
        {**asked, "user": "admin", "command": "pin/remote/service/add"},
        {**asked, "user": "admin", "command": "files/rm", "query": {"arg": ["/f"], "recursive": ["true"]}},
        {**asked, "user": "admin", "command": "shutdown", "outcome": "left"},
    ]
    assert "CANARY" not in (tmp_path / "audit.log").read_text()


async def test_a_door_without_users_writes_down_who_asked_from_where(
    door: Doors, audit: AuditLog, tmp_path: Path
) -> None:
    here = await door(COMMANDS, audit=audit)
    client = await here.connect()
    for _ in range(2):
        client.send(post(b"", "/api/v0/pin/add?arg=Qm", bearer("CANARY")))
        await client.answer()
    assert (
        lines(tmp_path)
        == [{"user": "", "method": "POST", "command": "pin/add", "query": {"arg": ["Qm"]}, "outcome": "ok"}] * 2
    )


def test_arguments_are_shown_of_commands_that_exist() -> None:
    assert set(ROLES) >= SHOWN_ARGUMENTS
