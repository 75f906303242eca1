"""Search in names: an index of trigrams in a file of its own, made when the first search comes.

It is no part of the store: nobody waits for it when a pin is written (SQLite's FTS5 would cost half of what a commit
costs), and nothing has to be kept right about it over a crash or a restored backup. What it names are candidates, a
superset: it knows all entries up to the revision `covered`, the younger ones it names all, and names that have changed
stay in it. Until it is there, and where SQLite has no FTS5, a search reads all names.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from pathlib import Path

from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.stores.sqlite.mailbox import Mailbox
from ipfs_cluster.stores.sqlite.queries import Clause
from ipfs_cluster.stores.sqlite.reads import moment
from ipfs_cluster.stores.sqlite.scan import TemporaryFile
from ipfs_cluster.stores.sqlite.workers import Workers
from ipfs_cluster.tasks import TaskSet

log = logging.getLogger(__name__)

SMALL = 20_000
"""Entries up to which reading all names takes a few milliseconds and no index is made."""
SLICE = 5000
"""Names added at once, some ten milliseconds; searches come in between."""
_TRIGRAMS = 32
"""Looked up at most; the conditions decide about the rest of a long text."""
_BEGIN = "\x02"
"""Before each name in the index, so that a beginning is found like any other part."""

_CREATE = (
    "CREATE VIRTUAL TABLE tmp.names USING fts5("
    "name, content='', detail=none, columnsize=0, tokenize='trigram case_sensitive 1')"
)
# FTS5 reads a name up to its first NUL.
_CREATE_ODD = "CREATE TABLE tmp.odd (id INTEGER PRIMARY KEY)"
_CREATE_SLICE = "CREATE TABLE tmp.slice (revision INTEGER, id INTEGER)"
# In two steps, as SQLite seeks `(revision, id) > (…)` by the revision alone, and one may have a million entries.
_TAKE = (
    "INSERT INTO tmp.slice "
    "SELECT * FROM (SELECT revision, id FROM pins WHERE visible AND revision = :revision AND id > :id "
    "ORDER BY id LIMIT :most) UNION ALL "
    "SELECT * FROM (SELECT revision, id FROM pins WHERE visible AND revision > :revision "
    "ORDER BY revision, id LIMIT :most) LIMIT :most"
)
_LAST = "SELECT revision, id FROM tmp.slice ORDER BY revision DESC, id DESC LIMIT 1"
_OF_SLICE = "FROM tmp.slice s JOIN pins p ON p.id = s.id WHERE p.name <> ''"
_ADD = f"INSERT INTO tmp.names (rowid, name) SELECT p.id, '{_BEGIN}' || p.name {_OF_SLICE} ORDER BY p.id"
_ADD_ODD = f"INSERT OR IGNORE INTO tmp.odd SELECT p.id {_OF_SLICE} AND instr(p.name, char(0))"


class NameIndex:
    """The index, for the one thread that has its connection."""

    def __init__(self) -> None:
        self.covered = -1
        self._reached = (0, 0)

    def advance(self, connection: sqlite3.Connection) -> bool:
        """Add some names; True when there may be more."""
        run = connection.execute
        if self.covered < 0 and self._reached == (0, 0):
            for statement in (_CREATE, _CREATE_ODD, _CREATE_SLICE):
                run(statement)
        with moment(connection):
            (revision,) = run("SELECT revision FROM state").fetchone()
            run("DELETE FROM tmp.slice")
            reached = {"revision": self._reached[0], "id": self._reached[1], "most": SLICE}
            more = run(_TAKE, reached).rowcount == SLICE
            run(_ADD)
            run(_ADD_ODD)
            self._reached = run(_LAST).fetchone() or self._reached
        if not more:
            self.covered = revision
        return more

    def candidates(self, query: PinQuery) -> Clause | None:
        """Ids, among them all whose name is asked for."""
        asked = [text for text in (query.name, query.prefix and _BEGIN + query.prefix) if len(text) > 2]
        trigrams = dict.fromkeys(text[at : at + 3] for text in asked for at in range(len(text) - 2))
        if not trigrams or self.covered < 0 or any("\0" in trigram for trigram in trigrams):
            return None
        match = " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in list(trigrams)[:_TRIGRAMS])
        return Clause(
            "SELECT rowid FROM tmp.names WHERE names MATCH ? UNION ALL SELECT id FROM tmp.odd "
            "UNION ALL SELECT id FROM pins INDEXED BY pins_revision WHERE visible AND revision > ?",
            (match, self.covered),
        )


class NameSearch:
    """The index's life, for the event loop: made when it is wanted, and kept up when there are searches."""

    def __init__(self, path: Path, readers: Workers, mailbox: Mailbox, small: int) -> None:
        self.index = NameIndex()
        self._path = path
        self._file = TemporaryFile(path)
        self._readers = readers
        self._mailbox = mailbox
        self._small = small
        self._tasks = TaskSet()
        self._workers: Workers | None = None
        self._usable = True

    def workers(self, query: PinQuery, revision: int) -> Workers | None:
        """The thread that answers this query with the index; None when the index is not there, or of no help.
        revision: the store's last.
        """
        if not self._usable or max(len(query.name), len(query.prefix) + 1) < 3:
            return None
        if not self._tasks and self.index.covered < revision:
            self._tasks.start("index of names", self._advance())
        return self._workers if self.index.covered >= 0 else None

    async def _advance(self) -> None:
        try:
            if self._workers is None:
                if await self._readers.call(_last_id) < self._small or not await asyncio.to_thread(self._has_room):
                    return
                self._workers = await asyncio.to_thread(Workers, "names", 1, self._file.attached, self._mailbox)
            while await self._workers.call(self.index.advance):
                pass
        except (sqlite3.Error, StoreUnavailable, OSError) as error:
            self._usable = False
            log.warning("searches read all names, as an index of them cannot be kept: %s", error)
            await self._drop()

    def _has_room(self) -> bool:
        """The index is a tenth of the store's file, or less: never so much that commits could lack it."""
        return shutil.disk_usage(self._path.parent).free > self._path.stat().st_size

    async def close(self) -> None:
        """Nothing is left of it."""
        await self._tasks.close()
        await self._drop()

    async def _drop(self) -> None:
        workers, self._workers = self._workers, None
        if workers is not None:
            await workers.close()
            self._file.remove()


def _last_id(connection: sqlite3.Connection) -> int:
    found: int | None = connection.execute("SELECT max(id) FROM pins").fetchone()[0]
    return found or 0
