"""The same requests to a bare Kubo and to an embedded node: same status, headers, bodies, trailers, and so same CIDs.

The lists of `test_differential` are asked here too. What differs is in DIFFERENT, with its reason; a difference that
vanishes fails as well. The list for users is in docs/compatibility.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from compat_tests.harness.embedded import check, same
from compat_tests.harness.http import directory_part, exchange, file_part, multipart, parse, post
from compat_tests.harness.twins import Pair
from compat_tests.test_differential import ADDS, BODIES, HEADS, MISSING, READING, SMUGGLING, WRITING
from ipfs_cluster import cid as cids
from ipfs_cluster.car import head

WORDS = "content that is malformed is refused in other words"
WHOLE = "what cannot be encoded is refused before the first byte, not after it"
PAGE = "there are no web pages"
SELF = "it says what it is"


DIFFERENT: Mapping[str, str] = {
    "/api/v0/version": SELF,
    "/webui": PAGE,
    "/api/v0/cat?arg={plain}": WORDS,
    "/api/v0/ls?arg={plain}": WORDS,
    "/api/v0/dag/get?arg={a}&output-codec=raw": WHOLE,
    "/api/v0/dag/get?arg={cbor}&output-codec=cbor": WHOLE,
    "/api/v0/dag/get?arg={cbor}/c&output-codec=json": "plain JSON is read, not written",
    "/api/v0/stats/bw": "nothing is counted, and said as a daemon says it that does not count",
    "/api/v0/bootstrap": "there is nothing to bootstrap",
    "/api/v0/config?arg=Addresses.API": "its configuration is that of the service",
    "/api/v0/config?arg=Datastore.StorageMax": "a number of bytes, not the text of a configuration file",
    "/api/v0/config?arg=Import&arg=x": "its configuration is that of the service",
}

OWN = [
    "/api/v0/pin/verify?verbose=true&quiet=true",
    "/api/v0/pin/verify?verbose=true",
    "/api/v0/pin/verify?verbose=true&encoding=text",
    *(f"/api/v0/{command}?{query}" for command in ("block/get", "block/stat") for query in (
        "arg={a}", "arg={dir}/a", "arg={dir}/nosuch", f"arg={MISSING}&offline=true", f"arg={MISSING}&timeout=200ms",
        "", "arg=", "arg=foo", "arg={a}&arg={c}", "arg={a}&encoding=text", "arg={a}&encoding=xml", "arg=bafkqaaa",
        "arg={a}&cid-base=base32", "arg={a}/x/y", "arg=/ipld/{a}", "arg={cbor}/b/1", "arg={cbor}/c/d", "arg={raw}/x",
    )),
    *(f"/api/v0/refs?{query}" for query in (
        "arg={dir}", "arg={dir}&r=1", "arg={dir}&r=1&edges=1", "arg={dir}&r=1&unique=1", "arg={dir}&format=x&edges=1",
        "arg={dir}&format=%3Csrc%3E+%3Cdst%3E+%3Clinkname%3E", "arg={dir}&r=1&max-depth=1", "arg={dir}&max-depth=0",
        "arg={dir}&r=1&max-depth=0", "arg={dir}/sub&arg={a}", "arg={dir}/nosuch", f"arg={MISSING}&offline=true",
        f"arg={MISSING}&timeout=200ms", f"arg={MISSING}&offline=true&encoding=text", "", "arg={dir}&encoding=text",
        "arg={dir}&encoding=xml", "arg={dir}&r=1&cid-base=base32", "arg={dir}&arg={dir}&u=1", "arg={hamt}&r=1",
        "arg={cbor}&r=1", "arg={plain}", "arg=bafkqaaa", "arg={dir}&r=1&u=1&max-depth=2",
    )),
    *(f"/api/v0/{command}?arg={path}" for command in ("resolve", "dag/resolve") for path in (
        "{dir}", "{dir}/a", "{a}/x", "{c}/x", "{c}/x/y", "{symlink}/x", "{cbor}/zz", "{cbor}/zz/y", "{cbor}/a/sub",
        "{cbor}/c/d", "{cbor}/c/d/e", "{cbor}/b/7", "{cbor}/b/x", "{cbor}/b/1/x", "{raw}/x", "{raw}/x/y", "{plain}/n",
        "{plain}/x", "{hamt}/f3", "{hamt}/zz", "/ipld/{dir}/Links/0/Hash", "/ipld/{a}/Data/x", "{dir}//sub", "{dir}/",
        "{dir}/sub/../a", "/ipfs//{dir}", "ipfs/{dir}", "/foo/bar", "/foo", "/", "//", "/ipfs/", "/ipns/", "ipfs:foo",
        "ipfs://{dir}/sub", "IPFS://{dir}", "/ipfs/xyz", "/ipfs/%C3%BC", "bafkqaaaa", "{dir}&cid-base=base32",
        "{dir}/sub&encoding=text", "{dir}&encoding=xml", "{cbor}/a/sub&encoding=text",
    )),
    *(f"/api/v0/cat?{query}" for query in (
        "arg={a}&arg={dir}", "arg={c}&offset=299998", "arg={c}&offset=299998&length=1", "arg={c}&offset=400000",
        "arg={c}&offset=-1", "arg={c}&length=-1", "arg={c}&length=0", "arg={a}&arg={c}&offset=6&length=3",
        "arg={a}&arg={c}&offset=10&length=3", f"arg={MISSING}&offline=true", "arg={symlink}", "arg={raw}",
        "arg={empty}", "arg={cbor}", "arg={cbor}/b/1", "", "arg={a}&encoding=text", "arg={a}&encoding=xml",
        "arg=bafkqaaa", "arg={hamt}", "arg={plain}", "arg={a}&offset=x", f"arg={{a}}&arg={MISSING}&offline=true",
    )),
    *(f"/api/v0/ls?{query}" for query in (
        "arg={dir}&stream=1", "arg={dir}&size=false", "arg={dir}&resolve-type=false&size=false", "arg={a}", "arg={c}",
        "arg={dir}&arg={sub}", "arg={dir}/sub&encoding=text", "arg={dir}&encoding=text&headers=1",
        "arg={dir}&encoding=text&stream=1", "arg={dir}&encoding=text&long=1", "arg={dir}&encoding=xml", "arg={raw}",
        f"arg={MISSING}&offline=true", "arg={dir}&cid-base=base32", "arg={symlink}", "arg={empty}", "arg={cbor}",
        "arg={modes}", "arg={modes}&encoding=text&long=1", "arg={hamt}", "arg={hamt}&stream=1", "arg={plain}", "",
        "arg=/ipfs/{dir}/sub&arg={dir}&encoding=text", "arg={dir}&stream=1&size=false&encoding=text",
    )),
    *(f"/api/v0/dag/get?{query}" for query in (
        "arg={cbor}", "arg={cbor}/b", "arg={cbor}/b/0", "arg={cbor}/c/d", "arg={cbor}/b/1", "arg={dir}", "arg={raw}",
        "arg={dir}/Links", "arg=/ipld/{dir}/Links", "arg={cbor}&output-codec=dag-cbor", "arg={a}&output-codec=dag-pb",
        "arg={a}&output-codec=raw", "arg={cbor}&output-codec=cbor", "arg={cbor}/c&output-codec=json", "",
        "arg={cbor}&output-codec=nosuch", f"arg={MISSING}&offline=true", "arg={plain}", "arg={cbor}&encoding=text",
    )),
    *(f"/api/v0/dag/stat?{query}" for query in (
        "arg={dir}", "arg={dir}&progress=false", "arg={dir}&arg={sub}&progress=false", "arg={dir}&arg={sub}",
        "arg={dir}&arg={sub}&encoding=text&progress=false", "arg={dir}&encoding=xml", f"arg={MISSING}&offline=true",
        "arg={cbor}/c/d", "arg={dir}&cid-base=base32", "arg={raw}", "",
    )),
    *(f"/api/v0/dag/export?{query}" for query in (
        "arg={dir}/sub", "arg={dir}/nosuch", f"arg={MISSING}&offline=true", "", "arg={dir}&local-only=true",
        "arg={dir}&local-only=true&offline=false", "arg={hamt}", "arg={cbor}",
    )),
    *(f"/api/v0/files/stat?{query}" for query in (
        "arg=/ipfs/{dir}", "arg=/ipfs/{modes}", "arg=/ipfs/{symlink}", "arg=/ipfs/{cbor}", "arg=/", "arg=", "",
        "arg=/&size=1&hash=1", "arg=/ipfs/{dir}&with-local=1", "arg=/&encoding=xml",
    )),
    "/api/v0/repo/version", "/api/v0/repo/version?encoding=text&quiet=1", "/api/v0/swarm/peers",
    "/api/v0/swarm/connect", "/api/v0/swarm/connect?arg=foo", "/api/v0/swarm/connect?arg=/ip4/127.0.0.1/tcp/1",
    "/api/v0/config?arg=Import", "/api/v0/config?arg=nosuch", "/api/v0/config", "/api/v0/config?arg=Addresses.API",
    "/api/v0/config?arg=Datastore.StorageMax", "/api/v0/config?arg=Import&arg=x", "/api/v0/stats/bw",
    "/api/v0/files", "/api/v0/dag", "/api/v0/files/nosuch", "/api/v0/bootstrap", "/api/v0/id?arg=foo",
]  # fmt: skip


@pytest.mark.parametrize("path", [*READING, *OWN])
def test_reading(pair: Pair, path: str) -> None:
    pair.reset()
    unordered = "indirect" in path or ("stream" in path and "arg" not in path) or "pin/verify" in path
    check(pair, path, DIFFERENT.get(path), ordered=not unordered)


@pytest.mark.parametrize("path", WRITING)
def test_writing_and_what_is_pinned_afterwards(pair: Pair, path: str) -> None:
    pair.reset()
    check(pair, path, None)
    for kind in ("recursive", "direct"):
        check(pair, f"/api/v0/pin/ls?type={kind}&names=true", None)


@pytest.mark.parametrize("case", BODIES)
def test_arguments_in_the_body(pair: Pair, case: str) -> None:
    pair.reset()
    path, lines = BODIES[case]
    headers, body = multipart(("stdin", pair.fill(lines).encode(), "application/octet-stream"))
    check(pair, path, None, headers=headers, body=body)


BIG = file_part("big", bytes(range(256)) * 5000)
MANY = (directory_part("dir"), *(file_part(f"dir/{index:04}", b"%d" % index) for index in range(400)))
DEEP = (directory_part("t"), directory_part("t/e"), directory_part("t/e/f"), file_part("t/x", b"x"))
MORE_ADDS: Mapping[str, tuple[str, tuple[tuple[str | None, bytes, str], ...]]] = {
    **{
        query: (query, (BIG,))
        for query in (
            "chunker=rabin", "chunker=rabin-16384-32768-65536", "chunker=buzhash", "trickle=1&chunker=size-1000",
            "max-file-links=3&chunker=size-10000", "cid-version=1&trickle=1", "inline=1&inline-limit=64",
            "inline=1&inline-limit=200", "hash=sha3-256", "hash=SHA2-512", "hash=identity", "hash=md5", "hash=blake3",
            "hash=sha1&cid-version=0", "cid-version=2", "cid-version=1&raw-leaves=false", "chunker=size-0",
            "chunker=size-1048576", "max-hamt-fanout=7", "pin-name=" + "n" * 300, "nocopy=1&raw-leaves=false",
            "fscache=1", "to-files=/nodir/x", "to-files=/nodir/", "mode=0644", "mtime=5&mtime-nsecs=7", "mtime-nsecs=7",
            "mtime=-5", "mode=9", "mtime=x", "mtime-nsecs=-1", "mode=0755&raw-leaves=true", "only-hash=1&progress=1",
        )
    },
    "many files": ("max-directory-links=100", MANY),
    "many files, small fanout": ("max-directory-links=100&max-hamt-fanout=16&cid-version=1", MANY),
    "many files, wrapped": ("w=1&max-directory-links=100", MANY),
    "empty directories": ("", DEEP),
    "no empty directories": ("empty-dirs=false&w=1", DEEP),
    "a million bytes": ("progress=true", (file_part("m", b"x" * 1_000_000),)),
    "one chunk": ("progress=true", (file_part("m", b"x" * 262_144),)),
    "a directory again": ("", (directory_part("t"), file_part("t/a", b"1")) * 2),
    "interrupted directories": ("", (file_part("t/a", b"1"), file_part("u/b", b"2"), file_part("t/c", b"3"))),
    "in a file": ("", (file_part("a", b"1"), file_part("a/b", b"2"), file_part("c", b"3"))),
    "equal names in a tree": ("", (file_part("t/a", b"1"), file_part("t/a", b"2"))),
    "climbing": ("", (file_part("../../x", b"1"),)),
    "to-files without slash": ("to-files=x", (BIG,)),
    "progress of small chunks": ("progress=1&chunker=size-1000", (BIG,)),
    "merged directories": ("", (file_part("t/s/a", b"1"), file_part("t/u/b", b"2"), file_part("t/s/c", b"3"))),
    "merged with wrapping": ("w=1", (directory_part("t"), file_part("t/a", b"1"), *DEEP)),
    "merged, the second with entries": ("", (*DEEP, file_part("t/e/f/g", b"g"), file_part("t/y", b"y"))),
    "wrapped without a name": ("w=1", ((None, b"nameless\n", "application/octet-stream"),)),
}  # fmt: skip
DIFFERENT_ADDS: Mapping[str, str] = {
    "to-files without slash": "a destination that cannot be is refused before the upload is read",
    "progress of small chunks": "progress comes each 256 KiB, whatever the chunks",
    "wrapped without a name": "a file needs a name in a directory",
}


@pytest.mark.parametrize("case", [*ADDS, *MORE_ADDS])
def test_adding(pair: Pair, case: str) -> None:
    pair.reset()
    query, parts = {**ADDS, **MORE_ADDS}[case]
    headers, body = multipart(*parts)
    check(pair, f"/api/v0/add?{query}", DIFFERENT_ADDS.get(case), headers=headers, body=body)
    for address in (pair.bare.address, pair.other.address):
        post(address, "/api/v0/files/rm?arg=/copied")
    if case not in DIFFERENT_ADDS:
        check(pair, "/api/v0/pin/ls?type=recursive&names=true", None)


@pytest.mark.parametrize("query", ["", "preserve-mode=1", "preserve-mtime=1", "w=1", "progress=1&preserve-mode=1"])
def test_modes_and_times_of_the_upload(pair: Pair, query: str) -> None:
    parts = [
        ("file?mode=0755&mtime=5", "t", "application/x-directory", b""),
        ("file?mode=0640&mtime=1700000000&mtime-nsecs=12", "t/a", "application/octet-stream", b"aa"),
        ("file?mode=0777&mtime=7", "t/l", "application/symlink", b"a"),
        ("file?mode=04755", "g", "application/octet-stream", b"y"),
        ("file?mtime=9", "h", "application/octet-stream", b"z"),
    ]
    body = b"".join(
        f'--xx\r\nContent-Disposition: form-data; name="{name}"; filename="{path}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, path, kind, content in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    check(pair, f"/api/v0/add?pin=false&{query}", None, headers=headers, body=body + b"--xx--\r\n")


def test_an_upload_that_breaks_off_is_no_file(pair: Pair) -> None:
    headers, body = multipart(file_part("x", b"abc" * 100))
    reason = "Kubo adds and pins what it got of a file, and fails afterwards"
    check(pair, "/api/v0/add", reason, headers=headers, body=body[:-10])


PUTS: Mapping[str, tuple[str, bytes, str | None]] = {
    **{
        query: (f"block/put?{query}", b"hello", None)
        for query in (
            "", "format=v0", "format=protobuf", "format=cbor", "format=raw", "format=nosuch", "cid-codec=dag-pb",
            "cid-codec=nosuch", "mhtype=sha3", "mhtype=blake2b-256", "mhtype=nosuch", "mhtype=identity", "mhtype=md5",
            "mhlen=20", "mhlen=16", "mhlen=40", "mhtype=sha2-512&format=v0", "format=v0&cid-codec=dag-pb",
            "cid-base=base58btc", "encoding=text", "encoding=xml", "cid-codec=0x55", "mhtype=sha1",
        )
    },
    "too big": ("block/put", bytes((2 << 20) + 1), None),
    "big": ("block/put?allow-big-block=true", bytes((2 << 20) + 1), "no block over 2 MiB is kept"),
    "json": ("dag/put", b'{"a":1}', None),
    "list": ("dag/put", b'[1,2.5,null,true,"s"]', None),
    "as dag-json": ("dag/put?store-codec=dag-json", b'{"b":1,"a":2}', None),
    "as dag-pb": ("dag/put?store-codec=dag-pb", b'{"Data":{"/":{"bytes":"CAE"}},"Links":[]}', None),
    "no dag-pb": ("dag/put?store-codec=dag-pb", b'{"a":1}', None),
    "raw": ("dag/put?store-codec=raw&input-codec=raw", b"xyz", None),
    "other hash": ("dag/put?hash=sha2-512", b'{"a":1}', None),
    "no hash": ("dag/put?hash=nosuch", b"{}", None),
    "no codec": ("dag/put?store-codec=nosuch", b"{}", None),
    "text": ("dag/put?encoding=text", b'{"a":1}', None),
    "garbage": ("dag/put", b"{bad", WORDS),
    "half": ("dag/put?input-codec=dag-cbor", b"\xa1", "data that breaks off is refused, not taken for no data"),
    "empty CAR": ("dag/import", b"", None),
    "a missing root": ("dag/import?stats=true", head([cids.parse(MISSING)]), None),
    "no roots": ("dag/import?stats=true", head([]), None),
    "garbage CAR": ("dag/import", b"garbage that is no archive", WORDS),
}  # fmt: skip


@pytest.mark.parametrize("case", PUTS)
def test_putting(pair: Pair, case: str) -> None:
    path, content, reason = PUTS[case]
    headers, body = multipart(("x", content, "application/octet-stream"))
    check(pair, f"/api/v0/{path}", reason, headers=headers, body=body)


IMPORTS = (
    "", "stats=true", "pin-roots=false", "pin-roots=false&stats=1", "local-only=1&stats=1", "encoding=xml&stats=1",
    "local-only=1&pin-roots=true", "silent=1&encoding=text&stats=1", "encoding=text&stats=1",
)  # fmt: skip


@pytest.mark.parametrize("query", IMPORTS)
def test_importing(pair: Pair, query: str) -> None:
    pair.reset()
    archive = post(pair.bare.address, pair.fill("/api/v0/dag/export?arg={hamt}")).body
    headers, body = multipart(("x", archive, "application/octet-stream"))
    check(pair, f"/api/v0/dag/import?{query}", None, headers=headers, body=body)
    check(pair, "/api/v0/pin/ls?type=recursive", None)


@pytest.mark.parametrize("case", HEADS)
def test_methods_and_web_pages(pair: Pair, case: str) -> None:
    pair.reset()
    method, path, headers = HEADS[case]
    answers = []
    for address in (pair.bare.address, pair.other.address):
        own = {name: value.replace("{port}", str(address[1])) for name, value in headers.items()}
        answer = post(address, path, method=method, headers=own)
        answer.headers = {name: value.replace(str(address[1]), "PORT") for name, value in answer.headers.items()}
        if answer.status == 200:
            answer.body = b""  # who it is
        answers.append(same(answer))
    if case in ("evil referer of a page", "preflight of a page"):  # /version, /webui
        assert answers[1] != answers[0], PAGE
    else:
        assert answers[1] == answers[0]


@pytest.mark.parametrize("case", SMUGGLING)
def test_what_can_be_understood_twice_is_refused(pair: Pair, case: str) -> None:
    data = exchange(pair.other.address, SMUGGLING[case], seconds=10)
    if case != "bad chunk":
        assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n"), data[:200]
    assert data.count(b"HTTP/1.1") <= 1


def test_http_1_0(pair: Pair) -> None:
    pair.reset()
    request = b"POST /api/v0/pin/ls?type=direct HTTP/1.0\r\n\r\n"
    answers = [parse(exchange(address, request)) for address in (pair.bare.address, pair.other.address)]
    assert same(answers[1]) == same(answers[0])


CBOR = [
    "a262616101616202", "a2616201616102", "f93c00", "fa3fc00000", "f7", "c101", "a16161d82b81c2f7", "a2616101616102",
    "a1616118ff", "a161611801", "bf616101ff", "9f01ff", "f97e00", "e0", "0101", "a10102", "c1c101", "a1f701",
]  # fmt: skip


@pytest.mark.parametrize("raw", CBOR)
def test_dag_cbor_that_is_not_as_it_should_be_is_read_or_refused_alike(pair: Pair, raw: str) -> None:
    headers, body = multipart(("x", bytes.fromhex(raw), "application/octet-stream"))
    for path in ("block/put?cid-codec=dag-cbor", "dag/put?input-codec=dag-cbor"):
        answers = pair.both(f"/api/v0/{path}", headers=headers, body=body)
        assert answers[0].status == answers[1].status
    put = post(pair.bare.address, "/api/v0/block/put?cid-codec=dag-cbor", headers=headers, body=body)
    for command in ("dag/get", "pin/add"):
        direct, embedded = pair.both(f"/api/v0/{command}?arg={json.loads(put.text)['Key']}")
        assert direct.status == embedded.status
        assert direct.status != 200 or direct.text == embedded.text
