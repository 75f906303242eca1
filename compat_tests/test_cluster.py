"""A cluster of three real nodes through the door: what the README promises."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat_tests.harness.http import multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from ipfs_cluster.cid import from_bytes, text


def add(service: Service, content: bytes, query: str = "") -> str:
    headers, body = multipart(("f", content, "application/octet-stream"))
    answer = post(service.address, f"/api/v0/add?{query}", headers=headers, body=body)
    assert answer.status == 200, answer.text
    assert not answer.cut
    assert not answer.trailers, answer.trailers
    return str(json.loads(answer.text.splitlines()[-1])["Hash"])


def test_an_add_becomes_pinned_on_every_node_with_its_name(cluster: Service) -> None:
    cid = add(cluster, os.urandom(600_000), "pin-name=six")
    assert cluster.pins()[cid] == "six"
    eventually(lambda: cluster.pinned_everywhere(cid), "all peers hold it")
    for node in cluster.nodes:
        assert cid in node.pins()


def test_pin_add_answers_when_all_nodes_hold_it_and_rm_frees_them_all(cluster: Service) -> None:
    cid = cluster.nodes[2].add(os.urandom(300_000), pin="false")
    answer = cluster.rpc("pin/add", ("arg", cid))
    assert (answer.status, json.loads(answer.text)) == (200, {"Pins": [cid]})
    assert all(cid in node.pins() for node in cluster.nodes)
    answer = cluster.rpc("pin/rm", ("arg", cid))
    assert (answer.status, json.loads(answer.text)) == (200, {"Pins": [cid]})
    assert not any(cid in node.pins() for node in cluster.nodes)
    assert cid not in cluster.pins()


def test_replication_of_two_is_two_nodes(trio: list[KuboNode], service_factory: Callable[..., Service]) -> None:
    service = service_factory(trio, cluster={"replication_factor_min": 2, "replication_factor_max": 2})
    cid = add(service, os.urandom(1000))
    eventually(lambda: sorted(service.statuses(cid).values()) == ["pinned", "pinned", "remote"], "two pinned")
    assert sum(cid in node.pins() for node in trio) == 2


def test_pin_update_moves_all_nodes_and_keeps_the_name(cluster: Service) -> None:
    old, new = (cluster.nodes[0].add(os.urandom(5000), pin="false") for _ in range(2))
    assert cluster.rpc("pin/add", ("arg", old), ("name", "moving")).status == 200
    answer = cluster.rpc("pin/update", ("arg", old), ("arg", new))
    assert json.loads(answer.text) == {"Pins": [old, new]}
    assert cluster.pins() == {new: "moving"}
    assert all(new in node.pins() and old not in node.pins() for node in cluster.nodes)


def test_content_that_no_node_can_get_fails_at_the_timeout_and_leaves_nothing(cluster: Service) -> None:
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
    answer = cluster.rpc("pin/add", ("arg", missing), ("timeout", "1s"))
    assert answer.status == 500
    assert json.loads(answer.text) == {"Message": "pin: context deadline exceeded", "Code": 0, "Type": "error"}
    assert cluster.pins() == {}
    eventually(lambda: set(cluster.statuses(missing).values()) == {"unpinned"}, "nothing is left to do")


def test_a_node_killed_while_it_pins_is_repaired_when_it_is_back(cluster: Service) -> None:
    victim = cluster.nodes[2]
    cids = [cluster.nodes[0].add(os.urandom(200_000), pin="false") for _ in range(10)]
    victim.kill()
    try:
        answer = cluster.rpc("pin/add", *[("arg", cid) for cid in cids])
        assert answer.status == 200, answer.text
        assert all(cid in cluster.nodes[1].pins() for cid in cids)
        assert cluster.statuses(cids[0])["n2"] == "pin_queued"
        assert "node unreachable" in cluster.errors(cids[0])["n2"]
    finally:
        victim.start()
    eventually(lambda: all(cid in victim.pins() for cid in cids), "the returned node catches up")
    eventually(lambda: all(cluster.pinned_everywhere(cid) for cid in cids), "and the service says so")


def test_pins_removed_behind_our_back_come_back(cluster: Service) -> None:
    cid = add(cluster, os.urandom(100_000))
    eventually(lambda: cluster.pinned_everywhere(cid), "all peers hold it")
    assert cluster.nodes[1].rpc("pin/rm", ("arg", cid)).status == 200
    eventually(lambda: cid in cluster.nodes[1].pins(), "the reconcile heals it")


def test_kill_nine_in_a_storm_of_pins_loses_nothing_acknowledged(cluster: Service) -> None:
    cids = [cluster.nodes[0].add(os.urandom(2000), pin="false") for _ in range(60)]
    for cid in cids:
        assert cluster.rpc("pin/add", ("arg", cid), ("wait", "accepted")).status == 200
    cluster.kill()
    cluster.start()
    assert set(cids) <= set(cluster.pins())
    eventually(lambda: all(cluster.pinned_everywhere(cid) for cid in cids), "every acknowledged pin gets pinned", 60)


def test_a_body_cut_in_the_middle_of_add_leaves_no_pin_anywhere(cluster: Service) -> None:
    from compat_tests.harness.http import connect

    headers, body = multipart(("first", os.urandom(1000), "text/plain"), ("second", os.urandom(400_000), "text/plain"))
    with connect(cluster.address) as sock:
        head = f"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        sock.sendall((head + f"Content-Type: {headers['Content-Type']}\r\n\r\n").encode() + body[: len(body) // 2])
        eventually(lambda: bool(cluster.nodes[0].pins()), "the home node pins the first entry")
    eventually(lambda: not cluster.nodes[0].pins(), "and lets go of it")
    assert cluster.pins() == {}


def test_pins_of_a_long_used_home_node_are_adopted_and_foreign_ones_stay(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    mine = trio[0].add(os.urandom(1000), **{"pin-name": "mine"})
    others = trio[1].add(os.urandom(1000))
    service = service_factory(trio)
    assert any("adopted" in line for line in service.start_lines())
    assert service.pins()[mine] == "mine"
    assert others not in service.pins()
    assert service.rpc("pin/add", ("arg", others)).status == 200
    assert service.rpc("pin/rm", ("arg", others)).status == 200
    assert others in trio[1].pins(), "what the node had before us is never removed"
    assert others not in trio[2].pins()


def test_restart_finds_everything_and_ends_cleanly(cluster: Service) -> None:
    cid = add(cluster, b"again" * 1000)
    eventually(lambda: cluster.pinned_everywhere(cid), "pinned")
    assert cluster.stop() == 0
    assert "stopped" in (cluster.child.output() if cluster.child else "")
    cluster.start()
    assert cid in cluster.pins()
    assert cluster.pinned_everywhere(cid)


def test_a_second_service_on_the_folder_is_refused(cluster: Service, tmp_path: Path) -> None:
    import subprocess

    from compat_tests.harness.service import COMMAND

    second = subprocess.run(
        [*COMMAND, "-c", str(cluster.folder), "daemon"], capture_output=True, text=True, check=False, timeout=30
    )
    assert second.returncode == 1
    assert "in use by process" in second.stderr


def test_ctl_shows_peers_pins_and_status(cluster: Service) -> None:
    cid = add(cluster, b"shown", "pin-name=shown")
    eventually(lambda: cluster.pinned_everywhere(cid), "pinned")
    assert len(cluster.ctl("--enc", "json", "peers", "ls").stdout.split('"peername"')) == 4
    assert f"{cid} | shown | PIN" in cluster.ctl("pin", "ls").stdout
    assert cluster.ctl("status", cid).stdout.count(": PINNED |") == 3
    refused = cluster.ctl("pin", "ls", "nonsense")
    assert refused.returncode == 2
    assert "error decoding Cid" in refused.stdout


def test_a_deadline_leaves_nothing_however_short_and_whoever_else_waited(cluster: Service) -> None:
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
    here = cluster.nodes[0].add(b"here", pin="false")
    assert cluster.rpc("pin/add", ("arg", here)).status == 200
    for timeout in ("0s", "1ns", "1ms", "3ms", "6ms", "20ms"):
        assert cluster.rpc("pin/add", ("arg", missing), ("timeout", timeout)).status == 500
        assert set(cluster.pins()) == {here}, timeout
    assert cluster.rpc("pin/update", ("arg", here), ("arg", missing), ("timeout", "500ms")).status == 500
    assert set(cluster.pins()) == {here}
    with ThreadPoolExecutor() as clients:
        waiting = [
            clients.submit(cluster.rpc, "pin/add", ("arg", missing), ("timeout", t)) for t in ("1s", "1500ms", "600ms")
        ]
    assert [answer.result().status for answer in waiting] == [500, 500, 500]
    assert set(cluster.pins()) == {here}, "the last one to give up removes it"


def test_pins_that_no_node_can_get_do_not_keep_others_waiting(cluster: Service) -> None:
    here = cluster.nodes[0].add(b"here too", pin="false")
    absent = [text(from_bytes(b"\x12\x20" + bytes([i]) * 32)) for i in range(15)]
    answer = cluster.rpc("pin/add", *[("arg", cid) for cid in absent], ("wait", "accepted"))
    assert answer.status == 200, answer.text
    assert cluster.rpc("pin/add", ("arg", here), ("timeout", "10s")).status == 200
