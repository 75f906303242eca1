"""What the metrics say of repair, drains and alerts."""

from __future__ import annotations

import asyncio

from cluster_tests.engine.conftest import cid
from cluster_tests.telemetry.conftest import Scraper
from ipfs_cluster.model import PinOptions
from ipfs_cluster.pinning import Wait

STANDINGS = ("up", "away", "gone", "draining")


async def test_a_drain_from_its_first_pin_to_its_last(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    await world.pass_time(80)
    leaving = world.peers[0]
    there = PinOptions(replication_min=1, replication_max=1, user_allocations=(leaving.id,))
    for number in range(3):
        await (await cluster.pin([(cid(number), there)], wait=Wait.ALL)).wait()
    remaining = 'ipfscluster_drain_remaining{peer="name0"}'
    found = await scraper.scrape(0)
    assert remaining not in found
    assert found["ipfscluster_repair_on_hold"] == 0
    standing = [found[f'ipfscluster_peer_standing{{peer="name0",standing="{name}"}}'] for name in STANDINGS]
    assert standing == [1, 0, 0, 0]

    for node in world.nodes[1:]:
        node.hold |= {cid(number): asyncio.Event() for number in range(3)}
    await cluster.upkeep.drain(leaving.id, on=True)
    await world.pass_time(20)
    found = await scraper.scrape(0)
    assert found[remaining] == 3
    assert found["ipfscluster_repair_moves_in_flight"] == 3
    assert found['ipfscluster_repair_moves_total{what="grown"}'] == 3
    assert found['ipfscluster_repair_moves_total{what="trimmed"}'] == 0
    standing = [found[f'ipfscluster_peer_standing{{peer="name0",standing="{name}"}}'] for name in STANDINGS]
    assert standing == [0, 0, 0, 1]

    for node in world.nodes[1:]:
        for event in node.hold.values():
            event.set()
    await world.pass_time(20)
    found = await scraper.scrape(0)
    assert found[remaining] == found["ipfscluster_repair_moves_in_flight"] == 0
    assert found['ipfscluster_repair_moves_total{what="trimmed"}'] == 3


async def test_what_belongs_everywhere_and_is_nowhere_else_remains_of_a_drain(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    for node in world.nodes[1:]:
        node.refusals[cid(1)] = "no"
    everywhere = PinOptions(replication_min=-1, replication_max=-1)
    await cluster.pin([(cid(1), everywhere)], wait=Wait.ACCEPTED)
    await world.pass_time(80)
    await cluster.upkeep.drain(world.peers[0].id, on=True)
    assert (await scraper.scrape(10))['ipfscluster_drain_remaining{peer="name0"}'] == 1
    for node in world.nodes[1:]:
        node.refusals.clear()
    await world.pass_time(600)
    assert (await scraper.scrape(10))['ipfscluster_drain_remaining{peer="name0"}'] == 0


async def test_pins_that_nobody_can_take_and_the_alerts_of_the_peer_that_went(scraper: Scraper) -> None:
    world, cluster = scraper.world, scraper.world.cluster
    assert cluster is not None
    await world.pass_time(80)
    everybody = PinOptions(replication_min=3, replication_max=3)
    for number in range(2):
        await (await cluster.pin([(cid(number), everybody)], wait=Wait.ALL)).wait()
    before = await scraper.scrape(0)
    assert before["ipfscluster_repair_unplaced"] == 0
    world.nodes[2].away = "gone"
    await world.pass_time(500)
    found = await scraper.scrape(0)
    assert found["ipfscluster_repair_unplaced"] == 2
    assert found["ipfscluster_alerts_raised_total"] > before["ipfscluster_alerts_raised_total"]
    assert found['ipfscluster_peer_standing{peer="name2",standing="gone"}'] == 1


async def test_repair_is_on_hold_at_the_start(scraper: Scraper) -> None:
    assert (await scraper.scrape(0))["ipfscluster_repair_on_hold"] == 1
