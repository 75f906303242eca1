"""Command handlers behind the door: bodies, answers, failures in mid-stream, clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from ipfs_proxy.front.counters import OUTCOMES
from ipfs_proxy.front.exchange import BodyError, Command, Reply, Request
from proxy_tests.front.wires import DATE, Door, Doors, Wire, flood, get, ok, post, settle, turns_until

MIB = 1024 * 1024
GO = "User-Agent: go-ipfs-cmds/http"
EXPOSED = "X-Stream-Output, X-Chunked-Output, X-Content-Length"
ERROR = b'{"Message":"it \\"broke\\"","Code":0,"Type":"error"}\n'
MESSAGE = 'it "broke"'

Handler = Callable[[Request, Reply], Awaitable[None]]


def running(handler: Handler) -> dict[str, Command]:
    """The table with one command, "run"; the query "relay" makes it the daemon's."""
    return {"run": Command(handler, lambda query: query == "relay")}


def run(*lines: str, query: str = "", version: str = "1.1") -> bytes:
    """A request for it, without body."""
    return get(f"/api/v0/run{query}", *lines, method="POST", version=version)


def chunk(data: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read(body: Request) -> bytes:
    """The whole body."""
    return b"".join([piece async for piece in body.body])


async def echo(request: Request, reply: Reply) -> None:
    """Answers each piece of the body with itself."""
    await reply.start(content_type="text/plain", headers={"X-Chunked-Output": "1"})
    async for piece in request.body:
        await reply.write(piece)
    await reply.finish()


async def test_a_request_as_a_handler_sees_it(door: Doors) -> None:
    seen: list[Request] = []

    async def look(request: Request, reply: Reply) -> None:
        seen.append(request)
        assert await read(request) == b"body"
        await reply.respond(200, b"", headers={})

    here = await door(running(look))
    client = await here.connected(post(b"body", "/api/v0/run/a%20b?x=%41&y", "X-A: 1", "x-a: 2", "User-Agent: me"))
    assert (await client.answer())[0] == 200
    (request,) = seen
    assert (request.method, request.path, request.query) == ("POST", "/api/v0/run/a b", "x=%41&y")
    assert (request.tail, request.headers["x-a"], request.user_agent) == (("a b",), "1, 2", "me")
    assert here.daemon.seen == 0


async def test_the_head_is_kubos(door: Doors) -> None:
    here = await door(running(echo))
    here.server.server_header = "kubo/0.43.0"
    client = await here.connected(run(f"Origin: http://127.0.0.1:{here.port}"))
    assert (await client.head()).decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        f"Access-Control-Allow-Headers: {EXPOSED}",
        f"Access-Control-Allow-Origin: http://127.0.0.1:{here.port}",
        f"Access-Control-Expose-Headers: {EXPOSED}",
        "Content-Type: text/plain",
        "Server: kubo/0.43.0",
        "Trailer: X-Stream-Error",
        "Vary: Origin",
        "X-Chunked-Output: 1",
        f"Date: {DATE}",
        "Transfer-Encoding: chunked",
        "",
        "",
    ]
    assert await client.take(5) == b"0\r\n\r\n"
    assert here.server.counters.routes["run"].first_byte.count == 1


async def test_commands_and_relayed_requests_take_turns_on_a_connection(door: Doors) -> None:
    here = await door(running(echo))
    client = await here.connected(run() + get("/relayed") + post(b"abc", "/api/v0/run") + run(query="?relay"))
    await client.head()
    assert await client.take(5) == b"0\r\n\r\n"
    await here.daemon.answers(1, ok(b"relayed"))
    assert (await client.answer())[2] == b"relayed"
    await client.head()
    assert await client.take(13) == chunk(b"abc") + b"0\r\n\r\n"
    (head,) = await here.daemon.answers(1, ok(b"relayed too"))
    assert head.startswith(b"POST /api/v0/run?relay ")
    assert (await client.answer())[2] == b"relayed too"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_a_body_in_any_pieces_is_the_same_body(door: Doors, size: int) -> None:
    bodies: list[bytes] = []

    async def keep(request: Request, reply: Reply) -> None:
        bodies.append(await read(request))
        await reply.respond(200, b"ok", headers={})

    here = await door(running(keep))
    client = await here.connect()
    request = run("Transfer-Encoding: chunked") + chunk(b"hello ") + b"5;x=y\r\nworld\r\n0\r\nX: y\r\n\r\n"
    for data in (request, post(b"hello world", "/api/v0/run")):
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
            for _ in range(3):
                await asyncio.sleep(0)
        assert (await client.answer())[2] == b"ok"
    assert bodies == [b"hello world"] * 2


async def test_bodies_run_in_full_duplex(door: Doors) -> None:
    here = await door(running(echo))
    client = await here.connected(run("Transfer-Encoding: chunked"))
    assert b"\r\nConnection: close\r\n" in await client.head()
    for number in range(5):
        piece = chunk(b"%d" % number)
        client.send(piece)
        assert await client.take(len(piece)) == piece
    client.send(b"0\r\n\r\n")
    assert await client.rest() == b"0\r\n\r\n"


async def test_100_continue_is_sent_when_the_body_is_wanted(door: Doors) -> None:
    here = await door(running(echo))
    client = await here.connected(run("Expect: 100-continue", "Content-Length: 3"))
    await client.head()
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_100_continue_before_the_head_and_only_if_nothing_has_come(door: Doors) -> None:
    async def read_first(request: Request, reply: Reply) -> None:
        await reply.respond(200, await read(request), headers={})

    here = await door(running(read_first))
    client = await here.connected(run("Expect: 100-Continue", "Content-Length: 3"))
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert (await client.answer())[2] == b"abc"
    eager = await here.connected(run("Expect: 100-continue", "Content-Length: 3") + b"abc")
    assert (await eager.answer())[2] == b"abc"


async def test_an_answer_without_100_continue_means_that_the_body_is_not_wanted(door: Doors) -> None:
    async def refuse(request: Request, reply: Reply) -> None:
        await reply.respond(400, b"no\n", headers={"Content-Type": "text/plain"})

    here = await door(running(refuse))
    client = await here.connected(run("Expect: 100-continue", "Content-Length: 3"))
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (400, "close", b"no\n")


async def test_respond_has_exactly_these_headers(door: Doors) -> None:
    async def respond(request: Request, reply: Reply) -> None:
        assert not reply.started
        await reply.respond(400, b"text\n", headers={"X-B": "2", "A": "1"})
        assert reply.started

    here = await door(running(respond))
    client = await here.connected(run())
    head = (await client.head()).decode().split("\r\n")[:-2]
    assert head == ["HTTP/1.1 400 Bad Request", "A: 1", "Vary: Origin", "X-B: 2", f"Date: {DATE}", "Content-Length: 5"]
    assert await client.take(5) == b"text\n"


async def test_http_1_0_has_no_chunks_and_ends_with_the_connection(door: Doors) -> None:
    here = await door(running(echo))
    client = await here.connected(run("Content-Length: 3", version="1.0") + b"abc")
    answer = await client.rest()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"abc"


# --- early answers and backpressure ---


@pytest.mark.parametrize("framing", [f"Content-Length: {64 * MIB}", "Transfer-Encoding: chunked"])
async def test_an_early_answer_reaches_a_client_that_is_still_sending(door: Doors, framing: str) -> None:
    async def early(request: Request, reply: Reply) -> None:
        await reply.respond(400, b"no", headers={})

    here = await door(running(early))
    client = await here.connected(run(framing))
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (400, "close", b"no")
    await client.until(lambda: client.ended)
    for _ in range(8):
        client.send(b"a" * MIB)
    await turns_until(lambda: client.transport.get_write_buffer_size() == 0, "the body is thrown away")


async def test_a_handler_that_answers_and_then_reads_on_does_not_spoil_its_answer(door: Doors) -> None:
    errors: list[BaseException] = []

    async def answer_and_read(request: Request, reply: Reply) -> None:
        await reply.respond(400, b"no", headers={})
        try:
            await read(request)
        except BodyError as error:
            errors.append(error)
            raise

    here = await door(running(answer_and_read))
    client = await here.connected(run("Content-Length: 9") + b"half")
    assert (await client.answer())[2] == b"no"
    await turns_until(lambda: bool(errors), "the handler is told")
    await settle()
    assert len(here.server._connections) == 1, "the door lingers"


async def test_a_handler_that_does_not_read_stops_the_client_and_loses_nothing(door: Doors) -> None:
    go = asyncio.Event()
    sizes: list[int] = []

    async def later(request: Request, reply: Reply) -> None:
        await go.wait()
        sizes.extend([len(piece) async for piece in request.body])
        await reply.respond(200, b"%d" % sum(sizes), headers={})

    here = await door(running(later))
    client = await here.connected(run(f"Content-Length: {60 * MIB}"))
    sent = await flood(client, b"a" * 65536, 40 * MIB)
    go.set()
    client.send(b"b" * (60 * MIB - sent))
    assert (await client.answer())[2] == b"%d" % (60 * MIB)


async def test_a_client_that_does_not_read_stops_the_handler(door: Doors) -> None:
    written = 0

    async def endless(request: Request, reply: Reply) -> None:
        nonlocal written
        await reply.start()
        while written < 20 * MIB:
            await reply.write(b"a" * 65536)
            written += 65536
        await reply.finish()

    here = await door(running(endless))
    client = await here.connect(buffer=4096)
    client.transport.pause_reading()
    client.send(run())
    await turns_until(lambda: here.buffered() > 0, "the client blocks")
    await settle()
    stopped = written
    await settle()
    assert written == stopped < 20 * MIB
    assert here.buffered() <= MIB
    client.transport.resume_reading()
    await client.until(lambda: client.buffer.endswith(b"\r\n0\r\n\r\n"))


# --- failures (rule 7) ---


def failing(*values: bytes, content_type: str = "application/json") -> Handler:
    """Writes some values and fails."""

    async def fail(request: Request, reply: Reply) -> None:
        await reply.start(content_type=content_type)
        for value in values:
            await reply.write(value)
        await reply.fail(MESSAGE)

    return fail


@pytest.mark.parametrize("agent", ["go-ipfs-cmds/http", "Go-http-client/1.1", "ipfs-cluster-proxy"])
async def test_go_clients_get_the_trailer_and_a_whole_body(door: Doors, agent: str) -> None:
    here = await door(running(failing(b"{}\n")))
    client = await here.connect()
    for _ in range(2):
        client.send(run(f"User-Agent: {agent}"))
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        end = chunk(b"{}\n") + b'0\r\nX-Stream-Error: it "broke"\r\n\r\n'
        assert await client.take(len(end)) == end
    assert here.server.counters.routes["run"].ended[OUTCOMES.index("error")] == 2


@pytest.mark.parametrize("lines", [(), ("User-Agent: node",), ("User-Agent: python-requests/2",)])
async def test_others_get_the_error_object_and_a_cut_body(door: Doors, lines: tuple[str, ...]) -> None:
    here = await door(running(failing(b"{}\n")))
    client = await here.connected(run(*lines))
    await client.head()
    assert await client.rest() == chunk(b"{}\n") + chunk(ERROR)


async def test_a_byte_stream_is_only_cut(door: Doors) -> None:
    here = await door(running(failing(b"data", content_type="text/plain")))
    client = await here.connected(run())
    await client.head()
    assert await client.rest() == chunk(b"data")


async def test_http_1_0_has_no_trailers_whoever_asks(door: Doors) -> None:
    here = await door(running(failing(b"{}\n")))
    client = await here.connected(run(GO, version="1.0"))
    await client.head()
    assert await client.rest() == b"{}\n" + ERROR


async def test_a_message_stays_one_line_of_text(door: Doors) -> None:
    async def fail(request: Request, reply: Reply) -> None:
        await reply.start()
        await reply.fail("a\r\nX: b\x00ü\udcff<")

    here = await door(running(fail))
    client = await here.connected(run(GO))
    await client.head()
    end = "0\r\nX-Stream-Error: a  X: b ü?<\r\n\r\n".encode()
    assert await client.take(len(end)) == end
    other = await here.connected(run())
    await other.head()
    value = b'{"Message":"a\\r\\nX: b\\u0000\xc3\xbc\\ufffd\\u003c","Code":0,"Type":"error"}\n'
    assert await other.rest() == chunk(value)


@pytest.mark.parametrize("lines", [(), (GO,)])
async def test_a_failure_before_the_head_is_a_whole_500(door: Doors, lines: tuple[str, ...]) -> None:
    async def fail(request: Request, reply: Reply) -> None:
        await reply.fail(MESSAGE)

    here = await door(running(fail))
    client = await here.connect()
    for _ in range(2):
        client.send(run(*lines))
        status, headers, body = await client.answer()
        assert (status, headers["content-type"], body) == (500, "application/json", chunk(ERROR) + b"0\r\n\r\n")


async def test_a_failure_in_the_middle_of_the_body_is_seen_by_a_client_that_is_still_sending(door: Doors) -> None:
    here = await door(running(failing(b"{}\n")))
    client = await here.connected(run(GO, "Content-Length: 99"))
    await client.head()
    end = chunk(b"{}\n") + b'0\r\nX-Stream-Error: it "broke"\r\n\r\n'
    assert await client.take(len(end)) == end
    await client.until(lambda: client.ended)
    assert not client.lost


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("crash", [True, False])
async def test_a_defect_of_a_handler_is_kubos_panic_text(
    door: Doors, start: bool, crash: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def defect(request: Request, reply: Reply) -> None:
        if start:
            await reply.start()
        if crash:
            raise RuntimeError("secret")

    here = await door(running(defect))
    client = await here.connected(run("Connection: close"))
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 200" if start else b"HTTP/1.1 500")
    value = chunk(b'{"Message":"an error occurred","Code":0,"Type":"error"}\n')
    assert await client.rest() == value + (b"" if start else b"0\r\n\r\n")
    assert "the handler of run" in caplog.text


# --- clients that leave ---


class Waiting:
    """A handler that waits until it is cancelled."""

    def __init__(self, *, begin: bool = False, body: bool = False) -> None:
        self.running = self.cancelled = False
        self._begin = begin
        self._body = body

    async def __call__(self, request: Request, reply: Reply) -> None:
        self.running = True
        try:
            if self._begin:
                await reply.start()
                await reply.write(b"{}\n")
            if self._body:
                await read(request)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            await reply.fail("too late")
            await reply.respond(500, b"too late", headers={})
            raise


async def waiting(door: Doors, handler: Waiting, request: bytes) -> tuple[Door, Wire]:
    """A client whose handler runs."""
    here = await door(running(handler))
    client = await here.connected(request)
    await turns_until(lambda: handler.running, "the handler runs")
    return here, client


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("begin", [True, False])
async def test_a_client_that_leaves_cancels_the_handler(door: Doors, how: str, begin: bool) -> None:
    handler = Waiting(begin=begin)
    here, client = await waiting(door, handler, run())
    if how == "half":
        client.transport.write_eof()
    else:
        getattr(client, how)()
    await turns_until(lambda: handler.cancelled, "it is cancelled")
    await here.connections(0)
    assert await client.rest() in (b"", bytes(client.buffer))
    assert b"too late" not in client.buffer


@pytest.mark.parametrize("bad", [b"", b"zz\r\n"], ids=["leaves", "breaks the framing"])
async def test_a_body_that_does_not_end_cancels_the_handler(door: Doors, bad: bytes) -> None:
    handler = Waiting(body=True)
    here, client = await waiting(door, handler, run("Transfer-Encoding: chunked") + b"9\r\nhalf")
    if bad:
        client.send(b"12345\r\n" + bad)
    else:
        client.close()
    await turns_until(lambda: handler.cancelled, "it is cancelled")
    await here.connections(0)


async def test_the_end_of_the_door_cancels_the_handler(door: Doors) -> None:
    handler = Waiting(begin=True)
    here, client = await waiting(door, handler, run())
    await here.server.close(0)
    assert handler.cancelled
    assert b"0\r\n\r\n" not in await client.rest()


async def test_an_error_object_is_json() -> None:
    assert json.loads(ERROR)["Message"] == MESSAGE
