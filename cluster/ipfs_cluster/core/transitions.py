"""What becomes of a peer's work row after each event: the table, and the times of the next attempt.

States are the statuses a row can have; the absence of a row means that reality is as wanted. PINNING and UNPINNING
are not stored: a row in work keeps its status, so that a crash finds it as it was and asks the node first.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ipfs_cluster.model import TrackerStatus

PIN_QUEUED = TrackerStatus.PIN_QUEUED
PIN_ERROR = TrackerStatus.PIN_ERROR
UNEXPECTED = TrackerStatus.UNEXPECTEDLY_UNPINNED
UNPIN_QUEUED = TrackerStatus.UNPIN_QUEUED
UNPIN_ERROR = TrackerStatus.UNPIN_ERROR


class Event(enum.Enum):
    """The end of one attempt on a node."""

    DONE = "done"
    REFUSED = "refused"
    """The node answered with an error."""
    STALLED = "stalled"
    """No growth for the stall limit: nobody reachable has the content."""
    UNREACHABLE = "unreachable"
    """The node is away; this is no attempt at the pin and is repeated as soon as the node is back."""


DELETE = None

TABLE: Mapping[tuple[TrackerStatus, Event], TrackerStatus | None] = MappingProxyType(
    {
        (PIN_QUEUED, Event.DONE): DELETE,
        (PIN_QUEUED, Event.REFUSED): PIN_ERROR,
        (PIN_QUEUED, Event.STALLED): PIN_ERROR,
        (PIN_QUEUED, Event.UNREACHABLE): PIN_QUEUED,
        (PIN_ERROR, Event.DONE): DELETE,
        (PIN_ERROR, Event.REFUSED): PIN_ERROR,
        (PIN_ERROR, Event.STALLED): PIN_ERROR,
        (PIN_ERROR, Event.UNREACHABLE): PIN_ERROR,
        (UNEXPECTED, Event.DONE): DELETE,
        (UNEXPECTED, Event.REFUSED): PIN_ERROR,
        (UNEXPECTED, Event.STALLED): PIN_ERROR,
        (UNEXPECTED, Event.UNREACHABLE): UNEXPECTED,
        (UNPIN_QUEUED, Event.DONE): DELETE,
        (UNPIN_QUEUED, Event.REFUSED): UNPIN_ERROR,
        (UNPIN_QUEUED, Event.STALLED): UNPIN_ERROR,
        (UNPIN_QUEUED, Event.UNREACHABLE): UNPIN_QUEUED,
        (UNPIN_ERROR, Event.DONE): DELETE,
        (UNPIN_ERROR, Event.REFUSED): UNPIN_ERROR,
        (UNPIN_ERROR, Event.STALLED): UNPIN_ERROR,
        (UNPIN_ERROR, Event.UNREACHABLE): UNPIN_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter above half: base · 2^(attempts−1), at most `cap`, times 0.5 to 1 (seconds)."""

    base: float = 5.0
    cap: float = 720.0

    def delay(self, attempts: int, jitter: float) -> float:
        """Seconds until the next attempt after this many failed ones; jitter in [0, 1)."""
        return min(self.cap, self.base * 2.0 ** min(max(attempts - 1, 0), 32)) * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class After:
    """The row's new state. status None: the row goes."""

    status: TrackerStatus | None
    attempts: int = 0
    next_retry: float = 0.0


def after(status: TrackerStatus, event: Event, attempts: int, now: float, backoff: Backoff, jitter: float) -> After:
    """The row after an attempt. Raises KeyError for a status that no row can have."""
    following = TABLE[status, event]
    if following is None:
        return After(None)
    if event is Event.UNREACHABLE:
        return After(following, attempts, now)
    return After(following, attempts + 1, now + backoff.delay(attempts + 1, jitter))
