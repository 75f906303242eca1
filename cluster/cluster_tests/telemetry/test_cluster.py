"""What the engine's metrics say of a cluster."""

from __future__ import annotations

import asyncio

from cluster_tests.engine.conftest import cid, until
from cluster_tests.telemetry.conftest import Scraper
from ipfs_cluster.model import NodePin, PinMode, PinOptions
from ipfs_cluster.pinning import Wait
from ipfs_cluster.telemetry.figures import PATIENCE


async def test_pins_and_what_becomes_of_them(scraper: Scraper) -> None:
    cluster = scraper.world.cluster
    assert cluster is not None
    for number in range(3):
        await (await cluster.pin([(cid(number), PinOptions())])).wait()
    await cluster.unpin([(cid(0), True)])
    await (await cluster.pin([(cid(4), PinOptions(replication_min=1, replication_max=5))])).wait()
    found = await scraper.scrape()
    assert found["ipfscluster_pins"] == 3
    assert found['ipfscluster_pins_accepted_total{by="pin"}'] == 4
    assert found['ipfscluster_pins_removed_total{by="request"}'] == 1
    assert found["ipfscluster_pins_awaited"] == 0
    assert found['ipfscluster_pins_off_factor{which="short"}'] == 1
    assert found['ipfscluster_pins_off_factor{which="surplus"}'] == 0
    assert found["ipfscluster_store_revision"] > 4
    assert found["ipfscluster_store_commit_seconds_count"] > 4
    assert found["ipfscluster_store_figures_age_seconds"] == 0


async def test_what_waits_for_a_node_by_status_and_since_when(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    refused, sought = cid(1), cid(1000)
    world.nodes[0].refusals[refused] = "no"
    there = PinOptions(user_allocations=(world.peers[0].id,))
    await cluster.pin([(refused, there), (sought, there)], wait=Wait.ACCEPTED)
    errors = 'ipfscluster_tracker_rows{peer="name0",status="pin_error"}'
    await until(lambda: world.nodes[0].calls["pin/add"] >= 2, "both are tried")
    found = await scraper.scrape()
    assert found[errors] == found['ipfscluster_pins_pin_error{peer="name0"}'] == 1
    assert found['ipfscluster_tracker_rows{peer="name0",status="pin_queued"}'] == 1
    assert found['ipfscluster_pins_pin_queued{peer="name0"}'] == 1
    assert found['ipfscluster_pins_pinning{peer="name0"}'] == 1
    assert found['ipfscluster_tracker_in_progress{peer="name0",status="pinning"}'] == 1
    assert found['ipfscluster_tracker_in_progress{peer="name0",status="unpinning"}'] == 0
    assert found['ipfscluster_tracker_oldest_seconds{peer="name0",status="pin_queued"}'] == 3600
    assert found['ipfscluster_tracker_oldest_seconds{peer="name1",status="pin_queued"}'] == 0
    assert found[errors.replace("name0", "name1")] == 0


async def test_nodes_and_the_pins_of_others_on_them(scraper: Scraper) -> None:
    world = scraper.world
    node, peer = world.nodes[1], world.peers[1]
    node.pins_held[cid(7)] = NodePin(cid(7), PinMode.RECURSIVE)
    await peer.reconcile_now()
    world.nodes[2].away = "gone"
    await world.peers[2].monitor.check()
    found = await scraper.scrape(0)
    who = 'agent_version="kubo/0.43.0",home="false",node_id="node1",peer="name1",peer_id="peer1"'
    assert found[f"ipfscluster_peer_info{{{who}}}"] == 1
    assert found['ipfscluster_informer_disk{peer="name0"}'] == 10**12
    assert [found[f'ipfscluster_node_up{{peer="name{i}"}}'] for i in range(3)] == [1, 1, 0]
    strangers = [found[f'ipfscluster_node_strangers{{kind="{kind}",peer="name1"}}'] for kind in ("foreign", "orphan")]
    assert strangers == [0, 1]


async def test_a_measurement_that_no_longer_counts_is_not_shown(scraper: Scraper) -> None:
    world = scraper.world
    found = await scraper.scrape(0)
    assert found['ipfscluster_informer_disk{peer="name1"}'] == 10**12 - 1
    assert found['ipfscluster_pins_ipfs_pins{peer="name0"}'] == 1  # the cluster's own empty block
    for node in world.nodes:
        node.away = "gone"
    found = await scraper.scrape()
    assert not [name for name in found if name.startswith(("ipfscluster_informer_disk", "ipfscluster_pins_ipfs_pins"))]


async def test_what_is_not_counted_yet_is_not_shown_as_zero(scraper: Scraper) -> None:
    world = scraper.world
    assert world.store is not None
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    world.store.figures = hang  # type: ignore[method-assign, assignment]
    async with asyncio.TaskGroup() as group:
        scrape = group.create_task(scraper.telemetry.scrape())
        await until(lambda: world.clock.wakes_in(PATIENCE), "the count is waited for")
        world.clock.advance(PATIENCE)
    text = scrape.result()[1].decode()
    unknown = (
        "ipfscluster_pins ",
        "ipfscluster_tracker_rows{",
        "ipfscluster_pins_pin_error{",
        "ipfscluster_node_strang",
    )
    assert not [line for line in text.splitlines() if line.startswith(unknown)]
    assert "ipfscluster_store_figures_age_seconds +Inf" in text
