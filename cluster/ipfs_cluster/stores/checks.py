"""What every store refuses before it touches anything, and small rules that all of them share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, PeerId, Pin, PinType
from ipfs_cluster.ports import FailWork, PinQuery, PutPending, PutPin, QueueWork, RecordForeign, Write

PAGE = 1000
"""Rows in one page of an iterator: about a millisecond of one core, and some hundred kilobytes."""

REMOVALS_KEPT = 100_000
"""Removed CIDs that the change feed remembers (about 10 MB in SQLite): hours of churn, for a follower that was away."""

ROW_STATUSES = WANTS_PIN | WANTS_UNPIN


def lists_foreign(query: PinQuery, foreign_of: PeerId) -> bool:
    """Whether a listing of this query has that peer's foreign pins in it."""
    plain = PinQuery(query.modes, query.types, query.name, query.peer, prefix=query.prefix)
    return query == plain and (query.types is None or PinType.PIN in query.types) and query.peer in (None, foreign_of)


def check_writes(writes: Sequence[Write]) -> None:
    """Raises ValueError for a status that no row can have, InvalidArgument for values that cannot be kept: text that
    is not valid Unicode, times that are no numbers.
    """
    for write in writes:
        match write:
            case QueueWork(status=status, error=error) | FailWork(status=status, error=error):
                if status not in ROW_STATUSES:
                    raise ValueError(f"no work row can have the status {status}")
                _check_text("reason", error)
            case PutPin(pin=pin) | PutPending(pin=pin):
                check_pin(pin)
            case RecordForeign(pins=pins):
                for node_pin in pins:
                    _check_text("pin name", node_pin.name)
            case _:
                pass


def check_pin(pin: Pin) -> None:
    """The same for one entry."""
    if math.isnan(pin.expire_at) or math.isnan(pin.timestamp):
        raise InvalidArgument("a pin's times must be numbers")
    _check_text("pin name", pin.name)
    for origin in pin.origins:
        _check_text("origin", origin)
    for key, value in pin.metadata.items():
        _check_text("metadata key", key)
        _check_text("metadata value", value)


def _check_text(what: str, value: str) -> None:
    """A lone surrogate (from a badly decoded request) cannot be stored as UTF-8."""
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} is not valid Unicode: {value!r}") from None
