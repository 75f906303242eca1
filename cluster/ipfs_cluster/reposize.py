"""The size of one node's repository, asked for seldom: it costs the daemon more, the more it holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import RepoStat
from ipfs_cluster.ports import Clock, Node

log = logging.getLogger(__name__)

TIMEOUT = 60.0
SHARE = 20
"""The pause after a call is at least so many times as long as the call."""


class RepoSize:
    """Asks until cancelled. last: what the node said last, None before it did."""

    def __init__(
        self,
        node: Node,
        clock: Clock,
        interval: float,
        there: Callable[[], bool],
        told: Callable[[RepoStat, float], None],
    ) -> None:
        """interval: seconds between calls. there: the node is up. told(answer, seconds for which it is good)."""
        self.last: RepoStat | None = None
        self._node = node
        self._clock = clock
        self._interval = interval
        self._there = there
        self._told = told

    def forget(self) -> None:
        """The node is another one."""
        self.last = None

    async def run(self) -> None:
        """Ask, pause, ask."""
        while True:
            await self._clock.sleep(await self.ask() if self._there() else self._interval)

    async def ask(self, timeout: float = TIMEOUT) -> float:
        """One call, given up after so many seconds; then what was known stays. The seconds to pause now."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(timeout):
                answer = await self._node.repo_stat(size_only=True)
        except (NodeError, TimeoutError, KeyError, TypeError) as error:
            log.info("the size of a repository cannot be had: %s", str(error) or f"no answer within {timeout:g}s")
            answer = None
        pause = max(self._interval, SHARE * (self._clock.monotonic() - began))
        if answer is not None:
            self.last = answer
            self._told(answer, 2 * pause + TIMEOUT)
        return pause
