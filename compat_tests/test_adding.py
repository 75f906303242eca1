"""Adding to three real nodes: what is pinned when it returns, and what a fault leaves behind."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.http import Answer, connect, directory_part, file_part, multipart, parse, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service
from compat_tests.harness.twins import normal
from compat_tests.test_differential import ADDS

TWO_OF_THREE = {"replication_factor_min": 2, "replication_factor_max": 3}


def add(service: Service, *parts: tuple[str | None, bytes, str], query: str = "", seconds: float = 60) -> Answer:
    headers, body = multipart(*parts)
    headers["User-Agent"] = "Go-http-client/1.1"
    return post(service.address, f"/api/v0/add?{query}", headers=headers, body=body, seconds=seconds)


def root_of(answer: Answer) -> str:
    """The last event's CID of an add that went well."""
    assert answer.status == 200, answer.text
    assert not answer.cut
    assert not answer.trailers, answer.trailers
    return str(json.loads(answer.text.splitlines()[-1])["Hash"])


def pulls(service: Service) -> int:
    """How many pins the trackers had to fetch, by what the nodes did."""
    log = service.child.output() if service.child else ""
    return log.count("was dropped from an add") + log.count("left an add")


class Upload:
    """An add whose body is sent bit by bit."""

    def __init__(self, service: Service, size: int, query: str = "") -> None:
        headers, self.body = multipart(file_part("f", os.urandom(size)))
        self.sock = connect(service.address, 60)
        head = (
            f"POST /api/v0/add?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: Go-http-client/1.1\r\n"
        )
        head += f"Content-Length: {len(self.body)}\r\nContent-Type: {headers['Content-Type']}\r\n\r\n"
        self.sock.sendall(head.encode())
        self.sent = 0

    def send(self, upto: float) -> None:
        """Up to this share of the body."""
        end = int(len(self.body) * upto)
        self.sock.sendall(self.body[self.sent : end])
        self.sent = end

    def answer(self) -> Answer:
        data = bytearray()
        try:
            while piece := self.sock.recv(1 << 20):
                data += piece
        except ConnectionResetError:
            pass
        self.close()
        return parse(bytes(data))

    def close(self) -> None:
        self.sock.close()


def adding(node: KuboNode) -> bool:
    """An add is in progress on the node."""
    commands = json.loads(node.rpc("diag/cmds").text) or []
    return any(entry["Command"] == "add" and entry["Active"] for entry in commands)


def test_all_nodes_hold_it_when_the_add_returns_and_nothing_was_fetched(cluster: Service) -> None:
    parts = (
        directory_part("d"),
        file_part("d/x", os.urandom(900_000)),
        file_part("d/sub/y", b"y"),
        file_part("e", b"e"),
    )
    answer = add(cluster, *parts, query="pin-name=both&progress=true")
    values = [json.loads(line) for line in answer.text.splitlines()]
    roots = {value["Name"]: value["Hash"] for value in values if value.get("Hash") and value["Name"] in ("d", "e")}
    assert set(cluster.pins()) == set(roots.values())
    for node in cluster.nodes:
        assert set(node.pins()) == set(roots.values())
        assert set(node.pins().values()) == {"both"}
    assert pulls(cluster) == 0


@pytest.fixture
def service(trio: list[KuboNode], service_factory: Callable[..., Service]) -> Service:
    """Three nodes, of which two must hold a pin."""
    for node in trio:
        clear_pins(node)
    return service_factory(trio, cluster=TWO_OF_THREE)


@pytest.mark.parametrize("case", [case for case in ADDS if case not in ("nocopy", "silent", "cid base 36 of v1")])
def test_three_nodes_make_what_a_bare_one_makes(service: Service, bare: KuboNode, case: str) -> None:
    """The same answer, and every node holds every root without having fetched it."""
    query, parts = ADDS[case]
    clear_pins(bare)
    headers, body = multipart(*parts)
    headers["User-Agent"] = "Go-http-client/1.1"
    answers = []
    for address in (bare.address, service.address):
        answers.append(normal(post(address, f"/api/v0/add?{query}", headers=headers, body=body)))
        post(address, "/api/v0/files/rm?arg=/copied")
    assert answers[1] == answers[0]
    expected = bare.pins()
    assert service.pins() == expected
    held = [node.pins() for node in service.nodes]
    if answers[0][0] == 200:
        assert held == [expected] * 3
        assert pulls(service) == 0


def test_a_replica_killed_in_the_middle(trio: list[KuboNode], service: Service) -> None:
    upload = Upload(service, 60_000_000)
    upload.send(0.3)
    eventually(lambda: adding(trio[2]), "the replica is at it")
    trio[2].kill()
    try:
        upload.send(1)
        cid = root_of(upload.answer())
        assert all(cid in node.pins() for node in trio[:2])
    finally:
        trio[2].start()
    eventually(lambda: service.pinned_everywhere(cid), "the third is repaired", 60)
    assert cid in trio[2].pins()


def test_a_replica_suspended_in_the_middle_holds_nobody_up(trio: list[KuboNode], service: Service) -> None:
    upload = Upload(service, 60_000_000)
    upload.send(0.1)
    eventually(lambda: adding(trio[1]), "the replica is at it")
    trio[1].suspend()
    try:
        upload.send(1)
        cid = root_of(upload.answer())
        assert cid in trio[0].pins()
        assert cid in trio[2].pins()
    finally:
        trio[1].resume()
    eventually(lambda: service.pinned_everywhere(cid), "the resumed node catches up", 60)


def test_nodes_with_other_import_settings_make_what_the_home_node_makes(
    kubo_factory: Callable[..., KuboNode], service_factory: Callable[..., Service]
) -> None:
    home = kubo_factory({"Import.CidVersion": 1, "Import.UnixFSChunker": "size-1048576"})
    other = kubo_factory({"Import.UnixFSRawLeaves": False, "Import.UnixFSFileMaxLinks": 5})
    third = kubo_factory({"Import.UnixFSHAMTDirectorySizeThreshold": "1B"})
    content = os.urandom(9_000_000)
    expected = home.add(content, pin="false")
    for node in (home, other, third):
        clear_pins(node)
    service = service_factory([home, other, third])
    assert root_of(add(service, file_part("f", content))) == expected
    assert [list(node.pins()) for node in (home, other, third)] == [[expected]] * 3


def test_a_client_that_leaves_at_any_point_leaves_nothing(cluster: Service) -> None:
    for tenth in range(1, 10):
        upload = Upload(cluster, 2_000_000, "progress=true")
        upload.send(tenth / 10)
        if tenth % 2:
            upload.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        upload.close()
    eventually(lambda: not any(adding(node) for node in cluster.nodes), "no node goes on")
    assert cluster.pins() == {}
    assert [node.pins() for node in cluster.nodes] == [{}, {}, {}]


def test_a_client_that_leaves_an_add_of_many_entries_leaves_no_orphans(cluster: Service) -> None:
    """Entries whose roots it could have read are pins; nothing else stays on the nodes."""
    headers, body = multipart(*(file_part(f"f{number:04}", os.urandom(200)) for number in range(300)))
    head = f"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with connect(cluster.address) as sock:
        sock.sendall(f"{head}Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body[: len(body) // 2])
        eventually(lambda: len(cluster.pins()) > 20, "some are pinned")
    eventually(lambda: not any(adding(node) for node in cluster.nodes), "no node goes on")

    def agree() -> bool:
        pins = cluster.pins()
        return all(node.pins() == pins for node in cluster.nodes)

    eventually(agree, "nodes and pinset agree", 60)


def test_a_deadline_counts_while_a_slow_body_is_collected(cluster: Service) -> None:
    upload = Upload(cluster, 100_000, "timeout=1s")
    gone = threading.Event()

    def trickle() -> None:
        for percent in range(99):
            try:
                upload.send((percent + 1) / 100)
            except OSError:
                return
            if gone.wait(0.2):
                return

    with ThreadPoolExecutor() as pool:
        sender = pool.submit(trickle)
        answer = upload.answer()
        gone.set()
        sender.result()
    assert upload.sent < len(upload.body), "the client was still sending"
    assert answer.status == 500
    assert json.loads(answer.text)["Message"] == "context deadline exceeded"
    assert cluster.pins() == {}


def test_a_slow_client_holds_up_neither_collection_nor_pins(cluster: Service) -> None:
    garbage = [node.add(os.urandom(1000), pin="false") for node in cluster.nodes]
    wanted = cluster.nodes[1].add(os.urandom(300_000))
    upload = Upload(cluster, 120_000)
    gone = threading.Event()

    def trickle() -> None:
        for percent in range(100):
            upload.send((percent + 1) / 100)
            if gone.wait(0.25):
                upload.send(1)
                return

    with ThreadPoolExecutor() as pool:
        sender = pool.submit(trickle)
        eventually(lambda: upload.sent > len(upload.body) * 0.04, "the client is at it")
        collected = pool.submit(cluster.rpc, "repo/gc", ("stream-errors", "true"))
        pinned = pool.submit(cluster.rpc, "pin/add", ("arg", wanted))
        freed = {json.loads(line)["Key"]["/"] for line in collected.result().text.splitlines()}
        assert not collected.result().cut
        assert pinned.result().status == 200, pinned.result().text
        assert not sender.done(), "the client was still sending"
        gone.set()
        sender.result()
        cid = root_of(upload.answer())
    raw = {
        json.loads(node.rpc("cid/format", ("arg", cid), ("f", "%M")).text)["Formatted"] for node in cluster.nodes[:1]
    }
    assert raw
    assert len(freed) >= len(garbage)
    assert cluster.pinned_everywhere(cid)


def test_a_quick_client_that_turns_slow_gives_the_collection_way(cluster: Service) -> None:
    upload = Upload(cluster, 30_000_000)
    upload.send(0.5)
    eventually(lambda: all(adding(node) for node in cluster.nodes), "all nodes are at it")
    answer = cluster.rpc("repo/gc", ("stream-errors", "true"), seconds=90)
    errors = [value["Error"] for value in map(json.loads, answer.text.splitlines()) if value.get("Error")]
    assert [error.split(":")[0] for error in errors] == ["n0"], "only the first node is kept busy by the client"
    assert cluster.rpc("pin/add", ("arg", cluster.nodes[0].add(b"meanwhile"))).status == 200
    upload.send(1)
    cid = root_of(upload.answer())
    eventually(lambda: cluster.pinned_everywhere(cid), "everybody gets it", 60)


def test_a_pin_of_what_nobody_has_does_not_stop_a_collection(cluster: Service) -> None:
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
    assert cluster.rpc("pin/add", ("arg", missing), ("wait", "accepted")).status == 200
    eventually(lambda: set(cluster.statuses(missing).values()) == {"pinning"}, "all wait for it")
    answer = cluster.rpc("repo/gc", ("stream-errors", "true"), seconds=90)
    assert not answer.cut
    assert not [line for line in answer.text.splitlines() if "Error" in line]
    eventually(lambda: set(cluster.statuses(missing).values()) == {"pinning"}, "and goes on waiting")
    assert cluster.rpc("pin/rm", ("arg", missing)).status == 200


def test_a_collection_names_a_node_that_is_away_and_goes_on(cluster: Service) -> None:
    away = cluster.nodes[1]
    away.kill()
    try:
        eventually(lambda: "connect" in json.dumps(cluster.rest("/peers")), "it is known")
        garbage = cluster.nodes[2].add(os.urandom(1000), pin="false", **{"cid-version": "1"})
        answer = cluster.rpc("repo/gc", ("stream-errors", "true"))
        values = [json.loads(line) for line in answer.text.splitlines()]
        assert garbage in [value["Key"]["/"] for value in values if value.get("Key")]
        assert [value["Error"].split(":")[0] for value in values if value.get("Error")] == ["n1"]
        assert values[-1]["Message"] == "encountered errors during gc run"
        stat = json.loads(cluster.rpc("repo/stat").text)
        own = [json.loads(node.rpc("repo/stat").text)["RepoSize"] for node in (cluster.nodes[0], cluster.nodes[2])]
        assert stat["RepoSize"] == sum(own)
    finally:
        away.start()


def test_removing_and_collecting_frees_the_content_everywhere(cluster: Service) -> None:
    cid = root_of(add(cluster, file_part("f", os.urandom(100_000)), query="cid-version=1"))
    assert cluster.rpc("pin/rm", ("arg", cid)).status == 200
    answer = cluster.rpc("repo/gc")
    freed = [json.loads(line)["Key"]["/"] for line in answer.text.splitlines()]
    assert freed.count(cid) == 3


def test_twenty_adds_and_a_kill_of_the_service(trio: list[KuboNode], service: Service) -> None:
    acknowledged: list[str] = []
    lock = threading.Lock()

    def keep_adding() -> None:
        while True:
            try:
                answer = add(service, file_part("f", os.urandom(700_000)))
            except (OSError, AssertionError):
                return
            if answer.cut or answer.status != 200 or not answer.text:
                return
            with lock:
                acknowledged.append(json.loads(answer.text.splitlines()[-1])["Hash"])

    threads = [threading.Thread(target=keep_adding) for _ in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) > 30, "adds are going on")
    service.kill()
    for thread in threads:
        thread.join()
    service.start()
    pins = set(service.pins())
    assert set(acknowledged) <= pins
    eventually(lambda: all(service.pinned_everywhere(cid) for cid in pins), "every pin is whole", 90)
    assert all(cid in node.pins() for cid in acknowledged for node in trio)
    left = {cid for node in trio for cid in node.pins()} - pins

    def listed() -> set[str]:
        values = service.rest("/pins")
        return {value["cid"] for value in values if "left behind" in json.dumps(value)}

    eventually(lambda: listed() == left, "what was left behind is listed", 60)
    assert not set(service.pins()) & left


def test_two_clients_add_the_same_and_one_leaves(cluster: Service) -> None:
    shared = file_part("f", os.urandom(3_000_000))
    headers, body = multipart(shared, file_part("g", os.urandom(1_000_000)))
    with connect(cluster.address) as leaving:
        head = f"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        leaving.sendall(f"{head}Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body[:-500_000])
        eventually(lambda: all(adding(node) for node in cluster.nodes), "the first is at it")
        cid = root_of(add(cluster, shared))
    eventually(lambda: not any(adding(node) for node in cluster.nodes), "the first is gone")
    assert cluster.pinned_everywhere(cid)
    assert list(cluster.pins()) == [cid]
    eventually(lambda: all(list(node.pins()) == [cid] for node in cluster.nodes), "and nothing else is left")


def test_an_operators_own_pin_survives_what_the_cluster_does_with_the_same_content(cluster: Service) -> None:
    content, other = os.urandom(50_000), os.urandom(50_000)
    cid, second = cluster.nodes[1].add(content), cluster.nodes[2].add(other)
    assert cluster.rpc("pin/add", ("arg", second)).status == 200
    eventually(lambda: cid in json.dumps(cluster.rest("/pins")), "the cluster has seen it", 30)
    assert root_of(add(cluster, file_part("f", content))) == cid
    assert cluster.rpc("pin/rm", ("arg", cid), ("arg", second)).status == 200
    assert [cid in node.pins() for node in cluster.nodes] == [False, True, False]
    assert [second in node.pins() for node in cluster.nodes] == [False, False, True]


def test_adding_again_what_is_pinned_elsewhere_directly_or_by_name(
    trio: list[KuboNode], service_factory: Callable[..., Service], cluster: Service
) -> None:
    peers = {peer["peername"]: peer["id"] for peer in cluster.rest("/peers")}
    content = os.urandom(5000)
    cid = trio[2].add(content, pin="false")
    options = [("arg", cid), ("replication", "1"), ("user-allocations", peers["n2"]), ("name", "kept")]
    assert cluster.rpc("pin/add", *options).status == 200
    assert root_of(add(cluster, file_part("f", content))) == cid
    assert cluster.pins() == {cid: "kept"}
    eventually(lambda: [cid in node.pins() for node in trio] == [False, False, True], "surplus copies are released")
    direct = trio[0].add(b"direct once", pin="false")
    assert cluster.rpc("pin/add", ("arg", direct), ("recursive", "false")).status == 200
    assert root_of(add(cluster, file_part("f", b"direct once"))) == direct
    assert all(direct in node.pins() for node in trio)
    assert all(direct not in node.pins("direct") for node in trio)
