"""What a store is asked, and what its answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import NodePin, PeerId, Pin, PinMode, PinType, TrackerStatus


@dataclass(frozen=True, slots=True)
class PinQuery:
    """Which visible pins: those that all of this is true of. name: case-sensitive substring; prefix: what the name
    begins with. modes, types: any of (None: all, empty: none). peer: those wanted on it. allocated: those whose
    allocations name it. short, surplus: those with fewer, with more allocations than replication_max; neither is true
    of META, of pins that belong everywhere, and of those without allocations. metadata: pairs that the entry has.
    statuses: those with a row of one of these (on `peer`, if that is asked for). expires_before: those that expire, at
    this time or earlier; 0: all.

    Few matches cost what they are, many at most one pass over the pinset; memory is constant.
    """

    modes: frozenset[PinMode] | None = None
    types: frozenset[PinType] | None = None
    name: str = ""
    peer: PeerId | None = None
    allocated: PeerId | None = None
    short: bool = False
    surplus: bool = False
    prefix: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    statuses: frozenset[TrackerStatus] | None = None
    expires_before: float = 0.0


ListedPin = tuple[str, PinMode, PinType, str]
"""One line of a listing: the CID's usual spelling, mode, type, name. A bare tuple, as a million are made for one
`pin ls`, and a class of its own costs four times as much."""


@dataclass(frozen=True, slots=True)
class ForeignPin:
    """A pin that a node holds and that is none of ours."""

    peer: PeerId
    pin: NodePin
    orphan: bool


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the change feed: pin is None when the entry was removed."""

    revision: int
    cid: Cid
    pin: Pin | None


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Rows of one status on one peer, at least one. oldest: the earliest `since`."""

    rows: int
    oldest: float


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How much a store holds. foreign, orphans: records of each peer that has any. short, surplus: pins that a PinQuery
    for these finds. file, log: bytes on disk, of the data and of what waits to be moved there; 0 where there is no such
    thing.
    """

    pins: int
    revision: int
    queues: Mapping[tuple[PeerId, TrackerStatus], QueueFigures]
    foreign: Mapping[PeerId, int]
    orphans: Mapping[PeerId, int]
    short: int = 0
    surplus: int = 0
    file: int = 0
    log: int = 0
