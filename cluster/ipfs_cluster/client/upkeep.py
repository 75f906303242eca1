"""What the clients answer with to the verbs that ipfs-cluster does not have: why, drain, rebalance, watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ipfs_cluster.client.models import Pin, moment, tracker_status
from ipfs_cluster.model import TrackerStatus


@dataclass(frozen=True, slots=True)
class CopyWhy:
    """Why a pin is as it is on one peer, in words, and the facts."""

    peer: str
    peername: str
    status: TrackerStatus
    why: str
    since: datetime | None
    attempts: int
    error: str
    next_retry: datetime | None
    blocks: int
    bytes: int
    last_block: datetime | None

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(
            peer=value["peer"],
            peername=value["peername"],
            status=tracker_status(value["status"]),
            why=value["why"],
            since=moment(value["since"]),
            attempts=value["attempt_count"],
            error=value["error"],
            next_retry=moment(value["next_retry"]),
            blocks=value["blocks"],
            bytes=value["bytes"],
            last_block=moment(value["last_block"]),
        )


@dataclass(frozen=True, slots=True)
class PinWhy:
    """A pin explained."""

    cid: str
    name: str
    why: str
    peers: tuple[CopyWhy, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(value["cid"], value["name"], value["why"], tuple(CopyWhy.of(copy) for copy in value["peers"]))


@dataclass(frozen=True, slots=True)
class PeerWhy:
    """A peer explained: in words, whether its node is up, and how many pins it has at work, waiting and failed."""

    peer: str
    peername: str
    standing: str
    why: str
    up: bool
    error: str
    pinning: int
    pin_queued: int
    pin_error: int
    unpin_queued: int
    no_new_pins: str

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(**{key: value[key] for key in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Drain:
    """How far the draining of a peer is. remaining: pins still allocated to it; stuck: those that no other can take."""

    peer: str
    peername: str
    draining: bool
    standing: str
    remaining: int
    stuck: int
    done: bool

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(**{key: value[key] for key in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many pins that a peer's node held before it joined are pins of the cluster now."""

    peer: str
    peername: str
    adopted: int

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(**{key: value[key] for key in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Move:
    """Copies that go from one peer to another. moved: pins so far."""

    source: str
    target: str
    pins: int
    bytes: int
    moved: int

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(value["from"], value["to"], value["pins"], value["bytes"], value["moved"])


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A plan or how far it is. state: "idle", "preview", "running", "done", or why it ended."""

    state: str
    since: datetime | None
    ended: datetime | None
    moves: tuple[Move, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(
            value["state"],
            moment(value["since"]),
            moment(value["ended"]),
            tuple(Move.of(move) for move in value["moves"]),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the change feed. type: "reset" (forget everything, the whole pinset follows), "pin", "unpin", "place"
    (where to go on after a break) or one that is new.
    """

    type: str
    pin: Pin | None = None
    cid: str = ""
    place: str = ""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """Of a line."""
        pin = Pin.of(value["pin"]) if "pin" in value else None
        return cls(value["type"], pin, value.get("cid", pin.cid if pin else ""), value.get("place", ""))
