"""What the door for tools tells Prometheus, and that the documentation names every metric."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster_tests.telemetry.conftest import samples
from ipfs_cluster.settings import parse
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.telemetry import FiguresCache, Table, Telemetry
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_proxy.compose import compose
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.meters import FRONT
from proxy_tests.front.wires import Door, Doors, get, ok, post

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Doors]:
    """`await door(...)` opens one."""
    doors = Doors(tmp_path)
    yield doors
    await doors.close()


async def scrape(here: Door) -> dict[str, float]:
    """What the door tells, without the `ipfscluster_` of each name."""
    clock = FakeClock()
    telemetry = Telemetry([Table.of(FRONT, here.server)], FiguresCache(MemoryStore(clock), clock))
    _, body = await telemetry.scrape()
    await telemetry.close()
    return {name.removeprefix("ipfscluster_"): value for name, value in samples(body.decode()).items()}


def hanging(begun: asyncio.Event) -> Command:
    """A command that never answers."""

    async def hang(request: Request, reply: Reply) -> None:
        begun.set()
        await asyncio.Event().wait()

    return Command(hang)


async def test_requests_bytes_and_connections(door: Doors) -> None:
    begun = asyncio.Event()

    async def run(request: Request, reply: Reply) -> None:
        async for _ in request.body:
            pass
        await reply.respond(200, b"body", headers={})

    here = await door({"run": Command(run), "hang": hanging(begun)})
    client = await here.connected(get())
    await here.daemon.answers(1, ok(b"hello"))
    assert (await client.answer())[0] == 200
    client.send(post(b"abc", "/api/v0/run"))
    assert (await client.answer())[0] == 200
    await here.connected(post(b"", "/api/v0/hang"))
    await begun.wait()
    found = await scrape(here)
    assert found['proxy_requests_total{outcome="ok",route="relay"}'] == 1
    assert found['proxy_requests_total{outcome="ok",route="run"}'] == 1
    assert found['proxy_requests_total{outcome="error",route="run"}'] == 0
    assert found['proxy_requests_in_progress{route="hang"}'] == 1
    assert found['proxy_requests_in_progress{route="run"}'] == 0
    assert found['proxy_first_byte_seconds_count{route="relay"}'] == 1
    assert found['proxy_command_seconds_count{outcome="ok",route="run"}'] == 1
    assert 'proxy_command_seconds_count{outcome="ok",route="relay"}' not in found
    assert found['proxy_received_bytes_total{by="relay"}'] == here.server.counters.to_daemon > 3
    assert found['proxy_received_bytes_total{by="commands"}'] == 3
    assert found['proxy_sent_bytes_total{by="relay"}'] == len(ok(b"hello"))
    assert found['proxy_sent_bytes_total{by="commands"}'] == 4
    assert found["proxy_open_connections"] == found["proxy_connections_accepted_total"] == 2
    assert found['proxy_upstream_connections{state="busy"}'] == 0
    assert found['proxy_upstream_connections{state="idle"}'] >= 1
    assert found["loop_lag_seconds_count"] == 0


def tables(tmp_path: Path) -> list[Table[object]]:
    """Those of a whole service."""
    settings, _ = parse({}, {})
    return compose(tmp_path, settings, {}, "0").telemetry.tables


def rows(tmp_path: Path) -> Iterator[str]:
    """What has to stand in the documentation."""
    for table in tables(tmp_path):
        for meter in table.meters:
            labels = ", ".join(f"`{label}`" for label in (*table.labels, *meter.labels))
            yield f"| `{meter.name}` | {meter.kind} | {labels} | {meter.meaning} |"


async def test_every_metric_is_documented_as_it_is(tmp_path: Path) -> None:
    documented = re.findall(r"^\| `ipfscluster_.*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(documented) == sorted(rows(tmp_path))


async def test_names_say_what_they_are(tmp_path: Path) -> None:
    names = []
    for table in tables(tmp_path):
        for meter in table.meters:
            names.append(meter.name)
            assert re.fullmatch(r"ipfscluster_[a-z_]+", meter.name)
            assert (meter.kind == "counter") == meter.name.endswith("_total"), meter.name
            assert meter.meaning.endswith("."), meter.name
    assert len(set(names)) == len(names)
