"""Faults of nodes, disks and clocks, with real processes: what is asked for gets done, and nothing else."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.relay import SlowLine
from compat_tests.harness.service import Service
from ipfs_cluster import cid as cids


@pytest.fixture
def pair(kubo_factory: Callable[..., KuboNode], service_factory: Callable[..., Service]) -> Service:
    """A service before two nodes of its own, which the test may ruin."""
    nodes = [kubo_factory(), kubo_factory()]
    for node in nodes:
        clear_pins(node)
    return service_factory(nodes)


def pinned(service: Service, *contents: bytes) -> list[str]:
    """These, pinned on all nodes."""
    cids = [service.nodes[0].add(content, pin="false") for content in contents]
    answer = service.rpc("pin/add", *[("arg", cid) for cid in cids], ("wait", "all"))
    assert answer.status == 200, answer.text
    return cids


def test_a_node_that_lost_its_repository_gets_everything_again(pair: Service) -> None:
    cids = pinned(pair, *(os.urandom(50_000) for _ in range(5)))
    node = pair.nodes[1]
    node.kill()
    for part in ("blocks", "datastore"):
        shutil.rmtree(node.folder / part)
    node.start()
    eventually(lambda: set(cids) <= set(node.pins()), "all pins are made again")
    eventually(lambda: all(pair.pinned_everywhere(cid) for cid in cids), "and the service says so")
    assert pair.rpc("pin/rm", *[("arg", cid) for cid in cids]).status == 200
    eventually(lambda: not node.pins(), "they are the cluster's own, and can be removed")


def test_what_any_node_lacks_of_a_pin_is_told(pair: Service) -> None:
    whole, broken = pinned(pair, os.urandom(600_000), os.urandom(600_000))
    assert pair.rpc("pin/verify").text == ""
    node = pair.nodes[1]
    leaf = json.loads(node.rpc("refs", ("arg", broken)).text.splitlines()[0])["Ref"]
    node.stop()
    (file,) = (node.folder / "blocks").rglob(f"{multihash_name(leaf)}.data")
    file.unlink()
    node.start()
    eventually(lambda: pair.pinned_everywhere(broken), "the node is back")
    answer = pair.rpc("pin/verify", ("verbose", "true"))
    first, *others = map(json.loads, answer.text.splitlines())
    (bad,) = first.pop("BadNodes")
    assert (first, bad["Cid"]) == ({"Cid": broken}, leaf)
    assert bad["Err"].startswith("n1: ")
    assert others == [{"Cid": whole, "Ok": True}]
    node.stop()
    answer = pair.rpc("pin/verify")
    assert answer.status == 500
    assert answer.text.startswith('{"Message":"not all pins were verified: n1: ')


def multihash_name(cid: str) -> str:
    """How a Kubo's flatfs calls the file of a block."""
    return base64.b32encode(cids.parse(cid)[-34:]).decode().rstrip("=")


def test_a_node_with_another_repository_is_filled_and_keeps_what_it_held_before(pair: Service) -> None:
    cids = pinned(pair, os.urandom(1000), os.urandom(50_000))
    node = pair.nodes[1]
    before = node.id
    node.kill()
    shutil.rmtree(node.folder)
    node.init()
    content = os.urandom(1000)
    own = node.folder.parent / "own"
    own.write_bytes(content)
    theirs = node.cli("add", "-Q", str(own)).strip()
    node.start()
    assert node.id != before
    eventually(lambda: set(cids) <= set(node.pins()), "the new repository is filled")
    eventually(lambda: all(pair.pinned_everywhere(cid) for cid in cids), "and the service says so")
    cids += pinned(pair, content)
    assert theirs in cids
    assert pair.rpc("pin/rm", *[("arg", cid) for cid in cids]).status == 200
    eventually(lambda: not set(cids[:2]) & set(node.pins()), "what it was filled with goes")
    assert theirs in node.pins(), "what it held before stays"
    assert not pair.nodes[0].pins()


def test_a_slow_node_makes_nobody_wait_who_does_not_need_it(
    trio: list[KuboNode], kubo_factory: Callable[..., KuboNode], service_factory: Callable[..., Service]
) -> None:
    slow = kubo_factory()
    line = SlowLine(slow.address, 0.1)
    try:
        service = service_factory(cast("list[KuboNode]", [trio[0], line]))
        cid = trio[0].add(os.urandom(1000), pin="false")
        answer = service.rpc("pin/add", ("arg", cid), ("replication-min", "1"), ("replication-max", "2"))
        assert answer.status == 200, answer.text
        assert service.statuses(cid) == {"n0": "pinned", "n1": "pinning"}, "answered before the slow one has it"
        eventually(lambda: service.statuses(cid) == {"n0": "pinned", "n1": "pinned"}, "it follows")
        assert cid in slow.pins()
        assert service.rpc("pin/rm", ("arg", cid)).status == 200
        assert cid not in slow.pins(), "a removal waits for it"
    finally:
        line.stop()


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[KuboNode]:
    """A node whose disk has 40 MB."""
    folder = tmp_path / "cramped"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    node = KuboNode(folder / "repo")
    try:
        node.init()
        node.start()
        yield node
    finally:
        node.stop()
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_node_out_of_disk_says_so_and_the_others_go_on(
    cramped: KuboNode, kubo_factory: Callable[..., KuboNode], tmp_path: Path
) -> None:
    roomy = kubo_factory()
    service = Service(tmp_path / "service", [roomy, cramped])
    service.start(env={"CLUSTER_DISK_RESERVE": "0"})
    try:
        (small,) = pinned(service, os.urandom(1000))
        ballast = cramped.folder.parent / "ballast"
        free = shutil.disk_usage(cramped.folder).free
        ballast.write_bytes(b"\0" * (free - 2_000_000))
        large = roomy.add(os.urandom(6_000_000), pin="false")
        answer = service.rpc("pin/add", ("arg", large), ("replication-min", "1"), ("replication-max", "2"))
        assert answer.status == 200, answer.text
        refused = service.rpc("pin/add", ("arg", large), ("replication-min", "2"), ("replication-max", "2"), seconds=90)
        assert refused.status == 500
        assert "no space left on device" in json.loads(refused.text)["Message"]
        assert large in service.pins(), "who was told before that it is pinned keeps it"
        assert large in roomy.pins()
        assert large not in cramped.pins()
        assert service.statuses(large)["n1"] != "pinned"
        assert service.pinned_everywhere(small)
        ballast.unlink()
        eventually(lambda: service.pinned_everywhere(large), "with room again, it gets there", 60)
        assert large in cramped.pins()
    finally:
        service.stop()


WRONG_CLOCK = """
import os, time
real = time.time
def read():
    with open(os.environ["SOAK_CLOCK"]) as file:
        return float(file.read() or 0)
time.time = lambda: real() + read()
"""


@pytest.mark.parametrize("jump", [10 * 365 * 86400.0, -10 * 365 * 86400.0])
def test_a_jump_of_the_clock_neither_expires_pins_nor_stops_retries(pair: Service, tmp_path: Path, jump: float) -> None:
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK)
    offset = tmp_path / "offset"
    offset.write_text("0")
    pair.stop()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    pair.start(env={"PYTHONPATH": path, "SOAK_CLOCK": str(offset)})
    home, other = pair.nodes
    lasting = home.add(os.urandom(1000), pin="false")
    assert pair.rpc("pin/add", ("arg", lasting), ("expire-in", "1h"), ("wait", "all")).status == 200
    other.kill()
    waiting = home.add(os.urandom(1000), pin="false")
    assert pair.rpc("pin/add", ("arg", waiting), ("wait", "accepted")).status == 200
    eventually(lambda: pair.statuses(waiting)["n1"] != "pinned", "it waits for its node")
    offset.write_text(str(jump))
    other.start()
    eventually(lambda: waiting in other.pins(), "the node is served again")
    eventually(lambda: pair.pinned_everywhere(waiting), "and the service says so")
    late = home.add(os.urandom(1000), pin="false")
    assert pair.rpc("pin/add", ("arg", late), ("wait", "all")).status == 200
    assert set(pair.pins()) == {lasting, waiting, late}, "nothing has expired"
    assert all(pair.pinned_everywhere(cid) for cid in (lasting, waiting, late))
