"""Numbers that parts count in while they work: plain, bumped in passing, read by `telemetry` when somebody scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field


class Histogram:
    """How values are spread: how many fell into each range up to a bound (and above the last), and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """bounds: rising; a value that is equal to one belongs below it."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


@dataclass(slots=True)
class StoreCounters:
    """What an open store was asked to write. durable: seconds from a call to its answer. groups: calls that shared one
    sync of the disk. refused: calls that the store could not carry out (disk full, I/O error).
    """

    durable: Histogram = field(default_factory=lambda: Histogram((0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0, 5.0)))
    groups: Histogram = field(default_factory=lambda: Histogram((1, 2, 4, 8, 16, 32, 64, 128)))
    conflicts: int = 0
    refused: int = 0


@dataclass(slots=True)
class PinsetCounters:
    """Entries that were written or confirmed for requests that pin (pinned) and that add (added), and entries that
    left: on request (removed), by their expiry, with a request that gave up (withdrawn).
    """

    pinned: int = 0
    added: int = 0
    removed: int = 0
    expired: int = 0
    withdrawn: int = 0
