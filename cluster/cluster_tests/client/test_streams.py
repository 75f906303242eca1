"""An answer that is not everything never looks complete, whatever cuts it; over raw sockets, both clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster_tests.client.conftest import Connect, listed, raised, telling
from ipfs_cluster.client import ApiError, BadAnswer, BrokenStream, StreamFailed, TimedOut, Unauthorized

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n"
NAMES = b'["freespace","ping"]\n'


def foreign(name: str) -> dict[str, str]:
    return {"cid": "c", "peer": "p", "peername": "n", "kind": "orphan", "mode": "direct", "name": name}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def lines(*names: str) -> bytes:
    return b"".join(json.dumps(foreign(name)).encode() + b"\n" for name in names)


END = b"0\r\nX-Stream-Error: \r\n\r\n"
FAILED = b"0\r\nX-Stream-Error: \r\nX-Stream-Error: the store is away\r\n\r\n"


async def before(found: AsyncIterator[Any], kind: type[Exception]) -> list[str]:
    """The names that came before the error."""
    names: list[str] = []
    with pytest.raises(kind):
        async for value in found:
            names.append(value.name)  # noqa: PERF401 - what came before the error counts
    return names


async def test_a_whole_stream_with_values_over_chunks(connect: Connect) -> None:
    data = lines("a", "b ü", "c")
    async with telling(CHUNKED + b"".join(chunk(data[at : at + 7]) for at in range(0, len(data), 7)) + END) as told:
        found = await listed(connect(told.url).foreign())
    assert [value.name for value in found] == ["a", "b ü", "c"]
    assert told.asked[0].startswith(b"GET /pins/foreign HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "error", "came"),
    [
        (CHUNKED + chunk(lines("a", "b")) + FAILED, StreamFailed, ["a", "b"]),
        (CHUNKED + FAILED, StreamFailed, []),
        (CHUNKED + chunk(lines("a")) + b"0\r\nX-Stream-Error: first\r\nX-Stream-Error: \r\n\r\n", StreamFailed, ["a"]),
        (CHUNKED + chunk(lines("a") + b'{"code":500,"message":"away"}\n'), StreamFailed, ["a"]),
        (CHUNKED + chunk(lines("a")), BrokenStream, ["a"]),
        (CHUNKED + chunk(lines("a")) + b"30\r\n{", BrokenStream, ["a"]),
        (HEAD + b"Content-Length: 500\r\n\r\n" + lines("a"), BrokenStream, None),
        (CHUNKED + chunk(lines("a") + b'{"cid":') + END, BadAnswer, ["a"]),
        (CHUNKED + chunk(lines("a") + b"<html>\n") + END, BadAnswer, ["a"]),
        (CHUNKED + chunk(lines("a") + b'{"cid":"c"}\n') + END, BadAnswer, ["a"]),
    ],
    ids=["trailer", "trailer alone", "trailer, then empty", "last value", "cut", "cut in a chunk", "cut by length",
         "half a value", "no JSON", "other fields"],
)  # fmt: skip
async def test_a_stream_that_is_not_everything(
    connect: Connect, answer: bytes, error: type[Exception], came: list[str] | None
) -> None:
    async with telling(answer) as told:
        names = await before(aiter(connect(told.url).foreign()), error)
    assert came is None or names == came
    assert len(told.asked) == 1


async def test_the_error_in_a_trailer_is_that_of_its_answer(connect: Connect) -> None:
    """Two answers on one connection: the error of the first is not told of the second, and the other way round."""

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for end in (END, FAILED, END):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(CHUNKED + chunk(lines("a")) + end)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(both, "127.0.0.1", 0)
    client = connect(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert len(await listed(client.foreign())) == 1
    assert str(await raised(StreamFailed, client.foreign())) == "the store is away"
    assert len(await listed(client.foreign())) == 1
    await client.close()
    await done.wait()
    server.close()


async def test_data_that_looks_like_a_trailer_is_data(connect: Connect) -> None:
    data = lines("x")
    at = data.index(b'"x"') + 1
    disguised = data[:at], b"X-Stream-Error: not at all" + data[at + 1 :]
    async with telling(CHUNKED + chunk(disguised[0]) + chunk(disguised[1]) + END) as told:
        (value,) = await listed(connect(told.url).foreign())
    assert value.name == "X-Stream-Error: not at all"


async def test_what_comes_is_given_before_the_stream_ends(connect: Connect) -> None:
    async with telling(CHUNKED + chunk(lines("a")), hold=asyncio.Event()) as told:
        async for value in connect(told.url).foreign():
            assert value.name == "a"
            break


async def test_a_long_answer_in_one_line_and_an_empty_one(connect: Connect) -> None:
    long = json.dumps([f"name{number}" for number in range(30_000)]).encode()
    async with telling(
        HEAD + b"Content-Length: %d\r\n\r\n" % len(long) + long, b"HTTP/1.1 204 No Content\r\n\r\n"
    ) as told:
        client = connect(told.url)
        assert len(await client.metric_names()) == 30_000
        assert await listed(client.peers()) == []


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", BadAnswer, "Expecting value"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", BadAnswer, "GET /version: unexpected answer"),
        (HEAD + b"Content-Length: 2\r\n\r\n{}", BadAnswer, "'version' is missing"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope", ApiError, "nope"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ApiError, "Service Unavailable"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', BadAnswer, "unexpected answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Exception, ""),
    ],
)  # fmt: skip
async def test_something_else_answers(connect: Connect, answer: bytes, error: type[Exception], text: str) -> None:
    async with telling(answer, answer, answer) as told:
        caught = await raised(error, connect(told.url, retries=0).version())
    assert text in str(caught)


async def test_the_code_in_an_error_object_counts(connect: Connect) -> None:
    body = b'{"code":401,"message":"unauthorized: access denied"}\n'
    async with telling(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as told:
        error = await raised(Unauthorized, connect(told.url).version())
    assert (error.code, str(error)) == (401, "unauthorized: access denied")


async def test_what_changes_something_is_not_redirected(connect: Connect) -> None:
    answer = b"HTTP/1.1 301 Moved\r\nLocation: https://else.example/\r\nContent-Length: 0\r\n\r\n"
    async with telling(answer) as told:
        error = await raised(ApiError, connect(told.url).unpin("x"))
    assert (error.code, str(error)) == (301, "the request was redirected to https://else.example/: ask there")


@pytest.mark.parametrize("answer", [b"", CHUNKED + chunk(lines("a"))])
async def test_a_server_that_stalls(connect: Connect, answer: bytes) -> None:
    async with telling(answer, hold=asyncio.Event()) as told:
        await raised(TimedOut, connect(told.url, timeout=0.05).foreign())
    assert len(told.asked) == 1
