"""Which pins a query means, as SQL, and the index that finds them when they are few.

Few matches are found by an index: it names candidates, and the conditions decide about each. Many are met by a pass
over the entries: texts and ids have nothing to do with what is asked for, so that they lie evenly and a page of them is
full soon.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from ipfs_cluster.model import Pin, TrackerStatus
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.stores.checks import PAGE
from ipfs_cluster.stores.sqlite.codec import (
    META,
    MODE_NUMBERS,
    PIN_COLUMNS,
    STATUS_NUMBERS,
    TYPE_NUMBERS,
    PeerNumbers,
    load_pin,
    pair_digest,
)

FEW = 20_000
"""Candidates up to which an index is used for each page: to look them all up and sort them takes some 20 ms, about as
long as the pass takes for a page when that many of a million match."""

SHORT = f"p.type <> {META} AND p.allocations <> '' AND p.replication_max > length(p.allocations)"
SURPLUS = f"p.type <> {META} AND p.replication_max > 0 AND p.replication_max < length(p.allocations)"
_TROUBLE = {TrackerStatus.PIN_ERROR, TrackerStatus.UNEXPECTEDLY_UNPINNED, TrackerStatus.UNPIN_ERROR}


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of SQL and its values."""

    sql: str
    values: tuple[object, ...] = ()


class Names(Protocol):
    """An index of names."""

    def candidates(self, query: PinQuery) -> Clause | None:
        """A SELECT of ids, among them all whose name is asked for; None when it is of no help."""
        ...


def conditions(query: PinQuery, peers: PeerNumbers) -> tuple[str, list[object]]:
    """SQL and values for a query over pins p; begins with ' AND' or is empty."""
    sql, values = "", list[object]()
    for column, wanted in (
        ("p.mode", query.modes and sorted(MODE_NUMBERS[mode] for mode in query.modes)),
        ("p.type", query.types and sorted(TYPE_NUMBERS[type_] for type_ in query.types)),
    ):
        if wanted is not None:
            sql += f" AND {column} IN ({','.join(map(str, wanted))})"
    for clause in _clauses(query, peers):
        sql += f" AND {clause.sql}"
        values += clause.values
    return sql, values


def _clauses(query: PinQuery, peers: PeerNumbers) -> Iterator[Clause]:
    if query.name or query.prefix:
        yield of_name("p.name", query)
    if query.peer is not None:
        sql = f"p.type <> {META} AND (p.allocations = '' OR instr(p.allocations, ?))"
        yield Clause(sql, (peers.character(query.peer),))
    if query.allocated is not None:
        yield Clause("instr(p.allocations, ?)", (peers.character(query.allocated),))
    if query.short:
        yield Clause(SHORT)
    if query.surplus:
        yield Clause(SURPLUS)
    for pair in query.metadata:
        sql = "EXISTS (SELECT 1 FROM metadata m WHERE m.pair = ? AND m.pin = p.id)"
        yield Clause(sql, (pair_digest(*pair),))
    if query.statuses is not None:
        row = _row(query, peers)
        yield Clause(f"EXISTS (SELECT 1 FROM work w WHERE w.pin = p.id AND {row.sql})", row.values)
    if query.expires_before:
        yield Clause("p.expire_at > 0 AND p.expire_at <= ?", (query.expires_before,))


def of_name(column: str, query: PinQuery) -> Clause:
    """What a name has to be. `instr` and not LIKE or GLOB: every character stands for itself."""
    asked = [(f"instr({column}, ?)", query.name)] if query.name else []
    if query.prefix:
        asked.append((f"instr({column}, ?) = 1", query.prefix))
    return Clause(" AND ".join(sql for sql, _ in asked) or "1", tuple(value for _, value in asked))


def _row(query: PinQuery, peers: PeerNumbers) -> Clause:
    """The rows of work w that have a status asked for."""
    numbers = sorted(STATUS_NUMBERS[status] for status in query.statuses or () if status in STATUS_NUMBERS)
    sql = f"w.status IN ({','.join(map(str, numbers)) or '0'})"
    return Clause(sql) if query.peer is None else Clause(f"{sql} AND w.peer = ?", (peers.number(query.peer),))


# --- few ---


def few(connection: sqlite3.Connection, peers: PeerNumbers, query: PinQuery, names: Names | None) -> Clause | None:
    """A SELECT of the ids of few candidates, from the first index that has only so many; None when none has."""
    for clause in _indexes(query, peers, names):
        counted = f"SELECT count(*) FROM ({clause.sql} LIMIT {FEW + 1})"
        if connection.execute(counted, clause.values).fetchone()[0] <= FEW:
            return clause
    return None


def _indexes(query: PinQuery, peers: PeerNumbers, names: Names | None) -> Iterator[Clause]:
    for pair in query.metadata:
        yield Clause("SELECT pin FROM metadata WHERE pair = ?", (pair_digest(*pair),))
    if query.short:
        yield Clause(f"SELECT p.id FROM pins p INDEXED BY pins_short WHERE p.visible AND {SHORT}")
    if query.surplus:
        yield Clause(f"SELECT p.id FROM pins p INDEXED BY pins_surplus WHERE p.visible AND {SURPLUS}")
    if query.statuses is not None:
        row = _row(query, peers)
        if query.statuses <= _TROUBLE:
            sql = f"SELECT pin FROM work w INDEXED BY work_trouble WHERE w.status IN (2, 3, 5) AND {row.sql}"
        else:
            sql = f"SELECT pin FROM work w WHERE {row.sql}"
        yield Clause(sql, row.values)
    if query.expires_before:
        sql = "SELECT id FROM pins INDEXED BY pins_expiry WHERE visible AND expire_at > 0 AND expire_at <= ?"
        yield Clause(sql, (query.expires_before,))
    if names is not None and (clause := names.candidates(query)) is not None:
        yield clause


# --- entries ---


@dataclass(frozen=True, slots=True)
class After:
    """Where pages of entries go on: behind this id. few: the candidates, found out for the first page."""

    id: int = 0
    few: Clause | None = None
    first: bool = True


def pins_page(
    connection: sqlite3.Connection,
    peers: PeerNumbers,
    query: PinQuery,
    after_revision: int,
    after: After,
    names: Names | None = None,
    most: int = PAGE,
) -> tuple[list[Pin], After | None]:
    """At most so many entries behind `after`, and where to go on; None at the end."""
    if after.first:
        after = replace(after, few=few(connection, peers, query, names), first=False)
    table, values = _table(query, after.few)
    sql, more = conditions(query, peers)
    rows = connection.execute(
        f"SELECT {PIN_COLUMNS}, p.id FROM {table} AND p.id > ? AND p.visible AND +p.revision > ?{sql} "
        "ORDER BY p.id LIMIT ?",
        (*values, after.id, after_revision, *more, most),
    ).fetchall()
    following = replace(after, id=rows[-1][-1]) if len(rows) == most else None
    return [load_pin(row[:-1], peers) for row in rows], following


def count(connection: sqlite3.Connection, peers: PeerNumbers, query: PinQuery, names: Names | None = None) -> int:
    """How many entries match."""
    table, values = _table(query, few(connection, peers, query, names))
    sql, more = conditions(query, peers)
    statement = f"SELECT count(*) FROM {table} AND p.visible{sql}"
    (number,) = connection.execute(statement, (*values, *more)).fetchone()
    return int(number)


def _table(query: PinQuery, candidates: Clause | None) -> tuple[str, tuple[object, ...]]:
    """Pins p with a WHERE, through what has little more than is asked for, if there is such a thing."""
    if candidates is not None:
        return f"pins p NOT INDEXED WHERE p.id IN ({candidates.sql})", candidates.values
    if query.short or query.surplus:
        return f"pins p INDEXED BY {'pins_short' if query.short else 'pins_surplus'} WHERE 1", ()
    return "pins p WHERE 1", ()
