"""Is this file a sound store? Cheap checks for every start, thorough ones for copies."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ipfs_cluster.stores.sqlite import schema

_SAMPLES = 50
_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"


def check_start(connection: sqlite3.Connection, path: Path) -> None:
    """Some dozen pages, whatever the size: has the file the tables of this version, do they hang together where they
    are looked at? (That it is as long as it should be SQLite sees to.) path: who is to blame. Raises StoreUnusable,
    sqlite3.Error.
    """
    _check_tables(connection, path)
    _check_samples(connection, path)


def check_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Every page as well, at some 300 MB a second. Raises StoreUnusable, sqlite3.Error."""
    check_start(connection, path)
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise schema.damaged(path, found)


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    model = sqlite3.connect(":memory:", isolation_level=None)
    try:
        schema.create(model)
        wanted = dict(model.execute(_SCHEMA).fetchall())
    finally:
        model.close()
    found = dict(connection.execute(_SCHEMA).fetchall())
    missing = [name for name, statement in wanted.items() if found.get(name) != statement]
    if missing:
        raise schema.damaged(path, f"not as this version makes it: {', '.join(missing)}")
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
    if connection.execute("SELECT count(*) FROM state").fetchone() != (1,):
        raise schema.damaged(path, "no state")


def _check_samples(connection: sqlite3.Connection, path: Path) -> None:
    run = connection.execute
    (revision,) = run("SELECT revision FROM state").fetchone()
    for visible in ("visible", "NOT visible"):
        (newest,) = run(f"SELECT max(revision) FROM pins WHERE {visible}").fetchone()
        if newest is not None and newest > revision:
            raise schema.damaged(path, f"entries of revision {newest}, which is after the last one, {revision}")
    low, high = (run(f"SELECT {edge}(id) FROM pins").fetchone()[0] for edge in ("min", "max"))  # both at once is a scan
    for number in range(_SAMPLES) if low is not None else ():
        at = low + (high - low) * number // (_SAMPLES - 1)
        row, text = run("SELECT id, text FROM pins WHERE id >= ? ORDER BY id LIMIT 1", (at,)).fetchone()
        if run("SELECT id FROM pins INDEXED BY pins_text WHERE text = ?", (text,)).fetchall() != [(row,)]:
            raise schema.damaged(path, f"entry {row} is not in its index")
