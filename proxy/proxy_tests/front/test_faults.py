"""Early answers, daemons that die or are down, clients that leave or do not read, and what is no HTTP."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import struct
from pathlib import Path

import pytest

from proxy_tests.front.wires import CHUNKED, DATE, Daemon, Door, Doors, Wire, flood, get, ok, post, settle, turns_until

MIB = 1024 * 1024
EVIL = get("/evil")


def error_of(status: int, headers: dict[str, str], body: bytes) -> str:
    """The message of a Kubo-shaped error."""
    assert status == 500
    assert headers["content-type"] == "application/json"
    value = json.loads(body)
    assert list(value) == ["Message", "Code", "Type"]
    assert (value["Code"], value["Type"]) == (0, "error")
    return str(value["Message"])


async def warm(here: Door) -> tuple[Wire, Wire]:
    """A client after its first request, and the daemon's connection, which is idle now."""
    client = await here.connected(get("/warm"))
    wire, _ = await here.daemon.request()
    wire.send(ok())
    await client.answer()
    return client, wire


# --- early answers ---


async def test_an_early_answer_arrives_while_the_body_is_still_coming(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/x", f"Content-Length: {64 * MIB}", method="POST"))
    client.send(b"a" * MIB)
    wire, _ = await here.daemon.request()
    wire.send(ok(b"no", "Connection: close"))
    wire.close()
    assert (await client.answer())[2] == b"no"
    await client.until(lambda: client.ended)
    for _ in range(8):
        client.send(b"a" * MIB)
    await turns_until(lambda: client.transport.get_write_buffer_size() == 0, "the rest of the body is thrown away")
    assert not client.lost
    client.close()
    await here.connections(0)


async def test_of_a_body_after_an_early_answer_only_so_much_is_thrown_away(
    door: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_proxy.front.connection.LINGER_BYTES", MIB)
    monkeypatch.setattr("ipfs_proxy.front.connection.LINGER_SECONDS", 1000.0)
    here = await door()
    client = await here.connected(get("/x", "Transfer-Encoding: chunked", method="POST"))
    wire, _ = await here.daemon.request()
    wire.send(ok(b"no", "Connection: close"))
    await client.until(lambda: client.ended)
    client.send(b"a" * 2 * MIB)
    await here.connections(0)


async def test_after_an_early_answer_the_door_does_not_wait_for_ever(
    door: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_proxy.front.connection.LINGER_SECONDS", 0.0)
    here = await door()
    await here.connected(get("/x", "Content-Length: 9", method="POST"))
    wire, _ = await here.daemon.request()
    wire.send(ok(b"no", "Connection: close"))
    await here.connections(0)


@pytest.mark.parametrize("body_first", [True, False])
async def test_an_early_answer_is_read_though_writing_the_body_fails(door: Doors, body_first: bool) -> None:
    here = await door()
    client = await here.connected(get("/x", f"Content-Length: {64 * MIB}", method="POST"))
    wire, _ = await here.daemon.request()
    answered = wire.transport.get_extra_info("socket")

    def answer() -> None:
        with socket.socket(fileno=os.dup(answered.fileno())) as twin:
            twin.send(ok(b"no", "Connection: close"))
        reset_on_close(answered.fileno())

    def body() -> None:
        with socket.socket(fileno=os.dup(client.transport.get_extra_info("socket").fileno())) as twin:
            twin.send(b"a" * 1000)

    # Both reach the front in the same turn: more of the body, and the answer with the connection's end behind it.
    for step in (body, answer) if body_first else (answer, body):
        step()
    assert (await client.answer())[2] == b"no"


def reset_on_close(descriptor: int) -> None:
    """Break a connection at once, without its transport."""
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Connecting to nowhere resets: closing would not, while the transport holds the socket too.
        twin.setblocking(False)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.connect(twin.fileno(), struct.pack("HHIQ", 0, 0, 0, 0), 16) == 0


async def test_a_daemon_that_answers_early_and_reads_no_more_is_let_go(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/x", f"Content-Length: {64 * MIB}", method="POST"))
    wire, _ = await here.daemon.request()
    wire.transport.pause_reading()
    await flood(client, b"a" * 65536, 40 * MIB)
    wire.send(ok(b"no"))
    assert (await client.answer())[2] == b"no"
    port = wire.transport.get_extra_info("peername")[1]
    await turns_until(lambda: not established(port), "the door has closed its end")


def established(port: int) -> bool:
    """Whether a local end of a connection has not been closed, as the kernel says."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


# --- the daemon dies, is down, or talks nonsense ---


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("body", [b"", b"body"])
async def test_a_pooled_connection_that_dies_unused_is_replaced_once(door: Doors, how: str, body: bytes) -> None:
    here = await door()
    client, wire = await warm(here)
    client.send(post(body, "/again"))
    await wire.until(lambda: b"/again" in wire.buffer)
    wire.buffer.clear()
    getattr(wire, how)()
    second, head = await here.daemon.request()
    assert second is not wire
    assert b"/again" in head
    assert await second.take(len(body)) == body
    second.send(ok(b"second"))
    assert (await client.answer())[2] == b"second"
    assert here.server.counters.unreachable == 0


async def test_but_only_once(door: Doors) -> None:
    here = await door()
    client, _ = await warm(here)
    client.send(get())
    for _ in range(2):
        wire, _ = await here.daemon.request()
        wire.close()
    assert "closed without an answer" in error_of(*await client.answer())
    assert here.server.counters.unreachable == 1
    client.send(get())
    await here.daemon.answers(1, ok())
    assert (await client.answer())[0] == 200, "the client's connection goes on"


async def test_a_spare_connection_that_dies_unused_is_replaced_too(door: Doors) -> None:
    here = await door()
    first = await here.connected(get("/x", "Connection: close"))
    used, _ = await here.daemon.request()
    await turns_until(lambda: len(here.daemon.wires) == 2, "a spare one")
    used.send(ok(b"x", "Connection: close"))
    await first.rest()
    ready = list(here.daemon.wires)
    client = await here.connected(get())
    spare, _ = await here.daemon.request()
    assert spare in ready
    assert spare is not used
    spare.reset()
    await here.daemon.answers(1, ok())
    assert (await client.answer())[0] == 200


async def test_what_has_begun_to_be_answered_is_never_asked_again(door: Doors) -> None:
    here = await door()
    client, wire = await warm(here)
    client.send(get())
    await here.daemon.request()
    wire.send(b"HTTP/1.1 200 O")
    await settle()
    wire.close()
    error_of(*await client.answer())


async def test_a_request_whose_body_is_gone_is_not_asked_again(door: Doors) -> None:
    here = await door()
    client, wire = await warm(here)
    client.send(get("/x", "Content-Length: 8", method="POST"))
    await here.daemon.request()
    client.send(b"half")
    await wire.take(4)
    wire.close()
    status, headers, body = await client.answer()
    error_of(status, headers, body)
    assert headers["connection"] == "close"
    await client.until(lambda: client.ended)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_daemon_that_dies_before_the_head_is_a_kubo_shaped_500(door: Doors, how: str) -> None:
    here = await door()
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    getattr(wire, how)()
    assert "cannot be reached" in error_of(*await client.answer())


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("head", [CHUNKED + b"9\r\n", ok(b"").replace(b"h: 0", b"h: 9")], ids=["chunked", "length"])
async def test_a_daemon_that_dies_in_the_body_cuts_the_clients_body(door: Doors, how: str, head: bytes) -> None:
    here = await door()
    client = await here.connected(get() + get("/second"))
    wire, _ = await here.daemon.request()
    wire.send(head + b"abc")
    assert await client.take(len(head) + 3) == head + b"abc"
    getattr(wire, how)()
    assert await client.rest() == b""
    await settle()
    assert b"/second" not in b"".join(bytes(other.buffer) for other in here.daemon.wires)


async def test_a_daemon_that_is_down_and_comes_back(door: Doors) -> None:
    here = await door()
    client, _ = await warm(here)
    here.daemon.stop()
    client.send(post(b"body"))
    message = error_of(*await client.answer())
    assert message.startswith(f"the IPFS daemon at {here.daemon.upstream.host_header} cannot be reached: ")
    await here.daemon.start()
    client.send(get())
    await here.daemon.answers(1, ok(b"back"))
    assert (await client.answer())[2] == b"back"


async def test_a_daemon_that_is_down_while_a_body_is_coming(door: Doors) -> None:
    here = await door()
    here.daemon.stop()
    client = await here.connected(get("/x", f"Content-Length: {8 * MIB}", method="POST"))
    client.send(b"a" * MIB)
    status, headers, body = await client.answer()
    error_of(status, headers, body)
    assert headers["connection"] == "close"
    await client.until(lambda: client.ended)


async def test_a_daemon_that_is_down_for_head_has_no_body(door: Doors) -> None:
    here = await door()
    here.daemon.stop()
    client = await here.connected(get(method="HEAD"))
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 500 ")
    await settle()
    assert not client.buffer


async def test_a_socket_that_is_not_there(door: Doors) -> None:
    here = await door(daemon_unix=True)
    here.daemon.stop()
    client = await here.connected(get())
    assert "the IPFS daemon at unix cannot be reached" in error_of(*await client.answer())


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"x" * 70000,
    ],
)
async def test_a_daemon_that_talks_nonsense_is_a_500_and_its_connection_is_not_used_again(
    door: Doors, garbage: bytes
) -> None:
    here = await door()
    client, wire = await warm(here)
    client.send(get())
    await here.daemon.request()
    wire.send(garbage)
    error_of(*await client.answer())
    await wire.until(lambda: wire.ended)
    client.send(get())
    again, _ = await here.daemon.request()
    again.send(ok())
    assert (await client.answer())[0] == 200


async def test_nonsense_in_the_body_cuts_it(door: Doors) -> None:
    here = await door()
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    wire.send(CHUNKED + b"1\r\na\r\n")
    await client.take(len(CHUNKED) + 6)
    wire.send(b"nonsense\r\n")
    assert b"0\r\n" not in await client.rest()
    await wire.until(lambda: wire.ended)


@pytest.mark.parametrize("together", [True, False])
async def test_bytes_after_a_response_are_nobodys(door: Doors, together: bool) -> None:
    here = await door()
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    wire.send(ok(b"mine") + (ok(b"evil") if together else b""))
    assert (await client.answer())[2] == b"mine"
    if not together:
        wire.send(ok(b"evil"))
    await wire.until(lambda: wire.ended)
    client.send(get())
    again, _ = await here.daemon.request()
    again.send(ok(b"second"))
    assert (await client.answer())[2] == b"second"


# --- clients that leave ---


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_client_that_leaves_cancels_the_call(door: Doors, how: str, begun: bool) -> None:
    here = await door()
    client = await here.connected(post(b"body"))
    wire, _ = await here.daemon.request()
    if begun:
        wire.send(CHUNKED)
        await client.head()
    if how == "half":
        client.transport.write_eof()
    else:
        getattr(client, how)()
    await wire.until(lambda: wire.ended)
    await here.connections(0)


async def test_a_client_that_leaves_in_the_middle_of_its_body(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/x", "Content-Length: 9", method="POST") + b"half")
    wire, _ = await here.daemon.request()
    client.close()
    await wire.until(lambda: wire.ended)


async def test_a_client_that_leaves_while_the_daemon_is_being_reached(door: Doors) -> None:
    here = await door()
    client = await here.connected(get())
    await here.connections(1)
    client.reset()
    await here.connections(0)
    await settle()
    assert all(not wire.buffer or wire.ended for wire in here.daemon.wires)


@pytest.mark.parametrize("half", [True, False])
async def test_a_client_that_does_not_read_and_leaves(door: Doors, half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipfs_proxy.front.server.TICK", 0.001)
    here = await door()
    client = await here.connect(buffer=4096)
    client.send(get("/x"))
    wire, _ = await here.daemon.request()
    client.transport.pause_reading()
    wire.send(CHUNKED)
    await flood(wire, b"10000\r\n" + b"a" * 65536 + b"\r\n", 60 * MIB)
    if half:
        client.transport.write_eof()
    else:
        client.reset()
    await wire.until(lambda: wire.ended)


# --- backpressure ---


async def test_a_client_that_does_not_read_stops_the_daemon_and_loses_nothing(door: Doors) -> None:
    here = await door()
    client = await here.connect(buffer=4096)
    client.send(get())
    wire, _ = await here.daemon.request()
    client.transport.pause_reading()
    wire.send(ok(b"").replace(b"h: 0", b"h: %d" % (60 * MIB)))
    sent = await flood(wire, b"a" * 65536, 40 * MIB)
    assert here.buffered() <= MIB
    client.transport.resume_reading()
    wire.send(b"b" * (60 * MIB - sent))
    await client.head()
    body = await client.take(60 * MIB)
    assert body == b"a" * sent + b"b" * (60 * MIB - sent)


async def test_a_daemon_that_does_not_read_stops_the_client_and_loses_nothing(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/x", f"Content-Length: {60 * MIB}", method="POST"))
    wire, _ = await here.daemon.request()
    wire.transport.pause_reading()
    sent = await flood(client, b"a" * 65536, 40 * MIB)
    wire.transport.resume_reading()
    client.send(b"b" * (60 * MIB - sent))
    assert await wire.take(60 * MIB) == b"a" * sent + b"b" * (60 * MIB - sent)
    wire.send(ok())
    assert (await client.answer())[0] == 200


async def test_a_client_that_sends_before_the_daemon_is_reached_is_stopped(
    door: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await door()
    pool = here.server.pool
    gate = asyncio.Event()
    real = pool.open

    async def slow() -> object:
        await gate.wait()
        return await real()

    monkeypatch.setattr(pool, "open", slow)
    client = await here.connected(get("/x", f"Content-Length: {60 * MIB}", method="POST"))
    sent = await flood(client, b"a" * 65536, 40 * MIB)
    gate.set()
    wire, _ = await here.daemon.request()
    client.send(b"b" * (60 * MIB - sent))
    assert await wire.take(60 * MIB) == b"a" * sent + b"b" * (60 * MIB - sent)


async def test_early_requests_wait_in_a_bounded_buffer(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/first"))
    wire, _ = await here.daemon.request()
    request = get("/x", "X: " + "y" * 1000)
    sent = await flood(client, request, 40 * MIB)
    wire.send(ok())
    assert (await client.answer())[0] == 200
    for _ in range(sent // len(request)):
        await here.daemon.answers(1, ok())
        assert (await client.answer())[0] == 200


async def test_answers_that_nobody_reads_do_not_pile_up(door: Doors) -> None:
    here = await door()
    client = await here.connect(buffer=4096)
    client.transport.pause_reading()
    count = 400
    answer = ok(b"a" * 65536)
    client.send(get() * count)
    answered = 0
    while True:
        ready = [wire for wire in here.daemon.wires if b"\r\n\r\n" in wire.buffer]
        if not ready:
            await settle()
            if not any(wire.buffer for wire in here.daemon.wires):
                break
            continue
        wire, _ = await here.daemon.request()
        wire.send(answer)
        answered += 1
    assert answered < count
    assert here.buffered() <= MIB
    client.transport.resume_reading()
    serving = asyncio.ensure_future(here.daemon.answers(count - answered, answer))  # noqa: TID251 - awaited below
    for _ in range(count):
        assert len((await client.answer())[2]) == 65536
    await serving


async def test_refusals_that_nobody_reads_do_not_pile_up(door: Doors) -> None:
    here = await door()
    client = await here.connect(buffer=4096)
    client.transport.pause_reading()
    await flood(client, get("/api/v0/x", "Origin: http://evil.example", method="POST") * 100, 60 * MIB)
    assert here.buffered() <= MIB


async def test_a_connection_that_was_stopped_for_a_slow_client_serves_the_next_one(door: Doors) -> None:
    here = await door()
    slow = await here.connect(buffer=4096)
    slow.transport.pause_reading()
    slow.send(get("/slow"))
    wire, _ = await here.daemon.request()
    (connection,) = here.server._connections
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection.transport.set_write_buffer_limits(0)
    wire.send(ok(b"a" * 60_000))  # ends in the very piece that is too much for the client
    await turns_until(lambda: here.buffered() > 0, "the client blocks")
    await settle()
    client = await here.connected(get("/next"))
    again, head = await here.daemon.request()
    assert again is wire
    assert b"/next" in head
    wire.send(ok(b"next"))
    assert (await client.answer())[2] == b"next"


# --- what is no HTTP, and what wants to be two requests ---


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT evil:1 HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + EVIL,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + EVIL,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_garbage_is_answered_with_400_and_the_daemon_never_sees_it(door: Doors, garbage: bytes) -> None:
    here = await door()
    client = await here.connected(garbage)
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert here.server.counters.garbage == 1
    client.close()
    await here.connections(0)
    assert here.daemon.seen == 0


async def test_a_good_request_before_garbage_is_answered_first(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/good") + b"GARBAGE\r\n\r\n")
    wire, _ = await here.daemon.request()
    wire.send(ok(b"good"))
    assert (await client.answer())[2] == b"good"
    assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"1\r\nabc\r\n",
        b"1\nabc",
        b"fffffffffffffffff\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\n\n",
        b"1 ;x\r\na\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_chunks_that_can_be_understood_twice_end_both_connections(
    door: Doors, body: bytes, together: bool
) -> None:
    here = await door()
    head = get("/x", "Transfer-Encoding: chunked", method="POST")
    client = await here.connected(head + body if together else head)
    if together:
        await client.rest()
        assert here.daemon.seen == 0
        return
    wire, _ = await here.daemon.request()
    client.send(body + EVIL)
    await client.rest()
    await wire.until(lambda: wire.ended)
    assert b"evil" not in wire.buffer


async def test_a_body_that_looks_like_a_request_is_a_body(door: Doors) -> None:
    here = await door()
    client = await here.connected(post(EVIL) + get("/good"))
    wire, _ = await here.daemon.request()
    assert await wire.take(len(EVIL)) == EVIL
    assert not wire.buffer
    wire.send(ok())
    _, head = await here.daemon.request()
    assert head.startswith(b"GET /good ")
    assert (await client.answer())[0] == 200


async def test_redirects_and_refusals_are_answered_here(door: Doors) -> None:
    here = await door()
    client = await here.connected(
        get("//api/v0/x%0d%0aEvil:%20y", method="POST")
        + get("/api/v0/x", "Origin: http://evil.example", method="POST")
        + get("/api/v0/x", "Referer: http://[", method="POST")
        + get("/api/v0/x", "Access-Control-Request-Method: POST", "Origin: http://evil.example", method="OPTIONS")
        + post(b"body", "/api/v0/x", "Origin: http://evil.example")
    )
    assert await client.answer() == (
        307,
        {"location": "/api/v0/x%0D%0AEvil:%20y", "date": DATE, "content-length": "0"},
        b"",
    )
    for _ in range(2):
        status, headers, body = await client.answer()
        assert (status, headers["vary"], body) == (403, "Origin", b"403 - Forbidden\n")
    assert (await client.head()).startswith(b"HTTP/1.1 204 No Content\r\n")
    status, headers, body = await client.answer()
    assert (status, body) == (403, b"403 - Forbidden\n")
    assert here.daemon.seen == 0


async def test_a_refusal_while_the_body_is_still_coming_is_an_early_answer(door: Doors) -> None:
    here = await door()
    client = await here.connected(get("/api/v0/x", "Origin: http://evil", f"Content-Length: {8 * MIB}", method="POST"))
    client.send(b"a" * MIB)
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (403, "close")
    client.send(b"a" * MIB)
    await client.until(lambda: client.ended)
    assert here.daemon.seen == 0


def test_the_fake_daemon_is_none_of_these() -> None:
    assert Daemon().seen == 0
