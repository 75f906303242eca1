"""`POST /add` of the REST API with curl and ipfs-cluster-ctl, on real nodes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from compat_tests.harness.http import Answer, connect, multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually, reset_peak, resident_mb
from compat_tests.harness.service import Service
from compat_tests.harness.tools import tool
from ipfs_cluster import cid as cids


def curl(service: Service, query: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An upload, as a person would make it."""
    url = f"http://127.0.0.1:{service.rest_port}/add?{query}"
    command = [tool("curl"), "-sS", "-i", "-X", "POST", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def values(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The JSON values of a 200."""
    head, _, body = done.stdout.partition("\n\n")
    assert done.returncode == 0, done.stderr
    assert " 200 " in head.splitlines()[0], done.stdout
    return [json.loads(line) for line in body.splitlines()]


def test_curl_adds_a_file_to_three_nodes(cluster: Service, trio: list[KuboNode], tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(b"hello rest\n")
    (added,) = values(curl(cluster, "name=hello&meta-a=b", "-F", f"file=@{tmp_path / 'hello.txt'}"))
    cid = str(added["cid"])
    assert added["name"] == "hello.txt"
    assert len(added["allocations"]) == 3  # type: ignore[arg-type]
    assert all(cid in node.pins("recursive") for node in trio)
    assert cluster.pinned_everywhere(cid)
    assert cluster.pins()[cid] == "hello"


def test_a_tree_added_by_ctl_has_the_cids_of_the_daemons_own_add(
    cluster: Service, bare: KuboNode, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a b.txt").write_bytes(b"a" * 300_000)
    (tree / "sub" / "ü").write_bytes(b"")
    done = cluster.ctl("add", "-r", "--name", "tree", str(tree))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = bare.cli("add", "-r", "--cid-version=0", str(tree))
    assert sorted(done.stdout.splitlines()) == sorted(expected.splitlines())
    root = done.stdout.splitlines()[-1].split()[1]
    assert cluster.pinned_everywhere(root)


def ask(service: Service, query: str, *files: tuple[str, bytes]) -> Answer:
    """One upload; the whole answer."""
    headers, body = multipart(*((name, content, "application/octet-stream") for name, content in files))
    return post(("127.0.0.1", service.rest_port), f"/add?{query}", headers=headers, body=body)


def told(answer: Answer) -> list[dict[str, object]]:
    """The values of a 200."""
    assert (answer.status, answer.cut) == (200, False), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize(
    ("query", "daemon"),
    [
        ("", {"cid-version": "0", "raw-leaves": "false"}),
        ("cid-version=1", {"cid-version": "1"}),
        ("raw-leaves=true&chunker=size-1000", {"cid-version": "0", "raw-leaves": "true", "chunker": "size-1000"}),
        ("layout=trickle", {"cid-version": "0", "raw-leaves": "false", "trickle": "true"}),
        ("hash=blake2b-256", {"hash": "blake2b-256"}),
        ("chunker=rabin-1000-2000-4000&wrap-with-directory=true",
         {"cid-version": "0", "raw-leaves": "false", "chunker": "rabin-1000-2000-4000", "wrap-with-directory": "true"}),
        ("inline=true&inline-limit=64&cid-version=1", {"inline": "true", "inline-limit": "64", "cid-version": "1"}),
    ],
)  # fmt: skip
def test_cids_are_the_daemons_whatever_its_import_configuration(
    query: str, daemon: dict[str, str], bare: KuboNode, peculiar: Service
) -> None:
    for content in (b"small", Random(1).randbytes(400_000)):
        expected = bare.add(content, **daemon)
        assert [item["cid"] for item in told(ask(peculiar, query, ("file", content)))][-1] == expected
        assert peculiar.nodes[0].pins("recursive").get(expected) is not None


@pytest.fixture(scope="module")
def peculiar(kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service before a node whose own `add` makes other CIDs than ipfs-cluster's."""
    settings = {"Import.CidVersion": 1, "Import.UnixFSChunker": "size-1048576", "Import.UnixFSFileMaxLinks": 1024}
    service = Service(tmp_path_factory.mktemp("peculiar") / "service", [kubo_factory(settings)])
    service.start()
    yield service
    service.stop()


# --- CAR ---


def block(content: bytes) -> tuple[bytes, bytes]:
    """A raw block: its CID in bytes, and its section in a CAR."""
    cid = b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
    size = len(cid) + len(content)
    return cid, bytes([size & 0x7F | 0x80, size >> 7]) + cid + content


def car(*contents: bytes, roots: int) -> bytes:
    """A CAR of raw blocks of 100 to 1,000 bytes, the first of which are its roots."""
    blocks = [block(content) for content in contents]
    links = b"".join(b"\xd8\x2a\x58" + bytes([len(cid) + 1, 0]) + cid for cid, _ in blocks[:roots])
    header = b"\xa2\x65roots" + bytes([0x80 + roots]) + links + b"\x67version\x01"
    return bytes([len(header)]) + header + b"".join(section for _, section in blocks)


def test_car_files(cluster: Service, trio: list[KuboNode]) -> None:
    one, two, three = (os.urandom(500) for _ in range(3))
    texts = [cids.text(cids.from_bytes(block(content)[0])) for content in (one, two, three)]
    whole = car(one, two, three, roots=2)
    items = told(ask(cluster, "format=car&name=both", ("my.car", whole)))
    assert {(item["name"], item["cid"], item["bytes"]) for item in items} == {
        ("my.car", texts[0], 1500),
        ("my.car", texts[1], 1500),
    }
    assert all({texts[0], texts[1]} <= set(node.pins("recursive")) for node in trio)
    assert cluster.pins() == {texts[0]: "both", texts[1]: "both"}

    before = cluster.pins()
    for name, content, reason in (
        ("no roots", car(three, roots=0), "the CAR file has no roots"),
        ("cut in a block", car(three, os.urandom(500), roots=1)[:-100], "unexpected EOF"),
        ("no CAR", b"what is this", ""),
    ):
        answer = ask(cluster, "format=car", (name, content))
        assert answer.status in (400, 500), (name, answer.text)
        assert reason in json.loads(answer.text)["message"], (name, answer.text)
    lost = os.urandom(500)
    answer = ask(cluster, "format=car", ("cut at a block's border", car(lost, roots=1)[: -len(block(lost)[1])]))
    assert "of the CAR file cannot be pinned" in json.loads(answer.text)["message"]
    eventually(lambda: cluster.pins() == before, "nothing more was pinned")
    eventually(lambda: all(set(node.pins("recursive")) == set(before) for node in trio), "nor on a node")


# --- where it goes ---


def test_local_and_no_pin(cluster: Service, trio: list[KuboNode]) -> None:
    content = os.urandom(300_000)
    (item,) = told(ask(cluster, "local=true&name=here", ("f", content)))
    assert all(item["cid"] in node.pins("recursive") for node in trio), "copies were made before the answer"
    content = os.urandom(300_000)
    (item,) = told(ask(cluster, "no-pin=true", ("f", content)))
    assert not any(item["cid"] in node.pins("recursive") for node in trio)
    assert trio[0].rpc("block/stat", ("arg", str(item["cid"])), ("offline", "true")).status == 200
    assert item["cid"] not in cluster.pins()


def test_a_large_upload_streams_through(cluster: Service) -> None:
    size, piece = 200_000_000, Random(2).randbytes(1_000_000)
    (head, body), end = multipart(("big", b"", "application/octet-stream")), b"\r\n--BoundaryOfTheTests--\r\n"
    start = body.removesuffix(end)
    fields = {"Host": "x", **head, "Content-Length": str(len(start) + size + len(end))}
    assert cluster.child is not None
    pid = cluster.child.process.pid
    reset_peak(pid)
    before = resident_mb(pid)
    with connect(("127.0.0.1", cluster.rest_port)) as sock:
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        sock.sendall(f"POST /add HTTP/1.1\r\n{lines}\r\n".encode() + start)
        for number in range(size // len(piece)):
            sock.sendall(number.to_bytes(8, "big") + piece[8:])
        sock.sendall(end)
        answer = sock.makefile("rb").read()
    assert b'"name":"big","cid":"Qm' in answer
    assert resident_mb(pid, peak=True) - before < 60


# --- crowds ---


def test_stalled_clients_hinder_nobody_and_leave_nothing(cluster: Service, trio: list[KuboNode]) -> None:
    before = {node.port: set(node.pins("recursive")) for node in trio}
    head, body = multipart(("f", os.urandom(200_000), "application/octet-stream"))
    fields = {"Host": "x", **head, "Content-Length": "1000000"}
    upload = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n" + body[:-10]
    with ExitStack() as crowd:
        for number in range(120):
            sock = crowd.enter_context(connect(("127.0.0.1", cluster.rest_port)))
            sock.sendall(b"POST /add HTTP/1.1\r\n" + upload if number % 2 else b"GET /pins HTTP/1.1\r\nHo")
        eventually(lambda: adding(cluster) == 60, "the uploads have begun")
        (item,) = told(ask(cluster, "name=other", ("f", b"somebody else")))
        assert cluster.pinned_everywhere(str(item["cid"]))
    eventually(lambda: adding(cluster) == 0, "all have been broken off")
    after = {node.port: set(node.pins("recursive")) - {item["cid"]} for node in trio}
    assert after == before
    assert list(cluster.pins()) == [item["cid"]]
    assert cluster.rest("/pins/foreign") == []


def adding(service: Service) -> int:
    """How many adds are in progress."""
    answer = post(("127.0.0.1", service.rest_port), "/metrics", method="GET")
    found = re.search(r"^ipfscluster_ingest_in_progress (\d+)", answer.text, re.MULTILINE)
    assert found is not None
    return int(found[1])
