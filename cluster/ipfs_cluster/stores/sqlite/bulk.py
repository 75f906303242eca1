"""A whole pinset into a new file: several times as fast as commits, as its indexes are sorted once at the end."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import InvalidArgument, StoreUnusable
from ipfs_cluster.model import PeerId, Pin, TrackerStatus
from ipfs_cluster.ports import PeerRecord
from ipfs_cluster.stores.checks import check_pin
from ipfs_cluster.stores.sqlite import schema
from ipfs_cluster.stores.sqlite.codec import (
    META,
    STATUS_NUMBERS,
    PeerNumbers,
    characters,
    pair_digest,
    pin_values,
)
from ipfs_cluster.stores.sqlite.swap import into_place

_CHUNK = 1000
"""Entries of one revision, so that who follows the change feed from its start gets pages."""
_CACHE_KIB = 64 * 1024
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'pins' AND sql IS NOT NULL"
_INSERT = (
    "INSERT INTO pins (mode, type, name, allocations, replication_min, replication_max, expire_at, timestamp, "
    "revision, more, visible, text, cid, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)"
)
_QUEUE = (
    "INSERT INTO work (pin, peer, status, mode, generation, attempts, error, since, next_retry, priority) "
    "SELECT id, :peer, :status, mode, revision, 0, '', :now, :now, 0 FROM pins "
    f"WHERE type <> {META} AND (allocations = '' OR instr(allocations, :character)) ORDER BY id"
)
_PEER = (
    "INSERT INTO peers (no, id, name, node_id, surveyed, adopted, draining, joined) "
    "VALUES (:no, :id, :name, :node_id, :surveyed, :adopted, :draining, :no)"
)
_DOUBLE = "SELECT text, min(id), max(id) FROM pins GROUP BY text HAVING count(*) > 1 ORDER BY 2 LIMIT 1"


class DoublePin(InvalidArgument):
    """A CID has two entries. first, second: their places, from 1."""

    def __init__(self, cid: str, first: int, second: int) -> None:
        super().__init__(f"{cid} is there twice, as entries {first} and {second}")
        self.cid, self.first, self.second = cid, first, second


def import_pins(
    path: Path, pins: Iterable[Pin], now: float, *, queue: Sequence[PeerId] = (), records: Sequence[PeerRecord] = ()
) -> int:
    """Make a store of these entries; how many. queue: peers that get a PIN_QUEUED row, due now, for each entry that
    wants its CID there. records: peers that the store remembers.

    The file has its name when it is whole and on disk, and not before. Memory is constant. Raises StoreUnusable when
    there is a file already or it cannot be written, InvalidArgument for an entry that cannot be kept, DoublePin.
    """
    if path.exists():
        raise StoreUnusable(f"{path} exists already")
    draft = path.with_name(path.name + ".import")
    draft.unlink(missing_ok=True)
    try:
        count = _fill(draft, pins, now, queue, records)
        into_place(draft, path)
    except sqlite3.Error as error:
        raise schema.unusable(path, error) from error
    finally:
        draft.unlink(missing_ok=True)
    return count


def _fill(draft: Path, pins: Iterable[Pin], now: float, queue: Sequence[PeerId], records: Sequence[PeerRecord]) -> int:
    """Without a journal and without syncs: a draft that is cut off is thrown away."""
    connection = schema.connect(draft, _CACHE_KIB)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        schema.create(connection)
        indexes = connection.execute(_INDEXES).fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        peers = PeerNumbers(())
        for record in records:
            connection.execute(_PEER, {"no": peers.add(record.id), **asdict(record)})
        connection.executemany(_INSERT, _rows(connection, peers, pins))
        for _, statement in indexes:
            connection.execute(statement)
        if double := connection.execute(_DOUBLE).fetchone():
            raise DoublePin(*double)
        _enqueue(connection, peers, queue, now)
        (count, revision) = connection.execute("SELECT count(*), coalesce(max(revision), 0) FROM pins").fetchone()
        connection.execute("UPDATE state SET revision = ?", (revision,))
        connection.execute("COMMIT")
    finally:
        connection.close()
    return int(count)


def _rows(connection: sqlite3.Connection, peers: PeerNumbers, pins: Iterable[Pin]) -> Iterator[tuple[object, ...]]:
    known: dict[tuple[PeerId, ...], str] = {}
    for number, pin in zip(itertools.count(1), pins, strict=False):
        check_pin(pin)
        allocations = known.get(pin.allocations)
        if allocations is None:
            if len(known) > _CHUNK:
                known.clear()
            allocations = known[pin.allocations] = _allocations(connection, peers, pin.allocations)
        for key, value in pin.metadata.items():
            connection.execute("INSERT INTO metadata (pair, pin) VALUES (?, ?)", (pair_digest(key, value), number))
        values = pin_values(pin, allocations, (number - 1) // _CHUNK + 1)
        yield (*values, cid_text(pin.cid), pin.cid, number)


def _allocations(connection: sqlite3.Connection, peers: PeerNumbers, allocations: Iterable[PeerId]) -> str:
    return characters([_number(connection, peers, peer) for peer in allocations])


def _number(connection: sqlite3.Connection, peers: PeerNumbers, peer: PeerId) -> int:
    number = peers.number(peer)
    if number is None:
        number = peers.add(peer)
        connection.execute("INSERT INTO peers (no, id) VALUES (?, ?)", (number, peer))
    return number


def _enqueue(connection: sqlite3.Connection, peers: PeerNumbers, queue: Sequence[PeerId], now: float) -> None:
    for peer in queue:
        number = _number(connection, peers, peer)
        values = {
            "peer": number,
            "character": peers.character(peer),
            "status": STATUS_NUMBERS[TrackerStatus.PIN_QUEUED],
            "now": now,
        }
        connection.execute(_QUEUE, values)
