"""The importer beside a real Kubo: random trees with random options give the same lines, or the same refusal."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.harness.http import file_part, multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.random_trees import Item, Line, Maker, asked, imported, query, upload, wavers
from ipfs_cluster import cid as cids
from ipfs_cluster.car import CarReader, head, section
from ipfs_cluster.ipld import dagcbor, dagjson
from ipfs_cluster.ipld.values import CidLink, Value
from ipfs_cluster.unixfs import Estimation

THRESHOLD, ESTIMATION = "Import.UnixFSHAMTDirectorySizeThreshold", "Import.UnixFSHAMTDirectorySizeEstimation"

# Name → what the node is configured with, and the same for the importer.
CONFIGURED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it comes": ({}, {}),
    "small HAMTs by links": ({THRESHOLD: "200B"}, {"hamt_threshold": 200}),
    "small HAMTs by blocks": (
        {THRESHOLD: "300B", ESTIMATION: "block"},
        {"hamt_threshold": 300, "estimation": Estimation.BLOCK},
    ),
    "HAMTs by number only": (
        {THRESHOLD: "200B", ESTIMATION: "disabled"},
        {"hamt_threshold": 200, "estimation": Estimation.DISABLED},
    ),
    "no HAMTs": ({THRESHOLD: "0"}, {"hamt_threshold": 0}),
}
HASHES_REFUSED = (
    "potentially insecure hash functions not allowed",
    "unknown multihash code 28 (0x1c): no such hash registered",
)
COUNTS = {"as it comes": 160, "small HAMTs by links": 70, "small HAMTs by blocks": 70}
LONG = {"as it comes": 900, "small HAMTs by links": 400, "small HAMTs by blocks": 400, "HAMTs by number only": 200}
LONG["no HAMTs"] = 100


def _added(
    node: KuboNode, options: dict[str, str], headers: dict[str, str], body: bytes
) -> tuple[list[Line], str | None]:
    """The lines of `add`, and its error."""
    still = {"pin": "false", "progress": "false", "fast-provide-root": "false"}
    answer = post(node.address, f"/api/v0/add?{query({**options, **still})}", headers=headers, body=body)
    if answer.status != 200:
        return [], json.loads(answer.text)["Message"]
    events = [json.loads(line) for line in answer.text.splitlines()]
    lines = [(event["Name"], bytes(cids.parse(event["Hash"])), event.get("Size", "0")) for event in events]
    return lines, answer.trailers.get("x-stream-error")


def _compare(node: KuboNode, seeds: range, more: dict[str, Any]) -> None:
    compared = 0
    for seed in seeds:
        maker = Maker(seed)
        options, top = maker.options(), maker.tree()
        settled = asked(options, **more)
        lines, error = _added(node, options, *upload(top))
        ours, _, refusal = imported(top, settled)
        if error is not None and "identity digest" in error:
            continue  # the daemon keeps a directory of its own beside what is added, which is too large as well
        if error is None and refusal is None and wavers(top, ours, settled):
            continue
        if error is None and "inline" in options and refusal in HASHES_REFUSED:
            continue  # nothing was hashed there: all was inlined
        error = error and error.removeprefix("invalid cid: ")
        assert refusal == error, f"seed {seed}: {options}"
        if error is None:
            assert ours == lines, f"seed {seed}: {options}"
        compared += 1
    assert compared > len(seeds) * 0.8


@pytest.mark.parametrize("configured", COUNTS)
def test_random_trees(kubo_factory: Callable[..., KuboNode], configured: str) -> None:
    settings, more = CONFIGURED[configured]
    _compare(kubo_factory(settings), range(COUNTS[configured]), more)


@pytest.mark.long
@pytest.mark.parametrize("configured", LONG)
def test_many_random_trees(kubo_factory: Callable[..., KuboNode], configured: str) -> None:
    settings, more = CONFIGURED[configured]
    _compare(kubo_factory(settings), range(10_000, 10_000 + LONG[configured]), more)


def test_archives_go_there_and_come_back(bare: KuboNode) -> None:
    content = random.Random(5).randbytes(300_000)
    top = Item("directory", "top", below=[Item("file", "f", content), Item("file", "e"), Item("symlink", "l", b"f")])
    lines, blocks, _ = imported(top, asked({"cid-version": "1", "chunker": "size-1000", "max-file-links": "20"}))
    root = cids.from_bytes(lines[-1][1])
    stored = {block.cid: block.data for block in blocks}
    archive = head([root]) + b"".join(
        [part for block in blocks for part in section(block.cid, block.parts, block.size)]
    )
    headers, body = multipart(file_part("car", archive))
    answer = post(bare.address, "/api/v0/dag/import?stats=true&pin-roots=true&timeout=20s", headers=headers, body=body)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert told[0] == {"Root": {"Cid": {"/": cids.text(root)}, "PinErrorMsg": ""}}
    assert told[1]["Stats"]["BlockCount"] == len(blocks)
    assert bare.rpc("cat", ("arg", f"{cids.text(root)}/f")).body == content
    exported = bare.rpc("dag/export", ("arg", cids.text(root))).body
    reader = CarReader(unique=True)
    back = {block.cid: block.data for block in reader.feed(exported)}
    reader.finish()
    assert back == stored
    assert reader.roots == (root,)
    bare.rpc("pin/rm", ("arg", cids.text(root)))


def test_cbor_is_the_daemons(bare: KuboNode) -> None:
    link = cids.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
    value: dict[str, Value] = {
        "bb": [1, -1, 1 << 40, 0.5, None, True, "ä"],
        "a": CidLink(link),
        "cc": {"x": b"\0\1"},
        "": {},
    }
    written = {**value, "a": {"/": cids.text(link)}, "cc": {"x": {"/": {"bytes": "AAE"}}}}
    headers, body = multipart(file_part("n", json.dumps(written).encode()))
    answer = post(bare.address, "/api/v0/dag/put", headers=headers, body=body)
    raw = bare.rpc("block/get", ("arg", json.loads(answer.text)["Cid"]["/"])).body
    assert dagcbor.encode(value) == raw
    assert dagcbor.decode(raw) == value


def test_json_is_the_daemons(bare: KuboNode) -> None:
    """Written and read, as one list of values."""
    roll = random.Random(11)
    floats = [roll.choice([1, -1]) * roll.random() * 10.0 ** roll.randint(-30, 30) for _ in range(200)]
    texts = ["".join(chr(roll.choice([roll.randint(0, 200), 0x2028, 0x1F600])) for _ in range(20)) for _ in range(50)]
    link = cids.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
    value: list[Value] = [*floats, *texts, CidLink(link), b"\xff\xfe", dict.fromkeys(texts, 1), -(1 << 63), {}]
    headers, body = multipart(file_part("n", dagcbor.encode(value)))
    answer = post(bare.address, "/api/v0/dag/put?input-codec=dag-cbor", headers=headers, body=body)
    cid = json.loads(answer.text)["Cid"]["/"]
    assert dagjson.encode(value) == bare.rpc("dag/get", ("arg", cid)).body
    readable = [item for item in value if not isinstance(item, float) or not item.is_integer()]
    headers, body = multipart(file_part("n", dagjson.encode(readable)))
    answer = post(bare.address, "/api/v0/dag/put", headers=headers, body=body)
    assert bare.rpc("block/get", ("arg", json.loads(answer.text)["Cid"]["/"])).body == dagcbor.encode(readable)
