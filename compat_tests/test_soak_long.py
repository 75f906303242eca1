"""Storms on fake nodes, each 10,000 mixed requests, with the real service, its store and its deaths."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service
from compat_tests.soak.nodes import StubProcess
from compat_tests.soak.plan import Plan, Pool, Taste, folder, several, single
from compat_tests.soak.run import endure, node_faults
from compat_tests.soak.storm import Storm
from compat_tests.soak.stub import folded, hashed

log = logging.getLogger(__name__)

RUNS = 50
REQUESTS = 10_000
CLIENTS = 12
KILLS = 20
WEATHERS = ("pins are removed behind our back", "a node is killed", "a node hangs")
FACTORS = ((-1, -1), (2, 2), (1, 2), (1, 3))


def fake_pool(rng: random.Random) -> Pool:
    """Content for one storm; what some node has is still to be published."""
    files = [
        single(name, content, hashed(content))
        for name, content in ((f"file{i}", rng.randbytes(60)) for i in range(130))
    ]
    fresh = files[:30]
    for number in range(8):
        entries = [(name, rng.randbytes(30)) for name in ("a", "b")]
        fresh.append(folder(f"folder{number}", entries, folded(entries)))
    fresh += [several(rng.sample(fresh, 3)) for _ in range(4)]
    missing = [hashed(rng.randbytes(30)) for _ in range(6)]
    return Pool(tuple(files[30:110]), tuple(fresh), tuple(files[110:120]), tuple(missing), tuple(files[120:]))


@pytest.fixture
def stubs(tmp_path: Path) -> Iterator[StubProcess]:
    """Three fake nodes."""
    process = StubProcess(3, tmp_path)
    yield process
    process.stop()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(RUNS))
def test_nothing_acknowledged_is_lost_in_a_long_storm(
    stubs: StubProcess, service_factory: Callable[..., Service], seed: int
) -> None:
    rng = random.Random(seed)
    pool, weather, (low, high) = fake_pool(rng), WEATHERS[seed % 3], FACTORS[seed % 4]
    stubs.publish([content.cid for content in (*pool.present, *pool.fleeting)])
    service = service_factory(
        cast("list[KuboNode]", stubs.nodes),
        cluster={"replication_factor_min": low, "replication_factor_max": high},
        ipfs_connector={"ipfshttp": {"pin_timeout": "3s"}},
    )
    taste = Taste(((1, 2), (-1, -1)) if low == -1 else ((1, 1), (1, 2), (2, 2)))

    async def run() -> None:
        storm = Storm(Plan(seed, pool, taste), service, stubs.nodes, CLIENTS)
        faults = [fault for at in (1000, 4000, 7000, 9600) for fault in node_faults(storm, weather, at, at + 300)]
        await endure(storm, REQUESTS, KILLS, faults, weather)
        log.info("seed %d: %.0f requests/s", seed, storm.rate)

    asyncio.run(run())
