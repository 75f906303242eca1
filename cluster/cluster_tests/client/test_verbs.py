"""Every verb of both clients against the real REST API on fake nodes."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster_tests.client.conftest import listed, raised
from cluster_tests.engine.conftest import World, cid, until
from cluster_tests.rest.importer import cid_of, text_of
from ipfs_cluster import cid as cids
from ipfs_cluster.client import (
    ApiError,
    AsyncClient,
    BadRequest,
    Bandwidth,
    Client,
    Content,
    NotFound,
    PinMode,
    TimedOut,
    TrackerStatus,
    WaitFailed,
)
from ipfs_cluster.client.waiting import PAUSE
from ipfs_cluster.model import NodePin

ONE, TWO, THREE = (cids.text(cid(number)) for number in (1, 2, 3))
ABSENT = cids.text(cid(1000))


def verbs(kind: type) -> dict[str, inspect.Signature]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(verb) for name, verb in found if not name.startswith("_")}


def test_both_clients_have_the_same_verbs() -> None:
    own = {"close", "one", "each", "values"}
    one, other = verbs(Client), verbs(AsyncClient)
    assert one.keys() == other.keys()
    for name in one.keys() - own:
        assert one[name].parameters.keys() == other[name].parameters.keys(), name
        expected = str(one[name].return_annotation).replace("Iterator", "AsyncIterator")
        assert str(other[name].return_annotation) == expected, name


async def test_the_service_and_its_peers(world: World, client: Any) -> None:
    world.nodes[2].away = "gone"
    await world.peers[2].monitor.check()
    me = await client.id()
    assert (me.id, me.peername, me.version, me.node_id) == ("peer0", "name0", "7", "node0")
    assert me.cluster_peers == ("peer0", "peer1", "peer2")
    assert me.free == world.nodes[0].free
    assert await client.version() == "7"
    peers = await listed(client.peers())
    assert [peer.id for peer in peers] == ["peer0", "peer1", "peer2"]
    assert "gone" in peers[2].node_error
    assert (await client.peer_add("peer1")).peername == "name1"
    assert (await raised(ApiError, client.peer_rm("peer1"))).code == 500
    await client.health()


async def test_what_is_added_is_pinned(world: World, client: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    seen = await listed(client.add(tmp_path / "a", Content("b", [b"x", b"yz"]), name="it", replication=2))
    assert [(value.name, value.cid) for value in seen] == [("a", text_of(b"abc")), ("b", text_of(b"xyz"))]
    assert all(len(value.allocations) == 2 for value in seen)
    assert (await client.wait_for(seen[0].cid)).name == "it"
    assert len(world.holders(cid_of(b"xyz"))) == 2
    error = await raised(BadRequest, client.add(Content("a", b"a"), layout="wrong"))
    assert str(error) == "layout parameter is invalid"
    for node in world.nodes:
        node.imported = [  # type: ignore[attr-defined]
            {"Root": {"Cid": {"/": ONE}, "PinErrorMsg": ""}},
            {"Stats": {"BlockCount": 3, "BlockBytesCount": 300}},
        ]
    (root,) = await listed(client.add_car(b"...", name="car"))
    assert (root.cid, root.bytes) == (ONE, 300)
    assert (await client.allocation(ONE)).name == "car"


async def test_a_pin_from_its_options_to_its_end(world: World, client: Any) -> None:
    options: dict[str, Any] = {
        "name": "it",
        "mode": "direct",
        "replication": 1,
        "allocations": ["peer2"],
        "metadata": {"a": "b, c"},
        "expire_in": timedelta(hours=1),
        "wait": "all",
    }
    pin = await client.pin(ONE, **options)
    assert (pin.cid, pin.name, pin.mode, pin.type) == (ONE, "it", PinMode.DIRECT, "pin")
    assert (pin.replication_min, pin.replication_max, pin.allocations) == (1, 1, ("peer2",))
    assert (pin.metadata, pin.pin_update, pin.max_depth) == ({"a": "b, c"}, None, 0)
    assert pin.expire_at == datetime.fromtimestamp(world.clock.time() + 3600, UTC)
    assert world.holders(cid(1)) == [2]

    status = await client.status_of(ONE)
    assert (status.cid, status.name, status.allocations) == (ONE, "it", ("peer2",))
    assert status.peers["peer2"].status is TrackerStatus.PINNED
    assert status.peers["peer0"].status is TrackerStatus.REMOTE
    assert list((await client.status_of(ONE, local=True)).peers) == ["peer0"]
    assert (await client.wait_for(ONE)) == status

    assert await client.unpin(ONE) == pin
    assert str(await raised(NotFound, client.unpin(ONE))) == "pin is not part of the pinset"
    assert (await client.wait_for(ONE, "unpinned")).peers["peer2"].status is TrackerStatus.UNPINNED


async def test_paths_updates_and_times(world: World, client: Any) -> None:
    later = datetime.fromtimestamp(world.clock.time() + 500, UTC).replace(microsecond=0)
    old = await client.pin_path(f"/ipfs/{ONE}", name="old", expire_at=later, wait="min")
    assert (old.expire_at, old.mode) == (later, PinMode.RECURSIVE)
    new = await client.pin_update(ONE, TWO, name="new")
    assert (new.cid, new.name, new.allocations, new.pin_update) == (TWO, "new", old.allocations, ONE)
    assert (await client.unpin_path(ONE)).name == "old"
    assert (await raised(BadRequest, client.pin_path("/ipfs/nonsense"))).code == 400
    assert "no option" in str(await raised(TypeError, client.pin(ONE, nmae="x")))


async def test_listings(world: World, client: Any) -> None:
    for what, name, owner in ((ONE, "a/photo", "ann"), (TWO, "photo", "bob"), (THREE, "text", "bob")):
        await client.pin(what, name=name, metadata={"owner": owner}, wait="all")
    await client.pin(ABSENT, name="absent")

    async def names(**options: Any) -> list[str]:
        return sorted([pin.name async for pin in client.allocations(**options)])

    assert await names() == ["a/photo", "absent", "photo", "text"]
    assert await names(name="photo") == ["a/photo", "photo"]
    assert await names(name_prefix="photo", types=["pin", "meta-pin"]) == ["photo"]
    assert await names(metadata={"owner": "bob"}) == ["photo", "text"]
    assert await names(types=["shard-pin"]) == []
    assert (await client.allocation(ONE)).name == "a/photo"
    assert len(await listed(client.status())) == 4
    (found,) = await listed(client.status(filter=["pinning", "queued"]))
    assert found.name == "absent"
    asked = await listed(client.status_cids([TWO, ABSENT], local=True))
    assert [status.cid for status in asked] == [TWO, ABSENT]
    assert (await raised(BadRequest, client.status(filter=["nonsense"]))).code == 400
    assert "error decoding Cid" in str(await raised(BadRequest, client.status_cids(["x"])))
    assert (await raised(NotFound, client.allocation(cids.text(cid(9))))).code == 404


async def test_waiting_ends_with_the_time_or_a_failure(world: World, client: Any) -> None:
    await client.pin(ABSENT, replication=1)
    text = str(await raised(TimedOut, client.wait_for(ABSENT, timeout=PAUSE / 2)))
    assert text == "pinned on 0 of 1 peers when the time was over"
    for node in world.nodes:
        node.refusals[cid(1)] = "merkledag: not found"
    await client.pin(ONE, replication=1, allocations=["peer1"])
    await until(lambda: failed(world), "it failed")
    assert "name1: pin_error: merkledag: not found" in str(await raised(WaitFailed, client.wait_for(ONE)))
    for node in world.nodes:
        node.refusals.clear()
    assert [status.cid for status in await listed(client.recover_all())] == [ONE]
    await until(lambda: world.holders(cid(1)) == [1], "it is pinned")
    assert (await client.recover(ONE)).peers["peer1"].status is TrackerStatus.PINNED
    assert await listed(client.recover_all(local=True)) == []


async def failed(world: World) -> bool:
    return TrackerStatus.PIN_ERROR in await world.status(cid(1))


async def test_foreign_pins_and_garbage(world: World, client: Any) -> None:
    world.nodes[1].pins_held[cid(5)] = NodePin(cid(5), PinMode.RECURSIVE, "theirs")
    await world.peers[1].reconcile_now()
    (found,) = await listed(client.foreign("name1"))
    assert (found.name, found.peer, found.kind) == ("theirs", "peer1", "orphan")
    assert await listed(client.foreign("name2")) == []
    world.nodes[0].garbage = [cid(6)]
    world.nodes[1].away = "gone"
    await world.peers[1].monitor.check()
    await world.settle()
    collected = await client.gc()
    assert collected["peer0"].removed == (cids.text(cid(6)),)
    assert "gone" in collected["peer1"].error
    assert "peer1" not in await client.gc(local=True)


async def test_the_change_feed(client: Any) -> None:
    await client.pin(ONE, name="it")
    events = client.watch()
    seen = []
    async for event in events:
        seen.append(event)
        if event.type == "place":
            break
    assert [event.type for event in seen] == ["reset", "pin", "place"]
    assert (seen[1].cid, seen[1].pin.name) == (ONE, "it")
    await client.unpin(ONE)
    async for event in client.watch(seen[2].place):
        assert (event.type, event.cid, event.pin) == ("unpin", ONE, None)
        break


async def test_health(world: World, client: Any) -> None:
    await until(lambda: world.nodes[0].connected == {"node1", "node2"}, "connected")
    graph = await client.graph()
    assert (graph.cluster_id, graph.names["peer1"]) == ("peer0", "name1")
    assert graph.nodes == {"peer0": "node0", "peer1": "node1", "peer2": "node2"}
    assert graph.node_links["node0"] == ("node1", "node2")
    assert graph.cluster_links["peer0"] == ("peer1", "peer2")
    world.nodes[0].traffic = {"": Bandwidth(1, 2, 0.5, 0.25)}
    assert await client.bandwidth() == {"other": Bandwidth(1, 2, 0.5, 0.25)}
    assert "freespace" in await client.metric_names()
    free = await client.metrics("freespace")
    assert [(metric.peer, metric.weight) for metric in free] == [
        (peer.id, node.free) for peer, node in zip(world.peers, world.nodes, strict=True)
    ]
    assert free[0].received_at <= datetime.fromtimestamp(world.clock.time(), UTC) < free[0].expire
    assert await client.metrics("nosuch") == []
    assert await client.alerts() == []
    world.nodes[1].away = "gone"
    await world.pass_time(120)
    assert {alert.metric.peer for alert in await client.alerts()} == {"peer1"}


async def test_adopt(world: World, client: Any) -> None:
    found = await client.adopt("name1")
    assert (found.peer, found.peername, found.adopted) == ("peer1", "name1", 0)
    assert (await raised(NotFound, client.adopt("nobody"))).code == 404


async def test_why_drain_and_rebalance(world: World, client: Any) -> None:
    await client.pin(ONE, name="it", wait="all")
    why = await client.why(ONE)
    assert (why.cid, why.name, len(why.peers)) == (ONE, "it", 3)
    assert "Held by" in why.why
    assert {copy.status for copy in why.peers} == {TrackerStatus.PINNED, TrackerStatus.REMOTE}
    about = await client.why_peer("name1")
    assert (about.peer, about.up) == ("peer1", True)
    assert (await client.drain("name2")).draining
    assert (await client.drain_status("peer2")).draining
    assert not (await client.drain_undo("peer2")).draining
    assert (await raised(NotFound, client.drain("nobody"))).code == 404
    assert (await client.rebalance_status()).state == "idle"
    assert (await client.rebalance_preview()).moves == ()
    assert (await client.rebalance()).state in ("running", "done")
    await world.pass_time(10)
    assert (await raised(BadRequest, client.rebalance_cancel())).code == 400


@pytest.mark.parametrize("verb", ["status_of", "allocation", "pin", "unpin", "recover", "why"])
async def test_a_cid_cannot_lead_to_another_route(client: Any, verb: str) -> None:
    await raised(BadRequest, getattr(client, verb)("../peers"))
    await raised(BadRequest, getattr(client, verb)(""))


@pytest.mark.parametrize("path", ["", "/", "/ipfs/", "/ipfs//x", "x/../y", "./x", "/ipfs/.."])
async def test_nor_can_a_path(client: Any, path: str) -> None:
    assert str(await raised(BadRequest, client.pin_path(path))) == f"{path!r} is no CID and no path"
    await raised(BadRequest, client.unpin_path(path))
