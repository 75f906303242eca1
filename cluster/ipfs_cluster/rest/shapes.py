"""The JSON objects of ipfs-cluster's REST API: field names, orders and zero values as its Go clients decode them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.model import Metric, PeerInfo, Pin, PinMode, PinStatus, PinType
from ipfs_cluster.ports import ForeignPin

ZERO_TIME = "0001-01-01T00:00:00Z"


def moment(seconds: float) -> str:
    """RFC 3339 in UTC as Go writes it, a fraction without zeros at its end; the zero time of Go for 0."""
    if seconds <= 0:
        return ZERO_TIME
    text = datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


def pin(entry: Pin) -> dict[str, Any]:
    """A pinset entry."""
    return {
        "replication_factor_min": entry.replication_min,
        "replication_factor_max": entry.replication_max,
        "name": entry.name,
        "mode": entry.mode.value,
        "shard_size": entry.shard_size,
        "user_allocations": None,
        "expire_at": moment(entry.expire_at),
        "metadata": dict(sorted(entry.metadata.items())) or None,
        "pin_update": cids.text(entry.pin_update) if entry.pin_update else None,
        "origins": list(entry.origins),
        "cid": cids.text(entry.cid),
        "type": entry.type.value,
        "allocations": list(entry.allocations),
        "max_depth": 0 if entry.mode is PinMode.DIRECT else 1 if entry.type is PinType.SHARD else -1,
        "reference": cids.text(entry.reference) if entry.reference else None,
        "timestamp": moment(entry.timestamp),
    }


def global_pin_info(cid: cids.Cid, entry: Pin | None, statuses: Sequence[PinStatus]) -> dict[str, Any]:
    """A CID on all peers; zero values where there is no entry."""
    return {
        "cid": cids.text(cid),
        "name": entry.name if entry else "",
        "allocations": list(entry.allocations) if entry else [],
        "origins": list(entry.origins) if entry else [],
        "created": moment(entry.timestamp) if entry else ZERO_TIME,
        "metadata": dict(sorted(entry.metadata.items())) or None if entry else None,
        "peer_map": {status.peer: pin_info(status) for status in sorted(statuses, key=_peer)},
    }


def _peer(status: PinStatus) -> str:
    return status.peer


def foreign(found: ForeignPin, peername: str) -> dict[str, Any]:
    """A pin that is none of the pinset's; an object of our own."""
    return {
        "cid": cids.text(found.pin.cid),
        "peer": found.peer,
        "peername": peername,
        "kind": "orphan" if found.orphan else "foreign",
        "mode": found.pin.mode.value,
        "name": found.pin.name,
    }


def pin_info(status: PinStatus) -> dict[str, Any]:
    """One peer of a global pin info."""
    # An empty ID would be no ID for Go's decoder.
    node = {"ipfs_peer_id": status.node} if status.node else {}
    return {
        "peername": status.peername,
        **node,
        "status": status.status.value,
        "timestamp": moment(status.timestamp),
        "error": status.error,
        "attempt_count": status.attempts,
        "priority_pin": status.priority,
    }


def identity(peer: PeerInfo, peers: Sequence[PeerInfo], version: str) -> dict[str, Any]:
    """An ID object. A peer's addresses are empty: the peers of one service need none to reach each other. `free` and
    `full` are our own: what something new may take on the node, and why nothing may.
    """
    ipfs: dict[str, Any] = {"addresses": list(peer.node.addresses) if peer.node else [], "error": peer.error}
    ipfs |= {"free": peer.free, "full": peer.full}
    if peer.node is not None:
        ipfs = {"id": peer.node.id, **ipfs}
    return {
        "id": peer.id,
        "addresses": list(peer.addresses),
        "cluster_peers": [other.id for other in peers],
        "cluster_peers_addresses": [],
        "version": version,
        "commit": "",
        "rpc_protocol_version": "/ipfscluster/1.0/rpc",
        "error": "",
        "ipfs": ipfs,
        "peername": peer.name,
    }


def metric(measured: Metric, expire: float, received_at: float) -> dict[str, Any]:
    """A measurement. expire, received_at: unix seconds."""
    return {
        "name": measured.name,
        "peer": measured.peer,
        "value": measured.value,
        "expire": int(expire * 1e9),
        "valid": measured.valid,
        "weight": measured.weight,
        "partitionable": measured.partitionable,
        "received_at": int(received_at * 1e9),
    }
