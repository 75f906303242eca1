"""Where the engine puts copies: draining, absent and full peers, bursts, and peers for repair."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from cluster_tests.engine.conftest import World, cid
from cluster_tests.engine.test_ingest import add
from ipfs_cluster import Cluster, Wait
from ipfs_cluster.errors import NotEnoughPeers
from ipfs_cluster.model import PeerId, PinOptions

ONE, TWO, THREE = (PinOptions(replication_min=number, replication_max=number) for number in (1, 2, 3))
PEERS = tuple(PeerId(f"peer{number}") for number in range(3))


async def allocated(cluster: Cluster, number: int, options: PinOptions) -> set[str]:
    (pin,) = (await cluster.pin([(cid(number), options)], wait=Wait.ACCEPTED)).pins
    return set(pin.allocations)


async def test_a_peer_that_is_being_drained_gets_nothing_new_and_is_named(world: World) -> None:
    cluster = await world.start(2, 2)
    await world.peers[0].remember(draining=True)
    assert [await allocated(cluster, number, TWO) for number in range(3)] == [{"peer1", "peer2"}] * 3
    with pytest.raises(NotEnoughPeers, match=r"Not candidates: name0 \(it is being drained\)\."):
        await cluster.pin([(cid(9), THREE)])
    await add(world, 5)
    assert [len(node.uploads) for node in world.nodes] == [0, 1, 1]


async def test_draining_outlives_a_restart_and_ends(world: World) -> None:
    await world.start()
    await world.peers[0].remember(draining=True)
    cluster = await world.restart()
    with pytest.raises(NotEnoughPeers, match="drained"):
        await cluster.pin([(cid(1), THREE)])
    await world.peers[0].remember(draining=False)
    assert await allocated(cluster, 1, THREE) == set(PEERS)


async def test_an_existing_pin_stays_on_a_peer_that_is_being_drained(world: World) -> None:
    cluster = await world.start()
    (held,) = await allocated(cluster, 1, ONE)
    await world.peers[PEERS.index(PeerId(held))].remember(draining=True)
    assert await allocated(cluster, 1, ONE) == {held}


async def test_a_peer_that_never_answered_is_named(world: World) -> None:
    world.nodes[2].away = "connection refused"
    cluster = await world.start()
    with pytest.raises(NotEnoughPeers, match=r"Not candidates: name2 \(no ping metric\)\."):
        await cluster.pin([(cid(1), THREE)])


async def test_peers_that_the_request_names_are_told_of_as_well(world: World) -> None:
    cluster = await world.start()
    await world.peers[2].remember(draining=True)
    wanted = replace(THREE, user_allocations=(PeerId("elsewhere"), PEERS[2]))
    with pytest.raises(NotEnoughPeers) as caught:
        await cluster.pin([(cid(1), wanted)])
    assert str(caught.value).endswith(
        "Not candidates: elsewhere (is no peer of this cluster); name2 (it is being drained)."
    )


async def test_a_peer_that_is_known_to_be_away_is_taken_when_there_is_nobody_else(world: World) -> None:
    cluster = await world.start()
    world.nodes[0].away = "connection refused"
    world.peers[0].monitor.suspect("connection refused")
    assert [await allocated(cluster, number, TWO) for number in range(3)] == [{"peer1", "peer2"}] * 3
    preferred = replace(TWO, user_allocations=PEERS[:1])
    assert await allocated(cluster, 3, preferred) == {"peer1", "peer2"}
    assert await allocated(cluster, 4, THREE) == set(PEERS)


async def test_a_burst_of_pins_spreads_before_anything_can_be_measured(world: World) -> None:
    world.nodes[0].free = world.nodes[1].free = world.nodes[2].free
    cluster = await world.start()
    found = Counter([peer for number in range(30) for peer in await allocated(cluster, number, ONE)])
    assert found == dict.fromkeys(PEERS, 10)


# --- peers for repair ---


async def test_further_peers_are_none_that_is_away_full_or_being_drained(world: World) -> None:
    cluster = await world.start()
    pins = cluster._pins
    assert set(pins.further_peers((), (), 9)) == set(PEERS)
    assert pins.further_peers(PEERS[:2], (), 2) == PEERS[2:]
    world.nodes[0].away = "connection refused"
    world.peers[0].monitor.suspect("connection refused")
    assert set(pins.further_peers((), (), 9)) == {"peer1", "peer2"}
    await world.peers[1].remember(draining=True)
    assert pins.further_peers((), (), 9) == PEERS[2:]
    world.peers[2].state.put(replace(world.peers[2].state.metrics["freespace"], value="0", valid=False))
    assert pins.further_peers((), (), 9) == ()


async def test_a_peer_whose_copy_is_to_go_is_not_chosen_again(world: World) -> None:
    cluster = await world.start()
    assert set(cluster._pins.further_peers((), PEERS[:1], 9)) == {"peer1", "peer2"}
