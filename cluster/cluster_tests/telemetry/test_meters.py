"""From plain numbers to what Prometheus reads."""

from __future__ import annotations

from cluster_tests.telemetry.conftest import samples
from ipfs_cluster.counters import Histogram
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.telemetry import FiguresCache, Kind, Meter, Table, Telemetry, counter, gauge, histogram
from ipfs_cluster.testing.fake_clock import FakeClock

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Part:
    """What is counted here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.spread = Histogram((1, 2.5))


METERS: tuple[Meter[Part], ...] = (
    counter("ipfscluster_done_total", "Done.", lambda part: part.number),
    gauge("ipfscluster_now", "Now.", lambda part: -part.number),
    histogram("ipfscluster_seconds", "Spread.", lambda part: part.spread),
    Meter("ipfscluster_old", Kind.UNTYPED, "Old.", ("by",), lambda part: ((("a",), 1), (("b",), part.number))),
)


def telemetry(*tables: Table[Part]) -> Telemetry:
    clock = FakeClock()
    return Telemetry(tables, FiguresCache(MemoryStore(clock), clock))


async def test_a_part_is_read_when_somebody_scrapes() -> None:
    part = Part(3)
    here = telemetry(Table.of(METERS, part))
    for value in (0.5, 1, 2, 7):
        part.spread.observe(value)
    part.number = 5
    content_type, body = await here.scrape()
    assert content_type.startswith("text/plain; version=0.0.4")
    assert samples(body.decode()) == {
        "ipfscluster_done_total": 5,
        "ipfscluster_now": -5,
        'ipfscluster_seconds_bucket{le="1.0"}': 2,
        'ipfscluster_seconds_bucket{le="2.5"}': 3,
        'ipfscluster_seconds_bucket{le="+Inf"}': 4,
        "ipfscluster_seconds_count": 4,
        "ipfscluster_seconds_sum": 10.5,
        'ipfscluster_old{by="a"}': 1,
        'ipfscluster_old{by="b"}': 5,
    }
    part.number = 6
    assert samples((await here.scrape())[1].decode())["ipfscluster_done_total"] == 6


async def test_parts_are_told_apart_by_labels_as_they_are_now() -> None:
    parts = {"one": Part(1)}
    here = telemetry(Table(METERS[:2], lambda: (((name,), part) for name, part in parts.items()), ("name",)))
    parts["two"] = Part(2)
    del parts["one"]
    found = samples((await here.scrape())[1].decode())
    assert found == {'ipfscluster_done_total{name="two"}': 2, 'ipfscluster_now{name="two"}': -2}


async def test_open_metrics_are_sent_to_who_asks_for_them() -> None:
    content_type, body = await telemetry(Table.of(METERS, Part(1))).scrape(OPEN_METRICS)
    assert content_type.startswith("application/openmetrics-text")
    lines = body.decode().splitlines()
    assert lines[-1] == "# EOF"
    assert "# TYPE ipfscluster_old unknown" in lines
    assert "# TYPE ipfscluster_done counter" in lines
    assert "ipfscluster_done_total 1.0" in lines


async def test_the_process_tells_of_itself_and_two_services_do_not_mix() -> None:
    first, second = telemetry(Table.of(METERS, Part(1))), telemetry()
    assert b"process_resident_memory_bytes" in (await second.scrape())[1]
    assert b"ipfscluster" not in (await second.scrape())[1]
    assert b"ipfscluster" in (await first.scrape())[1]
