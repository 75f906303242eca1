"""The embedded nodes of one service, all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from ipfs_cluster.tasks import TaskSet
from ipfs_proxy.supervise.keeper import Keeper

PATIENCE = 30.0
"""Seconds that the service's start waits for its nodes. One that takes longer joins when it is ready."""


class Supervisor:
    """Keeps nodes running between `start` and `close`."""

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers: Mapping[str, Keeper] = {keeper.command.name: keeper for keeper in keepers}
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Start all at once; until each answers, or has failed for the first time, or PATIENCE is over."""
        for name, keeper in self._keepers.items():
            self._tasks.start(f"node {name}", keeper.run())
        try:
            async with asyncio.timeout(PATIENCE):
                for keeper in self._keepers.values():
                    await keeper.settled.wait()
        except TimeoutError:
            pass

    def on_end(self, told: Callable[[str, str], None]) -> None:
        """Let this be told of each end from now on: the node's name and why."""
        for name, keeper in self._keepers.items():
            keeper.on_end = _for(name, told)

    def pid(self, name: str) -> int:
        """The ID of a node's process; 0 when it is no embedded node, or does not run."""
        return self._keepers[name].pid if name in self._keepers else 0

    def trouble(self, name: str) -> str:
        """Why an embedded node does not run now; empty when it does, and for any other node."""
        return self._keepers[name].trouble if name in self._keepers else ""

    def reconfigure(self, pauses: Mapping[str, float]) -> None:
        """By name, seconds before a node that somebody ended is started again, from its next end on."""
        for name, pause in pauses.items():
            self._keepers[name].restarts.pause = pause

    async def close(self) -> None:
        """End all of them, at the same time."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))
        await self._tasks.close()


def _for(name: str, told: Callable[[str, str], None]) -> Callable[[str], None]:
    def tell(reason: str) -> None:
        told(name, reason)

    return tell
