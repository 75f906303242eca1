"""How streams and handlers fail, and what each kind of client sees of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ipfs_cluster.errors import NodeError, NotPinned
from ipfs_cluster.http1 import STREAM_ERROR_LIMIT, last_chunk, parse_response_head, response_body, sees_trailers
from ipfs_cluster.rest.answers import CRASHED, errors, stream
from ipfs_cluster.rest.keys import LISTINGS

Client = TestClient[web.Request, web.Application]
LINE = b'{"n":0}\n'
PLAN: web.AppKey[list[object]] = web.AppKey("plan", list)
"""What the stream does: the number of pages and the error after them."""
GO = {"User-Agent": "Go-http-client/1.1"}


async def _pages(plan: list[object]) -> AsyncIterator[list[dict[str, Any]]]:
    while plan:
        match plan.pop(0):
            case Exception() as error:
                raise error
            case number:
                yield [{"n": number}]


async def _stream(request: web.Request) -> web.StreamResponse:
    return await stream(request, _pages(request.app[PLAN]))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    application = web.Application(middlewares=[errors])
    application[LISTINGS] = asyncio.Semaphore(1)
    application[PLAN] = []
    application.add_routes([web.get("/", _stream)])
    async with TestClient(TestServer(application)) as made:
        yield made


async def raw(client: Client, headers: dict[str, str], method: str = "GET", version: str = "1.1") -> bytes:
    """All bytes of an answer."""
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    fields = {"Host": "x", "Connection": "close", **headers}
    writer.write(f"{method} / HTTP/{version}\r\n".encode())
    writer.write("".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_whole_stream_has_a_clean_end_for_everybody(client: Client) -> None:
    for headers in ({}, GO):
        client.app[PLAN][:] = [0, 0]
        answer = await raw(client, headers)
        assert answer.endswith(b"\r\n8\r\n" + LINE + b"\r\n8\r\n" + LINE + b"\r\n0\r\n\r\n")
        assert b"\r\nTrailer: X-Stream-Error\r\n" in answer
    client.app[PLAN][:] = [0]
    assert (await raw(client, {}, version="1.0")).endswith(b"\r\n\r\n" + LINE)


async def test_an_early_error_is_an_answer_and_nothing_is_204(client: Client) -> None:
    client.app[PLAN][:] = [NotPinned()]
    answer = await client.get("/")
    assert (answer.status, await answer.json()) == (404, {"code": 404, "message": "pin is not part of the pinset"})
    client.app[PLAN][:] = []
    assert (await client.get("/")).status == 204


async def test_a_late_error_is_a_trailer_to_those_who_read_them(client: Client) -> None:
    client.app[PLAN][:] = [0, NodeError("gone\r\naway ü")]
    answer = await raw(client, GO)
    head = parse_response_head(answer)
    assert head is not None
    body, content = response_body(head, "GET"), list[bytes]()
    body.take(answer, head.size, content)
    body.end_of_input()
    assert (b"".join(content), dict(body.trailers)["x-stream-error"]) == (LINE, "gone  away ü")


async def test_a_late_error_is_a_value_and_a_cut_to_everybody_else(client: Client) -> None:
    client.app[PLAN][:] = [0, NodeError("gone")]
    answer = await client.get("/")
    lines = [json.loads(await answer.content.readline()) for _ in range(2)]
    assert lines == [{"n": 0}, {"code": 500, "message": "gone"}]
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.content.readline()
    client.app[PLAN][:] = [0, NodeError("gone")]
    with pytest.raises(ConnectionResetError):
        await raw(client, {}, version="1.0")


async def test_a_defect_is_500_or_a_cut_never_a_clean_end(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.app[PLAN][:] = [RuntimeError("secret")]
    answer = await client.get("/")
    assert (answer.status, await answer.json()) == (500, {"code": 500, "message": CRASHED})
    assert "secret" in caplog.text
    for version in ("1.1", "1.0"):
        client.app[PLAN][:] = [0, RuntimeError("secret")]
        if version == "1.1":
            assert not (await raw(client, GO)).endswith(b"0\r\n\r\n")
        else:
            with pytest.raises(ConnectionResetError):
                await raw(client, GO, version=version)


async def test_head_reads_one_page_and_sends_none(client: Client) -> None:
    client.app[PLAN][:] = [0, NodeError("never reached")]
    answer = await raw(client, {}, "HEAD")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")
    assert LINE not in answer
    assert len(client.app[PLAN]) == 1


@pytest.mark.parametrize(
    ("agent", "te", "sees"),
    [
        ("Go-http-client/1.1", "", True),
        ("go-ipfs-cmds/http", "", True),
        ("curl/8.0", "", False),
        ("curl/8.0", "trailers, deflate;q=0.5", True),
        ("", "Trailers", True),
        ("python-requests/2", "", False),
    ],
)
def test_who_sees_trailers(agent: str, te: str, sees: bool) -> None:
    assert sees_trailers(agent, te) is sees


def test_a_trailer_fits_into_gos_buffer() -> None:
    assert len(last_chunk("x" * 10_000)) < STREAM_ERROR_LIMIT + 50
