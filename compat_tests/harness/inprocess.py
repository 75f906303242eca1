"""A service in this process, its event loop in a thread beside the test, which asks it over HTTP as any client does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from compat_tests.harness.service import Service
from ipfs_cluster.settings import load
from ipfs_proxy.compose import Service as Composed
from ipfs_proxy.compose import compose
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


class ServiceHere(Service):
    """A service that is composed from its data folder in this process."""

    loop: Loop
    composed: Composed | None = None

    def start(self, *, ready: bool = True, env: dict[str, str] | None = None) -> None:
        """Until both doors answer."""
        self.loop.run(self._start(env or {}))

    async def _start(self, env: dict[str, str]) -> None:
        settings, _ = load(self.folder, env)
        self.composed = compose(self.folder, settings, env, "0")
        await self.composed.start()

    def stop(self) -> int:
        """In good order."""
        if self.composed is not None:
            self.loop.run(self.composed.close(10.0))
            self.composed = None
        return 0

    def kill(self) -> None:
        """Not to be had in this process."""
        raise NotImplementedError
