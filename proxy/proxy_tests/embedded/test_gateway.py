"""The trustless gateway: what it serves, and what it leaves to others."""

from __future__ import annotations

import pytest

from ipfs_cluster import cid as cids
from ipfs_cluster.car import CarReader
from proxy_tests.embedded.client import Answer
from proxy_tests.embedded.conftest import Door
from proxy_tests.embedded.test_content import DIRECTORY, FILE_A, FILE_C, MISSING, SUB, filled

__all__ = ["filled"]

RAW, CAR = {"Accept": "application/vnd.ipld.raw"}, {"Accept": "application/vnd.ipld.car"}
LEAVES = ["QmQZ3JEYuakfmd8yqHWLUwUEZHG8tpRdDA3RrCfcv28rcC", "QmXQWJp4VqeoGTQtGYvCzZGz3SSGDGhQKFmtAzuv8Yiatf"]
FILE_B = "QmZjQ3ywcpYdG98v5QLagp12FZGUxrTDa7ym8AXtQKrqrC"


def archived(answer: Answer) -> tuple[list[str], list[str]]:
    """Roots and blocks of a CAR, which are verified."""
    assert answer.status == 200, answer
    reader = CarReader()
    blocks = [cids.text(block.cid) for block in reader.feed(answer.body)]
    reader.finish()
    return [cids.text(root) for root in reader.roots], blocks


async def test_a_block(filled: Door) -> None:
    for target, headers in ((f"/ipfs/{FILE_A}?format=raw", {}), (f"/ipfs/{FILE_A}", RAW)):
        answer = await filled.get(target, headers)
        assert answer.body == b"\n\r\x08\x02\x12\x07file a\n\x18\x07"
        answer.headers.pop("Date")
        location = answer.headers.pop("Content-Location", None)
        assert location == (f"/ipfs/{FILE_A}?format=raw" if headers else None)
        name = f"attachment; filename=\"{FILE_A}.bin\"; filename*=UTF-8''{FILE_A}.bin"
        assert answer.headers == {
            "Accept-Ranges": "none",
            "Cache-Control": "public, max-age=29030400, immutable",
            "Content-Disposition": name,
            "Content-Type": "application/vnd.ipld.raw",
            "Etag": f'"{FILE_A}.raw"',
            "X-Content-Type-Options": "nosniff",
            "X-Ipfs-Path": f"/ipfs/{FILE_A}",
            "X-Ipfs-Roots": FILE_A,
            "Content-Length": "15",
            "Connection": "close",
        }


async def test_heads_and_what_a_client_has_already(filled: Door) -> None:
    answer = await filled.get(f"/ipfs/{FILE_A}?format=raw", method="HEAD")
    assert (answer.status, answer.headers["Content-Length"]) == (200, "15")
    archive = await filled.get(f"/ipfs/{DIRECTORY}?format=car", method="HEAD")
    assert (archive.status, "Transfer-Encoding" in archive.headers) == (200, False)
    for tag in (f'"{FILE_A}.raw"', f'W/"{FILE_A}.raw"', "*"):
        assert (await filled.get(f"/ipfs/{FILE_A}?format=raw", {"If-None-Match": tag})).status == 304
    assert (await filled.get(f"/ipfs/{FILE_A}?format=raw", {"If-None-Match": '"x"'})).status == 200


@pytest.mark.parametrize(
    ("path", "root", "blocks"),
    [
        ("", DIRECTORY, [DIRECTORY, FILE_A, FILE_C, *LEAVES, SUB, FILE_B]),
        ("/sub", SUB, [DIRECTORY, SUB, FILE_B]),
        ("/sub/b", FILE_B, [DIRECTORY, SUB, FILE_B]),
    ],
)
async def test_archives_of_paths(filled: Door, path: str, root: str, blocks: list[str]) -> None:
    answer = await filled.get(f"/ipfs/{DIRECTORY}{path}?format=car")
    assert archived(answer) == ([root], blocks)
    assert answer.headers["Content-Type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("/c?format=car&dag-scope=block", [DIRECTORY, FILE_C]),
        ("/c?format=car&dag-scope=entity", [DIRECTORY, FILE_C, *LEAVES]),
        ("?format=car&dag-scope=entity", [DIRECTORY]),
    ],
)
async def test_scopes(filled: Door, query: str, blocks: list[str]) -> None:
    assert archived(await filled.get(f"/ipfs/{DIRECTORY}{query}"))[1] == blocks


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (f"/ipfs/{FILE_A}", {}, 406),
        (f"/ipfs/{FILE_A}", {"Accept": "text/html"}, 406),
        (f"/ipfs/{FILE_A}?format=tar", RAW, 406),
        (f"/ipfs/{DIRECTORY}/a?format=raw", {}, 406),
        (f"/ipfs/{DIRECTORY}", {"Accept": "application/vnd.ipld.car; dups=y"}, 406),
        (f"/ipfs/{DIRECTORY}?format=car&entity-bytes=0:1", {}, 406),
        (f"/ipfs/{DIRECTORY}", {"Accept": "application/vnd.ipld.car; version=2"}, 400),
        (f"/ipfs/{DIRECTORY}?format=car&car-order=nosuch", {}, 400),
        (f"/ipfs/{DIRECTORY}?format=car&dag-scope=nosuch", {}, 400),
        ("/ipfs/foo?format=raw", {}, 400),
        ("/ipfs/?format=raw", {}, 400),
        (f"/ipfs/{DIRECTORY}/nosuch?format=car", {}, 404),
        (f"/ipfs/{MISSING}?format=raw", {}, 404),
        (f"/ipfs/{MISSING}?format=raw", {"Cache-Control": "only-if-cached"}, 412),
        (f"/ipfs/{MISSING}?format=car", {"Cache-Control": "only-if-cached"}, 412),
        (f"/ipns/{MISSING}?format=raw", {}, 404),
    ],
)
async def test_what_is_refused(filled: Door, target: str, headers: dict[str, str], status: int) -> None:
    answer = await filled.get(target, headers)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
    assert (await filled.get(target, headers, method="HEAD")).status == status


async def test_an_archive_of_what_is_only_half_here_is_cut(filled: Door) -> None:
    await filled.post(f"block/rm?arg={LEAVES[1]}")
    answer = await filled.get(f"/ipfs/{DIRECTORY}?format=car", {"User-Agent": "Go-http-client/1.1"})
    assert (answer.status, answer.cut, answer.trailers) == (200, True, {})


async def test_the_query_comes_before_the_header(filled: Door) -> None:
    assert (await filled.get(f"/ipfs/{FILE_A}?format=raw", CAR)).headers["Content-Type"] == RAW["Accept"]
    assert archived(await filled.get(f"/ipfs/{FILE_A}?format=car", RAW)) == ([FILE_A], [FILE_A])
