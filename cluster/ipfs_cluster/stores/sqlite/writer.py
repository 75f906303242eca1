"""The one thread that writes: takes all commits that wait, makes them one transaction, answers when it is on disk.

What a group buys is one sync of the disk for all of its commits. A group is whatever came while the one before was
being written. Under load the callers of one group come back within a moment, not all at once, so after a group of
several the thread waits up to GATHER seconds for as many again; a lone caller never waits.

Each commit is its own savepoint, so a Conflict undoes its commit only. When the transaction itself fails (disk full),
each commit of the group is tried alone: a large one does not drag down those beside it.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ipfs_cluster.counters import StoreCounters
from ipfs_cluster.errors import ClusterError, Conflict, StoreUnavailable
from ipfs_cluster.stores.sqlite.log import Log
from ipfs_cluster.stores.sqlite.mailbox import Mailbox, Outcome
from ipfs_cluster.stores.sqlite.schema import unavailable
from ipfs_cluster.stores.sqlite.writes import Writes

log = logging.getLogger(__name__)

_T = TypeVar("_T")

GATHER = 0.002
GROUP = 256
"""Commits in one transaction at most; the first of them waits for the last."""


@dataclass(slots=True)
class Job:
    """Something for the writing thread. savepoint: it may fail after it has changed something.

    control: touches memory only, and is run between transactions.
    """

    run: Callable[[], Any]
    future: asyncio.Future[Any] | None
    savepoint: bool = True
    control: bool = False


class Writer:
    """Owns the writing connection. `call` from the loop, until `close`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        writes: Writes,
        mailbox: Mailbox,
        on_durable: Callable[[], None],
        wal: Log,
        counters: StoreCounters,
    ) -> None:
        """on_durable: called on the writing thread when a group is on disk, before its callers hear."""
        self._connection = connection
        self._execute = connection.cursor().execute
        self._writes = writes
        self._mailbox = mailbox
        self._on_durable = on_durable
        self._wal = wal
        self._counters = counters
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def call(self, run: Callable[[], _T], *, savepoint: bool = True, control: bool = False) -> _T:
        """Run in the writer's turn; returns when it is on disk. It runs even if the caller is cancelled."""
        began = time.monotonic()
        try:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
            self._jobs.put(Job(run, future, savepoint, control))
            result = await future
        except Conflict:
            self._counters.conflicts += 1
            raise
        except StoreUnavailable:
            self._counters.refused += 1
            raise
        self._counters.durable.observe(time.monotonic() - began)
        return result

    def tell(self, run: Callable[[], object]) -> None:
        """Run between transactions, in turn with the calls; nobody waits. Does nothing when the store is closed."""
        if not self._closed:
            self._jobs.put(Job(run, None, control=True))

    async def close(self) -> None:
        """Finish what is queued, then end the thread and close the connection."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- on the thread ---

    def _work(self) -> None:
        size = 1
        try:
            while (first := self._jobs.get()) is not None:
                group, ended = self._gather(first, size)
                size = len(group)
                self._mailbox.post(self._carry_out(group))
                self._keep_log_small()
                if ended:
                    return
        finally:
            self._connection.close()

    def _keep_log_small(self) -> None:
        try:
            self._wal.keep_small()
        except sqlite3.Error as error:
            log.warning("the store's log cannot be shortened: %s", error)

    def _gather(self, first: Job, expected: int) -> tuple[list[Job], bool]:
        """The jobs of the next transaction, and whether the end was among what came."""
        group = [first]
        until = 0.0
        while len(group) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                if len(group) >= expected:
                    break
                now = time.monotonic()
                until = until or now + GATHER
                if now >= until:
                    break
                try:
                    job = self._jobs.get(timeout=until - now)
                except queue.Empty:
                    break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _carry_out(self, group: Sequence[Job]) -> list[Outcome]:
        """Every job gets an outcome, whatever happens."""
        outcomes: list[Outcome] = [(job.future, job.run(), None) for job in group if job.control]
        jobs = [job for job in group if not job.control]
        if not jobs:
            return outcomes
        try:
            return outcomes + self._transaction(jobs)
        except sqlite3.Error as error:
            failure: Exception = unavailable(error)
        except Exception as error:
            log.exception("a write to the store failed in a way that it never should")
            failure = error
        if len(jobs) > 1:
            for job in jobs:
                outcomes += self._carry_out([job])
            return outcomes
        return [*outcomes, (jobs[0].future, None, failure)]

    def _transaction(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Raises with nothing changed."""
        rows = self._writes.rows
        mark = rows.mark()
        try:
            self._execute("BEGIN IMMEDIATE")
            outcomes = [self._one(job) for job in jobs]
            if all(refusal is not None for _, _, refusal in outcomes):
                self._execute("ROLLBACK")  # nothing has changed: no sync of the disk for that
                return outcomes
            self._writes.finish()
            self._execute("COMMIT")
        except BaseException:
            rows.back_to(mark)
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise
        rows.settle()
        self._on_durable()
        self._counters.groups.observe(len(jobs))
        return outcomes

    def _one(self, job: Job) -> Outcome:
        """A refusal (Conflict) undoes the job alone."""
        rows = self._writes.rows
        mark = rows.mark()
        if job.savepoint:
            self._execute("SAVEPOINT job")
        try:
            result = job.run()
        except ClusterError as refusal:
            if job.savepoint:
                self._execute("ROLLBACK TO job")
                self._execute("RELEASE job")
            rows.back_to(mark)
            return job.future, None, refusal
        if job.savepoint:
            self._execute("RELEASE job")
        return job.future, result, None
