"""The file: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ipfs_cluster.errors import StoreUnavailable, StoreUnusable

VERSION = 1
APPLICATION_ID = 0x49504350
"""'IPCP': tells our files from other SQLite files (`file` prints it)."""

CHECKPOINT_PAGES = 4000
"""WAL pages (16 MB) before a commit copies them into the file: random keys then share many of the page writes."""
PAGE_BYTES = 4096
"""SQLite's default."""
WRITER_CACHE_KIB = 48 * 1024
READER_CACHE_KIB = 4 * 1024
PATIENCE = 5.0
"""Seconds that a statement waits for another program to let go of the file."""

# A CID is known by its usual text everywhere: listings are sorted by it, and one index of random keys is half the
# writing of two. That index, pins_text, carries all that a listing shows, so that a sorted listing reads one tree from
# left to right; that the text is unique, the one writer sees to. pins.cid, the bytes, saves readers the parsing.
# `visible` 0 is a CID that has no entry but a row of work (revision 0), or was removed (revision of the removal).
# `allocations`: one character a peer, see codec. `more`: JSON of what few entries have. Times are unix seconds.
DDL = """
CREATE TABLE state (
    revision  INTEGER NOT NULL,  -- of the last commit
    forgotten INTEGER NOT NULL,  -- removals up to this revision are no longer in the change feed
    history   TEXT NOT NULL      -- of these revisions; another one after a restore
);
INSERT INTO state VALUES (0, 0, lower(hex(randomblob(8))));

CREATE TABLE peers (
    no       INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL DEFAULT '',
    node_id  TEXT NOT NULL DEFAULT '',
    surveyed INTEGER NOT NULL DEFAULT 0,
    adopted  INTEGER NOT NULL DEFAULT 0,
    draining INTEGER NOT NULL DEFAULT 0,
    joined   INTEGER             -- order of the first PutPeer; NULL: only mentioned by pins
);

CREATE TABLE pins (
    id              INTEGER PRIMARY KEY,
    text            TEXT NOT NULL,
    cid             BLOB NOT NULL,
    visible         INTEGER NOT NULL DEFAULT 0,
    mode            INTEGER NOT NULL DEFAULT 0,
    type            INTEGER NOT NULL DEFAULT 0,
    name            TEXT NOT NULL DEFAULT '',
    replication_min INTEGER NOT NULL DEFAULT 0,
    replication_max INTEGER NOT NULL DEFAULT 0,
    allocations     TEXT NOT NULL DEFAULT '',
    expire_at       REAL NOT NULL DEFAULT 0,
    timestamp       REAL NOT NULL DEFAULT 0,
    revision        INTEGER NOT NULL DEFAULT 0,
    more            TEXT
);
CREATE INDEX pins_text ON pins (text, visible, mode, type, name);
CREATE INDEX pins_direct ON pins (text, visible, mode, type, name) WHERE visible AND mode = 1;
CREATE INDEX pins_revision ON pins (revision) WHERE visible;
CREATE INDEX pins_removed ON pins (revision) WHERE NOT visible;
CREATE INDEX pins_expiry ON pins (expire_at) WHERE visible AND expire_at > 0;
-- Of a healthy pinset these two have no rows. Allocations are a character each; 1 is META (codec). The columns stand on
-- the left as SQLite turns other comparisons round, and then does not know the condition again.
CREATE INDEX pins_short ON pins (id)
    WHERE visible AND type <> 1 AND allocations <> '' AND replication_max > length(allocations);
CREATE INDEX pins_surplus ON pins (id)
    WHERE visible AND type <> 1 AND replication_max > 0 AND replication_max < length(allocations);

CREATE TABLE metadata (
    pair BLOB NOT NULL,      -- codec.pair_digest
    pin  INTEGER NOT NULL,   -- pins.id
    PRIMARY KEY (pair, pin)
) WITHOUT ROWID;

CREATE TABLE work (
    pin        INTEGER NOT NULL,  -- pins.id
    peer       INTEGER NOT NULL,  -- peers.no
    status     INTEGER NOT NULL,  -- codec: up to 3 wants a pin, above an unpin
    mode       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT NOT NULL,
    since      REAL NOT NULL,
    next_retry REAL NOT NULL,
    priority   INTEGER NOT NULL,
    PRIMARY KEY (pin, peer)
) WITHOUT ROWID;
CREATE INDEX work_due ON work (peer, priority, next_retry);
CREATE INDEX work_trouble ON work (status) WHERE status IN (2, 3, 5);  -- PIN_ERROR, UNEXPECTEDLY_UNPINNED, UNPIN_ERROR

CREATE TABLE pending (
    op          TEXT NOT NULL,
    text        TEXT NOT NULL,
    type        INTEGER NOT NULL,
    allocations TEXT NOT NULL,
    entry       TEXT NOT NULL,     -- JSON: codec.dump_pending
    PRIMARY KEY (op, text)
) WITHOUT ROWID;
CREATE INDEX pending_text ON pending (text);

CREATE TABLE claims (
    text  TEXT NOT NULL,
    peer  INTEGER NOT NULL,
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL,
    PRIMARY KEY (text, peer, owner)
) WITHOUT ROWID;
CREATE INDEX claims_owner ON claims (owner);

CREATE TABLE foreign_pins (
    peer   INTEGER NOT NULL,
    text   TEXT NOT NULL,
    mode   INTEGER NOT NULL,
    name   TEXT NOT NULL,
    orphan INTEGER NOT NULL,
    PRIMARY KEY (peer, text)
) WITHOUT ROWID;

-- What was written about while scans of the peer are open; emptied when the last of them ends.
CREATE TABLE touched (
    peer     INTEGER NOT NULL,
    text     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (peer, text)
) WITHOUT ROWID;
"""

_DAMAGED = (
    "keep it, and put a backup in its place with `ipfs-cluster-service state restore --force BACKUP`; without one, "
    "`sqlite3 FILE .recover` saves what can be read, and a new pinset adopts what the home node holds"
)


def connect(path: Path, cache_kib: int) -> sqlite3.Connection:
    """A connection in autocommit mode that any one thread at a time may use. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE)
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def own(path: Path) -> sqlite3.Connection:
    """Make this process the file's only writer, for as long as the connection is open. Raises StoreUnusable.

    The lock is SQLite's own, held on an empty file beside: it ends with the process however that ends. The numbers and
    revisions that the store keeps in memory would be wrong with a second writer.
    """
    lock = sqlite3.connect(
        path.with_name(path.name + ".lock"), isolation_level=None, timeout=0, check_same_thread=False
    )
    try:
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        raise unusable(path, error) from error
    return lock


def open_writer(path: Path) -> sqlite3.Connection:
    """Open or create the file. Raises StoreUnusable with what to do."""
    try:
        connection = connect(path, WRITER_CACHE_KIB)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except StoreUnusable:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    fresh = identify(connection, path)
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise StoreUnusable(f"{path}: the file system does not support SQLite's write-ahead log (a network share?)")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * PAGE_BYTES * 2}")
    if fresh:
        create(connection)


def identify(connection: sqlite3.Connection, path: Path) -> bool:
    """True when the file is a new one. Raises StoreUnusable for what is no store that this program knows."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not (application or version or tables):
        return True
    if application != APPLICATION_ID:
        raise StoreUnusable(f"{path} is an SQLite file of another program: move it away or choose another folder")
    if version > VERSION:
        raise StoreUnusable(
            f"{path} was written by a newer version (schema {version}, this program knows {VERSION}): "
            "upgrade, or restore the backup made before the upgrade"
        )
    return False


def create(connection: sqlite3.Connection) -> None:
    """All in one transaction, the marks included: a crash leaves an empty file or a whole one."""
    connection.executescript(
        f"BEGIN IMMEDIATE;{DDL}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {VERSION};COMMIT;"
    )


def unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    code = _primary_code(error)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return damaged(path, error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnusable(f"{path} is in use by another process ({error}): stop that one first")
    if code == sqlite3.SQLITE_FULL:
        return StoreUnusable(f"{path}: the disk is full; free some space and start again")
    return StoreUnusable(f"{path} cannot be opened: {error}; check that the folder exists and may be written")


def damaged(path: Path, what: object) -> StoreUnusable:
    """What to do about a file that is not sound."""
    return StoreUnusable(f"{path} is damaged ({what}): {_DAMAGED}")


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """What a failed statement means to a caller; nothing of its commit was written."""
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreUnavailable("the store's disk is full: nothing was changed; free some space and try again")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"the store is locked by another program: {error}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreUnavailable(f"the store's file is damaged ({error}): {_DAMAGED}")
    return StoreUnavailable(f"the store failed: {error}")


def _primary_code(error: sqlite3.Error) -> int:
    """The primary result code; extended codes carry it in their low byte."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
