"""pin/add in Kubo's shapes and texts."""

from __future__ import annotations

import asyncio

import pytest

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster.cid import text, text_in, to_v1
from ipfs_cluster.model import PinMode
from ipfs_cluster.testing.store_values import cid as mixed_cid
from proxy_tests.rpc.kitchen import SERVER, Answered, Kitchen, Recorder, TreeNode, lines_body

A, B, C, ABSENT = text(cid(1)), text(cid(2)), text(cid(3)), text(cid(1000))


async def test_one_value_after_all_are_pinned_in_argument_order(kitchen: Kitchen, world: World) -> None:
    answer = await kitchen.ask("pin/add", f"arg={B}&arg={A}&arg={B}")
    assert answer.text == f'{{"Pins":["{B}","{A}","{B}"]}}\n'
    assert (answer.status, answer.content_type, answer.headers) == (200, "application/json", {})
    assert world.holders(cid(1)) == world.holders(cid(2)) == [0, 1, 2]


async def test_options_reach_the_pin(kitchen: Kitchen, world: World) -> None:
    query = f"arg={A}&recursive=false&name=n%C3%BC&replication=2&meta-k=v&meta-=x&expire-in=1h&user-allocations=peer1"
    assert (await kitchen.ask("pin/add", query)).status == 200
    assert world.cluster is not None
    pin = await world.cluster.views.get(cid(1))
    assert pin is not None
    assert (pin.mode, pin.name, dict(pin.metadata)) == (PinMode.DIRECT, "nü", {"k": "v"})
    assert (pin.replication_min, pin.replication_max, pin.allocations[0]) == (2, 2, "peer1")
    assert pin.expire_at is not None


@pytest.mark.parametrize("prefix", ["/ipfs/", ""])
async def test_bare_cids_are_not_asked_for_and_path_segments_come_first(kitchen: Kitchen, prefix: str) -> None:
    answer = await kitchen.ask("pin/add", f"arg={prefix}{A}", tail=[B])
    assert answer.values == [{"Pins": [B, A]}]
    assert kitchen.world.nodes[0].calls["resolve"] == 0


async def test_paths_are_resolved_by_the_home_node(kitchen: Kitchen, home: TreeNode) -> None:
    home.paths["/ipns/x/y"] = cid(3)
    assert (await kitchen.ask("pin/add", "arg=/ipns/x/y")).values == [{"Pins": [C]}]


# --- arguments in the body (spec 1.3) ---


@pytest.mark.parametrize(
    ("lines", "arguments"),
    [
        (f"{A}\n{B}\n{C}\n", [A, B, C]),
        (f"{A}\r\n{B}", [A, B]),
        (f"{A}\n", [A]),
        (A, [A]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_arguments_one_a_line_in_any_pieces(
    kitchen: Kitchen, lines: str, arguments: list[str], size: int
) -> None:
    body = lines_body(lines.encode())
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert (await kitchen.ask("pin/add", "", *pieces)).values == [{"Pins": arguments}]


async def test_arguments_of_the_body_follow_those_of_the_query(kitchen: Kitchen) -> None:
    assert (await kitchen.ask("pin/add", f"arg={A}", lines_body(B.encode()))).values == [{"Pins": [A, B]}]


async def test_only_the_first_file_counts_and_no_other_kind_of_body(kitchen: Kitchen) -> None:
    two = lines_body(A.encode(), end=False) + b"\r\n--b0undary\r\n\r\n" + B.encode() + b"\r\n--b0undary--"
    assert (await kitchen.ask("pin/add", "", two)).values == [{"Pins": [A]}]
    plain = await kitchen.ask("pin/add", f"arg={A}", B.encode(), kind="text/plain")
    assert plain.values == [{"Pins": [A]}]


async def test_a_blank_line_is_an_argument(kitchen: Kitchen) -> None:
    answer = await kitchen.ask("pin/add", "", lines_body(f"{A}\n\n{B}".encode()))
    assert answer.error == 'invalid path "": path does not have enough components'


async def test_a_body_that_is_cut_pins_nothing(kitchen: Kitchen, world: World) -> None:
    for body in (lines_body(f"{A}\n{B[:20]}".encode(), end=False), lines_body(f"{A}\n".encode(), end=False)):
        answer = await kitchen.ask("pin/add", "", body)
        assert (answer.status, answer.text) == (400, "unexpected EOF\n")
    assert world.holders(cid(1)) == []


async def test_a_line_without_end_is_refused(kitchen: Kitchen) -> None:
    answer = await kitchen.ask("pin/add", "", lines_body(b"a" * 70000))
    assert (answer.status, answer.text) == (400, "argument too long\n")


# --- progress ---


async def test_progress_every_half_second_and_once_at_the_end(kitchen: Kitchen, world: World) -> None:
    for node in world.nodes:
        node.hold[cid(1)] = asyncio.Event()
    reply = Recorder()
    asking = asyncio.ensure_future(  # noqa: TID251 - awaited below
        kitchen.commands["pin/add"].handler(kitchen.request(f"arg={A}&progress=true"), reply)
    )
    for count in (1, 2):
        await until(lambda: world.clock.wakes_in(0.5), "it waits for the next half second")
        world.clock.advance(0.5)
        await until(lambda count=count: len(reply.seen.pieces) == count, "a value")
    for node in world.nodes:
        node.hold[cid(1)].set()
    await asking
    assert reply.seen.headers == {"X-Chunked-Output": "1"}
    assert reply.seen.pieces == [b"{}\n", b"{}\n", b'{"Progress":1,"Bytes":100}\n', f'{{"Pins":["{A}"]}}\n'.encode()]


async def test_a_fast_pin_with_progress(kitchen: Kitchen) -> None:
    first = await kitchen.ask("pin/add", f"arg={A}&progress=1")
    assert first.values == [{"Progress": 1, "Bytes": 100}, {"Pins": [A]}]
    again = await kitchen.ask("pin/add", f"arg={A}&progress=1")
    assert again.values[-1] == {"Pins": [A]}


async def test_a_failure_after_progress_is_one_in_mid_stream(kitchen: Kitchen, world: World) -> None:
    for node in world.nodes:
        node.hold[cid(1)] = asyncio.Event()
        node.refusals[cid(1)] = "pin: broken"
    reply = Recorder()
    asking = asyncio.ensure_future(  # noqa: TID251 - awaited below
        kitchen.commands["pin/add"].handler(kitchen.request(f"arg={A}&progress=true"), reply)
    )
    await until(lambda: world.clock.wakes_in(0.5), "it waits")
    world.clock.advance(0.5)
    await until(lambda: reply.started, "progress")
    for node in world.nodes:
        node.hold[cid(1)].set()
    await asking
    assert (reply.seen.status, reply.seen.failure) == (200, "pin: broken")


# --- failures ---


async def test_the_nodes_own_text(kitchen: Kitchen, world: World) -> None:
    for node in world.nodes:
        node.refusals[cid(1)] = "pin: block was not found locally (offline): ipld: could not find Qm"
    answer = await kitchen.ask("pin/add", f"arg={A}")
    assert answer.error == "pin: block was not found locally (offline): ipld: could not find Qm"
    assert answer.headers == {}
    assert world.cluster is not None
    assert await world.cluster.views.get(cid(1)) is None


async def test_an_argument_that_does_not_resolve_leaves_those_before_it_pinned(kitchen: Kitchen, world: World) -> None:
    answer = await kitchen.ask("pin/add", f"arg={A}&arg=foo&arg={B}")
    assert answer.error == 'invalid path "foo": path does not have enough components'
    assert (world.holders(cid(1)), world.holders(cid(2))) == ([0, 1, 2], [])


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", 'argument "ipfs-path" is required'),
        ("recursive=maybe&arg=x", 'could not convert value "maybe" to type "bool" (for option "-recursive")'),
        ("arg=x&r=1&r=0", "expected key r to have only a single value, received [1 0]"),
    ],
)
async def test_what_the_daemon_refuses_before_it_begins(kitchen: Kitchen, query: str, text: str) -> None:
    answer = await kitchen.ask("pin/add", query)
    assert (answer.status, answer.text, answer.whole) == (400, f"{text}\n", True)
    assert answer.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "Vary": "Origin",
        "X-Content-Type-Options": "nosniff",
    }


async def test_an_encoding_that_does_not_exist_names_the_server(kitchen: Kitchen) -> None:
    answer = await kitchen.ask("pin/add", f"arg={A}&encoding=foobar")
    assert (answer.status, answer.text, answer.headers["Server"]) == (400, "invalid encoding: foobar\n", SERVER)


async def test_a_timeout_that_is_none_is_an_empty_200(kitchen: Kitchen, world: World) -> None:
    answer = await kitchen.ask("pin/add", f"arg={A}&timeout=30")
    assert (answer.status, answer.text, answer.whole, answer.content_type) == (200, "", True, "")
    assert world.holders(cid(1)) == []


@pytest.mark.parametrize(
    ("more", "message"), [("", "pin: context deadline exceeded"), ("&progress=1", "context deadline exceeded")]
)
async def test_a_deadline_is_a_failure_and_withdraws(kitchen: Kitchen, world: World, more: str, message: str) -> None:
    assert (await kitchen.ask("pin/add", f"arg={ABSENT}&timeout=1ms{more}")).error == message
    assert world.cluster is not None
    assert await world.cluster.views.get(cid(1000)) is None


async def test_a_client_that_leaves_withdraws_nothing(kitchen: Kitchen, world: World) -> None:
    handler = kitchen.commands["pin/add"].handler
    asking = asyncio.ensure_future(handler(kitchen.request(f"arg={ABSENT}"), Recorder()))  # noqa: TID251
    await until(lambda: cid(1000) in world.nodes[0].pin_calls, "a node tries")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert world.cluster is not None
    assert await world.cluster.views.get(cid(1000)) is not None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("name=" + "x" * 256, "pin name is 256 bytes (max 255 bytes)"),
        ("name=" + "%C3%BC" * 150, "pin name is 300 bytes (max 255 bytes)"),
        ("wait=long", "invalid wait 'long', must be one of {accepted, min, all}"),
        ("replication-min=x", "parameter replication-min invalid"),
        ("replication=1_0", "parameter replication invalid"),
        ("replication-min=1&replication-max=99999999999999999999", "parameter replication-max invalid"),
        ("expire-in=1", 'parameter expire-in invalid: time: invalid duration "1"'),
        ("expire-in=1ms", "expire-in duration too short"),
        ("expire-at=soon", "parameter expire-at invalid: soon"),
        ("expire-at=9999-12-31T23:59:59-01:00", "pin.ExpireAt set after the year 9999"),
        ("cid-base=base99", "unsupported multibase encoding: base99"),
    ],
)
async def test_options_are_looked_at_before_anything_is_pinned(
    kitchen: Kitchen, world: World, query: str, message: str
) -> None:
    assert (await kitchen.ask("pin/add", f"arg={A}&{query}")).error.startswith(message)
    assert world.holders(cid(1)) == []


async def test_direct_over_recursive_is_refused_in_the_cids_own_base(kitchen: Kitchen) -> None:
    await kitchen.ask("pin/add", f"arg={A}")
    answer = await kitchen.ask("pin/add", f"arg={A}&recursive=false&cid-base=base36")
    assert answer.error == f"pin: {A} already pinned recursively"


# --- encodings and bases ---


async def test_text(kitchen: Kitchen) -> None:
    answer = await kitchen.ask("pin/add", f"arg={A}&encoding=text&progress=true")
    assert (answer.text, answer.content_type) == (f"pinned {A} recursively\n", "text/plain")
    direct = await kitchen.ask("pin/add", f"arg={B}&encoding=text&recursive=0")
    assert direct.text == f"pinned {B} directly\n"


async def failed(kitchen: Kitchen, encoding: str) -> Answered:
    return await kitchen.ask("pin/add", f"arg=a%22%26%3C&encoding={encoding}")


async def test_errors_in_every_encoding(kitchen: Kitchen) -> None:
    message = 'invalid path "a"&<": path does not have enough components'
    plain = await failed(kitchen, "text")
    assert (plain.status, plain.content_type, plain.text) == (500, "text/plain", message)
    xml = await failed(kitchen, "xml")
    escaped = message.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&#34;")
    assert (xml.content_type, xml.text) == (
        "application/xml",
        f"<Error><Message>{escaped}</Message><Code>0</Code></Error>",
    )
    assert (await failed(kitchen, "json")).error == message


async def test_a_path_segment_that_is_no_utf8_is_an_error_like_others(kitchen: Kitchen) -> None:
    for encoding in ("json", "text", "xml"):
        assert (await kitchen.ask("pin/add", f"encoding={encoding}", tail=["\udcff"])).status == 500


async def test_cid_bases(kitchen: Kitchen) -> None:
    v0 = next(found for found in map(mixed_cid, range(3)) if text(found).startswith("Qm"))
    await kitchen.world.network.publish(v0)
    for query, shown in (
        ("", text(v0)),
        ("&cid-base=base58btc", text(v0)),
        ("&cid-base=base32", text(to_v1(v0))),
        ("&cid-base=z&upgrade-cidv0-in-output=true", text_in(v0, "base58btc", True)),
        ("&upgrade-cidv0-in-output=true", text(to_v1(v0))),
        ("&cid-base=base32&upgrade-cidv0-in-output=false", text(v0)),
        ("&cid-base=", text(v0)),
    ):
        assert (await kitchen.ask("pin/add", f"arg={text(v0)}{query}")).values == [{"Pins": [shown]}]
