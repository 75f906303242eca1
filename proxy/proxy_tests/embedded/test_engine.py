"""The engine drives an embedded node by the class that drives Kubo, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.errors import NodeError, NodeStalled
from ipfs_cluster.identity import create
from ipfs_cluster.model import NodePin, PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode
from ipfs_cluster.nodes.embedded.sources import Sources
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_proxy.embedded import EmbeddedServer
from proxy_tests.embedded.client import multipart
from proxy_tests.embedded.conftest import Door, Ticks

MISSING = cids.parse("QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF")
TREE = (("d", b"", "application/x-directory"), ("d/a", b"file a\n"), ("d/sub/b", b"file b\n"))


def nothing(_nodes: int, _size: int) -> None:
    """Progress is not looked at."""


async def tree(door: Door) -> dict[str, Cid]:
    """A small tree, unpinned; the CID of each name in it."""
    answer = await door.send("add?pin=false", *TREE)
    return {value["Name"]: cids.parse(value["Hash"]) for value in answer.values}


async def pins(kubo: KuboNode, mode: PinMode) -> list[NodePin]:
    return [pin async for page in kubo.pins(mode) for pin in page]


async def test_pins(door: Door, kubo: KuboNode) -> None:
    made = await tree(door)
    seen: list[tuple[int, int]] = []
    await kubo.pin(made["d"], PinMode.RECURSIVE, "the tree", lambda nodes, size: seen.append((nodes, size)), 0)
    assert seen[-1][0] == 4
    await kubo.pin(made["d/a"], PinMode.DIRECT, "", nothing, 0)
    assert await pins(kubo, PinMode.RECURSIVE) == [NodePin(made["d"], PinMode.RECURSIVE, "the tree")]
    assert await pins(kubo, PinMode.DIRECT) == [NodePin(made["d/a"], PinMode.DIRECT)]
    assert await kubo.pinned(made["d"], PinMode.RECURSIVE) == NodePin(made["d"], PinMode.RECURSIVE, "the tree")
    assert await kubo.pinned(made["d/sub"], PinMode.RECURSIVE) is None
    indirect = {cid async for page in kubo.indirect() for cid in page}
    assert indirect == {made["d/sub"], made["d/sub/b"]}
    assert await kubo.indirect_root(made["d/sub/b"]) == made["d"]
    await kubo.unpin(made["d/a"], PinMode.DIRECT)
    await kubo.unpin(made["d"], PinMode.RECURSIVE)
    await kubo.unpin(made["d"], PinMode.RECURSIVE)  # what is not pinned is no error
    assert await pins(kubo, PinMode.RECURSIVE) == []


async def test_updates_and_collections(door: Door, kubo: KuboNode) -> None:
    made = await tree(door)
    other = cids.parse(await door.add(b"another\n", "pin=false"))
    loose = cids.parse(await door.add(b"nobody's\n", "pin=false"))
    await kubo.pin(made["d"], PinMode.RECURSIVE, "kept", nothing, 0)
    await kubo.pin_update(made["d"], other, 0)
    assert {pin.cid: pin.name for pin in await pins(kubo, PinMode.RECURSIVE)} == {made["d"]: "kept", other: "kept"}
    freed = {cids.multihash(cid) async for page in kubo.gc() for cid, error in page if cid is not None and not error}
    assert cids.multihash(loose) in freed
    assert freed.isdisjoint(map(cids.multihash, (*made.values(), other)))
    with pytest.raises(NodeError, match="could not find"):
        await kubo.local_block(loose)


async def test_what_nobody_has_stalls(kubo: KuboNode) -> None:
    with pytest.raises(NodeStalled):
        await kubo.pin(MISSING, PinMode.RECURSIVE, "", nothing, 0.05)
    with pytest.raises(NodeStalled):
        await kubo.fetch(MISSING, nothing, 0.05)
    assert await kubo.pinned(MISSING, PinMode.RECURSIVE) is None


async def test_a_long_pin_tells_that_it_is_under_way(door: Door) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(door.post(f"pin/add?arg={cids.text(MISSING)}&progress=true&timeout=2s"))
        await door.ticks.waiting.wait()
        door.ticks.pass_one()
    answer = asked.result()
    assert (answer.values, answer.trailers) == ([{}], {"x-stream-error": "context deadline exceeded"})


async def test_what_else_the_engine_asks(door: Door, kubo: KuboNode) -> None:
    made = await tree(door)
    assert await kubo.free_space() == await door.node.free_space()
    stat = await kubo.repo_stat()
    assert (stat.storage_max, stat.version) == (10**10, "fs-repo@18")
    assert stat.num_objects >= len(made)
    assert (await kubo.repo_stat(size_only=True)).num_objects == 0
    assert await kubo.resolve(f"{cids.text(made['d'])}/sub/b") == made["d/sub/b"]
    await kubo.ensure_empty_block()
    assert await kubo.pinned(EMPTY_RAW_BLOCK, PinMode.RECURSIVE) is not None
    await kubo.fetch(made["d"], nothing, 0)
    options = await kubo.import_options()
    assert (options["chunker"], options["cid-version"], options["trickle"]) == ("size-262144", "0", "false")
    assert await kubo.swarm_peers() == frozenset()
    with pytest.raises(NodeError, match="fetches from no other one"):
        await kubo.connect([f"/ip4/127.0.0.1/tcp/1/http/p2p/{(await kubo.info()).id}"])
    with pytest.raises(NodeError, match="by HTTP only"):
        await kubo.connect([f"/ip4/127.0.0.1/tcp/1/p2p/{(await kubo.info()).id}"])
    with pytest.raises(NodeError, match="bandwidth reporter disabled"):
        await kubo.bandwidth()


async def test_an_upload_is_answered_while_it_goes_on(door: Door, kubo: KuboNode) -> None:
    headers, body = multipart(*TREE)
    cut = body.index(b"d/sub/b")
    first = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:cut]
        await first.wait()
        yield body[cut:]

    names = []
    async with kubo.upload("add", "pin=true", list(headers.items()), pieces()) as response:
        async for lines in response.batches():
            names += lines
            first.set()
    assert len(names) == 4
    assert b'"Name":"d/a"' in names[0]


async def test_a_node_fetches_what_a_connected_one_has(door: Door, tmp_path: Path) -> None:
    made = await tree(door)
    address = (await door.post("id")).value["Addresses"][0]
    sources = Sources((), SystemClock())
    node = EmbeddedNode(tmp_path / "second", sources)
    await node.open()
    server = EmbeddedServer(create(), node, sources=sources)
    await server.start()
    second = Door(server, node, Ticks())
    try:
        connected = await second.post(f"swarm/connect?arg={address}")
        assert connected.value == {"Strings": [f"connect {address.rsplit('/', 1)[1]} success"]}
        peers = (await second.post("swarm/peers")).value["Peers"]
        assert [(peer["Addr"] + "/p2p/" + peer["Peer"]) for peer in peers] == [address]
        root = cids.text(made["d"])
        assert (await second.post(f"pin/add?arg={root}&timeout=20s")).value == {"Pins": [root]}
        assert (await second.post(f"cat?arg={root}/sub/b&offline=true")).body == b"file b\n"
    finally:
        await server.close(0)
        await node.close()
        await sources.close()
