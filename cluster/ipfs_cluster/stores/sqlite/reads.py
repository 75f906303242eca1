"""The questions a store answers, as SQL. Runs on reading threads; each call is one consistent moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ipfs_cluster.cid import Cid, parse
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import Compacted
from ipfs_cluster.model import ClaimKind, NodePin, PeerId, Pin, TrackerStatus, Work
from ipfs_cluster.ports import Change, ForeignPin, PeerRecord, PutClaim
from ipfs_cluster.stores.checks import PAGE
from ipfs_cluster.stores.sqlite.codec import (
    MODES,
    PIN_COLUMNS,
    STATUSES,
    WORK_COLUMNS,
    PeerNumbers,
    load_pin,
    load_work,
)

_BATCHES = (1, 8, 64, 512)
"""Sizes of IN lists: few, so that their statements stay prepared."""


@contextmanager
def moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Several statements that see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def get(connection: sqlite3.Connection, peers: PeerNumbers, cid: Cid) -> Pin | None:
    """The visible entry."""
    row = connection.execute(
        f"SELECT {PIN_COLUMNS} FROM pins p WHERE p.text = ? AND p.visible", (cid_text(cid),)
    ).fetchone()
    return None if row is None else load_pin(row, peers)


def get_many(connection: sqlite3.Connection, peers: PeerNumbers, cids: Sequence[Cid]) -> dict[Cid, Pin]:
    """The visible entries among these."""
    statement = f"SELECT {PIN_COLUMNS} FROM pins p WHERE p.visible AND p.text IN "
    pins = (load_pin(row, peers) for row in _for_each(connection, statement, cids))
    return {pin.cid: pin for pin in pins}


def work(connection: sqlite3.Connection, peers: PeerNumbers, cids: Sequence[Cid]) -> list[Work]:
    """All rows of these CIDs."""
    statement = f"SELECT {WORK_COLUMNS} FROM pins p JOIN work w ON w.pin = p.id WHERE p.text IN "
    return [load_work(row, peers) for row in _for_each(connection, statement, cids)]


def _for_each(connection: sqlite3.Connection, statement: str, cids: Sequence[Cid]) -> list[tuple[Any, ...]]:
    """The rows of `statement IN (…)`; the list is padded with NULL, which is equal to nothing."""
    rows: list[tuple[Any, ...]] = []
    distinct = list(dict.fromkeys(cids))
    with moment(connection):
        for start in range(0, len(distinct), _BATCHES[-1]):
            some = [cid_text(cid) for cid in distinct[start : start + _BATCHES[-1]]]
            size = next(size for size in _BATCHES if size >= len(some))
            padded = [*some, *[None] * (size - len(some))]
            rows += connection.execute(f"{statement}({','.join('?' * size)})", padded).fetchall()
    return rows


# --- time and change ---


def expiring(connection: sqlite3.Connection, peers: PeerNumbers, before: float, limit: int) -> list[Pin]:
    """Entries whose time has come, the earliest first."""
    statement = (
        f"SELECT {PIN_COLUMNS} FROM pins p WHERE p.visible AND p.expire_at > 0 AND p.expire_at <= ? "
        "ORDER BY p.expire_at LIMIT ?"
    )
    return [load_pin(row, peers) for row in connection.execute(statement, (before, limit)).fetchall()]


def next_expiry(connection: sqlite3.Connection) -> float | None:
    """The earliest."""
    statement = "SELECT min(expire_at) FROM pins WHERE visible AND expire_at > 0"
    found: float | None = connection.execute(statement).fetchone()[0]
    return found


def changes(connection: sqlite3.Connection, peers: PeerNumbers, after: int, limit: int) -> list[Change]:
    """The feed; raises Compacted."""
    with moment(connection):
        (forgotten,) = connection.execute("SELECT forgotten FROM state").fetchone()
        if after < forgotten:
            raise Compacted(f"removals up to revision {forgotten} are forgotten; asked for {after}")
        bounds: list[int] = []
        for visible in ("visible", "NOT visible"):
            bounds += [
                revision
                for (revision,) in connection.execute(
                    f"SELECT revision FROM pins WHERE {visible} AND revision > ? ORDER BY revision LIMIT ?",
                    (after, limit),
                )
            ]
        if not bounds:
            return []
        last = sorted(bounds)[:limit][-1]
        rows = []
        for visible in ("visible", "NOT visible"):
            rows += connection.execute(
                f"SELECT {PIN_COLUMNS}, p.visible FROM pins p WHERE {visible} AND p.revision > ? AND p.revision <= ?",
                (after, last),
            ).fetchall()
    found = [Change(row[9], row[0], load_pin(row[:-1], peers) if row[-1] else None) for row in rows]
    return sorted(found, key=lambda change: change.revision)


# --- work ---


def _priorities(connection: sqlite3.Connection, peer: int, below: int | None = None) -> Iterator[int]:
    """Those that the peer's rows have, the highest first; a step of the index for each."""
    statement = "SELECT max(priority) FROM work WHERE peer = ? AND priority < ?"
    if below is None:
        (priority,) = connection.execute("SELECT max(priority) FROM work WHERE peer = ?", (peer,)).fetchone()
    else:
        (priority,) = connection.execute(statement, (peer, below)).fetchone()
    while priority is not None:
        yield priority
        (priority,) = connection.execute(statement, (peer, priority)).fetchone()


def due(
    connection: sqlite3.Connection,
    peers: PeerNumbers,
    peer: PeerId,
    now: float,
    limit: int,
    skip: frozenset[Cid],
    below: int | None,
) -> list[Work]:
    """Rows whose time has come."""
    number = peers.number(peer)
    found: list[Work] = []
    if number is None:
        return found
    statement = (
        f"SELECT {WORK_COLUMNS} FROM work w JOIN pins p ON p.id = w.pin "
        "WHERE w.peer = ? AND w.priority = ? AND w.next_retry <= ? ORDER BY w.next_retry, w.pin LIMIT ?"
    )
    with moment(connection):
        for priority in _priorities(connection, number, below):
            values = (number, priority, now, limit - len(found) + len(skip))
            works = [load_work(row, peers) for row in connection.execute(statement, values).fetchall()]
            found += [work for work in works if work.cid not in skip]
            if len(found) >= limit:
                break
    return found[:limit]


def next_due(connection: sqlite3.Connection, peers: PeerNumbers, peer: PeerId, now: float) -> float | None:
    """The earliest time after now."""
    number = peers.number(peer)
    if number is None:
        return None
    statement = "SELECT min(next_retry) FROM work WHERE peer = ? AND priority = ? AND next_retry > ?"
    with moment(connection):
        times = [
            connection.execute(statement, (number, priority, now)).fetchone()[0]
            for priority in _priorities(connection, number)
        ]
    return min((time for time in times if time is not None), default=None)


def ahead(connection: sqlite3.Connection, peers: PeerNumbers, work: Work, now: float) -> int:
    """Due rows before this one."""
    number = peers.number(work.peer)
    higher = "SELECT count(*) FROM work WHERE peer = ? AND priority = ? AND next_retry <= ?"
    same = "SELECT count(*) FROM work WHERE peer = ? AND priority = ? AND next_retry <= ? AND next_retry < ?"
    found = 0
    with moment(connection):
        for priority in [] if number is None else _priorities(connection, number):
            if priority > work.priority:
                found += connection.execute(higher, (number, priority, now)).fetchone()[0]
            elif priority == work.priority:
                found += connection.execute(same, (number, priority, now, work.next_retry)).fetchone()[0]
    return found


def works_page(
    connection: sqlite3.Connection, peers: PeerNumbers, peer: PeerId | None, after: tuple[int, int]
) -> tuple[list[Work], tuple[int, int] | None]:
    """Rows behind (pin, peer) `after`, and where to go on; None at the end."""
    sql, values = ("", ()) if peer is None else (" AND w.peer = ?", (peers.number(peer),))
    rows = connection.execute(
        f"SELECT {WORK_COLUMNS}, w.pin FROM work w JOIN pins p ON p.id = w.pin "
        f"WHERE (w.pin, w.peer) > (?, ?){sql} ORDER BY w.pin, w.peer LIMIT {PAGE}",
        (*after, *values),
    ).fetchall()
    following = (rows[-1][-1], rows[-1][0]) if len(rows) == PAGE else None
    return [load_work(row[:-1], peers) for row in rows], following


def work_counts(connection: sqlite3.Connection, peers: PeerNumbers) -> dict[tuple[PeerId, TrackerStatus], int]:
    """Rows by peer and status."""
    rows = connection.execute("SELECT peer, status, count(*) FROM work GROUP BY peer, status").fetchall()
    return {(peers.peer(peer), STATUSES[status]): number for peer, status, number in rows}


# --- claims, pending, peers, foreign ---


def claims(connection: sqlite3.Connection, peers: PeerNumbers, owner: str | None) -> list[PutClaim]:
    """All, or the owner's."""
    sql, values = ("", ()) if owner is None else (" WHERE owner = ?", (owner,))
    rows = connection.execute(f"SELECT peer, text, owner, kind FROM claims{sql}", values).fetchall()
    return [PutClaim(peers.peer(peer), parse(text), owner_, ClaimKind(kind)) for peer, text, owner_, kind in rows]


def pending_ops(connection: sqlite3.Connection) -> list[str]:
    """Operations with pending entries."""
    return [op for (op,) in connection.execute("SELECT DISTINCT op FROM pending ORDER BY op").fetchall()]


def peer_records(connection: sqlite3.Connection) -> list[PeerRecord]:
    """Peers that were put, in the order of their first PutPeer."""
    rows = connection.execute(
        "SELECT id, name, node_id, surveyed, adopted, draining FROM peers WHERE joined IS NOT NULL ORDER BY joined"
    ).fetchall()
    return [
        PeerRecord(PeerId(peer), name, node, bool(surveyed), bool(adopted), bool(draining))
        for peer, name, node, surveyed, adopted, draining in rows
    ]


def foreign_page(
    connection: sqlite3.Connection, peers: PeerNumbers, peer: PeerId | None, after: tuple[int, str]
) -> tuple[list[ForeignPin], tuple[int, str] | None]:
    """Records behind (peer, text) `after`, and where to go on; None at the end."""
    sql, values = ("", ()) if peer is None else (" AND peer = ?", (peers.number(peer),))
    rows = connection.execute(
        "SELECT peer, text, mode, name, orphan FROM foreign_pins "
        f"WHERE (peer, text) > (?, ?){sql} ORDER BY peer, text LIMIT {PAGE}",
        (*after, *values),
    ).fetchall()
    found = [
        ForeignPin(peers.peer(at), NodePin(parse(text), MODES[mode], name), bool(orphan))
        for at, text, mode, name, orphan in rows
    ]
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == PAGE else None


def is_foreign(connection: sqlite3.Connection, peers: PeerNumbers, peer: PeerId, cid: Cid) -> NodePin | None:
    """One record."""
    statement = "SELECT mode, name FROM foreign_pins WHERE peer = ? AND text = ?"
    row = connection.execute(statement, (peers.number(peer), cid_text(cid))).fetchone()
    return None if row is None else NodePin(cid, MODES[row[0]], row[1])
