"""The REST API's listeners, rules of every request, and the log of requests."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ipfs_cluster.addresses import Address
from ipfs_cluster.rest.access import quoted, stamp
from ipfs_cluster.rest.answers import answer, errors
from ipfs_cluster.rest.cors import Cors
from ipfs_cluster.rest.http import HttpRules, add_http
from ipfs_cluster.rest.server import RestServer, RestSettings

LOCAL = Address("127.0.0.1", 0)
PAGE = "https://app.example"


class Door:
    """A small application behind the REST API's listeners."""

    def __init__(self, settings: RestSettings, grace: float = 0.2) -> None:
        self.done: list[str] = []
        self.release = asyncio.Event()
        application = web.Application(middlewares=[errors])
        add_http(application, settings.rules)
        application.add_routes(
            [web.get("/pins", self._read), web.post("/pins", self._write), web.get("/slow", self._slow)]
        )
        self.server = RestServer(application, settings, grace)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        return answer({"seen": True})

    async def _write(self, request: web.Request) -> web.StreamResponse:
        self.done.append((await request.read()).decode())
        return answer({"written": True})

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await self.release.wait()
        await response.write(b" ended")
        return response

    @property
    def port(self) -> int:
        (found,) = [address for address in self.server.addresses if not isinstance(address, str)]
        return found[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def door(settings: RestSettings) -> AsyncIterator[Door]:
    made = Door(settings)
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.close()


def rules(**values: object) -> RestSettings:
    return RestSettings((LOCAL,), HttpRules(**values))  # type: ignore[arg-type]


Client = Callable[..., Coroutine[object, object, tuple[int, str, dict[str, str]]]]


@asynccontextmanager
async def client(made: Door) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:

        async def call(method: str, path: str, **options: object) -> tuple[int, str, dict[str, str]]:
            async with session.request(method, made.url + path, **options) as found:  # type: ignore[arg-type]
                return found.status, await found.text(), dict(found.headers)

        yield call


# --- pages and headers ---


async def test_a_page_that_may_not_write_changes_nothing_and_one_that_may_does() -> None:
    async with door(rules(cors=Cors((PAGE,), ("POST",)))) as made, client(made) as call:
        status, text, headers = await call("POST", "/pins", data="no", headers={"Origin": "https://evil.example"})
        assert (status, made.done) == (403, [])
        assert text == (
            '{"code":403,"message":"this web page may only read here: its origin or the method is not in '
            'cors_allowed_*"}\n'
        )
        assert "Access-Control-Allow-Origin" not in headers
        status, _, headers = await call("POST", "/pins", data="yes", headers={"Origin": PAGE})
        assert (status, made.done) == (200, ["yes"])
        assert headers["Access-Control-Allow-Origin"] == PAGE
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        status, text, headers = await call("OPTIONS", "/pins", headers=asked)
        assert (status, text, headers["Access-Control-Allow-Methods"]) == (204, "", "POST")


async def test_a_page_sees_errors_too() -> None:
    async with door(rules(cors=Cors(("*",)))) as made, client(made) as call:
        status, _, headers = await call("GET", "/nothing", headers={"Origin": PAGE})
        assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (404, "*", "Origin")


async def test_configured_headers_are_on_every_answer() -> None:
    given = (("X-Frame-Options", "DENY"), ("X-Two", "a"))
    async with door(rules(headers=given)) as made, client(made) as call:
        for method, path in (("GET", "/pins"), ("GET", "/nothing"), ("DELETE", "/pins")):
            _, _, headers = await call(method, path)
            assert "Server" not in headers
            assert (headers["X-Frame-Options"], headers["X-Two"]) == ("DENY", "a")


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with door(rules(max_header_bytes=4096)) as made, client(made) as call:
        many = {f"X-{i}": "v" * 1000 for i in range(9)}
        status, text, _ = await call("POST", "/pins", data="no", headers=many)
        assert (status, made.done) == (431, [])
        assert text == '{"code":431,"message":"the request\'s head is larger than 8192 bytes"}\n'
        del many["X-8"], many["X-7"]
        assert (await call("POST", "/pins", data="yes", headers=many))[0] == 200


# --- time ---


async def raw(made: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", made.port)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


async def test_a_connection_without_a_whole_head_is_closed_and_a_busy_one_is_not() -> None:
    async with door(rules(read_header_timeout=5.0)) as made:
        silent, half, busy, between = [await raw(made) for _ in range(4)]
        half[1].write(b"GET /pins HTTP/1.1\r\nHost: x\r\n")
        busy[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        between[1].write(b"GET /pins HTTP/1.1\r\nHost: x\r\n\r\n")
        await busy[0].readuntil(b"begun\r\n")
        await between[0].readuntil(b"}\n")
        now = asyncio.get_running_loop().time()
        made.server.cut_slow_heads(now + 4)
        assert len(made.server._heads) == 4
        made.server.cut_slow_heads(now + 6)
        for reader, _ in (silent, half):
            assert await reader.read() == b""
        made.release.set()
        await busy[0].readuntil(b"ended\r\n")
        between[1].write(b"GET /pins HTTP/1.1\r\nHost: x\r\n\r\n")
        await between[0].readuntil(b"}\n")
        between[1].write(b"GET /pins")
        await until(lambda: len(made.server._heads) == 2)
        await until(lambda: any(one.waiting_since for one in made.server._heads.values()))
        made.server.cut_slow_heads(now + 60)
        assert await between[0].read() == b""
        for _, writer in (silent, half, busy, between):
            writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async with door(rules(read_timeout=0.02)) as made:
        reader, writer = await raw(made)
        writer.write(b"POST /pins HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        assert await reader.read() == b""
        assert made.done == []
        assert caplog.records == []
        writer.close()


async def test_an_answer_that_takes_too_long_is_cut() -> None:
    async with door(rules(write_timeout=0.02)) as made, client(made) as call:
        assert (await call("GET", "/pins"))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await call("GET", "/slow")


async def test_running_requests_end_before_the_door_does() -> None:
    made = Door(rules(), grace=30)
    await made.server.start()
    async with client(made) as call, asyncio.TaskGroup() as group:
        running = group.create_task(call("GET", "/slow"))
        await until(lambda: any(one.waiting_since is None for one in made.server._heads.values()))
        closing = group.create_task(made.server.close())
        await asyncio.sleep(0)
        made.release.set()
        await closing
    assert running.result()[1] == "begun ended"


# --- addresses ---


async def test_several_addresses_and_a_socket_that_is_gone_at_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "rest.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    made = Door(RestSettings((LOCAL, Address(unix=path))))
    await made.server.start()
    assert path in made.server.addresses
    assert os.stat(path).st_mode & 0o777 == 0o660
    async with client(made) as call, aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        assert (await call("GET", "/pins"))[0] == 200
        async with session.get("http://localhost/pins") as found:
            assert await found.json() == {"seen": True}
    await made.server.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "rest.sock")
    first, second = Door(RestSettings((Address(unix=path),))), Door(RestSettings((LOCAL, Address(unix=path))))
    await first.server.start()
    with pytest.raises(OSError, match="somebody listens on"):
        await second.server.start()
    assert second.server.addresses == []
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
        session.get("http://localhost/pins") as found,
    ):
        assert found.status == 200
    await first.server.close()


async def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rest.sock").write_text("precious")
    with pytest.raises(OSError, match="is no socket"):
        await Door(RestSettings((Address(unix=str(tmp_path / "rest.sock")),))).server.start()
    assert (tmp_path / "rest.sock").read_text() == "precious"


# --- the log of requests ---

LINE = re.compile(r'127\.0\.0\.1 - - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}\] "(.*)"')


async def test_requests_are_logged_in_the_combined_format_without_their_query(tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    async with door(RestSettings((LOCAL,), log_file=file)) as made, client(made) as call:
        headers = {"Authorization": "Basic aHVzaDpodXNo", "Referer": "http://r/p?hush", "User-Agent": 'a "b"'}
        await call("GET", "/pins?token=hush", headers=headers)
        await call("POST", "/nothing%22", data="hush", headers={"User-Agent": "c"})
    text = file.read_text()
    found = [matched.group(1) for line in text.splitlines() if (matched := LINE.fullmatch(line))]
    assert found == [
        r'GET /pins HTTP/1.1" 200 14 "http://r/p" "a \"b\"',
        'POST /nothing%22 HTTP/1.1" 404 35 "-" "c',
    ]
    assert "hush" not in text
    assert "aHVzaD" not in text


async def test_a_log_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    async with door(RestSettings((LOCAL,), log_file=file)) as made, client(made) as call:
        await call("GET", "/pins")
        file.rename(tmp_path / "requests.log.1")
        await call("GET", "/pins")
        made.server.reload(RestSettings((LOCAL,), log_file=tmp_path / "other.log"))
        await call("GET", "/pins")
        made.server.reload(RestSettings((LOCAL,), log_file=None))
        await call("GET", "/pins")
    assert {path.name: len(path.read_text().splitlines()) for path in tmp_path.iterdir()} == {
        "requests.log": 1,
        "requests.log.1": 1,
        "other.log": 1,
    }


async def test_a_log_that_cannot_be_written_costs_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        async with door(RestSettings((LOCAL,), log_file=Path("/dev/full"))) as made, client(made) as call:
            assert [(await call("GET", "/pins"))[0] for _ in range(3)] == [200, 200, 200]
    assert [record.getMessage() for record in caplog.records] == ["http_log_file cannot be written; lines are lost"]


async def test_a_log_that_cannot_be_opened_keeps_the_door_from_starting(tmp_path: Path) -> None:
    made = Door(RestSettings((LOCAL,), log_file=tmp_path / "no" / "requests.log"))
    with pytest.raises(FileNotFoundError):
        await made.server.start()
    await made.server.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ('a"b\\c', r"a\"b\\c"), ("a\r\nb", r"a\x0d\x0ab"), ("é", r"\xc3\xa9")],
)
def test_a_line_cannot_be_forged(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_times_do_not_go_by_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"0[12]/Jan/1970:.* [+-]\d{4}", stamp(100_000.0))


# --- a new configuration ---


async def test_new_rules_hold_for_the_next_request() -> None:
    async with door(rules()) as made, client(made) as call:
        assert (await call("POST", "/pins", data="", headers={"Origin": PAGE}))[0] == 403
        made.server.reload(rules(cors=Cors((PAGE,), ("POST",)), headers=(("X-New", "1"),)))
        status, _, headers = await call("POST", "/pins", data="", headers={"Origin": PAGE})
        assert (status, headers["X-New"]) == (200, "1")
