"""Real Kubo daemons on loopback: no bootstrap, no DHT, no outside traffic."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from compat_tests.harness.http import Answer, multipart, post
from compat_tests.harness.process import Child, eventually
from compat_tests.harness.tools import kubo_binary

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


class KuboNode:
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
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

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

    def rpc(self, command: str, *pairs: tuple[str, str], seconds: float = 60) -> Answer:
        """An RPC call by query options alone."""
        query = urlencode(pairs)
        return post(
            self.address, f"/api/v0/{command}{'?' if query else ''}{query}", headers=self.headers, seconds=seconds
        )

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


EMPTY_BLOCK = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
EMPTY_DIRECTORY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
