"""Light listings: entries by text, with a peer's foreign pins among them.

A page is one row of aggregates, taken apart here: stepping over a thousand rows takes the interpreter's lock a
thousand times, which costs more than the rows even when nothing else runs, and hundreds of times more while the event
loop is busy.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from ipfs_cluster.model import PeerId, PinMode, PinType
from ipfs_cluster.ports import ListedPin, PinQuery
from ipfs_cluster.stores.checks import PAGE, lists_foreign
from ipfs_cluster.stores.sqlite.codec import MODE_NUMBERS, MODES, TYPE_NUMBERS, TYPES, PeerNumbers
from ipfs_cluster.stores.sqlite.queries import Clause, Names, conditions, few, of_name

_KINDS = [(mode, type_) for mode in MODES for type_ in TYPES]
_MODE_OF_KIND = {str(number): mode for number, (mode, _) in enumerate(_KINDS)}
_TYPE_OF_KIND = {str(number): type_ for number, (_, type_) in enumerate(_KINDS)}
_KIND = f"{{mode}} * {len(TYPES)} + {{type}} AS kind"

_PAGE_OF = (
    "SELECT count(*), max(text), group_concat(text, ' '), group_concat(kind, ''), json_group_array(name) "
    "FROM ({lines} ORDER BY text LIMIT ?)"
)
_ENTRIES = f"SELECT p.text, {_KIND.format(mode='p.mode', type='p.type')}, p.name FROM pins p "
_FOREIGN = (
    f"SELECT f.text, {_KIND.format(mode='f.mode', type=TYPE_NUMBERS[PinType.PIN])}, f.name FROM foreign_pins f "
    "WHERE f.peer = ? AND NOT f.orphan AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.text = f.text AND p.visible) "
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing goes on: behind this text, in the lines of this mode (None: of all modes); most: lines of the
    page. few: the candidates, found out for the first page.
    """

    mode: PinMode | None
    text: str = ""
    most: int = PAGE
    few: Clause | None = None
    first: bool = True


def start(query: PinQuery, *, by_text: bool) -> Place | None:
    """Where a listing begins; None when it has no lines."""
    # A search shows the first hit when it has found it, not when it has found a page of them.
    most = PAGE if query == PinQuery(query.modes, query.types) else 1
    if query.types is not None and not query.types:
        return None
    if query.modes is not None and len(query.modes) < 2:
        return Place(next(iter(query.modes)), most=most) if query.modes else None
    return Place(None if by_text else PinMode.RECURSIVE, most=most)


def page(
    connection: sqlite3.Connection,
    peers: PeerNumbers,
    query: PinQuery,
    foreign_of: PeerId | None,
    place: Place,
    names: Names | None = None,
) -> tuple[list[ListedPin], Place | None]:
    """The next lines, byte-sorted by text, and where to go on; None at the end. SQLite merges the two indexes."""
    if place.first:
        place = replace(place, few=few(connection, peers, query, names), first=False)
    sql, more = conditions(replace(query, modes=None), peers)
    statement, values = _entries(place)
    statement += f" AND p.visible AND p.text > ?{_of_mode('p', place)}{sql}"
    values += [place.text, *more]
    if foreign_of is not None and lists_foreign(query, foreign_of):
        named = of_name("f.name", query)
        statement += f" UNION ALL {_FOREIGN}AND f.text > ?{_of_mode('f', place)} AND {named.sql}"
        values += [peers.number(foreign_of), place.text, *named.values]
    values.append(place.most)
    row: tuple[Any, ...] = connection.execute(_PAGE_OF.format(lines=statement), values).fetchone()
    count, last, *columns = row
    if count == place.most:
        following: Place | None = replace(place, text=last, most=PAGE)
    else:
        following = replace(place, mode=PinMode.DIRECT, text="") if _direct_is_next(query, place) else None
    return (_lines(*columns) if count else []), following


def _entries(place: Place) -> tuple[str, list[object]]:
    """Entries, through what has little more than the page, with a WHERE that is not ended."""
    if place.few is not None:
        return f"{_ENTRIES}NOT INDEXED WHERE p.id IN ({place.few.sql})", list(place.few.values)
    index = "pins_direct" if place.mode is PinMode.DIRECT else "pins_text"
    return f"{_ENTRIES}INDEXED BY {index} WHERE 1", []


def _lines(texts: str, kinds: str, names: str) -> list[ListedPin]:
    modes, types = map(_MODE_OF_KIND.__getitem__, kinds), map(_TYPE_OF_KIND.__getitem__, kinds)
    lines = list(zip(texts.split(" "), modes, types, json.loads(names), strict=True))
    lines.sort()  # they are, but SQL promises no order to aggregates
    return lines


def _of_mode(table: str, place: Place) -> str:
    return "" if place.mode is None else f" AND {table}.mode = {MODE_NUMBERS[place.mode]}"


def _direct_is_next(query: PinQuery, place: Place) -> bool:
    """Recursive lines come first when both modes are asked for and the order is not by text."""
    return place.mode is PinMode.RECURSIVE and (query.modes is None or PinMode.DIRECT in query.modes)
