"""Adding otherwise than by `add`, and the repository commands: the same requests to a bare Kubo and to its twin."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from compat_tests.harness.http import file_part, multipart, post
from compat_tests.harness.twins import Twins, normal

F, G, BIG = file_part("f", b"hello\n"), file_part("g", b"world\n"), file_part("big", b"x" * (3 << 20))
J, K = file_part("j", b'{"a":1}'), file_part("k", b'{"b":[2]}')

PUTS = {
    "block": ("block/put?pin=true", (F, G)),
    "block, text": ("block/put?pin=true&encoding=text", (F, G)),
    "block, xml": ("block/put?pin=true&encoding=xml", (F, G)),
    "block, base": ("block/put?pin=true&cid-base=base36", (F, G)),
    "block, bad base": ("block/put?pin=true&cid-base=nosuch", (F,)),
    "block, format": ("block/put?pin=true&format=v0&mhtype=sha2-256", (file_part("e", b""),)),
    "block, codec": ("block/put?pin=true&cid-codec=dag-cbor", (file_part("n", b"\xa0"),)),
    "block, hash": ("block/put?pin=true&mhtype=sha3-256", (F,)),
    "block, bad hash": ("block/put?pin=true&mhtype=nosuch", (F,)),
    "block without pin": ("block/put", (F, G)),
    "block, bad bool": ("block/put?pin=maybe", (F,)),
    "block, nothing": ("block/put?pin=true", ()),
    "block, bad timeout": ("block/put?pin=true&timeout=30", (F,)),
    "big block allowed": ("block/put?pin=true&allow-big-block=true", (BIG,)),
    "node": ("dag/put?pin=true", (J, K)),
    "node, text": ("dag/put?pin=true&encoding=text", (J, K)),
    "node, base": ("dag/put?pin=true&cid-base=base36", (J, K)),
    "node, codec": ("dag/put?pin=true&store-codec=dag-json", (J,)),
    "node, bad codec": ("dag/put?pin=true&store-codec=nosuch", (J,)),
    "node, hash": ("dag/put?pin=true&hash=sha2-512", (J,)),
    "node without pin": ("dag/put", (J, K)),
    "node, nothing": ("dag/put?pin=true", ()),
    "node, no json": ("dag/put?pin=true", (file_part("x", b"nonsense"),)),
    "node with a missing child": ("dag/put?pin=true&timeout=300ms", (file_part("m", b'{"c":{"/":"%MISSING%"}}'),)),
}
MISSING = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest.mark.parametrize("case", PUTS)
def test_putting(twins: Twins, case: str) -> None:
    twins.reset()
    path, parts = PUTS[case]
    headers, body = multipart(*parts)
    direct, proxied = twins.both(f"/api/v0/{path}", headers=headers, body=body.replace(b"%MISSING%", MISSING.encode()))
    assert normal(proxied) == normal(direct)
    assert_same_pins(twins)


def test_too_big_a_block_is_no_pin(twins: Twins) -> None:
    """Kubo pins it before it complains; the cluster does not keep what was refused."""
    twins.reset()
    headers, body = multipart(F, BIG, G)
    direct, proxied = twins.both("/api/v0/block/put?pin=true", headers=headers, body=body)
    assert normal(proxied) == normal(direct)
    cid = json.loads(proxied.text)["Key"]
    assert set(twins.service.pins()) == {cid, twins.names["dir"], twins.names["direct"]}


def test_a_node_that_pinned_nothing_is_found_out(twins: Twins) -> None:
    """Kubo answers cut input with success, and without a pin."""
    twins.reset()
    headers, body = multipart(J, file_part("x", b'{"b"'))
    direct, proxied = twins.both("/api/v0/dag/put?pin=true", headers=headers, body=body)
    assert (direct.status, direct.trailers) == (200, {})
    assert proxied.status == 500
    assert "did not pin it" in json.loads(proxied.text)["Message"]
    assert set(twins.service.pins()) == {twins.names["dir"], twins.names["direct"]}


def assert_same_pins(twins: Twins) -> None:
    """Names apart: Kubo forgets the name of what is added again, the cluster keeps it."""
    direct, proxied = twins.both("/api/v0/pin/ls?type=recursive")
    assert normal(proxied) == normal(direct)


def car(twins: Twins, name: str) -> bytes:
    return post(twins.bare.address, f"/api/v0/dag/export?arg={twins.names[name]}").body


def headless(roots: str) -> bytes:
    """The header of a CAR with these roots as they are in dag-cbor, and no block."""
    header = bytes.fromhex("a265726f6f7473") + bytes.fromhex(roots) + bytes.fromhex("6776657273696f6e01")
    return bytes([len(header)]) + header


IMPORTS = {
    "one": ("", ("dir",)),
    "stats": ("stats=true", ("dir",)),
    "no stats": ("stats=false", ("dir",)),
    "two": ("stats=true", ("dir", "file")),
    "the same twice": ("stats=true", ("file", "file")),
    "text": ("encoding=text", ("dir",)),
    "text with stats": ("encoding=text&stats=true", ("v1",)),
    "text and silent": ("encoding=text&silent=true&stats=true", ("dir",)),
    "silent": ("silent=true", ("dir",)),
    "xml": ("encoding=xml&stats=true", ("v1",)),
    "without pin": ("pin-roots=false&stats=true", ("dir",)),
    "local only": ("local-only=true&stats=true", ("dir",)),
    "contradiction": ("local-only=true&pin-roots=true", ("dir",)),
    "bad bool": ("pin-roots=maybe", ("dir",)),
    "bad encoding": ("encoding=nosuch", ("dir",)),
    "nothing": ("", ()),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_importing(twins: Twins, case: str) -> None:
    twins.reset()
    query, names = IMPORTS[case]
    headers, body = multipart(*(file_part("car", car(twins, name)) for name in names))
    direct, proxied = twins.both(f"/api/v0/dag/import?{query}", headers=headers, body=body)
    assert normal(proxied, ordered=len(names) < 2) == normal(direct, ordered=len(names) < 2)
    assert_same_pins(twins)


@pytest.mark.parametrize("case", ["garbage", "empty", "cut in a block", "cut at a border", "no roots", "absent root"])
def test_importing_what_is_broken(twins: Twins, case: str) -> None:
    twins.reset()
    whole = car(twins, "file")
    content = {
        "garbage": b"no CAR at all",
        "empty": b"",
        "cut in a block": whole[:-3],
        "cut at a border": whole[: whole.index(b"version\x01") + 8],
        "no roots": headless("80"),
        "absent root": headless("81d82a58250001551220" + "11" * 32),
    }[case]
    headers, body = multipart(file_part("car", content))
    direct, proxied = twins.both("/api/v0/dag/import?stats=true&timeout=500ms", headers=headers, body=body)
    assert normal(proxied) == normal(direct)
    assert_same_pins(twins)


REPO = [
    "repo/stat?size-only=true&encoding=text",
    "repo/stat?nosuch=1&size-only=maybe",
    "repo/stat?timeout=x",
    "repo/gc?silent=true",
    "repo/gc?quiet=maybe",
    "repo/gc?encoding=nosuch",
]


@pytest.fixture
def collected(twins: Twins) -> Iterator[Twins]:
    """The twins without garbage; their content is there again afterwards."""
    twins.reset()
    twins.both("/api/v0/repo/gc")
    yield twins
    twins.put_content()


@pytest.mark.parametrize("path", REPO)
def test_repository(collected: Twins, path: str) -> None:
    twins = collected
    direct, proxied = twins.both(f"/api/v0/{path}")
    if "text" in path:
        assert [line.split(b":")[0] for line in proxied.body.splitlines()] == [
            line.split(b":")[0] for line in direct.body.splitlines()
        ]
        return
    assert normal(proxied) == normal(direct)


@pytest.mark.parametrize("query", ["", "human=true", "size-only=true", "encoding=text", "encoding=text&human=true"])
def test_stat_of_one_node_is_that_nodes_own(twins: Twins, query: str) -> None:
    node = twins.service.nodes[0]
    direct, proxied = (post(address, f"/api/v0/repo/stat?{query}") for address in (node.address, twins.service.address))
    assert normal(proxied) == normal(direct)


@pytest.mark.parametrize(
    "query", ["", "encoding=text", "encoding=text&quiet=true", "stream-errors=true", "encoding=xml"]
)
def test_collecting_frees_what_a_bare_node_frees(collected: Twins, query: str) -> None:
    twins = collected
    headers, body = multipart(file_part("garbage", f"garbage {query}".encode()))
    twins.both("/api/v0/add?pin=false", headers=headers, body=body)
    direct, proxied = twins.both(f"/api/v0/repo/gc?{query}")
    assert normal(proxied) == normal(direct)
    assert direct.body


def test_add_in_xml(twins: Twins) -> None:
    twins.reset()
    headers, body = multipart(file_part("a & b", b"x\n"))
    direct, proxied = twins.both("/api/v0/add?encoding=xml&progress=true", headers=headers, body=body)
    assert normal(proxied) == normal(direct)


def test_what_was_put_is_a_pin_of_the_cluster(twins: Twins) -> None:
    twins.reset()
    headers, body = multipart(F)
    _, proxied = twins.both("/api/v0/block/put?pin=true&name=cluster+name", headers=headers, body=body)
    cid = json.loads(proxied.text)["Key"]
    assert twins.service.pins()[cid] == "cluster name"
    assert twins.service.pinned_everywhere(cid)
