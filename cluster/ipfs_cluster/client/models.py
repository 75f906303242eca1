"""What the clients answer with. Times are datetimes in UTC, None for never; CIDs and peer IDs are their text.

Fields that are empty or null in the API are empty here. `of` makes a value of the API's JSON object; it raises
KeyError, TypeError or ValueError for one that is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from ipfs_cluster.model import Bandwidth, PinMode, TrackerStatus

ZERO_TIME = "0001-01-01T00:00:00Z"


def moment(text: str) -> datetime | None:
    return None if text == ZERO_TIME else datetime.fromisoformat(text)


def _nanoseconds(number: int) -> datetime | None:
    return datetime.fromtimestamp(number / 1e9, UTC) if number > 0 else None


def tracker_status(text: str) -> TrackerStatus:
    """As in ipfs-cluster, an unknown word is `undefined`."""
    try:
        return TrackerStatus(text)
    except ValueError:
        return TrackerStatus.UNDEFINED


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


@dataclass(frozen=True, slots=True)
class Identity:
    """A peer of the cluster and its node. error: why the peer could not be asked; node_error: why its node cannot be
    used. free: bytes that something new may take on the node; full: why it gets nothing new.
    """

    id: str
    peername: str
    version: str
    addresses: tuple[str, ...]
    cluster_peers: tuple[str, ...]
    error: str
    node_id: str
    node_addresses: tuple[str, ...]
    node_error: str
    free: int
    full: str

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of an ID object."""
        node = value.get("ipfs") or {}
        return cls(
            id=value["id"],
            peername=value["peername"],
            version=value.get("version", ""),
            addresses=_texts(value.get("addresses")),
            cluster_peers=_texts(value.get("cluster_peers")),
            error=value.get("error", ""),
            node_id=node.get("id", ""),
            node_addresses=_texts(node.get("addresses")),
            node_error=node.get("error", ""),
            free=node.get("free", 0),
            full=node.get("full", ""),
        )


@dataclass(frozen=True, slots=True)
class Pin:
    """An entry of the pinset: what should be. type: one of `PinType`. allocations: peers; empty means all of them.
    replication_min, replication_max: peers, -1 for all.
    """

    cid: str
    name: str
    mode: PinMode
    type: str
    allocations: tuple[str, ...]
    replication_min: int
    replication_max: int
    metadata: Mapping[str, str]
    origins: tuple[str, ...]
    expire_at: datetime | None
    timestamp: datetime | None
    pin_update: str | None
    reference: str | None
    max_depth: int

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of a Pin object."""
        return cls(
            cid=value["cid"],
            name=value["name"],
            mode=PinMode.DIRECT if value["mode"] == "direct" else PinMode.RECURSIVE,
            type=value["type"],
            allocations=_texts(value["allocations"]),
            replication_min=value["replication_factor_min"],
            replication_max=value["replication_factor_max"],
            metadata=dict(value.get("metadata") or {}),
            origins=_texts(value.get("origins")),
            expire_at=moment(value["expire_at"]),
            timestamp=moment(value["timestamp"]),
            pin_update=value.get("pin_update"),
            reference=value.get("reference"),
            max_depth=value["max_depth"],
        )


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One pin on one peer."""

    peer: str
    peername: str
    status: TrackerStatus
    timestamp: datetime | None
    error: str
    attempts: int
    priority: bool

    @classmethod
    def of(cls, peer: str, value: Any) -> Self:
        """Of an entry of a peer_map."""
        return cls(
            peer=peer,
            peername=value["peername"],
            status=tracker_status(value["status"]),
            timestamp=moment(value["timestamp"]),
            error=value["error"],
            attempts=value["attempt_count"],
            priority=value["priority_pin"],
        )


@dataclass(frozen=True, slots=True)
class Status:
    """One CID on all peers, by peer ID: what is."""

    cid: str
    name: str
    allocations: tuple[str, ...]
    metadata: Mapping[str, str]
    created: datetime | None
    peers: Mapping[str, PeerStatus]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of a GlobalPinInfo object."""
        return cls(
            cid=value["cid"],
            name=value["name"],
            allocations=_texts(value.get("allocations")),
            metadata=dict(value.get("metadata") or {}),
            created=moment(value.get("created", ZERO_TIME)),
            peers={peer: PeerStatus.of(peer, info) for peer, info in (value["peer_map"] or {}).items()},
        )


@dataclass(frozen=True, slots=True)
class ForeignPin:
    """A pin that a node holds and that is none of the pinset's. kind: "foreign" or "orphan"."""

    cid: str
    peer: str
    peername: str
    kind: str
    mode: str
    name: str

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of the object."""
        return cls(**{key: value[key] for key in ("cid", "peer", "peername", "kind", "mode", "name")})


@dataclass(frozen=True, slots=True)
class Added:
    """Something that was added. bytes: of the content so far, size: of the DAG; 0 where the API does not tell them."""

    name: str
    cid: str
    bytes: int
    size: int
    allocations: tuple[str, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of an AddedOutput object."""
        return cls(
            name=value["name"],
            cid=value["cid"] or "",
            bytes=int(value.get("bytes") or 0),
            size=int(value.get("size") or 0),
            allocations=_texts(value.get("allocations")),
        )


@dataclass(frozen=True, slots=True)
class Collected:
    """What a garbage collection removed from one peer's node. failed: (CID or "", its error)."""

    peer: str
    peername: str
    removed: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    error: str

    @classmethod
    def all_of(cls, value: Any) -> dict[str, Self]:
        """Of a GlobalRepoGC object, by peer ID."""
        return {peer: cls._of(found) for peer, found in (value["peer_map"] or {}).items()}

    @classmethod
    def _of(cls, value: Any) -> Self:
        keys = value["keys"] or ()
        return cls(
            peer=value["peer"],
            peername=value["peername"],
            removed=tuple(key["key"] for key in keys if not key.get("error")),
            failed=tuple((key["key"] or "", key["error"]) for key in keys if key.get("error")),
            error=value.get("error", ""),
        )


@dataclass(frozen=True, slots=True)
class Metric:
    """A measurement of a peer; value is a text whatever it is."""

    name: str
    peer: str
    value: str
    expire: datetime | None
    received_at: datetime | None
    valid: bool
    weight: int
    partitionable: bool

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of a Metric object."""
        return cls(
            name=value["name"],
            peer=value["peer"],
            value=value["value"],
            expire=_nanoseconds(value["expire"]),
            received_at=_nanoseconds(value["received_at"]),
            valid=value["valid"],
            weight=value["weight"],
            partitionable=value["partitionable"],
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that the cluster noticed."""

    metric: Metric
    triggered_at: datetime | None

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of an Alert object."""
        return cls(Metric.of(value), moment(value["triggered_at"]))


@dataclass(frozen=True, slots=True)
class Graph:
    """Who is connected to whom: peers by their IDs, nodes by theirs."""

    cluster_id: str
    names: Mapping[str, str]
    cluster_links: Mapping[str, tuple[str, ...]]
    trusted: Mapping[str, bool]
    nodes: Mapping[str, str]
    node_links: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of a ConnectGraph object."""
        return cls(
            cluster_id=value["cluster_id"],
            names=dict(value["id_to_peername"] or {}),
            cluster_links={peer: _texts(others) for peer, others in (value["cluster_links"] or {}).items()},
            trusted=dict(value["cluster_trust_links"] or {}),
            nodes=dict(value["cluster_to_ipfs"] or {}),
            node_links={node: _texts(others) for node, others in (value["ipfs_links"] or {}).items()},
        )


def bandwidths(value: Any) -> dict[str, Bandwidth]:
    """By protocol."""
    return {protocol: Bandwidth(**amount) for protocol, amount in (value or {}).items()}
