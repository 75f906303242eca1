"""Relayed requests over real sockets: what passes, in what order, and on which connection."""

from __future__ import annotations

import asyncio

import pytest

from proxy_tests.front.wires import CHUNKED, Doors, Wire, get, ok, post, settle, turns_until

CHUNKS = b'5;ext="a b"\r\nhello\r\n1\r\n!\r\n0\r\n\r\n'
TRAILED = b"3\r\nabc\r\n0\r\nX-Stream-Error: it broke\r\n\r\n"


async def test_requests_follow_each_other_on_one_connection_and_the_daemons_connection_is_used_again(
    door: Doors,
) -> None:
    here = await door()
    client = await here.connect()
    wires = []
    for number in range(3):
        client.send(get(f"/api/v0/{number}"))
        wire, head = await here.daemon.request()
        assert head.startswith(b"GET /api/v0/%d HTTP/1.1\r\n" % number)
        wires.append(wire)
        wire.send(ok(b"%d" % number))
        assert await client.answer() == (200, {"content-length": "1"}, b"%d" % number)
    assert wires[0] is wires[1] is wires[2]
    assert here.server.counters.routes["relay"].first_byte.count == 3


async def test_connection_close_is_honoured_both_ways(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/a", "Connection: close"))
    wire, head = await here.daemon.request()
    assert b"onnection" not in head
    wire.send(ok())
    assert await client.rest() == ok(b"hello").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    other = await here.connected(get())
    wire, _ = await here.daemon.request()
    wire.send(ok(b"hello", "Connection: close"))
    assert await other.answer() == (200, {"content-length": "5"}, b"hello")
    await wire.until(lambda: wire.ended)
    other.send(get())
    again, _ = await here.daemon.request()
    assert again is not wire
    again.send(ok())
    assert (await other.answer())[0] == 200


async def test_pipelined_requests_are_answered_in_order_and_the_daemon_has_one_at_a_time(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/0") + post(b"body", "/1") + get("/2"))
    for number, body in enumerate((b"", b"body", b"")):
        wire, head = await here.daemon.request()
        assert head.split()[1] == b"/%d" % number
        assert await wire.take(len(body)) == body
        await settle()
        assert not any(other.buffer for other in here.daemon.wires)
        wire.send(ok(b"%d" % number))
    for number in range(3):
        assert (await client.answer())[2] == b"%d" % number


async def test_a_whole_request_in_the_same_bytes_again_is_the_same_request(door: Doors) -> None:
    here = await door()
    for _ in range(3):
        client = await here.connected(get("/same"))
        await here.daemon.answers(1, ok())
        assert (await client.answer())[2] == b"hello"


@pytest.mark.parametrize(
    ("framing", "body"),
    [("Transfer-Encoding: chunked", CHUNKS), ("Content-Length: 11", b"hello\r\n\r\n!!")],
)
async def test_a_request_that_comes_byte_by_byte_goes_on_untouched(door: Doors, framing: str, body: bytes) -> None:
    here = await door()
    client = await here.connect()
    request = get("/a?b=c", framing, "X-Thing: 1, 2 ", method="POST") + body
    for at in range(len(request)):
        client.send(request[at : at + 1])
        await settle_shortly()
    wire, head = await here.daemon.request()
    expected = f"POST /a?b=c HTTP/1.1\r\nHost: {here.daemon.upstream.host_header}\r\n{framing}\r\nX-Thing: 1, 2\r\n\r\n"
    assert head == expected.encode()
    assert await wire.take(len(body)) == body
    wire.send(ok())
    assert (await client.answer())[0] == 200
    client.send(get())
    assert (await here.daemon.request())[0] is wire, "the framing was followed to the exact end"


async def settle_shortly() -> None:
    """Enough turns for one write to be one read."""
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.mark.parametrize("body", [CHUNKS, TRAILED], ids=["chunks", "trailers"])
async def test_a_response_that_comes_byte_by_byte_goes_on_untouched(door: Doors, body: bytes) -> None:
    here = await door()
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    for at in range(len(CHUNKED + body)):
        wire.send((CHUNKED + body)[at : at + 1])
        await settle_shortly()
    assert await client.take(len(CHUNKED + body)) == CHUNKED + body
    client.send(get())
    assert (await here.daemon.request())[0] is wire


async def test_bodies_run_in_full_duplex(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/x", "Transfer-Encoding: chunked", method="POST"))
    wire, _ = await here.daemon.request()
    wire.send(CHUNKED)
    head = await client.head()
    assert b"\r\nConnection: close\r\n" in head, "answered before the body was read, as Go says it"
    for number in range(5):
        client.send(b"1\r\n%d\r\n" % number)
        assert await wire.take(6) == b"1\r\n%d\r\n" % number
        wire.send(b"2\r\n+%d\r\n" % number)
        assert await client.take(7) == b"2\r\n+%d\r\n" % number
    client.send(b"0\r\n\r\n")
    assert await wire.take(5) == b"0\r\n\r\n"
    wire.send(b"0\r\n\r\n")
    assert await client.rest() == b"0\r\n\r\n"


async def test_expect_100_continue_is_the_daemons_to_answer(door: Doors) -> None:
    here = await door()
    client = await here.connected(post(b"", "/x", "Expect: 100-continue").replace(b"h: 0", b"h: 4"))
    wire, head = await here.daemon.request()
    assert b"\r\nExpect: 100-continue\r\n" in head
    wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"body")
    assert await wire.take(4) == b"body"
    wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" + ok())
    assert await client.head() == b"HTTP/1.1 102 Processing\r\n\r\n"
    assert await client.answer() == (200, {"content-length": "5"}, b"hello")


async def test_expect_100_continue_refused(door: Doors) -> None:
    here = await door()
    client = await here.connected(post(b"", "/x", "Expect: 100-continue").replace(b"h: 0", b"h: 4"))
    wire, _ = await here.daemon.request()
    wire.send(ok(b"no", "Connection: close"))
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (200, "close", b"no")
    assert await client.rest() == b""


async def test_head_has_a_length_and_no_body(door: Doors) -> None:
    here = await door()
    client = await here.connected(get(method="HEAD") + get())
    wire, _ = await here.daemon.request()
    wire.send(ok(b""[:0]).replace(b"h: 0", b"h: 900"))
    assert b"Content-Length: 900" in await client.head()
    again, head = await here.daemon.request()
    assert again is wire
    assert head.startswith(b"GET")
    wire.send(ok())
    assert (await client.answer())[2] == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_responses_that_have_no_body(door: Doors, status: str) -> None:
    here = await door()
    client = await here.connect()
    for _ in range(2):
        client.send(get())
        wire, _ = await here.daemon.request()
        wire.send(f"HTTP/1.1 {status}\r\nX: y\r\n\r\n".encode())
        assert await client.head() == f"HTTP/1.1 {status}\r\nX: y\r\n\r\n".encode()


async def test_http_1_0_ends_with_the_connection(door: Doors) -> None:
    here = await door()
    client = await here.connected(get(version="1.0") + b"never looked at")
    wire, head = await here.daemon.request()
    assert head.startswith(b"GET /api/v0/x HTTP/1.0\r\n")
    wire.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
    await client.take_until(b"hello")
    wire.send(b" world")
    wire.close()
    assert await client.rest() == b" world"


async def test_a_body_until_close_is_closed_here_too(door: Doors) -> None:
    here = await door()
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    wire.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    wire.close()
    assert await client.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"


async def test_the_head_for_the_daemon(door: Doors) -> None:
    here = await door(headers=(("Authorization", "Bearer secret"),))
    request = get(
        "/api/v0/a",
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "Keep-Alive: 5",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "TE: trailers",
        "Authorization: mine",
        "Referer: http://127.0.0.1:{port}/",
        "Origin: http://127.0.0.1:{port}",
        "User-Agent: Mozilla/5.0",
        "X-Kept: ü",
    )
    client = await here.connected(request.replace(b"{port}", str(here.port).encode()))
    wire, head = await here.daemon.request()
    assert head.decode("latin-1").split("\r\n")[1:-2] == [
        f"Host: {here.daemon.upstream.host_header}",
        "User-Agent: ipfs-cluster-proxy",
        "X-Kept: ü",
        "Authorization: Bearer secret",
    ]
    wire.send(ok(b"", "Access-Control-Allow-Origin: *"))
    assert (await client.answer())[1]["access-control-allow-origin"] == f"http://127.0.0.1:{here.port}"


async def test_framing_is_never_hop_by_hop(door: Doors) -> None:
    here = await door()
    await here.connected(post(b"GET /evil HTTP/1.1\r\n\r\n", "/a", "Connection: Content-Length, Host, close"))
    wire, head = await here.daemon.request()
    assert b"Content-Length: 22\r\n" in head
    assert b"Host: " in head
    assert await wire.take(22) == b"GET /evil HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("daemon_unix", [True, False])
async def test_tcp_and_unix_sockets_on_both_sides(door: Doors, unix: bool, daemon_unix: bool) -> None:
    here = await door(unix=unix, daemon_unix=daemon_unix)
    client = await here.connect()
    for _ in range(2):
        client.send(post(b"body"))
        wire, head = await here.daemon.request()
        assert (b"\r\nHost: unix\r\n" in head) == daemon_unix
        assert await wire.take(4) == b"body"
        wire.send(CHUNKED + TRAILED)
        assert await client.take(len(CHUNKED + TRAILED)) == CHUNKED + TRAILED
    client.close()
    await here.connections(0)


async def test_a_connection_is_there_before_it_is_needed(door: Doors) -> None:
    here = await door()
    ready: list[Wire] = []
    for number in range(3):
        client = await here.connected(get("/x", "Connection: close"))
        wire, _ = await here.daemon.request()
        assert number == 0 or wire in ready
        wire.send(ok(b"x", "Connection: close"))
        wire.close()
        await client.rest()
        await turns_until(lambda: any(not other.lost for other in here.daemon.wires), "a spare one")
        ready = [other for other in here.daemon.wires if not other.lost]
