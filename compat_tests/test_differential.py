"""The same requests to a bare Kubo and through the proxy to its twin: same status, headers, bodies, trailers.

The twins hold the same content and pins. What may differ is taken out by `normal`: the date, the order of values that
Kubo itself sends in random order, the cluster's own pin of the empty block.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from compat_tests.harness.http import (
    directory_part,
    exchange,
    file_part,
    multipart,
    parse,
    post,
)
from compat_tests.harness.twins import Twins, normal

MISSING = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"


READING = [
    "/api/v0/version",
    "/api/v0/pin",
    "/api/v0/pin/nosuch",
    "/api/v0",
    "//api/v0/pin/ls",
    "/api/v0/pin/../pin/ls?type=direct",
    "/api/v0/pin/ls?type=recursive",
    "/api/v0/pin/ls?type=direct",
    "/api/v0/pin/ls?type=indirect",
    "/api/v0/pin/ls",
    "/api/v0/pin/ls?names=true",
    "/api/v0/pin/ls?t=all&n=the&names",
    "/api/v0/pin/ls?name=nothing",
    "/api/v0/pin/ls?stream=true",
    "/api/v0/pin/ls?s=1&type=direct",
    "/api/v0/pin/ls?stream=true&names=true",
    "/api/v0/pin/ls?stream=true&name=dir",
    "/api/v0/pin/ls?stream=true&name=nothing",
    "/api/v0/pin/ls?type=nonsense",
    "/api/v0/pin/ls?type=any",
    "/api/v0/pin/ls?stream=true&type=nonsense",
    "/api/v0/pin/ls?type=",
    "/api/v0/pin/ls?arg={dir}",
    "/api/v0/pin/ls?arg={dir}&type=any",
    "/api/v0/pin/ls?arg={dir}&names=true",
    "/api/v0/pin/ls?arg=/ipfs/{dir}",
    "/api/v0/pin/ls?arg=/ipfs/{dir}/",
    "/api/v0/pin/ls?arg={dir}&type=direct",
    "/api/v0/pin/ls?arg={direct}&type=direct",
    "/api/v0/pin/ls?arg={direct}&type=indirect",
    "/api/v0/pin/ls?arg={a}",
    "/api/v0/pin/ls?arg={a}&type=indirect",
    "/api/v0/pin/ls?arg={a}&type=recursive",
    "/api/v0/pin/ls?arg={dir}/sub",
    "/api/v0/pin/ls?arg={dir}/nosuch",
    "/api/v0/pin/ls?arg={file}",
    "/api/v0/pin/ls?arg={file}&stream=true",
    "/api/v0/pin/ls?arg={dir}&arg={file}&stream=true",
    "/api/v0/pin/ls?arg={dir}&stream=true&names=true",
    "/api/v0/pin/ls?arg=foo",
    "/api/v0/pin/ls?arg=/ipfs/xyz",
    "/api/v0/pin/ls?arg=",
    "/api/v0/pin/ls/{dir}",
    "/api/v0/pin/ls/",
    "/api/v0/pin/ls?encoding=text&type=recursive",
    "/api/v0/pin/ls?encoding=text&type=recursive&names=true",
    "/api/v0/pin/ls?encoding=text&type=recursive&quiet=true",
    "/api/v0/pin/ls?encoding=text&type=direct&stream=true",
    "/api/v0/pin/ls?encoding=xml&type=direct",
    "/api/v0/pin/ls?encoding=xml&type=direct&stream=true",
    "/api/v0/pin/ls?encoding=foobar",
    "/api/v0/pin/ls?cid-base=base32&type=recursive",
    "/api/v0/pin/ls?cid-base=nosuch&type=recursive",
    "/api/v0/pin/ls?upgrade-cidv0-in-output=true&type=direct",
    "/api/v0/pin/ls?cid-base=base58btc&type=recursive",
    "/api/v0/pin/ls?stream=maybe",
    "/api/v0/pin/ls?stream=true&stream=false",
    "/api/v0/pin/ls?timeout=30",
    "/api/v0/pin/ls?timeout=30&type=nonsense",
    "/api/v0/pin/ls?unknown=option&type=direct",
    "/api/v0/pin/ls?name=" + "n" * 300,
    "/api/v0/pin/verify",
    "/api/v0/pin/verify?verbose=true",
    "/api/v0/pin/verify?verbose=true&cid-base=base32",
    "/api/v0/pin/verify?verbose=true&encoding=text",
    "/api/v0/pin/verify?quiet=1&encoding=xml",
    "/api/v0/pin/verify?verbose=true&q=true",
    "/api/v0/pin/verify?verbose=maybe",
    "/api/v0/pin/verify?arg=x&unknown=option",
    "/api/v0/cat?arg={a}",
    "/api/v0/cat?arg={c}",
    "/api/v0/cat?arg={dir}",
    "/api/v0/refs?arg={dir}&recursive=true",
    "/api/v0/ls?arg={dir}",
    "/api/v0/dag/export?arg={dir}",
    "/api/v0/block/stat?arg={a}",
    "/api/v0/resolve?arg={dir}/sub",
    "/api/v0/files/stat?arg=/nosuch",
    "/webui",
    "/nothing",
]


@pytest.mark.parametrize("path", READING)
def test_reading(twins: Twins, path: str) -> None:
    twins.reset()
    ordered = "indirect" not in path and ("stream" not in path or "arg" in path) and "pin/verify" not in path
    direct, proxied = twins.both(path)
    assert normal(proxied, ordered=ordered) == normal(direct, ordered=ordered)


WRITING = [
    "/api/v0/pin/add?arg={file}",
    "/api/v0/pin/add?arg={file}&recursive=false",
    "/api/v0/pin/add?arg={file}&recursive=False",
    "/api/v0/pin/add?arg={file}&r=0",
    "/api/v0/pin/add?arg={file}&recursive=maybe",
    "/api/v0/pin/add?arg={file}&recursive=1&recursive=0",
    "/api/v0/pin/add?arg={file}&name=named",
    "/api/v0/pin/add?arg={file}&name=" + "n" * 256,
    "/api/v0/pin/add?arg={file}&name=" + quote("ü" * 200),
    "/api/v0/pin/add?arg={dir}&recursive=false",
    "/api/v0/pin/add?arg={direct}",
    "/api/v0/pin/add?arg={direct}&recursive=false&name=renamed",
    "/api/v0/pin/add?arg={file}&arg={v1}&arg={file}",
    "/api/v0/pin/add?arg={v1}&cid-base=base16",
    "/api/v0/pin/add?arg={file}&cid-base=base32",
    "/api/v0/pin/add?arg={file}&cid-base=nosuch",
    "/api/v0/pin/add?arg={file}&encoding=text",
    "/api/v0/pin/add?arg={file}&encoding=text&recursive=false",
    "/api/v0/pin/add?arg={file}&arg={v1}&encoding=xml",
    "/api/v0/pin/add?arg={file}&encoding=xml&progress=true",
    "/api/v0/pin/rm?arg={dir}&arg={direct}&encoding=xml",
    "/api/v0/pin/update?arg={dir}&arg={file}&encoding=xml",
    "/api/v0/pin/add?arg={dir}/sub",
    "/api/v0/pin/add?arg=/ipfs/{dir}/sub/b",
    "/api/v0/pin/add?arg={dir}/nosuch",
    "/api/v0/pin/add?arg={a}/nosuch",
    "/api/v0/pin/add?arg=ipfs://{dir}/sub",
    "/api/v0/pin/add?arg=/ipld/{file}",
    "/api/v0/pin/add?arg=foo",
    "/api/v0/pin/add?arg=/foo/bar",
    "/api/v0/pin/add?arg=/ipfs/xyz",
    "/api/v0/pin/add?arg=/ipfs/Qmxyz",
    "/api/v0/pin/add?arg=bafkqaaaa",
    "/api/v0/pin/add?arg=zzzz",
    "/api/v0/pin/add?arg=",
    "/api/v0/pin/add",
    "/api/v0/pin/add/{file}",
    "/api/v0/pin/add/{file}/more",
    "/api/v0/pin/add/",
    "/api/v0/pin/add?arg={file}&timeout=30",
    "/api/v0/pin/add?arg={file}&timeout=10s",
    f"/api/v0/pin/add?arg={MISSING}&offline=true",
    f"/api/v0/pin/add?arg={{file}}&arg={MISSING}&arg={{v1}}&offline=true",
    "/api/v0/pin/add?arg={file}&offline=true",
    f"/api/v0/pin/add?arg={MISSING}&timeout=600ms",
    f"/api/v0/pin/add?arg={MISSING}&timeout=600ms&encoding=text",
    f"/api/v0/pin/add?arg={MISSING}/x&timeout=300ms",
    "/api/v0/pin/add?arg={file}&arg=foo",
    "/api/v0/pin/rm?arg={dir}",
    "/api/v0/pin/rm?arg={direct}",
    "/api/v0/pin/rm?arg={direct}&recursive=false",
    "/api/v0/pin/rm?arg={dir}&recursive=false",
    "/api/v0/pin/rm?arg={dir}&recursive=false&cid-base=base32",
    "/api/v0/pin/rm?arg={file}",
    "/api/v0/pin/rm?arg={a}",
    "/api/v0/pin/rm?arg={dir}&arg={file}&arg={direct}",
    "/api/v0/pin/rm?arg={dir}&arg={dir}",
    "/api/v0/pin/rm?arg={dir}&arg=foo",
    "/api/v0/pin/rm?arg={dir}&encoding=text",
    "/api/v0/pin/rm?arg={file}&encoding=text",
    "/api/v0/pin/rm?arg={file}&encoding=xml",
    "/api/v0/pin/rm",
    "/api/v0/pin/rm/{dir}",
    "/api/v0/pin/rm?arg={dir}&cid-base=base36",
    "/api/v0/pin/update?arg={dir}&arg={file}",
    "/api/v0/pin/update?arg={dir}&arg={file}&unpin=false",
    "/api/v0/pin/update?arg={dir}&arg={dir}",
    "/api/v0/pin/update?arg={file}&arg={dir}",
    "/api/v0/pin/update?arg={file}&arg={file}",
    "/api/v0/pin/update?arg={direct}&arg={file}",
    "/api/v0/pin/update?arg={dir}",
    "/api/v0/pin/update",
    "/api/v0/pin/update?arg={dir}&arg=foo",
    "/api/v0/pin/update?arg={dir}&arg={sub}&encoding=text",
    "/api/v0/pin/update?arg={dir}&arg={file}&arg={v1}",
    "/api/v0/pin/update?arg={dir}&arg={file}&unpin=perhaps",
]


@pytest.mark.parametrize("path", WRITING)
def test_writing_and_what_is_pinned_afterwards(twins: Twins, path: str) -> None:
    twins.reset()
    direct, proxied = twins.both(path)
    assert normal(proxied) == normal(direct)
    for listing in ("/api/v0/pin/ls?type=recursive&names=true", "/api/v0/pin/ls?type=direct&names=true"):
        direct, proxied = twins.both(listing)
        assert normal(proxied) == normal(direct)


BODIES = {
    "three lines": ("/api/v0/pin/add", "{file}\n{v1}\n{c}"),
    "arg and lines with CRLF": ("/api/v0/pin/add?arg={file}", "{v1}\r\n{c}\r\n"),
    "an empty line": ("/api/v0/pin/add", "{file}\n\n{v1}\n"),
    "rm by body": ("/api/v0/pin/rm", "{dir}\n{direct}\n"),
    "ls takes no body": ("/api/v0/pin/ls?type=direct", "{file}\n"),
}


@pytest.mark.parametrize("case", BODIES)
def test_arguments_in_the_body(twins: Twins, case: str) -> None:
    twins.reset()
    path, lines = BODIES[case]
    headers, body = multipart(("stdin", twins.fill(lines).encode(), "application/octet-stream"))
    direct, proxied = twins.both(path, headers=headers, body=body)
    assert normal(proxied) == normal(direct)


def test_a_body_that_is_no_multipart_is_no_argument(twins: Twins) -> None:
    direct, proxied = twins.both("/api/v0/pin/add", body=b"QmFoo\n", headers={"Content-Type": "text/plain"})
    assert normal(proxied) == normal(direct)


A, B = file_part("a.txt", b"a\n"), file_part("b.txt", b"b\n" * 200_000)
TREE = (directory_part("t"), file_part("t/x", b"x\n"), file_part("t/y z", b"yz\n"), file_part("t/deep/er", b"er\n"))
SYMLINK = ("t/link", b"x", "application/symlink")
ADDS = {
    "one file": ("", (A,)),
    "with progress": ("progress=true", (B,)),
    "two files": ("", (A, B)),
    "two equal names": ("", (A, A)),
    "a tree": ("", TREE),
    "a tree and files": ("progress=true", (*TREE, A, B)),
    "wrapped": ("wrap-with-directory=true", (A, B)),
    "wrapped tree": ("w=1", TREE),
    "symlink": ("", (*TREE, SYMLINK)),
    "unnamed file": ("", ((None, b"nameless\n", "application/octet-stream"),)),
    "empty name": ("", (("", b"nameless\n", "application/octet-stream"),)),
    "unnamed directory": ("", (("", b"", "application/x-directory"), A, B)),
    "implied directories": ("", (file_part("p/q/r", b"r\n"), file_part("p/s", b"s\n"))),
    "silent": ("silent=true", (*TREE, A)),
    "silent file": ("silent=true", (A,)),
    "quiet": ("quiet=true", TREE),
    "text": ("encoding=text", TREE),
    "text and progress": ("encoding=text&progress=true", (B,)),
    "cid version 1": ("cid-version=1", TREE),
    "cid base": ("cid-base=base32", TREE),
    "cid base 36 of v1": ("cid-version=1&cid-base=base36", (A,)),
    "raw leaves": ("raw-leaves=true", (A, B)),
    "trickle": ("trickle=true", (B,)),
    "chunker": ("chunker=size-1000", (B,)),
    "bad chunker": ("chunker=nonsense", (A,)),
    "hash": ("hash=blake2b-256", (A,)),
    "bad hash": ("hash=nosuch", (A,)),
    "only hash": ("only-hash=true", TREE),
    "without pin": ("pin=false", TREE),
    "bad bool": ("pin=maybe", (A,)),
    "bad int": ("cid-version=x", (A,)),
    "pin name": ("pin-name=the+name", (A,)),
    "pin name without pin": ("pin=false&pin-name=x", (A,)),
    "inline": ("inline=true", (A,)),
    "to files": ("to-files=/copied", (A,)),
    "mode and mtime": ("mode=0644&mtime=1700000000", (A,)),
    "empty file": ("", (file_part("empty", b""),)),
    "empty directory": ("", (directory_part("none"),)),
    "no entries": ("", ()),
    "nocopy": ("nocopy=true", (A,)),
    "unknown option": ("next-years-option=1", (A,)),
}


@pytest.mark.parametrize("case", ADDS)
def test_adding(twins: Twins, case: str) -> None:
    twins.reset()
    query, parts = ADDS[case]
    headers, body = multipart(*parts)
    direct, proxied = twins.both(f"/api/v0/add?{query}", headers=headers, body=body)
    post(twins.bare.address, "/api/v0/files/rm?arg=/copied")
    post(twins.service.address, "/api/v0/files/rm?arg=/copied")
    assert normal(proxied) == normal(direct)
    direct, proxied = twins.both("/api/v0/pin/ls?type=recursive&names=true")
    assert normal(proxied) == normal(direct)


def test_adding_nothing_at_all(twins: Twins) -> None:
    direct, proxied = twins.both("/api/v0/add")
    assert normal(proxied) == normal(direct)


HEADS = {
    "GET": ("GET", "/api/v0/pin/ls", {}),
    "HEAD": ("HEAD", "/api/v0/pin/add?arg=x", {}),
    "PUT": ("PUT", "/api/v0/add", {}),
    "OPTIONS": ("OPTIONS", "/api/v0/pin/ls", {}),
    "evil origin": ("POST", "/api/v0/pin/ls", {"Origin": "http://evil.example"}),
    "own origin": ("POST", "/api/v0/pin/ls?type=direct", {"Origin": "http://localhost:{port}"}),
    "own origin, relayed": ("POST", "/api/v0/id?format=x", {"Origin": "http://127.0.0.1:{port}"}),
    "evil referer": ("POST", "/api/v0/version", {"Referer": "http://evil.example/page"}),
    "own referer": ("POST", "/api/v0/version", {"Referer": "http://localhost:{port}/webui"}),
    "browser": ("POST", "/api/v0/version", {"User-Agent": "Mozilla/5.0 (X11)"}),
    "electron": ("POST", "/api/v0/version", {"User-Agent": "Mozilla/5.0 Electron/1"}),
    "other kubo on a command": ("POST", "/api/v0/pin/ls?type=direct", {"User-Agent": "x/kubo/0.1.0/"}),
    "origin in capitals": ("POST", "/api/v0/pin/ls", {"Origin": "http://LOCALHOST:{port}"}),
    "unknown expectation": ("POST", "/api/v0/pin/ls?type=direct", {"Expect": "nothing"}),
    "absolute target": ("POST", "http://elsewhere/api/v0/pin/ls?type=direct", {}),
    "preflight of a page": ("OPTIONS", "/webui", {"Access-Control-Request-Method": "POST"}),
    "evil referer of a page": ("GET", "/version", {"Referer": "http://evil.example/"}),
    "other kubo": ("POST", "/api/v0/id", {"User-Agent": "x/kubo/0.1.0/"}),
    "preflight": (
        "OPTIONS",
        "/api/v0/pin/add",
        {"Origin": "http://localhost:{port}", "Access-Control-Request-Method": "POST"},
    ),
    "preflight with headers": (
        "OPTIONS",
        "/api/v0/add",
        {
            "Origin": "http://localhost:{port}",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    ),
    "evil preflight": (
        "OPTIONS",
        "/api/v0/add",
        {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    ),
}


@pytest.mark.parametrize("case", HEADS)
def test_methods_and_web_pages(twins: Twins, case: str) -> None:
    twins.reset()
    method, path, headers = HEADS[case]
    answers = []
    for address in (twins.bare.address, twins.service.address):
        own = {name: value.replace("{port}", str(address[1])) for name, value in headers.items()}
        answer = post(address, path, method=method, headers=own)
        answer.headers = {name: value.replace(str(address[1]), "PORT") for name, value in answer.headers.items()}
        if "own origin, relayed" in case:
            answer.body = b""
        answers.append(normal(answer))
    assert answers[1] == answers[0]


def test_http_1_0(twins: Twins) -> None:
    twins.reset()
    request = b"POST /api/v0/pin/ls?type=direct HTTP/1.0\r\n\r\n"
    answers = [parse(exchange(address, request)) for address in (twins.bare.address, twins.service.address)]
    assert normal(answers[1]) == normal(answers[0])


SMUGGLING = {
    "garbage": b"\x16\x03\x01 not http\r\n\r\n",
    "two lengths": b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "length and coding": (
        b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "bare LF": b"POST /api/v0/version HTTP/1.1\nHost: x\n\n",
    "folded": b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "space before colon": b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n",
    "bad chunk": b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "connect": b"CONNECT example:443 HTTP/1.1\r\nHost: example:443\r\n\r\n",
    "huge head": b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLING)
def test_what_can_be_understood_twice_is_refused_and_closed(twins: Twins, case: str) -> None:
    data = exchange(twins.service.address, SMUGGLING[case], seconds=10)
    if case == "bad chunk":
        assert b"200 OK" not in data or data.count(b"HTTP/1.1") <= 1
    else:
        assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n"), data[:200]
        assert data.count(b"HTTP/1.1") == 1


def test_a_failure_in_mid_stream_is_seen_by_clients_without_trailers(twins: Twins) -> None:
    twins.reset()
    path = twins.fill("/api/v0/pin/ls?arg={dir}&arg={file}&stream=true")
    answer = post(twins.service.address, path, headers={"User-Agent": "python-requests/2"})
    assert answer.cut
    assert not answer.trailers
    message = twins.fill("path '{file}' is not pinned")
    assert json.loads(answer.text.splitlines()[-1]) == {"Message": message, "Code": 0, "Type": "error"}


def test_an_add_that_fails_in_a_later_entry_keeps_what_was_pinned_before(twins: Twins) -> None:
    twins.reset()
    headers, body = multipart(directory_part("e"), A)
    direct, proxied = twins.both("/api/v0/add?chunker=nonsense", headers=headers, body=body)
    assert direct.trailers == {"x-stream-error": "unrecognized chunker option: nonsense"}
    assert normal(proxied) == normal(direct)
    direct, proxied = twins.both("/api/v0/pin/ls?type=recursive&names=true")
    assert normal(proxied) == normal(direct)
