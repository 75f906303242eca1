"""Adds and nodes without room: refused before anything is sent where the size is known, and never told as held."""

from __future__ import annotations

import pytest

from cluster_tests.engine.conftest import World, cid, until
from cluster_tests.engine.test_ingest import Body, add, roots_of, upload
from ipfs_cluster import IngestRefused, Wait
from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.errors import NodeError, NotEnoughPeers, NotEnoughSpace
from ipfs_cluster.model import PinOptions

NONE = PinOptions()
GB = 10**9
WORDS = "write /repo/blocks/.temp/temp-1: no space left on device"


def sent(world: World) -> list[int]:
    """How many bodies each node has got."""
    return [len(node.uploads) for node in world.nodes]


async def start_small(world: World, minimum: int, maximum: int) -> None:
    """Free above the reserve: 9 GB, 3 GB, nothing."""
    world.rule = RoomRule(reserve=GB)
    for node, free in zip(world.nodes, (10 * GB, 4 * GB, GB // 2), strict=True):
        node.free = free
    await world.start(minimum, maximum)


async def add_sized(world: World, size: int, options: PinOptions = NONE, **more: object) -> None:
    assert world.cluster is not None
    async with world.cluster.add(upload(Body(1), options, size=size, **more)) as call:
        assert await roots_of(call) == [cid(1)]


async def test_what_fits_on_enough_nodes_goes_to_those(world: World) -> None:
    await start_small(world, 1, 3)
    await add_sized(world, 2 * GB)
    assert sent(world) == [1, 1, 0]


async def test_a_node_where_it_does_not_fit_is_passed_over(world: World) -> None:
    await start_small(world, 1, 3)
    await add_sized(world, 5 * GB)
    assert sent(world) == [1, 0, 0]


async def test_what_does_not_fit_is_refused_before_a_byte_is_sent(world: World) -> None:
    await start_small(world, 2, 3)
    with pytest.raises(NotEnoughSpace) as caught:
        await add_sized(world, 5 * GB)
    assert sent(world) == [0, 0, 0]
    text = str(caught.value)
    assert text.startswith("not enough space for 5.0 GB: not enough peers to allocate CID. Needed at least: 2.")
    assert "name1 (not enough space: 3.0 GB free, 5.0 GB needed)" in text
    assert "name2 (below its reserve: 500.0 MB free, reserve 1.0 GB)" in text


async def test_too_few_nodes_whatever_the_size_is_no_matter_of_space(world: World) -> None:
    await start_small(world, 3, 3)
    with pytest.raises(NotEnoughPeers):
        await add_sized(world, 1)


async def test_what_belongs_everywhere_has_to_fit_on_every_node_that_answers(world: World) -> None:
    await start_small(world, -1, -1)
    with pytest.raises(NotEnoughSpace, match=r"^not enough space: name2 \(below its reserve"):
        await add_sized(world, 0)
    with pytest.raises(NotEnoughSpace, match=r"^not enough space for 5\.0 GB: .*name1 \(not enough space: 3\.0"):
        await add_sized(world, 5 * GB)
    assert sent(world) == [0, 0, 0]


async def test_who_does_not_wait_adds_where_there_is_room_and_the_others_follow(world: World) -> None:
    await start_small(world, -1, -1)
    await add_sized(world, GB, wait=Wait.ACCEPTED)
    assert sent(world) == [1, 1, 0]
    world.nodes[0].free = world.nodes[1].free = 0
    world.clock.advance(10.0)
    for peer in world.peers:
        await peer.monitor.check()
    with pytest.raises(NotEnoughSpace):
        await add_sized(world, GB, wait=Wait.ACCEPTED)


async def test_a_full_home_node_gets_nothing_that_is_tied_to_it(world: World) -> None:
    world.rule = RoomRule(reserve=GB)
    world.nodes[0].free = GB // 2
    await world.start(1, 1)
    with pytest.raises(NotEnoughSpace, match=r"name0 \(below its reserve"):
        await add_sized(world, 0, home_only=True)


async def test_adds_that_run_count_before_they_can_be_measured(world: World) -> None:
    await start_small(world, 2, 2)
    assert world.cluster is not None
    body = Body(1, open_end=True)
    async with world.cluster.add(upload(body, size=2 * GB)) as call:
        with pytest.raises(NotEnoughSpace, match=r"3\.0 GB free, 2\.0 GB taken by adds, 2\.0 GB needed"):
            await add_sized(world, 2 * GB)
        body.end()
        await roots_of(call)
    with pytest.raises(NotEnoughSpace):
        await add_sized(world, 2 * GB)


@pytest.mark.parametrize("how", ["at once", "at the end"])
async def test_a_copy_for_which_there_is_no_room_is_made_elsewhere_before_the_add_is_answered(
    world: World, how: str
) -> None:
    cluster = await world.start(2, 2)
    if how == "at once":
        world.nodes[1].add_refused = b'{"Message":"' + WORDS.encode() + b'","Code":0,"Type":"error"}'
    else:
        world.nodes[1].add_trailer = WORDS
    assert await add(world, 1) == [cid(1)]
    assert world.holders(cid(1)) == [0, 2]
    entry = await cluster.views.get(cid(1))
    assert entry is not None
    assert entry.allocations == ("peer0", "peer2")
    assert world.peers[1].state.room.why == f"its disk is full: {WORDS}"


async def test_with_nobody_else_the_add_fails_and_leaves_nothing(world: World) -> None:
    cluster = await world.start(3, 3)
    world.nodes[2].add_trailer = WORDS
    with pytest.raises(NotEnoughPeers, match="its disk is full"):
        await add(world, 1)
    assert await cluster.views.get(cid(1)) is None
    await world.quiet()
    await until(lambda: world.holders(cid(1)) == [], "the copies are released")


async def test_a_full_primary_fails_the_add_and_the_next_one_goes_elsewhere(world: World) -> None:
    await world.start(1, 1)
    world.nodes[0].add_trailer = WORDS
    with pytest.raises(NodeError, match="no space left"):
        await add(world, 1)
    assert await add(world, 2) == [cid(2)]
    assert world.holders(cid(2)) == [1]


async def test_words_that_only_mention_a_full_disk_close_nothing(world: World) -> None:
    await world.start(1, 1)
    world.nodes[0].add_refused = b'{"Message":"cannot add no space left on device.txt","Code":0,"Type":"error"}'
    with pytest.raises(IngestRefused):
        await add(world, 1)
    assert world.peers[0].has_room
