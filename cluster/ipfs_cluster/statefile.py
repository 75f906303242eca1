"""The pinset as ipfs-cluster exports and imports it: a JSON object a line, byte for byte as its encoder writes them.

Reading is strict: what cannot be kept as it is said is refused with the number of its line, never dropped. An object
may go over several lines and blank ones may stand between them, as people's tools write them and ipfs-cluster reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, BinaryIO

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError, InvalidCid
from ipfs_cluster.model import EVERYWHERE, LATEST, PeerId, Pin, PinMode, PinType
from ipfs_cluster.rest import shapes

LONGEST = 16 * 1024 * 1024
"""Bytes of an entry. Those of ipfs-cluster have some hundred; metadata may be long."""
MOST_LINES = 1000
"""Lines of an entry: whether it ends with one is found out by reading it from its beginning."""

_ESCAPE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_SPECIAL = re.compile("[<>&\u2028\u2029]")
_decode = json.JSONDecoder().raw_decode
_quoted = json.JSONEncoder(ensure_ascii=False).encode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_PEER = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}")
_FIELDS = frozenset(shapes.pin(Pin(Cid(b""))))


class BadState(ClusterError):
    """A line cannot be taken. str(error) has the line's number and the reason."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What entries get in the place of what the file says; None leaves it."""

    replication_min: int | None = None
    replication_max: int | None = None
    allocations: tuple[PeerId, ...] = ()


def line(entry: Pin) -> bytes:
    """An entry and its LF."""
    if entry.metadata or entry.origins or entry.pin_update or entry.reference or entry.shard_size:
        return (_escaped(_encode(shapes.pin(entry))) + "\n").encode()
    # Nearly all entries; the same text, at a third of the time.
    head = _head(entry.replication_min, entry.replication_max)
    name = _escaped(_quoted(entry.name)) if entry.name else '""'
    allocations = ",".join(map(_quoted, entry.allocations))
    depth = 0 if entry.mode is PinMode.DIRECT else 1 if entry.type is PinType.SHARD else -1
    return (
        f'{head}{name},"mode":"{entry.mode}","shard_size":0,"user_allocations":null,'
        f'"expire_at":"{shapes.moment(entry.expire_at)}","metadata":null,"pin_update":null,"origins":[],'
        f'"cid":"{cids.text(entry.cid)}","type":"{entry.type}","allocations":[{allocations}],"max_depth":{depth},'
        f'"reference":null,"timestamp":"{shapes.moment(entry.timestamp)}"}}\n'
    ).encode()


def _head(low: int, high: int) -> str:
    return f'{{"replication_factor_min":{low},"replication_factor_max":{high},"name":'


def _escaped(text: str) -> str:
    """As Go's encoder, which keeps JSON harmless inside HTML."""
    return _SPECIAL.sub(lambda match: _ESCAPE[match[0]], text)


class Reader:
    """The entries of a file, one after the other, in constant memory. number: of the line where the last one begins."""

    def __init__(self, file: BinaryIO, overrides: Overrides = Overrides()) -> None:
        self._file = file
        self._overrides = overrides
        self._factory = _Factory()
        self._lines = 0
        self.number = 0

    def pins(self) -> Iterator[Pin]:
        """Raises BadState, also when there is no entry at all."""
        while raw := self._line():
            if raw.isspace():
                continue
            self.number = self._lines
            try:
                yield _overridden(self._factory.pin(self._object(raw)), self._overrides)
            except (ValueError, InvalidCid) as error:
                raise self.refuse(str(error)) from None
        if not self.number:
            raise BadState("the input is empty: `state cleanup` is what empties a pinset")

    def refuse(self, reason: str) -> BadState:
        """The error for the entry that was read last."""
        return BadState(f"line {self.number}: {reason}")

    def _line(self) -> bytes:
        self._lines += 1
        return self._file.readline(LONGEST + 1)

    def _object(self, raw: bytes) -> dict[str, Any]:
        """The object that begins with this line. Raises ValueError."""
        for _ in range(MOST_LINES):
            try:
                found = _value(raw.decode()) if len(raw) <= LONGEST else None
            except UnicodeDecodeError as error:
                raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from None
            except RecursionError:
                raise ValueError("not JSON: too deep") from None
            except json.JSONDecodeError as error:
                if not raw.endswith(b"\n"):
                    raise ValueError("the input ends in the middle of the line: it is cut off") from None
                if error.doc[error.pos :].strip():
                    raise ValueError(f"not JSON: {error.msg} at {self._place(error)}") from None
                if not (more := self._line()):
                    raise ValueError("the input ends in the middle of the entry: it is cut off") from None
                raw += more
            else:
                if len(raw) > LONGEST:
                    raise ValueError(f"longer than {LONGEST} bytes")
                if not isinstance(found, dict):
                    raise ValueError("must be a JSON object")
                return found
        raise ValueError(f"longer than {MOST_LINES} lines")

    def _place(self, error: json.JSONDecodeError) -> str:
        line = "" if error.lineno == 1 else f"line {self.number + error.lineno - 1}, "
        return f"{line}column {error.colno}"


def _value(text: str) -> Any:
    """As json.loads; faster for a line as ipfs-cluster writes it."""
    if not text.startswith("{"):
        return json.loads(text)
    found, end = _decode(text)
    return found if text[end:] in ("\n", "") else json.loads(text)


_Form = tuple[int, int, PinMode, PinType, int]
_form_of = itemgetter("replication_factor_min", "replication_factor_max", "mode", "type", "max_depth", "shard_size")


class _Factory:
    """Entries of JSON objects. Forms and lists of peers are the same few again and again: each is checked once."""

    def __init__(self) -> None:
        self._allocations: dict[tuple[str, ...], tuple[PeerId, ...]] = {}
        self._forms: dict[tuple[Any, ...], _Form] = {}

    def pin(self, data: dict[str, Any]) -> Pin:
        """Raises ValueError, InvalidCid."""
        if unknown := data.keys() - _FIELDS:
            raise ValueError(f"unknown field {_shown(min(unknown))}")
        if "cid" not in data:
            raise ValueError("has no cid")
        low, high, mode, kind, shard_size = self._form(data)
        return Pin(
            _cid(data, "cid"),
            mode,
            kind,
            _text(data, "name"),
            self._peers(data),
            low,
            high,
            _metadata(data),
            _origins(data),
            _time(data, "expire_at"),
            _optional_cid(data, "pin_update"),
            _optional_cid(data, "reference"),
            shard_size,
            _time(data, "timestamp"),
        )

    def _form(self, data: dict[str, Any]) -> _Form:
        """Factors, mode, type and shard size. To be equal is not enough: 1, 1.0 and true are."""
        try:
            values = _form_of(data)
            key = (*values, *map(type, values))
            found = self._forms.get(key)
        except (KeyError, TypeError):  # one is absent, or a list or a map
            key, found = (), None
        if found is None:
            low, high = _factors(data)
            kind = _word(data, "type", PinType, PinType.PIN)
            found = low, high, _mode(data, kind), kind, _number(data, "shard_size", 0, range(2**64))
            if len(self._forms) > 10_000:
                self._forms.clear()
            if key:
                self._forms[key] = found
        return found

    def _peers(self, data: dict[str, Any]) -> tuple[PeerId, ...]:
        _strings(data, "user_allocations")  # of the request, not kept
        listed = tuple(_strings(data, "allocations"))
        found = self._allocations.get(listed)
        if found is None:
            if len(self._allocations) > 10_000:
                self._allocations.clear()
            found = self._allocations[listed] = peers(listed)
        return found


def peers(listed: Iterable[str]) -> tuple[PeerId, ...]:
    """Peer IDs, each once. Raises ValueError."""
    found = tuple(listed)
    for peer in found:
        if not _PEER.fullmatch(peer):
            raise ValueError(f"allocations: {_shown(peer)} is no peer ID")
    if len(set(found)) < len(found):
        raise ValueError("allocations: a peer is named twice")
    return tuple(map(PeerId, found))


_NO_OVERRIDES = Overrides()


def _overridden(entry: Pin, overrides: Overrides) -> Pin:
    if overrides == _NO_OVERRIDES:
        return entry
    low = entry.replication_min if overrides.replication_min is None else overrides.replication_min
    high = entry.replication_max if overrides.replication_max is None else overrides.replication_max
    if (low == EVERYWHERE) != (high == EVERYWHERE) or low > high:
        raise ValueError(f"replication_factor_min {low} and replication_factor_max {high} together are impossible")
    allocations = overrides.allocations or entry.allocations
    if entry.type is PinType.META:
        allocations = entry.allocations
    elif low == EVERYWHERE:
        allocations = ()
    elif not allocations:
        raise ValueError(f"is on every peer: for replication factors {low} and {high}, say on which with --allocs")
    return replace(entry, replication_min=low, replication_max=high, allocations=allocations)


def _factors(data: dict[str, Any]) -> tuple[int, int]:
    low = _number(data, "replication_factor_min", EVERYWHERE, range(EVERYWHERE, 2**31))
    high = _number(data, "replication_factor_max", EVERYWHERE, range(EVERYWHERE, 2**31))
    if 0 in (low, high) or (low == EVERYWHERE) != (high == EVERYWHERE) or low > high:
        raise ValueError(f"replication_factor_min {low} and replication_factor_max {high} together are impossible")
    return low, high


def _mode(data: dict[str, Any], kind: PinType) -> PinMode:
    """What ipfs-cluster keeps is the depth; it must say the same."""
    mode: PinMode = _word(data, "mode", PinMode, PinMode.RECURSIVE)
    usual = 0 if mode is PinMode.DIRECT else 1 if kind is PinType.SHARD else -1
    depth = _number(data, "max_depth", usual, range(-1, 3))
    if depth != usual:
        raise ValueError(f"max_depth {depth} does not go with mode {mode} and type {kind}")
    return mode


def _word(data: dict[str, Any], field: str, words: Callable[[str], Any], default: Any) -> Any:
    value = data.get(field, default)
    try:
        return words(value)
    except ValueError:
        raise ValueError(f"{field}: {_shown(value)} is not known") from None


def _number(data: dict[str, Any], field: str, default: int, allowed: range) -> int:
    value = data.get(field, default)
    if type(value) is not int or value not in allowed:
        raise ValueError(f"{field}: {_shown(value)} must be a whole number from {allowed[0]} to {allowed[-1]}")
    return value


def _text(data: dict[str, Any], field: str) -> str:
    value = data.get(field, "")
    if not isinstance(value, str):
        raise ValueError(f"{field}: {_shown(value)} must be a string")
    return value


def _strings(data: dict[str, Any], field: str) -> list[str]:
    value = data.get(field)
    if not value and (value is None or value == []):
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{field}: {_shown(value)} must be a list of strings")
    return value


def _metadata(data: dict[str, Any]) -> dict[str, str]:
    value = data.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError(f"metadata: {_shown(value)} must be a map of strings")
    return value


def _origins(data: dict[str, Any]) -> tuple[str, ...]:
    found = tuple(_strings(data, "origins"))
    for origin in found:
        if not origin.startswith("/"):
            raise ValueError(f"origins: {_shown(origin)} is no multiaddr")
    return found


def _cid(data: dict[str, Any], field: str) -> Cid:
    try:
        return cids.parse(_text(data, field))
    except InvalidCid as error:
        raise ValueError(f"{field}: {_shown(data[field])}: {error}") from None


def _optional_cid(data: dict[str, Any], field: str) -> Cid | None:
    return None if data.get(field) is None else _cid(data, field)


def _time(data: dict[str, Any], field: str) -> float:
    """Unix seconds; 0 for Go's zero time."""
    value = data.get(field, shapes.ZERO_TIME)
    if value == shapes.ZERO_TIME:
        return 0.0
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        seconds = datetime.fromisoformat(value).timestamp()
        if not 0 <= seconds <= LATEST:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{field}: {_shown(value)} must be a time such as 2026-01-31T12:00:00Z") from None
    return seconds


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else f"{text[:79]}…"
