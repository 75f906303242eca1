"""Nodes as a storm handles them: real daemons and stubs alike."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from compat_tests.harness.http import post
from compat_tests.harness.kubo import KuboNode, free_port
from compat_tests.harness.process import Child, eventually


class SoakNode(Protocol):
    """What happens to a node in a storm, and what it holds."""

    async def suspend(self) -> None:
        """Answer nobody until `resume`."""
        ...

    async def resume(self) -> None: ...

    async def kill(self) -> None:
        """As a crash: away until `start`, which brings back what was durable."""
        ...

    async def start(self) -> None: ...

    async def lose(self) -> int:
        """Some of its pins, as if somebody had removed them behind the service's back; how many."""
        ...

    async def holds(self) -> Mapping[str, str]:
        """CID → "recursive" or "direct": what the node itself lists, without the cluster's empty block."""
        ...


class RealNode:
    """A Kubo daemon."""

    def __init__(self, node: KuboNode) -> None:
        self._node = node

    async def suspend(self) -> None:
        self._node.suspend()

    async def resume(self) -> None:
        self._node.resume()

    async def kill(self) -> None:
        await asyncio.to_thread(self._node.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self._node.start)

    async def lose(self) -> int:
        return await asyncio.to_thread(self._lose)

    def _lose(self) -> int:
        lost = list(self._node.pins())[::4]
        for cid in lost:
            self._node.rpc("pin/rm", ("arg", cid))
        return len(lost)

    async def holds(self) -> Mapping[str, str]:
        return await asyncio.to_thread(self._listed)

    def _listed(self) -> dict[str, str]:
        return {cid: kind for kind in ("direct", "recursive") for cid in self._node.pins(kind)}


class StubNode:
    """A fake node in the process of a `StubProcess`."""

    def __init__(self, number: int, port: int, control: int) -> None:
        self._number = number
        self._port = port
        self._control = control

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self._port}"

    async def suspend(self) -> None:
        await self._act("suspend")

    async def resume(self) -> None:
        await self._act("resume")

    async def kill(self) -> None:
        await self._act("kill")

    async def start(self) -> None:
        await self._act("start")

    async def lose(self) -> int:
        return len(await self._act("lose"))

    async def holds(self) -> Mapping[str, str]:
        return await self._act("holds")

    async def _act(self, name: str) -> dict[str, str]:
        answer = await asyncio.to_thread(post, ("127.0.0.1", self._control), f"/{self._number}/{name}")
        assert answer.status == 200, answer.text
        held: dict[str, str] = json.loads(answer.text)
        return held


class StubProcess:
    """Runs fake nodes until `stop`."""

    def __init__(self, count: int, folder: Path) -> None:
        self._control = free_port()
        ports = [free_port() for _ in range(count)]
        self.nodes = [StubNode(number, port, self._control) for number, port in enumerate(ports)]
        command = [sys.executable, "-m", "compat_tests.soak.stub", *map(str, (*ports, self._control))]
        self._child = Child(command, folder / "stub.log", {})
        eventually(lambda: "ready" in self._child.output(), "the fake nodes start")

    def publish(self, cids: Sequence[str]) -> None:
        """From now on nodes have these blocks."""
        body = json.dumps(list(cids)).encode()
        assert post(("127.0.0.1", self._control), "/publish", body=body).status == 200

    def stop(self) -> None:
        """End the process."""
        self._child.end()
