"""Which peers should hold a pin: a pure decision with its reasons.

The rules and the error text are ipfs-cluster's: peers that already hold it stay while there are enough of them,
preferred peers come next, the rest is ordered by the metrics of `allocate_by`, spread over equal tag values first
and by free space inside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from ipfs_cluster.errors import InvalidArgument, NotEnoughPeers
from ipfs_cluster.model import EVERYWHERE, Metric, PeerId

Metrics = Mapping[str, Mapping[PeerId, Metric]]


@dataclass(frozen=True, slots=True)
class Allocation:
    """The decision. peers: in order; empty means everywhere. rejected: why each other known peer is no candidate."""

    peers: tuple[PeerId, ...]
    rejected: Mapping[PeerId, str]


def check_factors(minimum: int, maximum: int) -> None:
    """Raise InvalidArgument unless the factors are both EVERYWHERE or 1 <= minimum <= maximum."""
    if minimum == EVERYWHERE and maximum == EVERYWHERE:
        return
    if minimum < 1 or maximum < 1:
        raise InvalidArgument("replication factors must be both -1 (everywhere) or both positive")
    if minimum > maximum:
        raise InvalidArgument("replication_factor_min is larger than replication_factor_max")


def allocate(
    minimum: int,
    maximum: int,
    *,
    peers: Collection[PeerId],
    metrics: Metrics,
    now: float,
    allocate_by: Sequence[str],
    current: Sequence[PeerId] = (),
    preferred: Sequence[PeerId] = (),
    ties: Mapping[PeerId, float] | None = None,
) -> Allocation:
    """Choose peers for a pin.

    current: where it is allocated now. preferred: taken first when they are candidates. ties: a random number for
    each peer, to spread equals. Raises NotEnoughPeers, with which filter removed which peer, and InvalidArgument.
    """
    check_factors(minimum, maximum)
    if minimum == EVERYWHERE:
        return Allocation((), {})
    rejected = {peer: why for peer in peers if (why := _unfit(peer, metrics, allocate_by, now))}
    candidates = [peer for peer in peers if peer not in rejected]
    kept = [peer for peer in current if peer in candidates]
    if len(kept) >= minimum:
        # Peers that are away for a while stay listed within the margin: nothing moves when they return.
        stay = list(current) if len(current) <= maximum else kept[:maximum]
        return Allocation(tuple(stay), rejected)
    fresh = [peer for peer in candidates if peer not in kept]
    first = [peer for peer in preferred if peer in fresh]
    rest = [peer for peer in fresh if peer not in first]
    ordered = list(_balanced(first, allocate_by, metrics, ties)) + list(_balanced(rest, allocate_by, metrics, ties))
    if len(kept) + len(ordered) < minimum:
        raise NotEnoughPeers(_shortage(minimum, maximum, len(kept) + len(ordered), rejected))
    return Allocation(tuple(kept + ordered[: maximum - len(kept)]), rejected)


def _unfit(peer: PeerId, metrics: Metrics, allocate_by: Sequence[str], now: float) -> str:
    for name in ("ping", *allocate_by):
        metric = metrics.get(name, {}).get(peer)
        if metric is None:
            return f"no {name} metric"
        if not metric.usable(now):
            return f"{name} metric {'expired' if metric.valid else 'invalid'}"
    return ""


def _shortage(minimum: int, maximum: int, found: int, rejected: Mapping[PeerId, str]) -> str:
    text = (
        f"not enough peers to allocate CID. Needed at least: {minimum}. Wanted at most: {maximum}. "
        f"Available candidates: {found}."
    )
    if rejected:
        text += " Not candidates: " + ", ".join(f"{peer} ({why})" for peer, why in sorted(rejected.items())) + "."
    return text


def _balanced(
    peers: Sequence[PeerId], names: Sequence[str], metrics: Metrics, ties: Mapping[PeerId, float] | None
) -> Iterator[PeerId]:
    """ipfs-cluster's balanced order: round-robin over the partitions of the first metric, each ordered by the next."""
    if not names:
        return iter(sorted(peers, key=lambda peer: ((ties or {}).get(peer, 0.0), peer)))
    values = metrics.get(names[0], {})
    partitions: dict[str, list[PeerId]] = {}
    for peer in peers:
        metric = values[peer]
        key = metric.value if metric.partitionable else peer
        partitions.setdefault(key, []).append(peer)

    def rank(item: tuple[str, list[PeerId]]) -> tuple[int, int, float, str]:
        key, members = item
        own = values[members[0]].weight
        below = sum(metrics.get(name, {})[peer].weight for name in names[1:] for peer in members)
        tie = 0.0 if values[members[0]].partitionable else (ties or {}).get(members[0], 0.0)
        return (-own, -below, tie, key)

    columns = [
        list(_balanced(members, names[1:], metrics, ties)) for _, members in sorted(partitions.items(), key=rank)
    ]
    rows = chain.from_iterable(zip_longest(*columns))
    return (peer for peer in rows if peer is not None)
