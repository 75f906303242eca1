"""Content in and out again: add, cat, ls, get, block, dag, MFS. Its CIDs are published ones or were seen on Kubo 0.43;
the compatibility tier asks a real one.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest

from ipfs_cluster.car import CarReader
from proxy_tests.embedded.client import multipart
from proxy_tests.embedded.conftest import NOW, Door

DIRECTORY = "QmQtEvuT5KqhwPiGXPXth14BsyYUjW3dsdrdr1KjVca5r3"
SUB = "Qmdd6ivT2XGUPzRMG58KHFk46vjdCW36CBgf3cxF2irygN"
FILE_A = "QmbK8soBPbnx3jH2tzuYZ4RuqN52WKezdVgHUyN8rx4wsi"
FILE_C = "QmPmXu6JbgQdMYJXmfjaGbLdsCNmBMFCCtDGfgMeQA8RkB"
MISSING = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
TREE = (
    ("d", b"", "application/x-directory"),
    ("d/a", b"file a\n"),
    ("d/sub/b", b"file b\n"),
    ("d/c", b"c" * 300_000),
)


@pytest.fixture
async def filled(door: Door) -> Door:
    """A door behind which the tree is, unpinned."""
    answer = await door.send("add?pin=false", *TREE)
    assert answer.values[-1] == {"Name": "d", "Hash": DIRECTORY, "Size": "300346"}
    return door


async def test_events_and_pins_of_add(door: Door) -> None:
    answer = await door.send("add?progress=true&pin-name=named", *TREE[:2], ("m", b"x" * 1_000_000))
    progress = [value["Bytes"] for value in answer.values if value["Name"] == "m" and "Bytes" in value]
    assert progress == [262_144, 524_288, 786_432, 1_000_000]
    roots = [value["Hash"] for value in answer.values if value["Name"] in ("d", "m") and "Hash" in value]
    pinned = (await door.post("pin/ls?type=recursive&names=true")).value["Keys"]
    assert {cid: pin["Name"] for cid, pin in pinned.items()} == dict.fromkeys(roots, "named")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("chunker=nonsense", "unrecognized chunker option: nonsense"),
        ("hash=nosuch", 'unrecognized hash function: "nosuch"'),
        ("pin=false&pin-name=x", "pin-name option requires pin to be set"),
        ("only-hash=true&to-files=/x", "only-hash and to-files options are not compatible"),
        ("w=true&to-files=/x", "wrap-with-directory and to-files options are not compatible"),
        ("nocopy=true&raw-leaves=false", "nocopy option requires '--raw-leaves' to be enabled as well"),
        ("to-files=x", "to-files: paths must start with a leading slash"),
    ],
)
async def test_what_add_refuses(door: Door, query: str, error: str) -> None:
    assert (await door.send(f"add?{query}", ("x", b"x"))).error == error
    assert (await door.post("pin/ls")).value == {}


async def test_only_hash_keeps_nothing(door: Door) -> None:
    before = (await door.post("repo/stat")).value["NumObjects"]
    assert await door.add(b"file a\n", "only-hash=true") == FILE_A
    assert (await door.post("repo/stat")).value["NumObjects"] == before


async def test_an_upload_that_breaks_off_pins_nothing(door: Door) -> None:
    headers, body = multipart(("x", b"abc" * 1000))
    assert (await door.post("add", headers, body[:-10])).error == "unexpected EOF"
    assert (await door.post("pin/ls")).value == {}


async def test_adding_into_mfs(door: Door) -> None:
    assert (await door.send("add?pin=false&to-files=/copied", ("a", b"file a\n"))).status == 200
    assert (await door.post("files/stat?arg=/copied")).value["Hash"] == FILE_A
    again = await door.send("add?pin=false&to-files=/copied", ("a", b"file a\n"))
    text = 'to-files: cannot put node in path "/copied": directory already has entry by that name'
    assert again.trailers == {"x-stream-error": text}


@pytest.mark.parametrize(
    ("query", "content"),
    [
        (f"arg={DIRECTORY}/a&arg={DIRECTORY}/sub/b", b"file a\nfile b\n"),
        (f"arg={FILE_C}&offset=299998", b"cc"),
        (f"arg={FILE_A}&arg={FILE_C}&offset=6&length=3", b"\ncc"),
        (f"arg={FILE_C}&length=0", b""),
        ("arg=bafkqaddimvwgy3zao5xxe3debi", b"hello world\n"),
    ],
)
async def test_cat(filled: Door, query: str, content: bytes) -> None:
    answer = await filled.post(f"cat?{query}")
    assert answer.body == content
    assert answer.headers["X-Content-Length"] == str(len(content))
    assert (answer.headers["X-Stream-Output"], answer.headers["Content-Type"]) == ("1", "text/plain")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (f"cat?arg={DIRECTORY}", "this dag node is a directory"),
        (f"cat?arg={DIRECTORY}/nosuch", f'no link named "nosuch" under {DIRECTORY}'),
        ("cat?arg=foo", 'invalid path "foo": path does not have enough components'),
        (f"cat?arg={MISSING}&offline=true", f"block was not found locally (offline): ipld: could not find {MISSING}"),
        (f"cat?arg={MISSING}&timeout=50ms", "context deadline exceeded"),
        (f"resolve?arg=/foo/{DIRECTORY}", f'invalid path "/foo/{DIRECTORY}": unknown namespace: "foo"'),
        (f"pin/ls?arg={FILE_A}", f"path '{FILE_A}' is not pinned"),
        (f"pin/rm?arg={FILE_A}", "not pinned or pinned indirectly"),
        (f"dag/get?arg={FILE_A}&output-codec=nosuch", 'unknown multicodec: "nosuch"'),
        ("config?arg=nosuch", 'failed to get config value: "nosuch not found"'),
        ("files/mkdir?arg=a", "paths must start with a leading slash"),
        ("files/read?arg=/nosuch", "/nosuch: file does not exist"),
    ],
)
async def test_errors_have_kubos_words(filled: Door, target: str, error: str) -> None:
    assert (await filled.post(target)).error == error


async def test_arguments_in_the_body(filled: Door) -> None:
    lines = await filled.send("pin/add", ("stdin", f"{FILE_A}\n{FILE_C}\n".encode()))
    assert lines.value == {"Pins": [FILE_A, FILE_C]}
    assert (await filled.send("block/stat", ("stdin", FILE_A.encode()))).value == {"Key": FILE_A, "Size": 15}
    missing = await filled.post("block/put")
    assert (missing.status, missing.body) == (400, b"file argument 'data' is required\n")


async def test_ls_and_refs(filled: Door) -> None:
    (listed,) = (await filled.post(f"ls?arg={DIRECTORY}")).value["Objects"]
    assert [(link["Name"], link["Type"], link["Size"]) for link in listed["Links"]] == [
        ("a", 2, 7),
        ("c", 2, 300_000),
        ("sub", 1, 0),
    ]
    refs = [value["Ref"] for value in (await filled.post(f"refs?arg={DIRECTORY}")).values]
    assert refs == [FILE_A, FILE_C, SUB]
    local = {value["Ref"] for value in (await filled.post("refs/local")).values}
    assert len(local) == 7
    assert (await filled.post(f"ls?arg={DIRECTORY}/sub&encoding=text")).text.endswith(" 7 b\n")


@pytest.mark.parametrize("query", ["", "&archive=true&compress=true"])
async def test_get_is_a_tar_archive(filled: Door, query: str) -> None:
    answer = await filled.post(f"get?arg={DIRECTORY}{query}")
    data = gzip.decompress(answer.body) if query else answer.body
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name.removeprefix(DIRECTORY): member for member in archive}
        assert {name: member.mode for name, member in members.items()} == {
            "": 0o755,
            "/a": 0o644,
            "/c": 0o644,
            "/sub": 0o755,
            "/sub/b": 0o644,
        }
        content = archive.extractfile(members["/c"])
        assert content is not None
        assert content.read() == b"c" * 300_000
        assert {member.mtime for member in members.values()} == {NOW}


async def test_blocks(door: Door) -> None:
    assert (await door.send("block/put?format=v0", ("x", b"hello"))).value["Key"].startswith("QmRN6wdp1S2A5EtjW9A3M1")
    key = (await door.send("block/put?pin=true", ("x", b"hello"))).value["Key"]
    assert (await door.post(f"block/get?arg={key}")).body == b"hello"
    assert (await door.post(f"block/rm?arg={key}")).value == {"Hash": key, "Error": "pinned: recursive"}
    await door.post(f"pin/rm?arg={key}")
    assert (await door.post(f"block/rm?arg={key}")).value == {"Hash": key}
    assert (await door.post(f"block/rm?arg={key}")).value == {"Hash": key, "Error": f"ipld: could not find {key}"}
    big = await door.send("block/put?allow-big-block=true", ("x", bytes((2 << 20) + 1)))
    assert big.error == "an embedded node keeps no block over 2MiB"


async def test_dags(filled: Door) -> None:
    value = {"a": {"/": DIRECTORY}, "b": [1, {"/": FILE_A}], "c": {"d": "e"}}
    cid = (await filled.send("dag/put", ("x", json.dumps(value).encode()))).value["Cid"]["/"]
    assert cid == "bafyreib4gulod2gabgwhzwh5ulrlwj6haspkufvxzqoz4dyrbnxfkqwvgu"
    assert json.loads((await filled.post(f"dag/get?arg={cid}")).text) == value
    assert (await filled.post(f"dag/get?arg={cid}/c/d")).text == '"e"'
    inside = (await filled.post(f"dag/resolve?arg={cid}/c/d")).value
    assert inside == {"Cid": {"/": cid}, "RemPath": "/c/d"}
    through = (await filled.post(f"dag/resolve?arg={cid}/a/sub")).value
    assert through == {"Cid": {"/": SUB}, "RemPath": ""}
    stat = (await filled.post(f"dag/stat?arg={DIRECTORY}&arg={SUB}&progress=false")).value
    assert (stat["UniqueBlocks"], stat["TotalSize"], stat["SharedSize"], stat["Ratio"]) == (7, 300_346, 62, 1.0002065)


async def test_archives(filled: Door) -> None:
    archive = (await filled.post(f"dag/export?arg={DIRECTORY}")).body
    reader = CarReader()
    blocks = reader.feed(archive)
    reader.finish()
    assert len(blocks) == 7
    assert [value["Key"]["/"] for value in (await filled.post("repo/gc")).values] != []
    told = (await filled.send("dag/import?stats=true", ("x", archive))).values
    assert told == [
        {"Root": {"Cid": {"/": DIRECTORY}, "PinErrorMsg": ""}},
        {"Stats": {"BlockCount": 7, "BlockBytesCount": 300_346}},
    ]
    assert (await filled.post(f"cat?arg={DIRECTORY}/sub/b")).body == b"file b\n"
    cut = await filled.send("dag/import", ("x", archive[:-5]))
    assert cut.error.startswith("import failed after block")


async def test_mfs(filled: Door) -> None:
    async def done(target: str) -> None:
        answer = await filled.post(f"files/{target}")
        assert (answer.status, answer.body, answer.trailers) == (200, b"", {}), answer

    await done("mkdir?arg=/x/y&parents=true")
    await done(f"cp?arg=/ipfs/{DIRECTORY}&arg=/x/")
    await done(f"mv?arg=/x/{DIRECTORY}&arg=/d")
    assert (await filled.post("files/stat?arg=/d")).value == {
        "Hash": DIRECTORY,
        "Size": 0,
        "CumulativeSize": 300_346,
        "Blocks": 3,
        "Type": "directory",
    }
    assert (await filled.send("files/write?arg=/w&create=true", ("f", b"hello"))).status == 200
    written = (await filled.post("files/stat?arg=/w")).value
    assert written["Hash"] == "QmSYVhw7DFAQTznBx6ZMvX71VKuyfecVBgt8E2iruC7sCC"  # a trickle root above one leaf
    assert (await filled.send("files/write?arg=/w&offset=7", ("f", b"!"))).status == 200
    assert (await filled.post("files/read?arg=/w&offset=3")).body == b"lo\0\0!"
    assert (await filled.send("files/write?arg=/w&truncate=true", ("f", b"new"))).status == 200
    assert (await filled.post("files/read?arg=/w")).body == b"new"
    names = [entry["Name"] for entry in (await filled.post("files/ls?arg=/")).value["Entries"]]
    assert names == ["d", "w", "x"]
    refused = await filled.post("files/rm?arg=/d&arg=/w")
    assert refused.values == ["/d: path is a directory, use -r to remove directories"]
    assert refused.trailers == {"x-stream-error": "can't remove some files"}
    await filled.post("repo/gc")
    assert (await filled.post("files/read?arg=/d/a")).body == b"file a\n"
    await done("rm?arg=/d&recursive=true")
    assert (await filled.post("files/flush?arg=/x")).value["Cid"].startswith("Qm")


async def test_repositories_are_verified(filled: Door) -> None:
    told = (await filled.post("repo/verify")).values
    assert told[-1] == {"Msg": "verify complete, all blocks validated.", "Progress": 0}
    assert [value["Progress"] for value in told[:-1]] == list(range(1, len(told)))
    assert (await filled.post("repo/version?encoding=text")).text == "ipfs repo version fs-repo@18\n"
