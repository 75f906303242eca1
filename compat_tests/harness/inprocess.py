"""Nodes and a service in this process, their event loop in a thread beside the test, which asks over HTTP as any client
does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from compat_tests.harness.doors import NodeDoor
from compat_tests.harness.kubo import free_port
from compat_tests.harness.service import Service
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.nodes.embedded import EmbeddedNode, Sources
from ipfs_cluster.settings import load
from ipfs_proxy.compose import Service as Composed
from ipfs_proxy.compose import compose
from ipfs_proxy.embedded import EmbeddedServer
from ipfs_proxy.front.server import Listen
from ipfs_proxy.loop import runner

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own, until `close`."""

    def __init__(self) -> None:
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._main, name="loop of the parts")
        self._thread.start()
        self._began.wait()

    def _main(self) -> None:
        with runner() as made:
            made.run(self._until_closed())

    async def _until_closed(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._began.set()
        await self._over.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there; its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


class EmbeddedHere(NodeDoor):
    """An embedded node in this process. It keeps its port over restarts."""

    def __init__(self, folder: Path, loop: Loop) -> None:
        self.folder = folder
        self.port = free_port()
        self._loop = loop
        self._parts: tuple[EmbeddedServer, EmbeddedNode, Sources] | None = None

    def start(self) -> None:
        """Until it answers."""
        self._loop.run(self._start())

    async def _start(self) -> None:
        sources = Sources((), SystemClock())
        node = EmbeddedNode(self.folder, sources)
        identity = load_or_create(self.folder / "identity.json")
        server = EmbeddedServer(identity, node, [Listen("127.0.0.1", self.port)], sources=sources)
        await node.open()
        await server.start()
        self._parts = server, node, sources

    def kill(self) -> None:
        """At once: what it does is cut off."""
        self._loop.run(self._end())

    async def _end(self) -> None:
        if self._parts is not None:
            server, node, sources = self._parts
            await server.close(0.0)
            await node.close()
            await sources.close()
            self._parts = None


class ServiceHere(Service):
    """A service that is composed from its data folder in this process."""

    def __init__(self, loop: Loop, folder: Path, nodes: Sequence[NodeDoor], **overrides: Any) -> None:
        self._loop = loop
        self._composed: Composed | None = None
        self._begin(folder, [node.multiaddr for node in nodes], overrides)

    def start(self, *, ready: bool = True, env: dict[str, str] | None = None) -> None:
        """Until both doors answer."""
        self._loop.run(self._start(env or {}))

    async def _start(self, env: dict[str, str]) -> None:
        settings, _ = load(self.folder, env)
        self._composed = compose(self.folder, settings, env, "0")
        await self._composed.start()

    def stop(self) -> int:
        """In good order."""
        if self._composed is not None:
            self._loop.run(self._composed.close(10.0))
            self._composed = None
        return 0

    def kill(self) -> None:
        """Not to be had in this process."""
        raise NotImplementedError
