"""Pin options in a query, with ipfs-cluster's names, defaults and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ipfs_cluster.addresses import is_peer_id
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument, InvalidCid
from ipfs_cluster.model import PeerId, PeerInfo, PinMode, PinOptions
from ipfs_cluster.pinning import Wait
from ipfs_cluster.rest.answers import parsed
from ipfs_cluster.settings.values import duration

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_UNSIGNED = re.compile(r"[0-9]{1,19}")


def wait_of(query: Mapping[str, str]) -> Wait:
    """What the answer waits for: as in ipfs-cluster nothing but the entry, unless `wait` says more."""
    text = query.get("wait") or Wait.ACCEPTED.value
    try:
        return Wait(text)
    except ValueError:
        raise InvalidArgument(f"parameter wait invalid: {text} is none of accepted, min, all") from None


def pin_options(query: Mapping[str, str], now: float, peers: Sequence[PeerInfo]) -> PinOptions:
    """All of them, or InvalidArgument. now: unix seconds. peers: of the cluster."""
    if (shard_size := query.get("shard-size", "")) and not _UNSIGNED.fullmatch(shard_size):
        raise InvalidArgument("parameter shard-size invalid")
    both = _number(query, "replication")
    low, high = _number(query, "replication-min"), _number(query, "replication-max")
    metadata: dict[str, str] = {}
    for key, value in query.items():
        if key.startswith("meta-") and len(key) > len("meta-"):
            metadata.setdefault(key.removeprefix("meta-"), value)
    return PinOptions(
        name=query.get("name") or None,
        mode=PinMode.DIRECT if query.get("mode") == "direct" else PinMode.RECURSIVE,
        replication_min=both or low,
        replication_max=both or high,
        user_allocations=_peers(query, peers),
        metadata=metadata or None,
        expire_at=_expiry(query, now),
        origins=tuple(_list(query, "origins")) or None,
        pin_update=_update(query),
        shard_size=int(shard_size or 0) or None,
    )


def _peers(query: Mapping[str, str], peers: Sequence[PeerInfo]) -> tuple[PeerId, ...]:
    """By ID or by name. As in ipfs-cluster they are a preference, and one that is not there is passed over; it also
    passes over what is no peer ID, which nobody can have meant.
    """
    known = {peer.name: peer.id for peer in peers} | {peer.id: peer.id for peer in peers}
    given = _list(query, "user-allocations")
    for text in given:
        if text not in known and not is_peer_id(text):
            raise InvalidArgument(f"parameter user-allocations invalid: {text} is neither a peer ID nor a peer's name")
    return tuple(dict.fromkeys(known.get(text, PeerId(text)) for text in given))


def _update(query: Mapping[str, str]) -> Cid | None:
    text = query.get("pin-update")
    if not text:
        return None
    try:
        return parsed(text)
    except InvalidCid as error:
        raise InvalidArgument(f"parameter pin-update invalid: {error}") from None


def _list(query: Mapping[str, str], key: str) -> list[str]:
    return [item.strip() for item in query.get(key, "").split(",") if item.strip()]


def _number(query: Mapping[str, str], key: str) -> int | None:
    text = query.get(key, "")
    if text and not _INTEGER.fullmatch(text):
        raise InvalidArgument(f"parameter {key} invalid")
    return int(text or 0) or None


def _expiry(query: Mapping[str, str], now: float) -> float | None:
    if at := query.get("expire-at"):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise InvalidArgument(f"parameter expire-at invalid: {at}") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if within := query.get("expire-in"):
        try:
            seconds = duration(within)
        except ValueError as error:
            raise InvalidArgument(f"parameter expire-in invalid: {error}") from None
        if seconds < 1:
            raise InvalidArgument("expire-in duration too short")
        return now + seconds
    return None
