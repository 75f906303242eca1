"""Waiting until a pin is as it should be: what a look at its status means. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.client.errors import WaitFailed
from ipfs_cluster.client.models import Status
from ipfs_cluster.model import TrackerStatus

ERRORS = frozenset({TrackerStatus.CLUSTER_ERROR, TrackerStatus.PIN_ERROR, TrackerStatus.UNPIN_ERROR})
PAUSE = 1.0
"""Seconds between looks."""


@dataclass(frozen=True, slots=True)
class Look:
    """reached: peers where it is so, of those wanted."""

    reached: int
    wanted: int
    done: bool


def look(status: Status, target: TrackerStatus, enough: int = 0) -> Look:
    """Peers that are not to hold the pin do not count. enough: peers, 0 or less for all. Raises WaitFailed."""
    infos = [info for info in status.peers.values() if info.status is not TrackerStatus.REMOTE]
    for info in infos:
        if info.status in ERRORS:
            raise WaitFailed(f"{info.peername or info.peer}: {info.status}: {info.error}")
    reached = sum(info.status is target for info in infos)
    wanted = min(enough, len(infos)) if enough > 0 else len(infos)
    done = reached >= wanted and (bool(infos) or target is TrackerStatus.UNPINNED)
    return Look(reached, wanted, done)


def too_late(seen: Look, target: TrackerStatus) -> str:
    """What is told when the time is over."""
    return f"{target} on {seen.reached} of {seen.wanted} peers when the time was over"
