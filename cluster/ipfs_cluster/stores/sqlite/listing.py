"""Light listings: entries by id or by text, with a peer's foreign pins among them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from ipfs_cluster.model import PeerId, PinType
from ipfs_cluster.ports import ListedPin, PinQuery
from ipfs_cluster.stores.checks import PAGE
from ipfs_cluster.stores.sqlite.codec import LISTED_COLUMNS, MODE_NUMBERS, TYPE_NUMBERS, PeerNumbers, load_listed
from ipfs_cluster.stores.sqlite.reads import conditions

_FOREIGN_COLUMNS = f"f.text, f.cid, f.mode, {TYPE_NUMBERS[PinType.PIN]}, f.name"
_FOREIGN = (
    "FROM foreign_pins f WHERE f.peer = ? AND NOT f.orphan "
    "AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.cid = f.cid AND p.visible)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing goes on. by_text: after this text. Else the stage (recursive entries, recursive foreign, direct
    entries, direct foreign) and the id or CID behind which it goes on in it.
    """

    text: str = ""
    stage: int = 0
    id: int = 0
    cid: bytes = b""


def page_by_text(
    connection: sqlite3.Connection, peers: PeerNumbers, query: PinQuery, foreign_of: PeerId | None, place: Place
) -> tuple[list[ListedPin], Place | None]:
    """Byte-sorted by text: SQLite merges the two indexes."""
    sql, values = conditions(query, peers)
    statement = f"SELECT {LISTED_COLUMNS} FROM pins p WHERE p.visible AND p.text > ?{sql}"
    values = [place.text, *values]
    if _lists_foreign(query, foreign_of):
        foreign_sql, foreign_values = _foreign_conditions(query)
        statement += f" UNION ALL SELECT {_FOREIGN_COLUMNS} {_FOREIGN} AND f.text > ?{foreign_sql}"
        values += [peers.number(foreign_of) if foreign_of else None, place.text, *foreign_values]
    rows = connection.execute(f"{statement} ORDER BY 1 LIMIT {PAGE}", values).fetchall()
    return load_listed(rows), Place(rows[-1][0]) if len(rows) == PAGE else None


def page_by_mode(
    connection: sqlite3.Connection, peers: PeerNumbers, query: PinQuery, foreign_of: PeerId | None, place: Place
) -> tuple[list[ListedPin], Place | None]:
    """Recursive before direct; may be empty before the end."""
    mode = place.stage // 2
    if query.modes is not None and mode not in {MODE_NUMBERS[mode_] for mode_ in query.modes}:
        return [], _next_stage(place)
    if place.stage % 2 == 0:
        sql, values = conditions(query, peers)
        rows: list[tuple[Any, ...]] = connection.execute(
            f"SELECT {LISTED_COLUMNS}, id FROM pins p WHERE p.id > ? AND p.visible AND p.mode = {mode}{sql} "
            f"ORDER BY p.id LIMIT {PAGE}",
            (place.id, *values),
        ).fetchall()
        following = Place(stage=place.stage, id=rows[-1][-1]) if len(rows) == PAGE else _next_stage(place)
        return load_listed([row[:-1] for row in rows]), following
    if not _lists_foreign(query, foreign_of):
        return [], _next_stage(place)
    sql, values = _foreign_conditions(query)
    rows = connection.execute(
        f"SELECT {_FOREIGN_COLUMNS} {_FOREIGN} AND f.cid > ? AND f.mode = {mode}{sql} ORDER BY f.cid LIMIT {PAGE}",
        (peers.number(foreign_of) if foreign_of else None, place.cid, *values),
    ).fetchall()
    following = Place(stage=place.stage, cid=rows[-1][1]) if len(rows) == PAGE else _next_stage(place)
    return load_listed(rows), following


def _next_stage(place: Place) -> Place | None:
    return Place(stage=place.stage + 1) if place.stage < 3 else None


def _lists_foreign(query: PinQuery, foreign_of: PeerId | None) -> bool:
    return (
        foreign_of is not None
        and (query.types is None or PinType.PIN in query.types)
        and query.peer in (None, foreign_of)
    )


def _foreign_conditions(query: PinQuery) -> tuple[str, list[object]]:
    sql, values = "", []
    if query.modes is not None:
        sql += f" AND f.mode IN ({','.join(str(MODE_NUMBERS[mode]) for mode in query.modes)})"
    if query.name:
        sql += " AND instr(f.name, ?)"
        values.append(query.name)
    return sql, list(values)
