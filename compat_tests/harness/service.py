"""Our service as its user runs it: the real command, a data folder, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from compat_tests.harness.http import Answer, post
from compat_tests.harness.kubo import KuboNode, free_port
from compat_tests.harness.process import Child, eventually

COMMAND = [sys.executable, "-m", "ipfs_proxy.service"]
CTL = [sys.executable, "-m", "ipfs_cluster.ctl.main"]
FAST = {"monitor_ping_interval": "1s", "pin_recover_interval": "3s"}


class Service:
    """A service in front of these nodes; the first is home. `configure` may be called again between starts."""

    def __init__(self, folder: Path, nodes: Sequence[KuboNode], **overrides: Any) -> None:
        self.folder = folder
        self.nodes = list(nodes)
        self.port = free_port()
        self.rest_port = free_port()
        self.child: Child | None = None
        self.configure(**overrides)

    def configure(
        self,
        cluster: dict[str, Any] | None = None,
        proxy: dict[str, Any] | None = None,
        rest: dict[str, Any] | None = None,
        api: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write service.json."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        listed = [{"name": f"n{i}", "node_multiaddress": node.multiaddr} for i, node in enumerate(self.nodes)]
        document = {
            "cluster": {"peername": "test", **FAST, **(cluster or {})},
            "api": {
                **(api or {}),
                "ipfsproxy": {"listen_multiaddress": f"/ip4/127.0.0.1/tcp/{self.port}", **(proxy or {})},
                "restapi": {"http_listen_multiaddress": f"/ip4/127.0.0.1/tcp/{self.rest_port}", **(rest or {})},
            },
            **more,
            "ipfs_connector": {"nodes": listed, **more.get("ipfs_connector", {})},
            "informer": {"disk": {"reserve": more.get("reserve", 0)}},
        }
        (self.folder / "service.json").write_text(json.dumps(document))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    def start(self, *, ready: bool = True, env: dict[str, str] | None = None) -> None:
        """Start the daemon and wait for its `ready` line."""
        seen = self.child.output().count("\nready\n") if self.child else 0
        self.child = Child([*COMMAND, "-c", str(self.folder), "daemon"], self.folder / "service.log", env or {})
        child = self.child

        def is_ready() -> bool:
            assert child.running, child.output()[-3000:]
            return child.output().count("\nready\n") > seen

        if ready:
            eventually(is_ready, "the service gets ready", 120)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self.child.end() if self.child is not None else 0

    def kill(self) -> None:
        """SIGKILL."""
        assert self.child is not None
        self.child.end(signal.SIGKILL)

    # --- talking to it ---

    def rpc(self, command: str, *pairs: tuple[str, str], seconds: float = 60) -> Answer:
        query = urlencode(pairs)
        return post(self.address, f"/api/v0/{command}{'?' if query else ''}{query}", seconds=seconds)

    def rest(self, path: str) -> list[Any]:
        """The JSON values of a GET on the REST API."""
        answer = post(("127.0.0.1", self.rest_port), path, method="GET")
        assert answer.status in (200, 204), answer.text
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

    def start_lines(self) -> list[str]:
        assert self.child is not None
        return re.findall(r"^(?:IPFS proxy API|REST API|peer|pins).*$", self.child.output(), re.MULTILINE)
