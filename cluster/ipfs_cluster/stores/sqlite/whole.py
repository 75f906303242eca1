"""A whole pinset in and out of a store that nobody runs: read in one go, replaced in one step, or put away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ipfs_cluster.errors import StoreUnusable
from ipfs_cluster.model import PeerId, Pin
from ipfs_cluster.ports import PeerRecord
from ipfs_cluster.stores.sqlite import reads, schema
from ipfs_cluster.stores.sqlite.backup import Restored
from ipfs_cluster.stores.sqlite.bulk import import_pins
from ipfs_cluster.stores.sqlite.codec import PIN_COLUMNS, PeerNumbers, load_pin
from ipfs_cluster.stores.sqlite.swap import finish, swap, there

_ALL = f"SELECT {PIN_COLUMNS} FROM pins p WHERE p.visible ORDER BY p.id"


def count_pins(path: Path) -> int:
    """Entries of a store; 0 when there is none. Raises StoreUnusable."""
    if not there(path):
        return 0
    try:
        with closing(_opened(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM pins WHERE visible").fetchone()
    except sqlite3.Error as error:
        raise schema.unusable(path, error) from error
    return int(count)


def all_pins(path: Path) -> Iterator[Pin]:
    """Every entry, as the store is at one moment, in constant memory. A store that is in use cannot empty its log
    meanwhile. Raises StoreUnusable.
    """
    if not there(path):
        raise StoreUnusable(f"{path}: there is no pinset")
    try:
        with closing(_opened(path)) as connection:
            connection.execute("BEGIN")
            peers = PeerNumbers(connection.execute("SELECT no, id FROM peers").fetchall())
            for row in connection.execute(_ALL):
                yield load_pin(row, peers)
    except sqlite3.Error as error:
        raise schema.unusable(path, error) from error


def replace_pins(path: Path, pins: Iterable[Pin], now: float, peers: Sequence[PeerRecord]) -> Restored:
    """Put these entries in the place of what the store has, which is kept beside it. Nobody may use the store.

    peers: those that the service serves; what the store knows about them stays, but that each is surveyed anew. An
    entry is queued on each peer that it wants, until that has been compared with its node. Nothing has changed when
    this raises: InvalidArgument, DoublePin, StoreUnusable, or what `pins` raises.
    """
    lock = schema.own(path)
    fresh = path.with_name(path.name + ".tmp-import")
    try:
        finish(path)
        fresh.unlink(missing_ok=True)
        known = {record.id: replace(record, surveyed=False) for record in [*peers, *_records(path)]}
        queue: list[PeerId] = [record.id for record in peers]
        count = import_pins(fresh, pins, now, queue=queue, records=list(known.values()))
        kept = swap(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
        lock.close()
    return Restored(count, kept)


def put_away(path: Path) -> Path:
    """Move the store aside, so that the next start makes an empty one; where it is kept. Nobody may use the store.
    Raises StoreUnusable, OSError.
    """
    if not there(path):
        raise StoreUnusable(f"{path}: there is no pinset")
    lock = schema.own(path)
    try:
        kept = swap(None, path)
    finally:
        lock.close()
    if kept is None:
        raise StoreUnusable(f"{path}: there is no pinset")
    return kept


def _records(path: Path) -> list[PeerRecord]:
    if not path.exists():
        return []
    try:
        with closing(_opened(path)) as connection:
            return reads.peer_records(connection)
    except sqlite3.Error as error:
        raise schema.unusable(path, error) from error


def _opened(path: Path) -> sqlite3.Connection:
    connection = schema.connect(path, schema.READER_CACHE_KIB)
    try:
        if schema.identify(connection, path):
            raise StoreUnusable(f"{path} is empty: no pinset")
    except BaseException:
        connection.close()
        raise
    return connection
