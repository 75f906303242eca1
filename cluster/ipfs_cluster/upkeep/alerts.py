"""What an operator should know of, newest first: metrics that expired, and what the cluster found out about itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ipfs_cluster.model import Metric, PeerId

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Alert:
    """A metric that raised it, in ipfs-cluster's shape. Unix seconds: the metric's own times are of another clock."""

    metric: Metric
    triggered_at: float
    received_at: float
    expired_at: float


class Alerts:
    """The last KEPT alerts of this process."""

    def __init__(self) -> None:
        self._alerts: deque[Alert] = deque(maxlen=KEPT)
        self._told: set[tuple[PeerId, str]] = set()
        self.raised = 0

    def __iter__(self) -> Iterator[Alert]:
        return iter(self._alerts)

    def check(self, metrics: Iterable[Metric], steady: float, now: float) -> list[Alert]:
        """Raise an alert for each metric that does not count (any more); once, until it has counted again. The new
        ones. steady: monotonic, by which metrics expire; now: unix seconds.
        """
        new = []
        for metric in metrics:
            key = (metric.peer, metric.name)
            if metric.usable(steady):
                self._told.discard(key)
            elif key not in self._told:
                self._told.add(key)
                new.append(self._raise(metric, now, now - steady))
        return new

    def tell(self, name: str, peer: PeerId, text: str, now: float) -> Alert:
        """Raise one that is no measurement: `text` is its value."""
        return self._raise(Metric(name, peer, text, now, now, valid=False), now, 0.0)

    def _raise(self, metric: Metric, now: float, offset: float) -> Alert:
        alert = Alert(metric, now, metric.received_at + offset, metric.expire + offset)
        self._alerts.appendleft(alert)
        self.raised += 1
        return alert
