"""Threads that read, each with a connection of its own.

Not an executor: handing a point read to `run_in_executor` and back costs 200 µs here, twice what this queue and the
mailbox cost, and ten times the read.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.stores.sqlite.mailbox import Mailbox
from ipfs_cluster.stores.sqlite.schema import unavailable

_T = TypeVar("_T")
_P = ParamSpec("_P")


@dataclass(slots=True)
class _Task:
    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


class Workers:
    """A few threads taking work from one queue. One thread makes a private connection with work in order."""

    def __init__(self, name: str, threads: int, connect: Callable[[], sqlite3.Connection], mailbox: Mailbox) -> None:
        """Raises sqlite3.Error when a connection cannot be made."""
        self._mailbox = mailbox
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = False
        connections = []
        try:
            connections += [connect() for _ in range(threads)]
        except sqlite3.Error:
            for connection in connections:
                connection.close()
            raise
        for connection in connections:
            thread = threading.Thread(target=self._work, args=(connection,), name=f"store {name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    async def call(
        self, run: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run with a connection. Raises StoreUnavailable."""
        return await self.begin(run, *args, **kwargs)

    def begin(
        self, run: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """The same, to be awaited or cancelled later."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._tasks.put(_Task(lambda connection: run(connection, *args, **kwargs), future))
        return future

    async def close(self) -> None:
        """Finish what is queued, end the threads, close their connections."""
        if self._closed:
            return
        self._closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _work(self, connection: sqlite3.Connection) -> None:
        try:
            while (task := self._tasks.get()) is not None:
                if not task.future.cancelled():
                    self._perform(task, connection)
        finally:
            connection.close()

    def _perform(self, task: _Task, connection: sqlite3.Connection) -> None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = task.run(connection)
        except sqlite3.Error as error:
            failure = unavailable(error)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, and is raised there
            failure = error
        if failure is not None and connection.in_transaction:
            connection.rollback()
        self._mailbox.post([(task.future, result, failure)])
