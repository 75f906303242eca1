"""Copies of a store: one is made while the store is in use, and put in its place again when it is not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipfs_cluster.errors import StoreUnusable
from ipfs_cluster.stores.sqlite import schema
from ipfs_cluster.stores.sqlite.codec import LAST_WANTING_PIN
from ipfs_cluster.stores.sqlite.soundness import check_copy
from ipfs_cluster.stores.sqlite.swap import into_place, names, swap, there


@dataclass(frozen=True, slots=True)
class Restored:
    """pins: entries that there are now. kept: what was there before, under its new name."""

    pins: int
    kept: Path | None


def backup(path: Path, target: Path) -> int:
    """Write the store, as it is at one moment, to a new file, and check that; how many entries it has.

    Any process may do so while another one uses the store, whose log cannot be emptied meanwhile (a second for a
    million pins). The copy is one file, which has its name when it is whole, sound and on disk. Raises StoreUnusable,
    OSError.
    """
    if not there(path):
        raise StoreUnusable(f"{path}: there is no pinset")
    if target.exists():
        raise StoreUnusable(f"{target} exists already: choose another name, or move it away")
    with _draft(target, ".part") as draft:
        with _opened(path, path) as source:
            schema.identify(source, path)
            with _opened(draft, target) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                pins = _checked(copy, path)
        into_place(draft, target)
    return pins


def restore(copy: Path, path: Path, *, force: bool = False) -> Restored:
    """Put a copy in the store's place, after it was checked. Nobody may use the store.

    Only by force when there is a store already, which is kept beside it. What the copy knows of the nodes is old: they
    are surveyed anew, so that what was pinned since is found to be somebody else's, and nothing is unpinned because of
    an order that was given before. Raises StoreUnusable, OSError.
    """
    if not copy.is_file():
        raise StoreUnusable(f"{copy}: there is no such file")
    if there(path) and not force:
        raise StoreUnusable(f"there is a pinset already, {path}: --force puts the copy in its place, and keeps it")
    lock = schema.own(path)
    try:
        with _draft(path, ".tmp-restore") as draft:
            _copy(copy, draft)
            with _opened(draft, copy) as connection:
                if schema.identify(connection, copy):
                    raise StoreUnusable(f"{copy} is empty: no copy of a pinset")
                pins = _checked(connection, copy)
                _forget_nodes(connection)
                connection.execute("PRAGMA journal_mode = DELETE")
            kept = swap(draft, path)
    finally:
        lock.close()
    return Restored(pins, kept)


@contextmanager
def _draft(path: Path, suffix: str) -> Iterator[Path]:
    """A file beside the path, of which nothing is left."""
    draft = path.with_name(path.name + suffix)
    _remove(draft)
    try:
        yield draft
    finally:
        _remove(draft)


def _remove(path: Path) -> None:
    for name in names(path):
        name.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, blamed: Path) -> Iterator[sqlite3.Connection]:
    """A connection; its errors say what is wrong with the file that is to blame. Raises StoreUnusable."""
    connection: sqlite3.Connection | None = None
    try:
        connection = schema.connect(path, schema.WRITER_CACHE_KIB)
        yield connection
    except sqlite3.Error as error:
        raise schema.unusable(blamed, error) from error
    finally:
        if connection is not None:
            connection.close()


def _checked(connection: sqlite3.Connection, path: Path) -> int:
    """path: whose fault it is."""
    try:
        check_copy(connection, path)
        (pins,) = connection.execute("SELECT count(*) FROM pins WHERE visible").fetchone()
    except sqlite3.Error as error:
        raise schema.unusable(path, error) from error
    return int(pins)


def _copy(copy: Path, draft: Path) -> None:
    """With its log, if it is a copy of a data folder's files; the copy itself stays as it is."""
    shutil.copyfile(copy, draft)
    log = copy.with_name(copy.name + "-wal")
    if log.exists():
        shutil.copyfile(log, draft.with_name(draft.name + "-wal"))


def _forget_nodes(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE state SET history = lower(hex(randomblob(8)))")
    connection.execute("UPDATE peers SET surveyed = 0")
    connection.execute(f"DELETE FROM work WHERE status > {LAST_WANTING_PIN}")
    connection.execute(
        "DELETE FROM pins WHERE NOT visible AND revision = 0 "
        "AND NOT EXISTS (SELECT 1 FROM work WHERE work.pin = pins.id)"
    )
    connection.execute("COMMIT")
