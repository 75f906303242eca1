"""What the REST API writes into the audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, world
from cluster_tests.rest.test_guard import NOW, ONE, USERS, basic, bearer
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.audit import add_audit
from ipfs_cluster.rest.guard import add_guard
from ipfs_cluster.security.audit import AuditLog
from ipfs_cluster.security.checks import Gatekeeper

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(world: World, tmp_path: Path) -> AsyncIterator[Client]:
    application = app(await world.start(1, 1), "0")
    add_guard(application, Gatekeeper(USERS, clock=lambda: NOW))
    audit = AuditLog(tmp_path / "audit.log", lambda: NOW)
    add_audit(application, audit)
    async with TestClient(TestServer(application)) as made:
        yield made
    audit.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    for line in found:
        assert (line.pop("time"), line.pop("door")) == ("1970-01-12T13:46:40.000Z", "rest")
        assert line.pop("remote") in ("127.0.0.1", "::1")
    return found


async def test_changes_and_denials_are_written_down_and_reading_is_not(client: Client, tmp_path: Path) -> None:
    for method, path, headers in (
        ("GET", "/id", bearer("read-token")),
        ("POST", f"/pins/{ONE}?name=n&meta-k=CANARY&mode=recursive", basic("ann", "plain")),
        ("DELETE", f"/pins/{ONE}", bearer("read-token")),
        ("POST", "/pins/x", bearer("pin-token")),
        ("GET", "/id", basic("ann", "CANARY")),
        ("POST", "/nowhere", bearer("CANARY")),
        ("GET", "/health", {}),
        ("PATCH", "/nowhere", bearer("read-token")),
    ):
        async with client.request(method, path, headers=headers):
            pass
    assert lines(tmp_path) == [
        {
            "user": "ann",
            "method": "POST",
            "path": f"/pins/{ONE}",
            "query": {"name": ["n"], "mode": ["recursive"]},
            "status": 200,
            "outcome": "ok",
        },
        {"user": "read", "method": "DELETE", "path": f"/pins/{ONE}", "status": 403, "outcome": "refused"},
        {"user": "pin", "method": "POST", "path": "/pins/x", "status": 400, "outcome": "refused"},
        {"user": "", "method": "GET", "path": "/id", "status": 401, "outcome": "refused"},
        {"user": "", "method": "POST", "path": "/nowhere", "status": 401, "outcome": "refused"},
    ]
    assert "CANARY" not in (tmp_path / "audit.log").read_text()
