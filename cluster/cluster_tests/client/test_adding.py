"""`add` and `add_car` of both clients: what is sent, answers read meanwhile, failures on either side."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster_tests.client.conftest import Connect, Threaded, listed, raised, telling
from ipfs_cluster.client import BadRequest, BrokenStream, Content, SourceError, StreamFailed, Unauthorized, Unreachable

CID = "QmccvEeJ1S95baJ6brLwNCKc6uq89vpVEoUGcEXc5FHhaX"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\nConnection: close\r\n\r\n"
END = b"0\r\nX-Stream-Error: \r\n\r\n"


def chunk(*values: object) -> bytes:
    data = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    return b"%x\r\n%b\r\n" % (len(data), data)


def added(name: str = "a") -> dict[str, object]:
    return {"name": name, "cid": CID, "bytes": 3, "size": 11, "allocations": ["A"]}


def split(asked: bytes) -> tuple[str, list[tuple[str, str, bytes]]]:
    """The path of a request, and the parts of its body: name, kind, content."""
    head, _, body = asked.partition(b"\r\n\r\n")
    boundary = head.partition(b"boundary=")[2].partition(b"\r\n")[0]
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    parts = []
    for part in body[len(boundary) + 4 : -len(boundary) - 8].split(b"\r\n--" + boundary + b"\r\n"):
        fields, _, content = part.partition(b"\r\n\r\n")
        disposition, kind = fields.decode().split("\r\n")
        assert disposition.startswith('Content-Disposition: form-data; name="file"; filename="')
        parts.append((disposition.partition("filename=")[2].strip('"'), kind.removeprefix("Content-Type: "), content))
    return head.split(b" ")[1].decode(), parts


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(100_000)


async def test_folders_files_and_content(connect: Connect, tmp_path: Path) -> None:
    folder = tmp_path / "dir"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b ü").write_bytes(b"bbb")
    (folder / ".hidden").write_bytes(b"no")
    (folder / "z").symlink_to("sub")
    (tmp_path / "one").write_bytes(b"1")
    body = chunk({"name": "", "cid": None, "bytes": 1}, added("dir/sub/b ü"), added("dir"))
    async with telling(HEAD + body + END) as told:
        found = await listed(
            connect(told.url).add(
                folder,
                str(tmp_path / "one"),
                Content("bytes", b"bb"),
                Content("file", io.BytesIO(b"ff")),
                Content("x/pieces", [b"p", b"", b"q"]),
                name="it",
                replication_min=2,
                raw_leaves=True,
                cid_version=1,
                wrap=True,
            )
        )
    assert [(value.name, value.cid, value.bytes, value.size) for value in found] == [
        ("dir/sub/b ü", CID, 3, 11),
        ("dir", CID, 3, 11),
    ]
    path, parts = split(told.asked[0])
    assert path == (
        "/add?name=it&replication-min=2&raw-leaves=true&cid-version=1&wrap-with-directory=true&recursive=true"
        "&stream-channels=true"
    )
    plain = "application/octet-stream"
    assert parts == [
        ("dir", "application/x-directory", b""),
        ("dir%2Fsub", "application/x-directory", b""),
        ("dir%2Fsub%2Fb+%C3%BC", plain, b"bbb"),
        ("dir%2Fz", "application/symlink", b"sub"),
        ("one", plain, b"1"),
        ("bytes", plain, b"bb"),
        ("file", plain, b"ff"),
        ("x%2Fpieces", plain, b"pq"),
    ]


async def test_hidden_files_and_progress(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_bytes(b"yes")
    async with telling(HEAD + chunk({"name": "", "cid": None, "bytes": 1}, added()) + END) as told:
        found = await listed(connect(told.url).add(tmp_path, hidden=True, progress=True))
    assert [value.cid for value in found] == ["", CID]
    path, parts = split(told.asked[0])
    assert path == "/add?progress=true&recursive=true&hidden=true&stream-channels=true"
    assert parts[1][2] == b"yes"


@pytest.mark.parametrize("how", ["path", "file", "bytes"])
async def test_a_car(connect: Connect, tmp_path: Path, how: str) -> None:
    (tmp_path / "x.car").write_bytes(b"blocks")
    car: Any = {"path": tmp_path / "x.car", "file": io.BytesIO(b"blocks"), "bytes": b"blocks"}[how]
    async with telling(HEAD + chunk(added("")) + END) as told:
        (root,) = await listed(connect(told.url).add_car(car, local=True))
    path, parts = split(told.asked[0])
    assert root.cid == CID
    assert path == "/add?local=true&format=car&stream-channels=true"
    assert parts[0][2] == b"blocks"


async def test_asynchronous_pieces(connect: Connect) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async with telling(HEAD + chunk(added()) + END) as told:
        client = connect(told.url)
        if isinstance(client, Threaded):
            await raised(SourceError, client.add(Content("x", pieces())))
            return
        await listed(client.add(Content("x", pieces())))
    assert split(told.asked[0])[1] == [("x", "application/octet-stream", b"ab")]


async def test_answers_are_read_while_the_body_is_sent(connect: Connect) -> None:
    """More answers than buffers hold come before the body is taken."""
    answer = HEAD + chunk(*[added("x" * 500)] * 8000)
    async with telling(answer, impatient="then read", end=END) as told:
        found = await listed(connect(told.url).add(Content("big", bytes(4_000_000))))
    assert len(found) == 8000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HEAD + chunk(added()) + b"0\r\nX-Stream-Error: \r\nX-Stream-Error: no room\r\n\r\n", StreamFailed),
        (HEAD + chunk(added()), BrokenStream),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 28\r\n\r\n{"code":400,"message":"bad"}', BadRequest),
        (b"", Unreachable),
    ],
)
async def test_an_add_that_fails(connect: Connect, answer: bytes, error: type[Exception]) -> None:
    async with telling(answer, answer) as told:
        await raised(error, connect(told.url).add(Content("a", b"a")))
    assert len(told.asked) == 1


async def test_a_refusal_before_the_body_was_sent(connect: Connect) -> None:
    refusal = b'{"code":401,"message":"unauthorized: access denied"}\n'
    answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%b" % (len(refusal), refusal)
    async with telling(answer, impatient="refuse") as told:
        error = await raised(Unauthorized, connect(told.url).add(Content("big", endless())))
    assert str(error) == "unauthorized: access denied"


async def test_an_answer_that_ends_before_everything_was_sent(connect: Connect) -> None:
    async with telling(HEAD + chunk(added()) + END, impatient="refuse") as told:
        error = await raised(BrokenStream, connect(told.url).add(Content("big", endless())))
    assert str(error) == "the answer ended before everything was sent"


async def test_a_source_that_fails_is_told_as_what_it_is(connect: Connect, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("it is gone")

    async with telling(HEAD + END, HEAD + END) as told:
        client = connect(told.url)
        assert str(await raised(LookupError, client.add(Content("x", broken())))) == "it is gone"
        os.mkfifo(tmp_path / "pipe")
        assert f"reading {tmp_path / 'pipe'}: neither a file" in str(
            await raised(SourceError, client.add(tmp_path / "pipe"))
        )


async def test_what_cannot_be_added_is_found_before_anything_is_sent(connect: Connect) -> None:
    client = connect("/ip4/127.0.0.1/tcp/1")
    for sources in ((), ("/no/such/file",)):
        with pytest.raises(SourceError):
            client.add(*sources) if not isinstance(client, Threaded) else await client.add(*sources)


async def test_a_host_that_is_not_there_is_followed_by_the_next(connect: Connect) -> None:
    async with telling(HEAD + chunk(added()) + END) as told:
        assert len(await listed(connect("/ip4/127.0.0.1/tcp/1", told.url).add(Content("a", b"a")))) == 1


async def test_a_host_that_took_some_of_the_body_is_not(connect: Connect) -> None:
    async with telling(b"") as first, telling(HEAD + END) as second:
        await raised(Unreachable, connect(first.url, second.url).add(Content("a", b"a")))
    assert second.asked == []
