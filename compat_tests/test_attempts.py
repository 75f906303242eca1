"""Attempts at pins on real daemons: kinds of failure by their words, fetching by refs, origins, updates, cancelling."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.http import connect, multipart
from compat_tests.harness.kubo import KuboNode as Daemon
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from ipfs_cluster import cid as cids
from ipfs_cluster.attempt import NodeCalls, Operation, TrackerSettings
from ipfs_cluster.cid import Cid
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.core.failures import Failure, classify
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import NodePin, PeerId, PinMode, TrackerStatus, Work
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.strangers import Strangers

PEER = PeerId("peer")
STALL = 2.0
RAW_LEAVES = {"raw-leaves": "true", "cid-version": "1"}
RAW, DAG_PB, UNKNOWN = b"\x01\x55", b"\x01\x70", b"\x01\xcd\xd7\x02"


def sha2_256() -> bytes:
    """A multihash of what nobody has."""
    return b"\x12\x20" + os.urandom(32)


@pytest.fixture
def add_raw(bare: Daemon) -> Callable[[], Cid]:
    """Puts a raw block on the bare node."""
    return lambda: cids.parse(bare.add(os.urandom(100), pin="false", **RAW_LEAVES))


async def attempt(daemon: Daemon, work: Work, settings: TrackerSettings = TrackerSettings(pin_timeout=STALL)) -> str:
    """Make one attempt; the words of its failure."""
    clock = SystemClock()
    store = MemoryStore(clock)
    await store.open()
    node = KuboNode(HttpTransport(Endpoint(*daemon.address)))
    try:
        calls = NodeCalls(PEER, node, store, clock, settings, Strangers(lambda _cid: None))
        await calls.pin(Operation(work))
    except NodeError as error:
        return str(error)
    finally:
        await node.close()
    return ""


def row(cid: Cid, mode: PinMode = PinMode.RECURSIVE, name: str = "", old: Cid | None = None) -> Work:
    return Work(PEER, cid, TrackerStatus.PIN_QUEUED, mode, 1, name=name, pin_update=old)


async def failure(daemon: Daemon, cid: Cid, **options: object) -> Failure:
    words = await attempt(daemon, row(cid, **options))  # type: ignore[arg-type]
    assert words
    return classify(words)


async def test_a_pin_of_somebody_else_is_seen_as_it_is(bare: Daemon, add_raw: Callable[[], Cid]) -> None:
    cid, other = add_raw(), add_raw()
    bare.rpc("pin/add", ("arg", cids.text(cid)), ("name", "theirs"))
    bare.rpc("pin/add", ("arg", cids.text(other)), ("recursive", "false"))
    node = KuboNode(HttpTransport(Endpoint(*bare.address)))
    try:
        assert await node.pinned(cid, PinMode.DIRECT) == NodePin(cid, PinMode.RECURSIVE, "theirs")
        assert await node.pinned(other, PinMode.DIRECT) == NodePin(other, PinMode.DIRECT)
        assert await node.pinned(other, PinMode.RECURSIVE) is None
    finally:
        await node.close()


async def test_what_a_daemon_never_pins_is_invalid(bare: Daemon, add_raw: Callable[[], Cid]) -> None:
    block = add_raw()
    for cid in (
        RAW + b"\x22\x08" + os.urandom(8),
        RAW + b"\x12\x04" + os.urandom(4),
        RAW + b"\x00\xc8\x01" + os.urandom(200),
        DAG_PB + cids.parse(bare.add(b"no protobuf" * 9, pin="false", **RAW_LEAVES))[2:],
        UNKNOWN + block[2:],
    ):
        assert await failure(bare, cids.from_bytes(cid)) is Failure.INVALID
    assert await failure(bare, block, name="n" * 300) is Failure.INVALID


async def test_what_nobody_has_is_not_found_and_a_dead_daemon_unreachable(kubo_factory: Callable[..., Daemon]) -> None:
    node, missing = kubo_factory(), cids.from_bytes(RAW + sha2_256())
    for mode in PinMode:
        assert await failure(node, missing, mode=mode) is Failure.NOT_FOUND
    node.kill()
    assert await failure(node, missing) is Failure.UNREACHABLE


async def test_what_a_denylist_names_is_blocked(
    kubo_factory: Callable[..., Daemon], add_raw: Callable[[], Cid]
) -> None:
    node, cid = kubo_factory(), cids.from_bytes(RAW + sha2_256())
    node.stop()
    (node.folder / "denylists").mkdir()
    (node.folder / "denylists" / "own.deny").write_text(f"version: 1\n---\n/ipfs/{cids.text(cid)}\n")
    node.start()
    assert await failure(node, cid) is Failure.BLOCKED


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if mount is None or os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_recognised(bare: Daemon, small_disk: Path) -> None:
    node = Daemon(small_disk / "repo")
    node.init()
    node.start()
    try:
        cid = cids.parse(bare.add(os.urandom(60_000_000), pin="false"))
        address = f"/ip4/127.0.0.1/tcp/{bare.swarm}/p2p/{bare.id}"
        assert node.rpc("swarm/connect", ("arg", address)).status == 200
        assert await failure(node, cid) is Failure.DISK_FULL
    finally:
        node.stop()


async def test_a_held_pin_lock_is_told_from_missing_content(kubo_factory: Callable[..., Daemon]) -> None:
    node = kubo_factory()
    *held, cid = [cids.parse(node.add(os.urandom(100_000), pin="false")) for _ in range(100)]
    with connect(node.address) as upload:
        headers, body = multipart(("file", os.urandom(2_000_000), "application/octet-stream"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = (
            f"POST /api/v0/add?progress=true HTTP/1.1\r\nHost: x\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        upload.sendall(request + b"%x\r\n%b\r\n" % (len(body) - 100, body[:-100]))  # an add that does not end
        assert upload.recv(100).startswith(b"HTTP/1.1 200")  # it has begun, and holds the lock
        collection = threading.Thread(target=lambda: node.rpc("repo/gc"), daemon=True)
        collection.start()  # waits for the add, and everybody for it

        words = ""
        while not words:  # the collection may not wait yet
            words = await attempt(node, row(held.pop()))
        assert classify(words) is Failure.PIN_LOCK
        assert await failure(node, cid, mode=PinMode.DIRECT) is Failure.PIN_LOCK
        assert await failure(node, cids.from_bytes(RAW + sha2_256())) is Failure.NOT_FOUND
    collection.join(60)
    assert await attempt(node, row(cids.parse(node.add(os.urandom(100_000), pin="false")))) == ""


async def test_an_update_is_made_by_its_difference_and_otherwise_pinned(bare: Daemon) -> None:
    old, new, other = [cids.parse(bare.add(os.urandom(300_000), pin="false")) for _ in range(3)]
    assert await attempt(bare, row(old, name="kept")) == ""
    assert await attempt(bare, row(new, name="new", old=old)) == ""
    assert await attempt(bare, row(other, name="other", old=cids.from_bytes(RAW + sha2_256()))) == ""
    names = bare.pins()
    assert [names[cids.text(cid)] for cid in (old, new, other)] == ["kept", "kept", "other"]


async def test_refs_tells_blocks_and_fails_as_a_pin_does(bare: Daemon) -> None:
    node = KuboNode(HttpTransport(Endpoint(*bare.address)))
    cid = cids.parse(bare.add(os.urandom(3_000_000), pin="false"))
    seen: list[tuple[int, int]] = []
    await node.fetch(cid, lambda nodes, size: seen.append((nodes, size)), STALL)
    assert seen[-1] == (12, 0)
    assert seen == sorted(seen)
    assert cids.text(cid) not in bare.pins()
    for missing, kind in ((sha2_256(), Failure.NOT_FOUND), (b"\x22\x08" + os.urandom(8), Failure.INVALID)):
        with pytest.raises(NodeError) as error:
            await node.fetch(cids.from_bytes(RAW + missing), lambda _nodes, _size: None, STALL)
        assert classify(str(error.value)) is kind
    await node.close()


@pytest.mark.parametrize("raw_leaves", ["true", "false"])
async def test_refs_fetches_all_that_a_pin_needs(
    bare: Daemon, kubo_factory: Callable[..., Daemon], raw_leaves: str
) -> None:
    source = kubo_factory()
    cid = cids.parse(source.add(os.urandom(1_000_000), **{"raw-leaves": raw_leaves}))
    address = f"/ip4/127.0.0.1/tcp/{source.swarm}/p2p/{source.id}"
    assert bare.rpc("swarm/connect", ("arg", address)).status == 200
    node = KuboNode(HttpTransport(Endpoint(*bare.address)))
    await node.fetch(cid, lambda _nodes, _size: None, STALL)
    await node.close()
    source.stop()
    assert await attempt(bare, row(cid)) == ""


def test_a_cluster_that_fetches_by_refs_pins(trio: list[Daemon], service_factory: Callable[..., Service]) -> None:
    for node in trio:
        clear_pins(node)
    service = service_factory(trio, ipfs_connector={"ipfshttp": {"pin_method": "refs", "pin_timeout": "3s"}})
    cid = trio[0].add(os.urandom(3_000_000), pin="false")
    assert service.rpc("pin/add", ("arg", cid)).status == 200
    assert [set(node.pins()) for node in trio] == [{cid}] * 3
    missing = cids.text(cids.from_bytes(RAW + sha2_256()))
    asked = threading.Thread(target=lambda: service.rpc("pin/add", ("arg", missing), ("timeout", "8s")), daemon=True)
    asked.start()
    eventually(lambda: "pin_error" in service.statuses(missing).values(), "a fetch that gets nothing is given up")
    asked.join(30)


def test_content_is_fetched_from_its_origin(
    trio: list[Daemon], kubo_factory: Callable[..., Daemon], service_factory: Callable[..., Service]
) -> None:
    stranger = kubo_factory()
    service = service_factory(trio)
    cid = stranger.add(os.urandom(600_000))
    origin = f"/ip4/127.0.0.1/tcp/{stranger.swarm}/p2p/{stranger.id}"
    dead = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGRUT3nsVHUGBzqJmYqTzLNSCwQKbGkz6aVkBdhEPmQQF"
    options = (("replication-min", "1"), ("replication-max", "1"), ("origins", f"{dead},{origin}"))
    assert service.rpc("pin/add", ("arg", cid), *options).status == 200
    assert sum(cid in node.pins() for node in trio) == 1


def test_a_removed_pin_lets_go_of_the_daemon(trio: list[Daemon], service_factory: Callable[..., Service]) -> None:
    service = service_factory(trio)
    half = trio[0].add(os.urandom(600_000), pin="false")
    leaf = json.loads(trio[0].rpc("dag/get", ("arg", half)).text)["Links"][0]["Hash"]["/"]
    trio[0].rpc("block/rm", ("arg", leaf))
    asked = threading.Thread(target=lambda: service.rpc("pin/add", ("arg", half)), daemon=True)
    asked.start()
    eventually(lambda: set(service.statuses(half).values()) == {"pinning"}, "they wait for the missing part")
    assert service.rpc("pin/rm", ("arg", half)).status == 200
    for node in trio:
        assert node.rpc("repo/gc", seconds=20).status == 200  # which a pin in progress would keep waiting
    asked.join(30)


def test_a_direct_pin_becomes_recursive_while_it_is_made(
    trio: list[Daemon], kubo_factory: Callable[..., Daemon], service_factory: Callable[..., Service]
) -> None:
    late = kubo_factory()
    service = service_factory(trio)
    cid = late.add(os.urandom(600_000))
    answers: list[int] = []

    def ask(recursive: str) -> threading.Thread:
        options = (("arg", cid), ("recursive", recursive))
        thread = threading.Thread(target=lambda: answers.append(service.rpc("pin/add", *options).status), daemon=True)
        thread.start()
        return thread

    direct = ask("false")
    eventually(lambda: set(service.statuses(cid).values()) == {"pinning"}, "it is being pinned directly")
    recursive = ask("true")
    eventually(lambda: service.rpc("pin/ls", ("arg", cid), ("type", "recursive")).status == 200, "it is recursive")
    for node in trio:
        address = f"/ip4/127.0.0.1/tcp/{late.swarm}/p2p/{late.id}"
        assert node.rpc("swarm/connect", ("arg", address)).status == 200
    direct.join(60)
    recursive.join(60)
    assert answers == [200, 200]
    assert all(cid in node.pins("recursive") for node in trio)
