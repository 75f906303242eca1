"""Metrics as data: name, meaning, and how to read the value off a part of the service."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.utils import floatToGoString

from ipfs_cluster.counters import Histogram

P = TypeVar("P")

Readings = Iterable[tuple[tuple[str, ...], float | Histogram]]
"""Values of one metric by the values of its own labels. The labels' values come from closed sets: no CIDs, no paths."""


class Kind(enum.StrEnum):
    """The type that Prometheus is told. UNTYPED: ipfs-cluster's counters, whose names lack the `_total` that the
    formats demand of one.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    UNTYPED = "untyped"


FAMILIES: dict[Kind, Callable[..., Metric]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
    Kind.UNTYPED: UnknownMetricFamily,
}


@dataclass(frozen=True, slots=True)
class Meter(Generic[P]):
    """One metric of parts of one kind. name: as in queries, without `_bucket` and its like. labels: beside those that
    tell the parts apart.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[P], Readings]


def gauge(name: str, meaning: str, read: Callable[[P], float]) -> Meter[P]:
    """A value that goes up and down."""
    return Meter(name, Kind.GAUGE, meaning, (), lambda part: (((), read(part)),))


def counter(name: str, meaning: str, read: Callable[[P], float]) -> Meter[P]:
    """A value that only grows while the process lives; name ends in `_total`."""
    return Meter(name, Kind.COUNTER, meaning, (), lambda part: (((), read(part)),))


def histogram(name: str, meaning: str, read: Callable[[P], Histogram]) -> Meter[P]:
    """How values are spread."""
    return Meter(name, Kind.HISTOGRAM, meaning, (), lambda part: (((), read(part)),))


class Table(Generic[P]):
    """Meters, and the parts that they are read off: one, or several told apart by labels."""

    def __init__(
        self,
        meters: Sequence[Meter[P]],
        parts: Callable[[], Iterable[tuple[tuple[str, ...], P]]],
        labels: tuple[str, ...] = (),
    ) -> None:
        """parts: as they are now, each with its values of `labels`."""
        self.meters = tuple(meters)
        self.labels = labels
        self._parts = parts

    @classmethod
    def of(cls, meters: Sequence[Meter[P]], part: P) -> Table[P]:
        """The meters of a single part."""
        return cls(meters, lambda: (((), part),))

    def families(self) -> Iterator[Metric]:
        """All metrics with their values now."""
        parts = list(self._parts())
        for meter in self.meters:
            family = FAMILIES[meter.kind](meter.name, meter.meaning, labels=(*self.labels, *meter.labels))
            for labels, part in parts:
                for own, value in meter.read(part):
                    _add(family, (*labels, *own), value)
            yield family


def _add(family: Metric, labels: tuple[str, ...], value: float | Histogram) -> None:
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Histogram)
        bounds = [*map(floatToGoString, value.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, map(float, accumulate(value.counts)), strict=True)), value.sum)
    else:
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily | UnknownMetricFamily)
        family.add_metric(labels, float(value))  # type: ignore[arg-type]
