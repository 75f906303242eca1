"""`POST /add` over nodes that import: options, both forms of the answer, CAR files, failures at any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, until, world
from cluster_tests.rest.importer import MULTIPART, ImportingNode, cid_of, form, text_of
from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.model import ClaimKind
from ipfs_cluster.rest.add_options import NO_SHARDS
from ipfs_cluster.rest.app import app

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]
GO = {"User-Agent": "Go-http-client/1.1"}


@pytest.fixture
def nodes(world: World) -> list[ImportingNode]:
    found = [ImportingNode(node) for node in world.nodes]
    world.nodes = list(found)
    return found


@pytest.fixture
async def client(world: World, nodes: list[ImportingNode]) -> AsyncIterator[Client]:
    cluster = await world.start(2, 2)
    assert nodes
    async with TestClient(TestServer(app(cluster, "0"))) as made:
        yield made


async def add(client: Client, query: str, *files: tuple[str, bytes], **headers: str) -> tuple[int, list[Any]]:
    """Status and values of an add."""
    answer = await client.post(f"/add?{query}", data=form(*files), headers={**MULTIPART, **headers})
    return answer.status, [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_a_file_is_on_its_nodes_when_the_answer_ends(world: World, client: Client) -> None:
    answer = await client.post(
        "/add?name=it&meta-a=b&shard-size=104857600", data=form(("a", b"abc")), headers=MULTIPART
    )
    assert (answer.status, answer.headers["Trailer"]) == (200, "X-Stream-Error")
    assert (answer.headers["X-Chunked-Output"], answer.headers["Connection"]) == ("1", "close")
    value = json.loads(await answer.text())
    assert value == {"name": "a", "cid": text_of(b"abc"), "size": 11, "allocations": ["peer0", "peer1"]}
    assert world.holders(cid_of(b"abc")) == [0, 1]
    entry = await world.kept().get(cid_of(b"abc"))
    assert entry is not None
    assert (entry.name, entry.metadata, entry.shard_size) == ("it", {"a": "b"}, 104857600)


async def test_what_decides_about_cids_is_told_to_the_daemons(client: Client, nodes: list[ImportingNode]) -> None:
    await add(client, "name=it&progress=true&cid-base=x&meta-a=b&replication=2&pin-update=" + text_of(b""), ("a", b"1"))
    (command, query), (_, replicas) = nodes[0].asked[0], nodes[1].asked[0]
    assert command == "add"
    assert query == {
        "chunker": "size-262144",
        "cid-version": "0",
        "encoding": "json",
        "hash": "sha2-256",
        "max-directory-links": "0",
        "max-file-links": "174",
        "max-hamt-fanout": "256",
        "pin": "true",
        "pin-name": "it",
        "progress": "true",
        "raw-leaves": "false",
        "stream-channels": "true",
        "trickle": "false",
        "wrap-with-directory": "false",
    }
    assert replicas == {**query, "progress": "false"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cid-version=1", {"cid-version": "1", "raw-leaves": "true"}),
        ("cid-version=1&raw-leaves=F", {"cid-version": "1", "raw-leaves": "false"}),
        ("hash=BLAKE3", {"hash": "blake3", "cid-version": "1", "raw-leaves": "true"}),
        ("layout=trickle&chunker=rabin", {"trickle": "true", "chunker": "rabin"}),
        ("nocopy=1", {"nocopy": "true", "raw-leaves": "true"}),
        ("inline=t&inline-limit=64", {"inline": "true", "inline-limit": "64"}),
        ("preserve-mode=true&cid-version=1", {"preserve-mode": "true", "raw-leaves": "false"}),
        ("name=" + "n" * 256, {"pin": "true"}),
    ],
)
async def test_options_reach_the_daemon(
    client: Client, nodes: list[ImportingNode], query: str, expected: dict[str, str]
) -> None:
    status, _ = await add(client, query, ("a", b"1"))
    asked = nodes[0].asked[0][1]
    assert status == 200
    assert {key: asked.get(key) for key in expected} == expected
    assert "pin-name" not in asked
    assert len(nodes[1].asked) == ("nocopy" not in query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("shard=true", NO_SHARDS),
        ("layout=flat", "layout parameter is invalid"),
        ("format=zip", "format parameter is invalid"),
        ("progress=yes", "parameter progress invalid"),
        ("hidden=yes", "parameter hidden invalid"),
        ("cid-version=2", "parameter cid-version invalid"),
        ("inline-limit=x", "parameter inline-limit invalid"),
        ("replication-min=x", "parameter replication-min invalid"),
        ("shard-size=x", "parameter shard-size invalid"),
        ("user-allocations=nobody", "nobody is neither a peer ID nor a peer's name"),
        ("expire-in=1ms", "expire-in duration too short"),
        ("origins=x", "parameter origins invalid"),
        ("format=car&wrap-with-directory=true", "cannot wrap a CAR file upload"),
        ("format=car&no-pin=true", "no-pin"),
        ("wait=x", "parameter wait invalid"),
    ],
)
async def test_a_bad_option_is_refused_before_anybody_is_asked(
    client: Client, nodes: list[ImportingNode], query: str, message: str
) -> None:
    status, (value,) = await add(client, query, ("a", b"1"))
    assert (status, value["code"]) == (400, 400)
    assert message in value["message"]
    assert not any(node.asked for node in nodes)


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", ""])
async def test_what_is_no_multipart_is_refused(client: Client, kind: str) -> None:
    answer = await client.post("/add", data=b"x", headers={"Content-Type": kind})
    assert (answer.status, (await answer.json())["code"]) == (400, 400)


async def test_multipart_mixed_is_read_alike(client: Client) -> None:
    kind = MULTIPART["Content-Type"].replace("form-data", "mixed")
    status, (value,) = await add(client, "", ("a", b"1"), **{"Content-Type": kind})
    assert (status, value["cid"]) == (200, text_of(b"1"))


async def test_several_files_are_several_pins_and_progress_is_told(world: World, client: Client) -> None:
    status, values = await add(client, "progress=true", ("a", b"1"), ("b", b"22"))
    assert status == 200
    assert values[:2] == [
        {"name": "a", "cid": None, "bytes": 1},
        {"name": "a", "cid": text_of(b"1"), "size": 9, "allocations": ["peer0", "peer1"]},
    ]
    assert [value["cid"] for value in values[2:]] == [None, text_of(b"22")]
    assert await world.kept().count() == 2


async def test_an_array_holds_the_same_values(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipfs_cluster.rest.adding.MEMORY", 64)
    monkeypatch.setattr("ipfs_cluster.rest.adding.PIECE", 10)
    files = [(f"f{number}", str(number).encode()) for number in range(20)]
    answer = await client.post("/add?stream-channels=false", data=form(*files), headers=MULTIPART)
    text = await answer.text()
    assert [value["cid"] for value in json.loads(text)] == [text_of(content) for _, content in files]
    assert (text[-2:], answer.content_length) == ("]\n", len(text))


async def test_local_sends_the_body_to_the_home_node_and_copies_follow(world: World, client: Client) -> None:
    status, (value,) = await add(client, "local=true", ("a", b"abc"))
    assert (status, value["allocations"]) == (200, ["peer0", "peer1"])
    assert [len(cast(ImportingNode, node).asked) for node in world.nodes] == [1, 0, 0]
    assert world.holders(cid_of(b"abc")) == [0, 1], "both before the answer"


async def test_no_pin_adds_at_home_and_pins_nothing(world: World, client: Client, nodes: list[ImportingNode]) -> None:
    status, (value,) = await add(client, "no-pin=true&name=x", ("a", b"abc"))
    assert (status, value) == (200, {"name": "a", "cid": text_of(b"abc"), "size": 11})
    assert (nodes[0].asked[0][1]["pin"], "pin-name" in nodes[0].asked[0][1]) == ("false", False)
    assert [len(node.asked) for node in nodes] == [1, 0, 0]
    assert await world.kept().count() == 0
    assert {claim.kind for claim in await world.kept().claims()} == {ClaimKind.SYSTEM}


async def test_room_is_asked_for_before_the_body(world: World, nodes: list[ImportingNode]) -> None:
    for node in nodes:
        node.free = 1000
    world.rule = RoomRule(reserve=100)
    async with TestClient(TestServer(app(await world.start(2, 2), "0"))) as client:
        status, (value,) = await add(client, "", ("a", b"x" * 2000))
    assert (status, value["message"][:16]) == (500, "not enough space")
    assert not any(node.asked for node in nodes)


# --- CAR ---


def root(content: bytes, error: str = "") -> dict[str, Any]:
    return {"Root": {"Cid": {"/": text_of(content)}, "PinErrorMsg": error}}


STATS = {"Stats": {"BlockCount": 2, "BlockBytesCount": 77}}


async def test_each_root_of_a_car_becomes_a_pin(world: World, client: Client, nodes: list[ImportingNode]) -> None:
    for node in nodes:
        node.imported = [root(b"1"), root(b"2"), STATS]
    status, values = await add(client, "format=car&name=it", ("my.car", b"..."))
    assert status == 200
    assert [(value["name"], value["cid"], value["bytes"]) for value in values] == [
        ("my.car", text_of(b"1"), 77),
        ("my.car", text_of(b"2"), 77),
    ]
    assert nodes[0].asked == nodes[1].asked
    assert nodes[0].asked[0][0] == "dag/import"
    assert nodes[0].asked[0][1] == {
        "pin-roots": "true",
        "stats": "true",
        "encoding": "json",
        "stream-channels": "true",
    }
    assert world.holders(cid_of(b"2")) == [0, 1]


@pytest.mark.parametrize(
    ("events", "status", "message"),
    [
        ([STATS], 400, "the CAR file has no roots: nothing was pinned"),
        (
            [root(b"1", "block not found"), STATS],
            500,
            f"{text_of(b'1')} of the CAR file cannot be pinned: block not found",
        ),
        ([root(b"1")], 500, "the node did not import the CAR file to its end"),
    ],
)
@pytest.mark.parametrize("form_", ["true", "false"])
async def test_a_car_that_is_not_whole_is_an_error(
    client: Client, nodes: list[ImportingNode], events: list[dict[str, Any]], status: int, message: str, form_: str
) -> None:
    for node in nodes:
        node.imported = events
    answered, (value,) = await add(client, f"format=car&stream-channels={form_}", ("my.car", b"..."))
    assert (answered, value["code"]) == (status, status)
    assert message in value["message"]


# --- failures ---


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, b"file argument 'path' is required\n", "file argument 'path' is required"),
        (
            500,
            b'{"Message":"unrecognized chunker option: x","Code":0,"Type":"error"}',
            "unrecognized chunker option: x",
        ),
    ],
)
async def test_the_daemons_refusal_is_told_in_its_words(
    client: Client, nodes: list[ImportingNode], status: int, body: bytes, message: str
) -> None:
    for node in nodes:
        node.refusal = status, body
    assert await add(client, "", ("a", b"1")) == (status, [{"code": status, "message": message}])


async def test_a_failure_after_the_first_value_is_a_trailer_for_those_who_read_them(
    client: Client, nodes: list[ImportingNode]
) -> None:
    for node in nodes:
        node.trailer = "the disk\r\nis gone"
    for headers in (GO, {"TE": "trailers"}):
        raw = await raw_add(client, {**headers, "User-Agent": headers.get("User-Agent", "x")})
        assert raw.startswith(b"HTTP/1.1 200 OK")
        assert raw.endswith(b"\r\n0\r\nX-Stream-Error: the disk  is gone\r\n\r\n")
        assert text_of(b"1").encode() in raw
        assert text_of(b"2").encode() not in raw, "what was not secured is not told"


async def test_everybody_else_sees_the_error_as_a_value_and_a_cut(client: Client, nodes: list[ImportingNode]) -> None:
    for node in nodes:
        node.trailer = "the disk is gone"
    raw = await raw_add(client, {})
    assert raw.rstrip().endswith(b'{"code":500,"message":"the disk is gone"}')
    answer = await client.post("/add", data=form(("a", b"1"), ("b", b"2")), headers=MULTIPART)
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    status, (value,) = await add(client, "stream-channels=false", ("a", b"1"), ("b", b"2"))
    assert (status, value) == (500, {"code": 500, "message": "the disk is gone"})


async def test_with_http_1_0_the_connection_is_reset(client: Client, nodes: list[ImportingNode]) -> None:
    whole = await raw_add(client, {}, version="1.0")
    assert whole.endswith(b"}\n")
    assert b"chunked" not in whole
    for node in nodes:
        node.trailer = "the disk is gone"
    with pytest.raises(ConnectionResetError):
        await raw_add(client, {}, version="1.0")


async def test_what_is_no_body_is_refused(client: Client) -> None:
    raw = await raw_add(client, {"Transfer-Encoding": "chunked"}, body=b"zz\r\n")
    assert b" 400 " in raw.partition(b"\r\n")[0]


async def test_a_body_that_never_ends_is_given_up(
    world: World, client: Client, nodes: list[ImportingNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.cluster is not None
    monkeypatch.setattr("ipfs_cluster.rest.adding.STALL", 0.01)
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    fields = "".join(f"{name}: {value}\r\n" for name, value in MULTIPART.items())
    writer.write(f"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n{fields}\r\n".encode())
    writer.write(form(("a", b"1" * 200_000), end=False))
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    assert world.cluster.adds.in_progress == 0
    assert not world.holders(cid_of(b"1" * 200_000))


async def raw_add(
    client: Client,
    headers: dict[str, str],
    *,
    version: str = "1.1",
    body: bytes = form(("a", b"1"), ("b", b"2")),
) -> bytes:
    """All that the service sends."""
    fields = {"Host": "x", "Connection": "close", **MULTIPART, **headers}
    if "Transfer-Encoding" not in fields:
        fields["Content-Length"] = str(len(body))
    head = f"POST /add HTTP/{version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    try:
        writer.write(head.encode() + b"\r\n" + body)
        return await reader.read()
    finally:
        writer.close()


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    world: World, client: Client, nodes: list[ImportingNode]
) -> None:
    assert world.cluster is not None
    adds, content = world.cluster.adds, b"2" * 200_000
    _, writer = await asyncio.open_connection(client.server.host, client.server.port)
    fields = "".join(f"{name}: {value}\r\n" for name, value in MULTIPART.items())
    writer.write(f"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n{fields}\r\n".encode())
    before = asyncio.all_tasks()
    writer.write(form(("a", b"1"), ("b", content), ("c", b"3"), end=False))
    for node in nodes[:2]:
        await node.begun.wait()
    assert adds.in_progress == 1
    writer.close()
    for node in nodes[:2]:
        await node.left.wait()
    await until(lambda: adds.in_progress == 0 and not asyncio.all_tasks() - before, "everything has ended")

    async def let_go() -> bool:
        claims = await world.kept().claims()
        return {claim.kind for claim in claims} == {ClaimKind.SYSTEM} and not world.holders(cid_of(content))

    await until(let_go, "nothing is claimed or held")
    assert await world.kept().get(cid_of(content)) is None
