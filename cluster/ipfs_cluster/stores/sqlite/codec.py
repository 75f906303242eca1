"""Between the values of the cluster and the columns of the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import PeerId, Pin, PinMode, PinType, TrackerStatus, Work
from ipfs_cluster.ports import PutPending

MODES = (PinMode.RECURSIVE, PinMode.DIRECT)
MODE_NUMBERS = {mode: number for number, mode in enumerate(MODES)}
TYPES = (PinType.PIN, PinType.META, PinType.CLUSTERDAG, PinType.SHARD)
TYPE_NUMBERS = {type_: number for number, type_ in enumerate(TYPES)}
META = TYPE_NUMBERS[PinType.META]
STATUSES = (
    TrackerStatus.UNDEFINED,  # never stored
    TrackerStatus.PIN_QUEUED,
    TrackerStatus.PIN_ERROR,
    TrackerStatus.UNEXPECTEDLY_UNPINNED,
    TrackerStatus.UNPIN_QUEUED,
    TrackerStatus.UNPIN_ERROR,
)
STATUS_NUMBERS = {status: number for number, status in enumerate(STATUSES)}
LAST_WANTING_PIN = 3
"""Statuses up to this number want a pin, those above it an unpin."""

PIN_COLUMNS = (
    "p.cid, p.mode, p.type, p.name, p.allocations, p.replication_min, p.replication_max, p.expire_at, p.timestamp, "
    "p.revision, p.more"
)
WORK_COLUMNS = (
    "w.peer, p.cid, w.status, w.mode, w.generation, w.attempts, w.error, w.since, w.next_retry, w.priority, "
    "p.name, p.more"
)
_FIRST_CHARACTER = 0x20
_NOBODY = "\x01"
_MOST_PEERS = 0xD7FF - _FIRST_CHARACTER


class PeerNumbers:
    """Peers as small numbers, and lists of peers as text of one character a peer.

    Number n is the character n + 0x20: UTF-8 finds one in an `instr` without false hits, and a cluster of up to 94
    peers costs a byte a peer. A number, once given, stays with its peer, also when the write that gave it failed; only
    the writer gives numbers.
    """

    def __init__(self, rows: Iterable[tuple[int, str]]) -> None:
        self._numbers: dict[PeerId, int] = {}
        self._ids: dict[int, PeerId] = {}
        for number, peer in rows:
            self._numbers[PeerId(peer)] = number
            self._ids[number] = PeerId(peer)
        self.peers_of = lru_cache(4096)(self._peers_of)

    def number(self, peer: PeerId) -> int | None:
        """The peer's number; None when it was never mentioned."""
        return self._numbers.get(peer)

    def add(self, peer: PeerId) -> int:
        """A number for a peer that has none."""
        number = max(self._ids, default=0) + 1
        if number > _MOST_PEERS:
            raise OverflowError(f"a store can know {_MOST_PEERS} peers at most")
        self._ids[number] = peer
        self._numbers[peer] = number
        return number

    def peer(self, number: int) -> PeerId:
        """The peer of a number that was given."""
        return self._ids[number]

    def character(self, peer: PeerId) -> str:
        """What to look for in allocations; something that is in none when the peer was never mentioned."""
        number = self._numbers.get(peer)
        return _NOBODY if number is None else chr(number + _FIRST_CHARACTER)

    def _peers_of(self, allocations: str) -> tuple[PeerId, ...]:
        return tuple(self._ids[ord(character) - _FIRST_CHARACTER] for character in allocations)


def characters(numbers: Iterable[int]) -> str:
    """Allocations as text."""
    return "".join([chr(number + _FIRST_CHARACTER) for number in numbers])


def pair_digest(key: str, value: str) -> bytes:
    """What stands for a pair of metadata in the table of that name: as good as the pair, and short."""
    return blake2b(f"{len(key)}:{key}{value}".encode(), digest_size=16).digest()


def metadata_of(more: str | None) -> dict[str, str]:
    """The metadata in a `more` column."""
    found: dict[str, str] = {} if more is None else json.loads(more).get("metadata", {})
    return found


def pin_values(pin: Pin, allocations: str, revision: int) -> tuple[object, ...]:
    """The columns mode, type, name, allocations, replication_min, replication_max, expire_at, timestamp,
    revision, more of a visible entry.
    """
    return (
        MODE_NUMBERS[pin.mode],
        TYPE_NUMBERS[pin.type],
        pin.name,
        allocations,
        pin.replication_min,
        pin.replication_max,
        pin.expire_at,
        pin.timestamp,
        revision,
        _dump_more(pin),
    )


def _dump_more(pin: Pin) -> str | None:
    """What few entries have; None when the entry has none of it."""
    if not (pin.metadata or pin.origins or pin.pin_update or pin.reference or pin.shard_size):
        return None
    more: dict[str, object] = {}
    if pin.metadata:
        more["metadata"] = dict(pin.metadata)
    if pin.origins:
        more["origins"] = pin.origins
    if pin.pin_update:
        more["pin_update"] = pin.pin_update.hex()
    if pin.reference:
        more["reference"] = pin.reference.hex()
    if pin.shard_size:
        more["shard_size"] = pin.shard_size
    return json.dumps(more, ensure_ascii=False, separators=(",", ":"))


def _cid_or_none(text: str | None) -> Cid | None:
    return None if text is None else Cid(bytes.fromhex(text))


def load_pin(row: tuple[Any, ...], peers: PeerNumbers) -> Pin:
    """The entry of a row of PIN_COLUMNS."""
    cid, mode, type_, name, allocations, low, high, expire_at, timestamp, revision, more = row
    extra: dict[str, Any] = {} if more is None else json.loads(more)
    return Pin(
        cid,
        MODES[mode],
        TYPES[type_],
        name,
        peers.peers_of(allocations),
        low,
        high,
        extra.get("metadata", {}),
        tuple(extra.get("origins", ())),
        expire_at,
        _cid_or_none(extra.get("pin_update")),
        _cid_or_none(extra.get("reference")),
        extra.get("shard_size", 0),
        timestamp,
        revision,
    )


def load_work(row: tuple[Any, ...], peers: PeerNumbers) -> Work:
    """The work of a row of WORK_COLUMNS. Name, pin_update and origins are the entry's, for rows that want a pin."""
    peer, cid, status, mode, generation, attempts, error, since, next_retry, priority, name, more = row
    pin_update: Cid | None = None
    origins: tuple[str, ...] = ()
    if status > LAST_WANTING_PIN:
        name = ""
    elif more is not None:
        extra = json.loads(more)
        pin_update = _cid_or_none(extra.get("pin_update"))
        origins = tuple(extra.get("origins", ()))
    return Work(
        peers.peer(peer),
        cid,
        STATUSES[status],
        MODES[mode],
        generation,
        attempts,
        error,
        since,
        next_retry,
        priority,
        name,
        pin_update,
        origins,
    )


def dump_pending(write: PutPending) -> str:
    """A pending entry as JSON; peers by their IDs, as it may be read by a later version."""
    pin = write.pin
    return json.dumps(
        {
            "mode": pin.mode,
            "type": pin.type,
            "name": pin.name,
            "allocations": pin.allocations,
            "replication": (pin.replication_min, pin.replication_max),
            "expire_at": pin.expire_at,
            "timestamp": pin.timestamp,
            "more": _dump_more(pin),
            "queue": write.queue,
            "held": write.held,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def load_pending(op: str, cid: Cid, entry: str) -> PutPending:
    """The write that `dump_pending` put away."""
    fields = json.loads(entry)
    more = json.loads(fields["more"]) if fields["more"] else {}
    low, high = fields["replication"]
    pin = Pin(
        cid,
        PinMode(fields["mode"]),
        PinType(fields["type"]),
        fields["name"],
        tuple(fields["allocations"]),
        low,
        high,
        more.get("metadata", {}),
        tuple(more.get("origins", ())),
        fields["expire_at"],
        _cid_or_none(more.get("pin_update")),
        _cid_or_none(more.get("reference")),
        more.get("shard_size", 0),
        fields["timestamp"],
    )
    return PutPending(op, pin, tuple(fields["queue"]), tuple(fields["held"]))
