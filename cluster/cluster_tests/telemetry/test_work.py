"""What the metrics say of adds, of attempts on nodes, and of what nodes are asked in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cluster_tests.engine.conftest import cid, until
from cluster_tests.engine.test_ingest import Body, add, roots_of, upload
from cluster_tests.telemetry.conftest import Scraper
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError, NodeError, PinFailed
from ipfs_cluster.model import NodePin, PinMode, PinOptions


async def test_attempts_by_how_they_ended(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    there = PinOptions(user_allocations=(world.peers[0].id,))
    world.nodes[0].refusals[cid(2)] = "no"
    await (await cluster.pin([(cid(1), there)])).wait()
    with pytest.raises(PinFailed):
        await (await cluster.pin([(cid(2), there)])).wait()
    await cluster.unpin([(cid(1), True)])
    found = await scraper.scrape(0)
    attempts = {name: value for name, value in found.items() if "attempts_total" in name and value}
    name = "ipfscluster_tracker_attempts_total"
    assert attempts.pop(name + '{action="unpin",outcome="done",peer="name0"}') >= 1
    assert attempts == {
        name + '{action="pin",outcome="done",peer="name0"}': 1,
        name + '{action="pin",outcome="other",peer="name0"}': 1,
    }
    assert found['ipfscluster_tracker_fetched_blocks_total{peer="name0"}'] == 1
    assert found['ipfscluster_tracker_fetched_bytes_total{peer="name0"}'] == 100
    assert found['ipfscluster_pins_pin_add{peer="name0"}'] == 2
    assert found['ipfscluster_pins_pin_add_errors{peer="name0"}'] == 1
    assert found['ipfscluster_pins_pin_add{peer="name1"}'] == 0


async def test_adds_by_how_they_ended(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    both = PinOptions(replication_min=1, replication_max=2)
    await add(world, 1, options=both)
    body = Body(2, open_end=True)
    async with cluster.add(upload(body, both)) as call:
        assert (await scraper.scrape(0))["ipfscluster_ingest_in_progress"] == 1
        body.cut()
        with pytest.raises(ConnectionError):
            await roots_of(call)
    world.nodes[0].add_trailer = "broken"
    with pytest.raises(ClusterError):
        await add(world, 4, options=both)
    world.nodes[0].add_trailer, world.nodes[1].add_trailer = "", "broken"
    await add(world, 3, options=both)
    found = await scraper.scrape(0)
    names = ("complete", "failed", "refused")
    assert [found[f'ipfscluster_ingest_adds_total{{outcome="{name}"}}'] for name in names] == [2, 2, 0]
    assert found["ipfscluster_ingest_in_progress"] == 0
    assert found["ipfscluster_ingest_bytes_total"] > 600_000
    copies = {name: value for name, value in found.items() if "copies" in name and value}
    prefix = "ipfscluster_ingest_copies_total"
    assert copies == {
        prefix + '{outcome="whole",peer="name0"}': 2,
        prefix + '{outcome="whole",peer="name1"}': 1,
        prefix + '{outcome="dropped",peer="name1"}': 1,
    }


async def test_an_add_that_finds_no_node_is_refused(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    for peer, node in zip(world.peers, world.nodes, strict=True):
        node.away = "gone"
        await peer.monitor.check()
    with pytest.raises(ClusterError):
        await add(world, 1)
    found = await scraper.scrape(0)
    assert found['ipfscluster_ingest_adds_total{outcome="refused"}'] == 1
    assert found['ipfscluster_ingest_adds_total{outcome="failed"}'] == found["ipfscluster_ingest_in_progress"] == 0


async def test_pings(scraper: Scraper) -> None:
    world = scraper.world
    before = await scraper.scrape(0)
    await world.peers[0].monitor.check()
    world.nodes[1].away = "gone"
    await world.peers[1].monitor.check()
    found = await scraper.scrape(0)
    answered, failed = "ipfscluster_node_ping_seconds_count", "ipfscluster_node_pings_failed_total"
    for name, grown in (("name0", (1, 0)), ("name1", (0, 1))):
        keys = [f'{metric}{{peer="{name}"}}' for metric in (answered, failed)]
        assert tuple(found[key] - before[key] for key in keys) == grown


async def test_the_size_of_a_repository(scraper: Scraper) -> None:
    scraper.world.nodes[0].repo_size = 12345
    await scraper.world.peers[0].monitor.repo.ask(1.0)
    assert (await scraper.scrape(0))['ipfscluster_node_repo_bytes{peer="name0"}'] == 12345


async def test_a_node_without_room(scraper: Scraper) -> None:
    world = scraper.world
    assert (await scraper.scrape(0))['ipfscluster_node_has_room{peer="name0"}'] == 1
    world.peers[0].full("no space left on device")
    found = await scraper.scrape(0)
    assert found['ipfscluster_node_has_room{peer="name0"}'] == found['ipfscluster_informer_disk{peer="name0"}'] == 0
    assert found['ipfscluster_node_has_room{peer="name1"}'] == 1


async def test_comparisons_and_what_they_find(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    peer, node = world.peers[0], world.nodes[0]
    await (await cluster.pin([(cid(1), PinOptions(user_allocations=(peer.id,)))])).wait()
    before = await scraper.scrape(0)
    del node.pins_held[cid(1)]
    for stranger in (2, 3):
        node.pins_held[cid(stranger)] = NodePin(cid(stranger), PinMode.RECURSIVE)
    await peer.reconcile_now()
    node.away = "gone"
    await peer.reconcile_now()
    found = await scraper.scrape(0)
    found = {name: value - before.get(name, 0) for name, value in found.items() if 'peer="name0"' in name}
    things = {what: found[f'ipfscluster_reconcile_found_total{{peer="name0",what="{what}"}}'] for what in WHAT}
    assert things == {"missing": 1, "settled": 0, "stranger": 2, "gone": 0}
    assert found['ipfscluster_reconcile_seconds_count{peer="name0"}'] == 1
    assert found['ipfscluster_reconcile_broken_total{peer="name0"}'] == 1
    last = (await scraper.scrape(100))['ipfscluster_reconcile_last_timestamp_seconds{peer="name0"}']
    assert last == world.clock.time() - 100


WHAT = ("missing", "settled", "stranger", "gone")


async def test_collections(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    await world.settle()
    world.nodes[0].garbage = [cid(8), cid(9)]

    async def refused() -> AsyncIterator[list[tuple[Cid | None, str]]]:
        if world.nodes:
            raise NodeError("no")
        yield []

    world.nodes[1].gc = refused  # type: ignore[method-assign]
    assert [page async for page in cluster.gc()]
    found = await scraper.scrape(0)
    runs = {name: value for name, value in found.items() if "gc_runs" in name and value}
    assert runs == {
        'ipfscluster_gc_runs_total{outcome="complete",peer="name0"}': 1,
        'ipfscluster_gc_runs_total{outcome="failed",peer="name1"}': 1,
        'ipfscluster_gc_runs_total{outcome="complete",peer="name2"}': 1,
    }
    assert found['ipfscluster_gc_blocks_total{peer="name0"}'] == 2


async def test_the_gate_is_closed_while_a_collection_waits(scraper: Scraper) -> None:
    world = scraper.world
    closed = 'ipfscluster_node_gate_closed{peer="name0"}'
    assert (await scraper.scrape(0))[closed] == 0
    async with world.peers[0].gate.exclusive(1.0):
        assert (await scraper.scrape(0))[closed] == 1
    await until(lambda: world.peers[0].gate.is_open, "it opens")
