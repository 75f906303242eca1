"""Our service as its user runs it: the real command, a data folder, signals."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compat_tests.harness.doors import CTL, ServiceDoors
from compat_tests.harness.kubo import KuboNode, free_port
from compat_tests.harness.process import Child, eventually

__all__ = ["COMMAND", "CTL", "Service"]

COMMAND = [sys.executable, "-m", "ipfs_proxy.service"]
FAST = {"monitor_ping_interval": "1s", "pin_recover_interval": "3s"}


class Service(ServiceDoors):
    """A service in front of these nodes; the first is home. `configure` may be called again between starts, then with
    other `addresses` (multiaddrs) of nodes, too.
    """

    def __init__(self, folder: Path, nodes: Sequence[KuboNode], **overrides: Any) -> None:
        self.nodes = list(nodes)
        self._begin(folder, [node.multiaddr for node in nodes], overrides)

    def _begin(self, folder: Path, addresses: Sequence[str], overrides: dict[str, Any]) -> None:
        self.folder = folder
        self.addresses = addresses
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
        listed = [{"name": f"n{i}", "node_multiaddress": address} for i, address in enumerate(self.addresses)]
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

    def start_lines(self) -> list[str]:
        assert self.child is not None
        return re.findall(r"^(?:IPFS proxy API|REST API|peer|pins).*$", self.child.output(), re.MULTILINE)
