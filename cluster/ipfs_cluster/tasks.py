"""Background tasks with an owner: no task of the service is an orphan.

`asyncio.create_task` keeps only a weak reference and swallows exceptions until collection, so it is banned by the
linter; this module holds the one exception.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from ipfs_cluster.ports import Clock

log = logging.getLogger(__name__)


class TaskSet:
    """Tasks that outlive the call which started them. A failure is logged with the task's name; `close` ends all."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run in the background; the set keeps the reference until it ends."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel what still runs, the oldest first, and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def sleep_or_event(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return after this long or when the event is set, whichever is first; the event stays as it is."""
    async with asyncio.TaskGroup() as group:
        timer = group.create_task(clock.sleep(seconds))
        waiter = group.create_task(event.wait())
        await asyncio.wait([timer, waiter], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        waiter.cancel()


@asynccontextmanager
async def alongside(work: Coroutine[object, object, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` while the block runs; it is cancelled, and waited for, at the block's end. Its own failure is raised
    at the end of a block that succeeded. Unlike a TaskGroup the block's errors come out as they are.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
