"""Hosts to fail over to, what is repeated, credentials, unix sockets, TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cluster_tests.client.conftest import Connect, Threaded, raised, telling
from ipfs_cluster.addresses import AddressError
from ipfs_cluster.client import Client, Unreachable, Untrusted
from ipfs_cluster.client.access import PAUSE, Access, Attempts, Endpoint
from ipfs_cluster.client.errors import TimedOut
from ipfs_cluster.testing.certificates import make_certificate

NOBODY = "/ip4/127.0.0.1/tcp/1"
VERSION = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"version":"9"}'
PIN = b'{"code":500,"message":"no"}'
REFUSED = b"HTTP/1.1 500 Error\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(PIN), PIN)


@pytest.mark.parametrize(
    ("host", "tls", "url", "unix"),
    [
        ("/ip4/127.0.0.1/tcp/9094", False, "http://127.0.0.1:9094", ""),
        ("/ip6/::1/tcp/1", False, "http://[::1]:1", ""),
        ("/dns4/host.example/tcp/2/https", False, "https://host.example:2", ""),
        ("/dns/host.example/tcp/2", True, "https://host.example:2", ""),
        ("/unix/run/api.sock", True, "http://localhost", "/run/api.sock"),
        ("http://host.example:9094/", False, "http://host.example:9094", ""),
        ("http://host.example", True, "https://host.example", ""),
        ("https://host.example/cluster/", False, "https://host.example/cluster", ""),
    ],
)
def test_hosts(host: str, tls: bool, url: str, unix: str) -> None:
    assert Access((host,), tls=tls).endpoints == (Endpoint(url, unix),)


@pytest.mark.parametrize(
    "host",
    [
        *("", "nonsense", "/ip4/1.2.3.4/udp/1", "http://", "http://user:secret@host", "http://host?x=y", "ftp://host"),
        *("http://host:port", "http://host:99999", "http://host:0", "http://[::1", "http://a b", "http://a:1\r\nX: y"),
    ],
)
def test_what_is_no_host(connect: Connect, host: str) -> None:
    with pytest.raises(AddressError):
        connect(host)


def test_credentials_are_not_shown() -> None:
    access = Access(credentials=("me", "hush"), token="quiet")
    assert "hush" not in repr(access)
    assert "quiet" not in repr(access)


def test_what_is_tried_after_what() -> None:
    def course(errors: list[Any], **more: Any) -> list[tuple[float, int]]:
        attempts, tried = Attempts(2, 1, **{"repeatable": True, "retries": 2, **more}), []
        for attempt, error in zip(attempts, [*errors, None], strict=False):
            tried.append(attempt)
            if error is None:
                break
            try:
                attempts.failed(error)
            except (Unreachable, TimedOut):
                tried.append((-1.0, -1))
                break
        return tried

    away, lost, slow = Unreachable("away"), Unreachable("lost", sent=True), TimedOut("slow")
    late, given_up = TimedOut("late", sent=False), (-1.0, -1)
    assert course([]) == [(0, 1)]
    assert course([away, late, lost]) == [(0, 1), (0, 0), (PAUSE, 1), (0, 0)]
    assert course([away] * 6) == [(0, 1), (0, 0), (PAUSE, 1), (0, 0), (2 * PAUSE, 1), (0, 0), given_up]
    assert course([away, away], retries=0) == [(0, 1), (0, 0), given_up]
    assert course([away, away], repeatable=False) == [(0, 1), (0, 0), given_up]
    assert course([lost], repeatable=False) == [(0, 1), given_up]
    assert course([slow]) == [(0, 1), given_up]


async def test_the_first_host_that_can_be_reached_is_asked_and_remembered(connect: Connect) -> None:
    async with telling(VERSION, VERSION, VERSION) as told:
        client = connect(NOBODY, told.url, retries=0)
        assert await client.version() == "9"
        assert await client.version() == "9"
        assert (client.client if isinstance(client, Threaded) else client)._first == 1


async def test_a_change_is_not_sent_twice_but_a_question_is(connect: Connect) -> None:
    async with telling(b"", b"") as first, telling(VERSION, REFUSED) as second:
        client = connect(first.url, second.url)
        error = await raised(Unreachable, client.unpin("x"))
        assert error.sent
        assert (len(first.asked), len(second.asked)) == (1, 0)
        assert await client.version() == "9"
        assert (len(first.asked), len(second.asked)) == (2, 1)


async def test_nobody_is_there(connect: Connect, tmp_path: Path) -> None:
    for host in (NOBODY, f"/unix{tmp_path}/nobody.sock"):
        error = await raised(Unreachable, connect(host, retries=0).version())
        assert not error.sent
        assert isinstance(error, ConnectionError)


async def test_a_retry_waits(connect: Connect) -> None:
    slept: list[float] = []
    client = connect(NOBODY)

    async def later(seconds: float) -> None:
        slept.append(seconds)

    if isinstance(client, Threaded):
        client.client._sleep = lambda seconds: slept.append(float(seconds))
    else:
        client._sleep = later
    await raised(Unreachable, client.version())
    assert slept == [PAUSE, 2 * PAUSE]


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"credentials": ("me", "a:b ü")}, b"Basic " + base64.b64encode("me:a:b ü".encode())),
        ({"token": "abc.def"}, b"Bearer abc.def"),
    ],
)
async def test_credentials_are_sent(connect: Connect, options: dict[str, Any], header: bytes) -> None:
    async with telling(VERSION) as told:
        await connect(told.url, **options).version()
    assert b"authorization: " + header.lower() in told.asked[0].lower()


async def test_a_unix_socket(connect: Connect, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    async with telling(VERSION, unix=path):
        assert await connect(f"/unix{path}").version() == "9"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_tls_with_an_authority_without_and_against_plain_http(
    connect: Connect, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, _ = make_certificate(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):  # what is given wins over them
        monkeypatch.setenv(name, str(others))

    async def version(request: web.Request) -> web.Response:
        return web.json_response({"version": "tls"})

    application = web.Application()
    application.router.add_get("/version", version)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = TestServer(application)
    await server.start_server(ssl=context)
    host = f"/ip4/127.0.0.1/tcp/{server.port}"
    assert await connect(host, tls=True, ca=str(certificate[0])).version() == "tls"
    assert await connect(f"{host}/https", verify=False).version() == "tls"
    error = await raised(Untrusted, connect(host, tls=True, retries=0).version())
    assert "self-signed certificate" in str(error)
    await server.close()
    async with TestServer(web.Application()) as plain:
        await raised(Untrusted, connect(f"/ip4/127.0.0.1/tcp/{plain.port}", tls=True, retries=0).version())


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (NOBODY, "Connection refused"),
        ("/ip4/127.0.0.1/tcp/1/https", "Connection refused"),
        ("/unix/nowhere/api.sock", "No such file or directory"),
        ("/unix" + "/x" * 100, "AF_UNIX path too long"),
    ],
)
def test_why_nobody_is_reached_is_said_without_the_libraries_objects(host: str, reason: str) -> None:
    with Client(host, retries=0) as client, pytest.raises(Unreachable) as caught:
        client.version()
    assert str(caught.value) == reason


async def test_why_a_certificate_is_not_believed_is_said_without_openssls_codes(certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = TestServer(web.Application())
    await server.start_server(ssl=context)
    with Client(f"/ip4/127.0.0.1/tcp/{server.port}", tls=True, retries=0) as client, pytest.raises(Untrusted) as caught:
        await asyncio.to_thread(client.version)
    await server.close()
    assert str(caught.value) == "TLS: certificate verify failed: self-signed certificate"


def test_a_client_that_was_closed_goes_on() -> None:
    with Client(NOBODY, retries=0) as client:
        pass
    with pytest.raises(Unreachable):
        client.version()
