"""What a repository remembers beside blocks: pins, and a few values such as the root of MFS. One small SQLite file.

Everything here blocks, and belongs to one thread at a time. A write is durable when its call returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import NodePin, PinMode

VERSION = 1
PAGE = 1000
"""Pins in one page of a listing."""

DDL = """
CREATE TABLE pins (
    cid  BLOB PRIMARY KEY,   -- v0 and v1 of a block are two pins, as in Kubo
    mode TEXT NOT NULL,
    name TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pins_by_mode ON pins (mode, cid);
CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class Records:
    """`open` before anything else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = sqlite3.connect(":memory:", check_same_thread=False)

    def open(self) -> None:
        """Raises NodeError for a file that is damaged, or was made by a newer version."""
        with self._translated():
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        with self._translated() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise NodeError(f"{self._path} was written by a newer version")
            if version < VERSION:
                database.executescript(f"BEGIN; {DDL} PRAGMA user_version = {VERSION}; COMMIT;")
            database.execute("SELECT 1 FROM pins LIMIT 1").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # --- pins ---

    def pin(self, cid: Cid) -> NodePin | None:
        """The pin of this very CID."""
        with self._translated() as database:
            row = database.execute("SELECT mode, name FROM pins WHERE cid = ?", (cid,)).fetchone()
        return None if row is None else NodePin(cid, PinMode(row[0]), row[1])

    def put_pin(self, pin: NodePin) -> None:
        """Make it, or change its mode and name."""
        with self._translated() as database:
            database.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", (pin.cid, pin.mode.value, pin.name))

    def move_pin(self, old: Cid, pin: NodePin) -> None:
        """Remove one and make another, in one step."""
        with self._translated() as database:
            database.execute("BEGIN")
            database.execute("DELETE FROM pins WHERE cid = ?", (old,))
            database.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", (pin.cid, pin.mode.value, pin.name))
            database.execute("COMMIT")

    def remove_pin(self, cid: Cid) -> None:
        """What is not there is no error."""
        with self._translated() as database:
            database.execute("DELETE FROM pins WHERE cid = ?", (cid,))

    def page(self, mode: PinMode, after: bytes) -> list[NodePin]:
        """Pins of a mode with CIDs behind this one, in their order."""
        query = "SELECT cid, name FROM pins WHERE mode = ? AND cid > ? ORDER BY cid LIMIT ?"
        with self._translated() as database:
            rows = database.execute(query, (mode.value, after, PAGE)).fetchall()
        return [NodePin(Cid(cid), mode, name) for cid, name in rows]

    # --- values ---

    def fact(self, key: str) -> bytes | None:
        """One value."""
        with self._translated() as database:
            row = database.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put_fact(self, key: str, value: bytes) -> None:
        """Keep it."""
        with self._translated() as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))

    @contextmanager
    def _translated(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.rollback()
            raise NodeError(f"{self._path}: {error}") from error
