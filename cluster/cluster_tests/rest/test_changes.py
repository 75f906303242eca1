"""Pinning, unpinning, recovering and collecting over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from cluster_tests.engine.conftest import World, cid, until, world
from ipfs_cluster import cid as cids
from ipfs_cluster.gc import Collected
from ipfs_cluster.identity import create
from ipfs_cluster.model import PeerId, PinMode, TrackerStatus, Work
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.garbage import GcReport

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]
ONE, TWO = cids.text(cid(1)), cids.text(cid(2))


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    cluster = await world.start(1, 2)
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def test_a_pin_has_the_options_of_its_request(world: World, client: Client) -> None:
    query = "name=it&replication=1&meta-a=b&meta-=no&expire-in=1h&user-allocations=peer2&shard-size=7"
    answer = await client.post(f"/pins/{ONE}?{query}&wait=all")
    pin = await answer.json()

    assert answer.status == 200
    assert (pin["cid"], pin["name"], pin["metadata"]) == (ONE, "it", {"a": "b"})
    assert (pin["replication_factor_min"], pin["replication_factor_max"], pin["allocations"]) == (1, 1, ["peer2"])
    assert world.holders(cid(1)) == [2]
    stored = await world.kept().get(cid(1))
    assert stored is not None
    assert stored.expire_at == world.clock.time() + 3600


async def test_peers_are_preferred_by_id_or_name_and_strangers_passed_over(world: World, client: Client) -> None:
    given = f"user-allocations={create().id},name2,peer1,name2"
    pin = await (await client.post(f"/pins/{ONE}?replication=2&{given}&wait=all")).json()
    assert set(pin["allocations"]) == {"peer1", "peer2"}
    pin = await (await client.post(f"/pins/{ONE}?shard-size=9&wait=all")).json()
    assert (pin["shard_size"], set(pin["allocations"])) == (9, {"peer1", "peer2"})
    refused = await client.post(f"/pins/{TWO}?user-allocations=peer9")
    assert (refused.status, await world.kept().get(cid(2))) == (400, None)


@pytest.mark.parametrize(
    "path", [f"/pins/{ONE}", f"/pins/ipfs/{ONE}", f"/pins/ipfs/{ONE}/", f"/pins/ipld/{ONE}", f"/pins/{ONE}/"]
)
async def test_every_form_of_a_path_pins_and_unpins_also_directly(world: World, client: Client, path: str) -> None:
    pinned = await client.post(f"{path}?mode=direct&wait=all")
    assert (pinned.status, (await pinned.json())["mode"]) == (200, "direct")
    assert world.nodes[0].pins_held[cid(1)].mode is PinMode.DIRECT
    removed = await client.delete(path)
    assert (removed.status, (await removed.json())["cid"]) == (200, ONE)
    gone = await client.delete(path)
    assert (gone.status, (await gone.json())["message"]) == (404, "pin is not part of the pinset")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("replication-min=x", "parameter replication-min invalid"),
        ("replication=3.5", "parameter replication invalid"),
        ("shard-size=-1", "parameter shard-size invalid"),
        ("expire-at=tomorrow", "parameter expire-at invalid: tomorrow"),
        ("expire-at=1999-01-01T00:00:00Z", "pin.ExpireAt set before current time"),
        ("expire-at=9999-12-31T23:59:59-01:00", "pin.ExpireAt set after the year 9999"),
        ("expire-at=9999-12-31T23:59:59.999999Z", "pin.ExpireAt set after the year 9999"),
        ("expire-in=999999999h", "parameter expire-in invalid: must not be longer than 2562047h"),
        ("expire-in=1ms", "expire-in duration too short"),
        ("pin-update=x", "parameter pin-update invalid"),
        ("origins=/ip4/1.2.3.4", "parameter origins invalid"),
        ("wait=long", "parameter wait invalid"),
    ],
)
async def test_a_bad_option_is_refused_and_nothing_is_done(
    world: World, client: Client, query: str, message: str
) -> None:
    answer = await client.post(f"/pins/{ONE}?{query}")
    value = json.loads(await answer.text())
    assert (answer.status, value["code"]) == (400, 400)
    assert message in value["message"]
    assert await world.kept().get(cid(1)) is None


async def test_the_longest_expiry_can_be_shown(client: Client) -> None:
    """A pin that cannot be written down would end every listing it is in."""
    value = await (await client.post(f"/pins/{ONE}?expire-in=2562047h")).json()
    assert value["expire_at"] > "2262"
    assert (await client.post(f"/pins/{TWO}?expire-at=9999-12-31T23:59:59Z")).status == 200
    assert len((await (await client.get("/allocations")).text()).splitlines()) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff"])
async def test_a_peer_that_cannot_be_read_is_the_requests_fault(client: Client, body: bytes) -> None:
    refused = await client.post("/peers", data=body)
    assert (refused.status, (await refused.json())["message"]) == (400, "error decoding request body")


async def test_an_accepted_pin_is_answered_before_the_nodes_have_it(world: World, client: Client) -> None:
    missing = cids.text(cid(1000))
    assert (await client.post(f"/pins/{missing}")).status == 200
    assert TrackerStatus.PINNED not in await world.status(cid(1000))


async def test_who_leaves_while_it_waits_leaves_the_pin_and_waits_no_more(world: World, client: Client) -> None:
    cluster, missing = world.cluster, cids.text(cid(1000))
    assert cluster is not None
    _, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(f"POST /pins/{missing}?wait=all HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await until(lambda: cluster.waiting == 1, "it waits")
    writer.close()
    await until(lambda: cluster.waiting == 0, "it does not wait any more")
    assert await world.kept().get(cid(1000)) is not None


async def test_an_update_takes_over_what_the_old_pin_was(world: World, client: Client) -> None:
    await client.post(f"/pins/{ONE}?name=old&meta-a=b&replication=1&wait=all")
    before = await world.kept().get(cid(1))
    pin = await (await client.post(f"/pins/ipfs/{TWO}?pin-update={ONE}&wait=all")).json()
    assert before is not None
    assert (pin["name"], pin["metadata"], pin["allocations"]) == ("old", {"a": "b"}, list(before.allocations))
    assert await world.kept().get(cid(1)) is not None
    unknown = await client.post(f"/pins/ipfs/{TWO}?pin-update={cids.text(cid(3))}")
    assert unknown.status == 404


async def test_what_failed_is_tried_again_at_once(world: World, client: Client) -> None:
    for node in world.nodes:
        node.refusals[cid(1)] = "merkledag: not found"
    await client.post(f"/pins/{ONE}?replication=1&user-allocations=peer0")

    async def failed() -> bool:
        return TrackerStatus.PIN_ERROR in await world.status(cid(1))

    await until(failed, "the pin failed")
    for node in world.nodes:
        node.refusals.clear()
    (line,) = (await (await client.post("/pins/recover")).text()).splitlines()
    assert json.loads(line)["cid"] == ONE
    await until(lambda: world.holders(cid(1)) == [0], "it is pinned")
    assert (await client.post("/pins/recover")).status == 204
    unknown = await client.post(f"/pins/{TWO}/recover")
    assert {peer["status"] for peer in (await unknown.json())["peer_map"].values()} == {"unpinned"}
    assert (await client.post(f"/pins/{TWO}/recover?local=true")).status == 404


async def test_each_pin_that_is_tried_again_is_told_once(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in world.nodes:
        node.refusals |= {cid(1): "no", cid(2): "no"}
    for text in (ONE, TWO):
        await client.post(f"/pins/{text}?replication=-1")

    async def failed() -> bool:
        return [*await world.status(cid(1)), *await world.status(cid(2))] == [TrackerStatus.PIN_ERROR] * 6

    await until(failed, "all failed")
    works = world.kept().works

    async def one_by_one(peer: PeerId | None = None) -> AsyncIterator[list[Work]]:
        async for page in works(peer):
            for work in page:
                yield [work]

    monkeypatch.setattr(world.kept(), "works", one_by_one)
    lines = (await (await client.post("/pins/recover")).text()).splitlines()
    assert sorted(json.loads(line)["cid"] for line in lines) == sorted([ONE, TWO])


async def test_garbage_is_collected_everywhere_or_at_home(world: World, client: Client) -> None:
    await world.settle()
    world.nodes[2].garbage = [cid(1), cid(2)]
    found = (await (await client.post("/ipfs/gc")).json())["peer_map"]
    freed = {"peer": "peer2", "peername": "name2", "keys": [{"key": ONE}, {"key": TWO}]}
    assert found == {
        **{f"peer{i}": {"peer": f"peer{i}", "peername": f"name{i}", "keys": []} for i in (0, 1)},
        "peer2": freed,
    }
    world.nodes[1].away = "gone"
    await world.peers[1].monitor.check()
    found = (await (await client.post("/ipfs/gc")).json())["peer_map"]
    assert "gone" in found["peer1"]["error"]
    assert set(found) == {"peer0", "peer1", "peer2"}
    assert set((await (await client.post("/ipfs/gc?local=true")).json())["peer_map"]) == {"peer0"}


def test_a_report_of_garbage_is_made_piece_by_piece() -> None:
    report = GcReport({"a": "A", "b": "B", "c": "C"})
    pieces = [
        report.page([Collected("a", cid(1)), Collected("a", cid(2), "bad")]),
        report.page([Collected("a", error="x"), Collected("a", error="y"), Collected("b", error="away")]),
        report.end(),
    ]
    assert all(pieces)
    assert json.loads(b"".join(pieces))["peer_map"] == {
        "A": {"peer": "A", "peername": "a", "keys": [{"key": ONE}, {"key": TWO, "error": "bad"}], "error": "x; y"},
        "B": {"peer": "B", "peername": "b", "keys": [], "error": "away"},
        "C": {"peer": "C", "peername": "c", "keys": []},
    }
    assert json.loads(GcReport({}).end()) == {"peer_map": {}}


async def test_local_shows_the_home_peer_only(client: Client) -> None:
    await client.post(f"/pins/{ONE}?wait=all")
    for path in (f"/pins/{ONE}", "/pins", f"/pins?cids={ONE}"):
        assert len((await (await client.get(path)).json())["peer_map"]) == 3
        mark = "&" if "?" in path else "?"
        assert set((await (await client.get(f"{path}{mark}local=true")).json())["peer_map"]) == {"peer0"}


async def test_slashes_are_redirected_and_wrong_methods_refused(client: Client) -> None:
    answer = await client.get("/id/?a=b", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (307, "/id?a=b")
    for path, location in (
        ("/monitor//metrics", "/monitor/metrics"),
        ("/pins/../id?a=b", "/id?a=b"),
        (f"/pins/ipfs/{ONE}/%2e%2e/x/./y", "/pins/ipfs/x/y"),
        ("/../..", "/"),
        (f"/pins//{ONE}/", f"/pins/{ONE}/"),
    ):
        url = URL(f"http://{client.host}:{client.port}{path}", encoded=True)
        answer = await client.session.get(url, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (301, location)
    answer = await client.delete("/version")
    assert (answer.status, await answer.text()) == (405, "")
    assert (await client.get("/nothing/")).status == 404


async def test_peers_are_those_of_the_configuration(client: Client) -> None:
    assert (await (await client.post("/peers", json={"peer_id": "peer1"})).json())["peername"] == "name1"
    assert (await client.post("/peers", data=b"{")).status == 400
    assert (await client.post("/peers", json={"peer_id": "other"})).status == 500
    assert (await client.delete("/peers/other")).status == 400
    assert "drain" in (await (await client.delete("/peers/peer1")).json())["message"]
