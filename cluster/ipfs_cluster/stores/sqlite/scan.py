"""Scans and distinct sets: tables of one request, in a file of their own beside the store's.

A scan's thread has one connection to both files, so that a finding is one SQL statement over what the node holds and
what the store wants. What the node lists is appended as it comes (its order is that of its datastore) and sorted once
at the end. Each page is a short read of the store, however few findings it has.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ipfs_cluster.cid import Cid, parse
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.model import NodePin, PeerId, Pin, Work
from ipfs_cluster.stores.checks import PAGE
from ipfs_cluster.stores.sqlite.codec import (
    LAST_WANTING_PIN,
    META,
    MODE_NUMBERS,
    MODES,
    PIN_COLUMNS,
    WORK_COLUMNS,
    PeerNumbers,
    load_pin,
    load_work,
)
from ipfs_cluster.stores.sqlite.schema import READER_CACHE_KIB, connect
from ipfs_cluster.stores.sqlite.workers import Workers

_T = TypeVar("_T")

WINDOW = 5000
"""Rows that one read of a scan looks at: some ten milliseconds, for which alone it holds on to the WAL."""
_CACHE_KIB = 16 * 1024

_serial = itertools.count()


def sweep(path: Path) -> None:
    """Remove what a crash left of earlier scans of this store."""
    for left in path.parent.glob(f"{path.name}.tmp-*"):
        left.unlink(missing_ok=True)


class TemporaryFile:
    """The name of a file beside the store's, for one request."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.tmp-{os.getpid()}-{next(_serial)}")
        self._store = path

    def attached(self) -> sqlite3.Connection:
        """A connection to the store with this file attached as `tmp`. Raises sqlite3.Error."""
        connection = connect(self._store, READER_CACHE_KIB)
        try:
            connection.execute("ATTACH ? AS tmp", (str(self._path),))
            _volatile(connection, "tmp.")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def alone(self) -> sqlite3.Connection:
        """A connection to this file only. Raises sqlite3.Error."""
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            _volatile(connection, "")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def remove(self) -> None:
        """When its connection is closed."""
        self._path.unlink(missing_ok=True)


def _volatile(connection: sqlite3.Connection, schema: str) -> None:
    """Nothing of it outlives its connection: no journal, no syncs."""
    connection.execute(f"PRAGMA {schema}journal_mode = OFF")
    connection.execute(f"PRAGMA {schema}synchronous = OFF")
    connection.execute(f"PRAGMA {schema}cache_size = -{_CACHE_KIB}")


_UNTOUCHED = "NOT EXISTS (SELECT 1 FROM touched t WHERE t.peer = :peer AND t.text = {text} AND t.revision > :opened)"
_WANTED = f"{{table}}.type <> {META} AND ({{table}}.allocations = '' OR instr({{table}}.allocations, :character))"

_MISSING = (
    f"SELECT {PIN_COLUMNS} FROM pins p WHERE p.id > :after AND p.id <= :until AND p.visible "
    f"AND {_WANTED.format(table='p')} "
    "AND NOT EXISTS (SELECT 1 FROM work w WHERE w.pin = p.id AND w.peer = :peer) "
    "AND NOT EXISTS (SELECT 1 FROM tmp.held h WHERE h.text = p.text AND (h.mode = 0 OR p.mode = 1)) "
    f"AND {_UNTOUCHED.format(text='p.text')}"
)
# The plus keeps SQLite from going by the peer, whose rows are then read anew for each window.
_SETTLED = (
    f"SELECT {WORK_COLUMNS} FROM work w JOIN pins p ON p.id = w.pin LEFT JOIN tmp.held h ON h.text = p.text "
    "WHERE w.pin > :after AND w.pin <= :until AND +w.peer = :peer "
    f"AND CASE WHEN w.status <= {LAST_WANTING_PIN} THEN h.mode IS NOT NULL AND (h.mode = 0 OR w.mode = 1) "
    "ELSE h.mode IS NULL END "
    f"AND {_UNTOUCHED.format(text='p.text')}"
)
_EXTRA = (
    "SELECT h.text, h.mode, h.name FROM tmp.held h LEFT JOIN pins p ON p.text = h.text "
    "WHERE h.number > :after AND h.number <= :until "
    f"AND NOT (p.id IS NOT NULL AND p.visible AND {_WANTED.format(table='p')}) "
    "AND NOT EXISTS (SELECT 1 FROM work w WHERE w.pin = p.id AND w.peer = :peer) "
    "AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.text = h.text AND c.peer = :peer) "
    f"AND NOT EXISTS (SELECT 1 FROM pending q WHERE q.text = h.text AND {_WANTED.format(table='q')}) "
    "AND NOT EXISTS (SELECT 1 FROM foreign_pins f WHERE f.peer = :peer AND f.text = h.text AND f.mode = h.mode) "
    f"AND {_UNTOUCHED.format(text='h.text')}"
)
_VANISHED = (
    "SELECT f.text FROM foreign_pins f WHERE f.peer = :peer AND f.text > :after AND f.text <= :until "
    "AND NOT EXISTS (SELECT 1 FROM tmp.held h WHERE h.text = f.text) "
    f"AND {_UNTOUCHED.format(text='f.text')}"
)


class SqliteScan:
    """Implements `ipfs_cluster.ports.Scan`. opened: the revision from which on changes were noted."""

    def __init__(self, worker: Workers, peers: PeerNumbers, peer: PeerId, opened: int) -> None:
        self._worker = worker
        self._peers = peers
        self._peer = peer
        self._opened = opened
        self._sealed = False

    async def prepare(self) -> None:
        """Before anything else."""
        await self._worker.call(_execute, "CREATE TABLE tmp.fed (text TEXT NOT NULL, mode INTEGER NOT NULL, name TEXT)")

    async def feed(self, pins: Sequence[NodePin]) -> None:
        if self._sealed:
            raise RuntimeError("the scan is sealed")
        await self._worker.call(_feed, pins)

    async def seal(self) -> None:
        self._sealed = True
        await self._worker.call(_seal)

    def missing(self) -> AsyncIterator[list[Pin]]:
        return self._by_id(_MISSING, "SELECT max(id) FROM pins", lambda row: load_pin(row, self._peers))

    def settled(self) -> AsyncIterator[list[Work]]:
        return self._by_id(_SETTLED, "SELECT max(pin) FROM work", lambda row: load_work(row, self._peers))

    def extra(self) -> AsyncIterator[list[NodePin]]:
        return self._by_id(
            _EXTRA, "SELECT max(number) FROM tmp.held", lambda row: NodePin(parse(row[0]), MODES[row[1]], row[2])
        )

    async def vanished(self) -> AsyncIterator[list[Cid]]:
        self._check_sealed()
        after = ""
        while (until := await self._worker.call(_foreign_until, self._peers.number(self._peer), after)) is not None:
            rows = await self._worker.call(_rows, _VANISHED, {**self._values(), "after": after, "until": until})
            after = until
            for page in _cut([parse(text) for (text,) in rows]):
                yield page

    async def _by_id(self, statement: str, last: str, load: Callable[[tuple[Any, ...]], _T]) -> AsyncIterator[list[_T]]:
        """Findings in windows of a growing id, up to the last there is now: what comes later has changed anyway."""
        self._check_sealed()
        end = (await self._worker.call(_rows, last, {}))[0][0] or 0
        for after in range(0, end, WINDOW):
            values = {**self._values(), "after": after, "until": after + WINDOW}
            rows = await self._worker.call(_rows, statement, values)
            for page in _cut(rows):
                yield [load(row) for row in page]

    def _check_sealed(self) -> None:
        if not self._sealed:
            raise RuntimeError("the scan is not sealed")

    def _values(self) -> dict[str, object]:
        """The peer may get its number while the scan is open; without one it has no rows."""
        return {
            "peer": self._peers.number(self._peer) or 0,
            "character": self._peers.character(self._peer),
            "opened": self._opened,
        }


def _cut(rows: list[_T]) -> list[list[_T]]:
    return [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]


def _execute(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement)


def _rows(connection: sqlite3.Connection, statement: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
    return connection.execute(statement, values).fetchall()


def _feed(connection: sqlite3.Connection, pins: Sequence[NodePin]) -> None:
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO tmp.fed VALUES (?, ?, ?)", ((cid_text(pin.cid), MODE_NUMBERS[pin.mode], pin.name) for pin in pins)
    )
    connection.execute("COMMIT")


def _seal(connection: sqlite3.Connection) -> None:
    """One row a CID: min(mode) takes the name along, and recursive (0) wins."""
    connection.execute("BEGIN")
    connection.execute(
        "CREATE TABLE tmp.held (number INTEGER PRIMARY KEY, text TEXT NOT NULL, mode INTEGER NOT NULL, name TEXT)"
    )
    connection.execute(
        "INSERT INTO tmp.held (text, mode, name) SELECT text, min(mode), name FROM tmp.fed GROUP BY text ORDER BY text"
    )
    connection.execute("CREATE UNIQUE INDEX tmp.held_text ON held (text, mode)")
    connection.execute("DROP TABLE tmp.fed")
    connection.execute("COMMIT")


def _foreign_until(connection: sqlite3.Connection, peer: int | None, after: str) -> str | None:
    """The text that ends the next window of foreign records; None when there are none behind `after`."""
    statement = (
        "SELECT max(text) FROM (SELECT text FROM foreign_pins WHERE peer = ? AND text > ? ORDER BY text LIMIT ?)"
    )
    found: str | None = connection.execute(statement, (peer, after, WINDOW)).fetchone()[0]
    return found


class SqliteDistinct:
    """Implements `ipfs_cluster.ports.Distinct`."""

    def __init__(self, worker: Workers) -> None:
        self._worker = worker

    async def prepare(self) -> None:
        """Before anything else."""
        await self._worker.call(_execute, "CREATE TABLE seen (text TEXT PRIMARY KEY, cid BLOB NOT NULL) WITHOUT ROWID")

    async def add(self, cids: Sequence[Cid]) -> list[Cid]:
        return await self._worker.call(_add, cids)

    async def sorted(self) -> AsyncIterator[list[tuple[str, Cid]]]:
        statement = f"SELECT text, cid FROM seen WHERE text > :after ORDER BY text LIMIT {PAGE}"
        after = ""
        while page := await self._worker.call(_rows, statement, {"after": after}):
            after = page[-1][0]
            yield [(text, cid) for text, cid in page]


def _add(connection: sqlite3.Connection, cids: Sequence[Cid]) -> list[Cid]:
    insert = connection.cursor().execute
    connection.execute("BEGIN")
    fresh = [
        cid for cid in cids if insert("INSERT OR IGNORE INTO seen VALUES (?, ?)", (cid_text(cid), cid)).rowcount == 1
    ]
    connection.execute("COMMIT")
    return fresh
