"""One run of `ipfs-cluster-service node` as a child process, and what the two sides tell each other.

The child's standard input is a pipe that nobody writes to: its end is the order to stop, and it ends with this process,
however that ends. On its standard output it says READY when it answers, or FAILED and why it cannot.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

READY = "ready"
FAILED = "failed: "
OURS = ("CLUSTER_", "IPFS_CLUSTER_", "NOTIFY_SOCKET", "IPFS_PATH")
"""Beginnings of variables that are the service's own: secrets, settings, the service manager's socket."""


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """How a node is run. address: multiaddr of its RPC API. log: level and format of its log, empty for the usual."""

    name: str
    repo: Path
    address: str
    storage_max: int
    gateways: tuple[str, ...] = ()
    log: tuple[str, str] = ("", "")

    def arguments(self) -> list[str]:
        """The command line. -P: what lies in the current folder is not imported."""
        level, form = self.log
        found = [sys.executable, "-P", "-m", "ipfs_proxy.node", "--name", self.name, "--until-stdin-ends"]
        found += ["--repo", str(self.repo), "--listen", self.address, "--storage-max", str(self.storage_max)]
        for url in self.gateways:
            found += ["--gateway", url]
        return found + (["--loglevel", level] if level else []) + (["--log-format", form] if form else [])


class NodeProcess:
    """A started process. `started`, then `ready`, then `ended`; `stop` at any time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self._reason = ""

    @classmethod
    async def started(cls, command: NodeCommand, environ: Mapping[str, str]) -> NodeProcess:
        """Start it, in a session of its own: a Ctrl-C on the terminal is the service's to act on. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *command.arguments(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={key: value for key, value in environ.items() if not key.startswith(OURS)},
            start_new_session=True,
        )
        return cls(process)

    async def ready(self) -> bool:
        """True when it answers; False when its output ended before."""
        async for line in self._lines():
            if line == READY:
                return True
        return False

    async def ended(self) -> tuple[int, str]:
        """Its exit status, negative for a signal, and what it said about why it failed."""
        async for _ in self._lines():
            pass  # it is never kept from writing
        return await self._process.wait(), self._reason

    async def _lines(self) -> AsyncIterator[str]:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith(FAILED):
                self._reason = line.removeprefix(FAILED)
            yield line

    async def stop(self, grace: float) -> None:
        """Tell it to stop; kill it when it has not after `grace` seconds."""
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(grace):
                await self._process.wait()
        except TimeoutError:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
            await self._process.wait()
