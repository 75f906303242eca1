"""Storms on three real Kubo nodes: 500 mixed requests, the service killed at random points, nodes failing meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.http import file_part, multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service
from compat_tests.soak.nodes import RealNode
from compat_tests.soak.plan import Content, Plan, Pool, Taste, folder, several, single
from compat_tests.soak.run import endure, node_faults
from compat_tests.soak.storm import Storm
from ipfs_cluster import cid as cids

REQUESTS = 500
CLIENTS = 10
KILLS = 4


def hashed(node: KuboNode, *parts: tuple[str | None, bytes, str]) -> str:
    """The CID that an add of these parts ends with; nothing is added."""
    headers, body = multipart(*parts)
    answer = post(node.address, "/api/v0/add?only-hash=true", headers=headers, body=body)
    return str(json.loads(answer.text.splitlines()[-1])["Hash"])


def real_pool(nodes: list[KuboNode], rng: random.Random) -> Pool:
    """Content for one storm."""

    def file(name: str, size: int) -> Content:
        content = rng.randbytes(size)
        return single(name, content, hashed(nodes[0], file_part(name, content)))

    def tree(name: str) -> Content:
        made = folder(name, [(file, rng.randbytes(500)) for file in ("a", "b", "c")], "")
        return Content(made.parts, ((name, hashed(nodes[0], *made.parts)),))

    present = []
    for number in range(28):
        made = file(f"present{number}", rng.choice((100, 5000, 400_000)))
        rng.choice(nodes).add(made.parts[0][1], pin="false")
        present.append(made)
    fresh = [file(f"fresh{number}", rng.choice((50, 3000, 300_000))) for number in range(12)]
    fresh += [tree(f"tree{number}") for number in range(6)]
    fresh += [several(rng.sample(fresh, 3)) for _ in range(3)]
    blocks = []
    for number in range(6):
        content = rng.randbytes(200)
        raw = cids.from_bytes(b"\x01\x55\x12\x20" + hashlib.sha256(content).digest())
        blocks.append(single(f"block{number}", content, cids.text(raw)))
    missing = [cids.text(cids.from_bytes(b"\x12\x20" + rng.randbytes(32))) for _ in range(4)]
    return Pool(tuple(present[4:]), tuple(fresh), tuple(blocks), tuple(missing), tuple(present[:4]))


WEATHERS = [
    (1, "pins are removed behind our back", {}),
    (2, "pins are removed behind our back", {"replication_factor_min": 2, "replication_factor_max": 2}),
    (3, "a node is killed", {"replication_factor_min": 1, "replication_factor_max": 2}),
    (4, "a node hangs", {"replication_factor_min": 1, "replication_factor_max": 3}),
    (5, "a node is killed", {}),
]


@pytest.mark.parametrize(("seed", "weather", "cluster"), WEATHERS)
def test_nothing_acknowledged_is_lost_in_a_storm(
    trio: list[KuboNode],
    tmp_path: Path,
    service_factory: Callable[..., Service],
    seed: int,
    weather: str,
    cluster: dict[str, int],
) -> None:
    for node in trio:
        clear_pins(node)
    pool = real_pool(trio, random.Random(seed))
    service = service_factory(trio, cluster=cluster, ipfs_connector={"ipfshttp": {"pin_timeout": "3s"}})
    taste = Taste(((1, 1), (1, 2), (2, 2)) if cluster else ((1, 2), (-1, -1)))

    async def run() -> None:
        storm = Storm(Plan(seed, pool, taste), service, [RealNode(node) for node in trio], CLIENTS)
        first = random.Random(seed).randrange(REQUESTS // 5, REQUESTS // 2)
        await endure(storm, REQUESTS, KILLS, node_faults(storm, weather, first, first + 70), weather)

    asyncio.run(run())
