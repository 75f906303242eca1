"""Real Kubo daemons on loopback: no bootstrap, no DHT, no outside traffic."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from compat_tests.harness.doors import EMPTY_BLOCK, NodeDoor
from compat_tests.harness.process import Child, eventually
from compat_tests.harness.tools import kubo_binary

__all__ = ["EMPTY_BLOCK", "EMPTY_DIRECTORY", "KuboNode", "free_port"]

ENVIRONMENT = {"IPFS_TELEMETRY": "off", "GOLOG_LOG_LEVEL": "error", "LIBP2P_FORCE_PNET": "0"}
SETTINGS: dict[str, Any] = {
    "Routing.Type": "none",
    "AutoConf.Enabled": False,
    "AutoTLS.Enabled": False,
    "Bootstrap": [],
    "Discovery.MDNS.Enabled": False,
    "Swarm.DisableNatPortMap": True,
    "Swarm.RelayClient.Enabled": False,
    "Provide.Enabled": False,
}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class KuboNode(NodeDoor):
    """One daemon with its repository; keeps its ports over restarts."""

    def __init__(
        self, folder: Path, settings: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """headers: of every request to it, credentials where its settings ask for them."""
        self.folder = folder
        self.headers = headers or {}
        self.binary = kubo_binary()
        self.port = free_port()
        self.swarm = free_port()
        self.child: Child | None = None
        self._settings = settings or {}

    @property
    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "IPFS_PATH": str(self.folder)}

    def init(self) -> None:
        """Make the repository and configure it in one write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cli("init", "--profile=test")
        path = self.folder / "config"
        config = json.loads(path.read_text())
        addresses = {
            "Addresses.API": self.multiaddr,
            "Addresses.Gateway": "/ip4/127.0.0.1/tcp/0",
            "Addresses.Swarm": [f"/ip4/127.0.0.1/tcp/{self.swarm}"],
        }
        for key, value in {**SETTINGS, **addresses, **self._settings}.items():
            *above, last = key.split(".")
            place = config
            for name in above:
                place = place.setdefault(name, {}) or place[name]
            place[last] = value
        path.write_text(json.dumps(config))

    def start(self) -> None:
        """Start the daemon and wait until its RPC API answers."""
        self.child = Child([str(self.binary), "daemon"], self.folder / "daemon.log", self.environment)
        eventually(self._answers, f"Kubo in {self.folder.name} starts", 60)

    def _answers(self) -> bool:
        assert self.child is not None
        assert self.child.running, self.child.output()[-2000:]
        try:
            return self.rpc("version").status == 200
        except (OSError, AssertionError):
            return False

    def stop(self) -> None:
        if self.child is not None:
            self.child.send(signal.SIGCONT)
            self.child.end()

    def kill(self) -> None:
        """As a crash: SIGKILL."""
        assert self.child is not None
        self.child.end(signal.SIGKILL)
        (self.folder / "repo.lock").unlink(missing_ok=True)
        (self.folder / "api").unlink(missing_ok=True)

    def suspend(self) -> None:
        assert self.child is not None
        self.child.send(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.child is not None
        self.child.send(signal.SIGCONT)

    # --- talking to it directly ---

    def cli(self, *arguments: str) -> str:
        """The `ipfs` command on this repository."""
        command = [str(self.binary), *arguments]
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{command[1:]}: {done.stderr}"
        return done.stdout


EMPTY_DIRECTORY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
