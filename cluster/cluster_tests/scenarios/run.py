"""A loop of its own for each course of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from cluster_tests.scenarios.play import Play
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.testing.virtual_time import VirtualLoop

T = TypeVar("T")


class Run(Protocol):
    """Drives the play of one loop."""

    def __call__(self, act: Callable[[Play], Coroutine[object, object, T]]) -> T: ...


@contextmanager
def driven(make_store: Callable[[Clock], Store]) -> Iterator[Run]:
    """A play, whose process is killed at the end, without a trace."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def begin() -> Play:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            return Play(loop, make_store)

        play = runner.run(begin())

        def run(act: Callable[[Play], Coroutine[object, object, T]]) -> T:
            return runner.run(act(play))

        try:
            yield run
        finally:
            runner.run(play.kill(carried_out=False))
