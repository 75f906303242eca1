"""Talking to a node's RPC API, and to the two doors of a service, whatever runs behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from compat_tests.harness.http import Answer, multipart, post

EMPTY_BLOCK = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
CTL = [sys.executable, "-m", "ipfs_cluster.ctl.main"]


class NodeDoor:
    """One node's RPC API. headers: of every request to it, credentials where its settings ask for them."""

    port: int
    headers: Mapping[str, str] = {}

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    def rpc(self, command: str, *pairs: tuple[str, str], seconds: float = 60) -> Answer:
        """An RPC call by query options alone."""
        query = urlencode(pairs)
        path = f"/api/v0/{command}{'?' if query else ''}{query}"
        return post(self.address, path, headers=dict(self.headers), seconds=seconds)

    def add(self, content: bytes, **options: str) -> str:
        """Add one file directly; its CID."""
        headers, body = multipart(("file", content, "application/octet-stream"))
        answer = post(self.address, f"/api/v0/add?{urlencode(options)}", headers=headers, body=body)
        assert answer.status == 200, answer.text
        return str(json.loads(answer.text.splitlines()[-1])["Hash"])

    def pins(self, kind: str = "recursive") -> dict[str, str]:
        """CID → name of the pins of one type, as the node says itself; without the cluster's empty block."""
        answer = self.rpc("pin/ls", ("type", kind), ("names", "true"), ("stream", "true"))
        assert answer.status == 200, answer.text
        lines = [json.loads(line) for line in answer.text.splitlines()]
        return {line["Cid"]: line.get("Name", "") for line in lines if line["Cid"] != EMPTY_BLOCK}

    @property
    def id(self) -> str:
        return str(json.loads(self.rpc("id").text)["ID"])


class ServiceDoors:
    """A service's proxy and REST API."""

    port: int
    rest_port: int

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    def rpc(self, command: str, *pairs: tuple[str, str], seconds: float = 60) -> Answer:
        query = urlencode(pairs)
        return post(self.address, f"/api/v0/{command}{'?' if query else ''}{query}", seconds=seconds)

    def rest(self, path: str, method: str = "GET") -> list[Any]:
        """The JSON values of a request to the REST API."""
        answer = post(("127.0.0.1", self.rest_port), path, method=method)
        assert answer.status in (200, 202, 204), answer.text
        return [json.loads(line) for line in answer.text.splitlines() if line]

    def statuses(self, cid: str) -> dict[str, str]:
        """peername → status of one CID."""
        (value,) = self.rest(f"/pins/{cid}")
        return {info["peername"]: info["status"] for info in value["peer_map"].values()}

    def errors(self, cid: str) -> dict[str, str]:
        """peername → error text of one CID."""
        (value,) = self.rest(f"/pins/{cid}")
        return {info["peername"]: info["error"] for info in value["peer_map"].values()}

    def pins(self) -> dict[str, str]:
        """CID → name of the pinset, without indirect pins."""
        found: dict[str, str] = {}
        for kind in ("recursive", "direct"):
            answer = self.rpc("pin/ls", ("type", kind), ("names", "true"), ("stream", "true"))
            assert answer.status == 200, answer.text
            found |= {json.loads(line)["Cid"]: json.loads(line).get("Name", "") for line in answer.text.splitlines()}
        return found

    def ctl(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """ipfs-cluster-ctl on this service."""
        command = [*CTL, "-l", f"/ip4/127.0.0.1/tcp/{self.rest_port}", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **(env or {})}
        )

    def pinned_everywhere(self, cid: str) -> bool:
        """Every allocated peer says pinned."""
        return set(self.statuses(cid).values()) - {"remote"} == {"pinned"}
