"""Peers with metrics, for tests of allocation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.model import Metric, PeerId

NOW = 1000.0
BY = ("tag:group", "freespace")


def ids(names: Iterable[str]) -> tuple[PeerId, ...]:
    """Peers with names of one letter, or a list of longer ones."""
    return tuple(PeerId(name) for name in names)


def metrics_of(peer: str, free: int, *, now: float = NOW, tags: Mapping[str, str], **numbers: int) -> dict[str, Metric]:
    """What a monitor measures now, good for 30 seconds. numbers: reposize, numpin, pinqueue."""
    who = PeerId(peer)
    metrics = [
        Metric("ping", who, "{}", now + 30, now),
        Metric("freespace", who, str(free), now + 30, now, weight=free, valid=free > 0),
        *(Metric(f"tag:{key}", who, value, now + 30, now, partitionable=True) for key, value in tags.items()),
        *(Metric(name, who, str(number), now + 30, now, weight=-number) for name, number in numbers.items()),
    ]
    return {metric.name: metric for metric in metrics}


def land_of(
    free: Mapping[str, int],
    *,
    by: Sequence[str] = BY,
    groups: Mapping[str, str] | None = None,
    racks: Mapping[str, str] | None = None,
    away: str = "",
    untagged: str = "",
    names: bool = False,
) -> Landscape:
    """Peers with so much space. away: those whose ping has expired, * for all. racks: a tag that goes before space."""
    land = Landscape(by if racks is None else ("tag:group", "tag:rack", "freespace"))
    for peer, space in free.items():
        tags = {} if peer in untagged else {"group": (groups or {}).get(peer, "eu")}
        if racks is not None:
            tags["rack"] = racks[peer]
        metrics = metrics_of(peer, space, tags=tags)
        if away == "*" or peer in away:
            metrics["ping"] = Metric("ping", PeerId(peer), "{}", NOW - 1, NOW - 31)
        land.measure(PeerId(peer), f"node-{peer}" if names else peer, metrics)
    return land
