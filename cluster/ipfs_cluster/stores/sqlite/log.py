"""The write-ahead log is kept small, also when somebody is always reading.

SQLite begins the log anew when a checkpoint has copied all of it and nobody reads from it. Its own checkpoints wait for
nobody; with readers that follow upon each other one of them is always in the way, and the log grows for as long as they
are at it. So from a certain size on the writer waits a moment: those who come meanwhile read from the file, and the log
is cut.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ipfs_cluster.stores.sqlite import schema

PATIENCE = 0.25
"""Seconds that commits wait for readers: a page takes some ten milliseconds."""


class Log:
    """The log of the store at `path`, for the thread that writes by this connection."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._execute = connection.execute
        self._path = path.with_name(path.name + "-wal")
        self._step = schema.CHECKPOINT_PAGES * schema.PAGE_BYTES
        self._most = self._bound = 4 * self._step

    def keep_small(self) -> None:
        """Between two transactions. When somebody reads for longer, a backup for one, try again when it has grown
        further. Raises sqlite3.Error.
        """
        try:
            size = os.stat(self._path).st_size
        except OSError:
            return
        if size <= self._bound:
            return
        self._execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        try:
            (busy, _, _) = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._execute(f"PRAGMA busy_timeout = {int(schema.PATIENCE * 1000)}")
        self._bound = size + self._step if busy else self._most
