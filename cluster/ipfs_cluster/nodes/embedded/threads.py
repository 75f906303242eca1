"""Where blocking work is done: a few threads for blocks, one for the records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

FOR_BLOCKS = 4
"""The disk's own parallelism, and hashing beside writing; more of them only get in each other's way."""


class Threads:
    """Threads of one repository."""

    def __init__(self) -> None:
        self._blocks = ThreadPoolExecutor(FOR_BLOCKS, "blocks")
        self._records = ThreadPoolExecutor(1, "records")

    async def blocks(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Something with blocks. Once begun it is done, also when the caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._blocks, lambda: work(*args, **kwargs))

    async def records(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Something with the records, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._records, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Wait for what is being done."""
        self._blocks.shutdown(cancel_futures=True)
        self._records.shutdown(cancel_futures=True)
