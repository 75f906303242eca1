"""Numbers that parts count in while they work: plain, bumped in passing, read by `telemetry` when somebody scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
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
class PingCounters:
    """A node's pings. answered: seconds until the answers were there. failed: without an answer that can be used."""

    answered: Histogram = field(default_factory=lambda: Histogram((0.002, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)))
    failed: int = 0


@dataclass(slots=True)
class CollectCounters:
    """Garbage collections on a node: complete ones, those that were broken off or not begun, and blocks freed."""

    complete: int = 0
    failed: int = 0
    blocks: int = 0


@dataclass(slots=True)
class IngestCounters:
    """Adds. in_progress: sent to nodes now. failed: ended early, for whatever reason. refused: before a byte was sent.
    sent: bytes of bodies, once for each add. copies: of complete ones, (peer, whether its node saw the add through).
    """

    in_progress: int = 0
    complete: int = 0
    failed: int = 0
    refused: int = 0
    sent: int = 0
    copies: Counter[tuple[str, bool]] = field(default_factory=Counter)


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
