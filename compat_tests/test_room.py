"""Real nodes with little room: a reserve, StorageMax, and a disk that is really full."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from compat_tests.conftest import clear_pins
from compat_tests.harness.disk import small_disk
from compat_tests.harness.http import Answer, connect, exchange, file_part, multipart, parse, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service

TWO_OF_THREE = {"replication_factor_min": 2, "replication_factor_max": 3}
TOO_MUCH = 10**15


def add(service: Service, content: bytes, query: str = "") -> Answer:
    """An add that tells its length."""
    headers, body = multipart(file_part("f", content))
    headers["User-Agent"] = "Go-http-client/1.1"
    return post(service.address, f"/api/v0/add?{query}", headers=headers, body=body)


def add_chunked(service: Service, content: bytes, query: str = "") -> Answer:
    """An add as the ipfs command sends it."""
    headers, body = multipart(file_part("f", content))
    head = f"POST /api/v0/add?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: Go-http-client/1.1\r\n"
    head += f"Content-Type: {headers['Content-Type']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return parse(exchange(service.address, head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))


def root_of(answer: Answer) -> str:
    """The CID of an add that went well."""
    assert (answer.status, answer.cut, answer.trailers) == (200, False, {}), answer
    return str(json.loads(answer.text.splitlines()[-1])["Hash"])


def message(answer: Answer) -> str:
    """The error of an add that was refused, in Kubo's shape."""
    assert answer.status == 500, answer
    value = json.loads(answer.text)
    assert (value["Code"], value["Type"]) == (0, "error")
    return str(value["Message"])


def with_room(service: Service) -> dict[str, bool]:
    """peername → whether something new may go there."""
    return {peer["peername"]: not peer["ipfs"]["full"] for peer in service.rest("/peers")}


def limited(nodes: list[KuboNode], last: dict[str, object]) -> dict[str, object]:
    """The nodes' entries of a configuration, the last one with these keys besides."""
    entries = [{"name": f"n{i}", "node_multiaddress": node.multiaddr} for i, node in enumerate(nodes)]
    return {"nodes": [*entries[:-1], {**entries[-1], **last}]}


def test_a_node_below_its_reserve_gets_nothing_new(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    for node in trio:
        clear_pins(node)
    service = service_factory(trio, cluster=TWO_OF_THREE, ipfs_connector=limited(trio, {"reserve": TOO_MUCH}))
    assert with_room(service) == {"n0": True, "n1": True, "n2": False}
    assert any("n2" in line and "gets nothing new: below its reserve" in line for line in service.start_lines())
    assert "GETS NOTHING NEW: below its reserve" in service.ctl("peers", "ls").stdout
    added = root_of(add(service, os.urandom(100_000)))
    pinned = trio[0].add(os.urandom(100_000), pin="false")
    assert service.rpc("pin/add", ("arg", pinned)).status == 200
    assert set(trio[0].pins()) == set(trio[1].pins()) == {added, pinned}
    assert trio[2].pins() == {}
    assert "n2 (below its reserve: " in message(add(service, b"three", "replication=3"))
    assert "n2 (below its reserve: " in message(service.rpc("pin/add", ("arg", pinned), ("replication", "3")))


def test_what_does_not_fit_is_refused_while_the_body_is_still_to_come(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    service = service_factory(trio)
    with connect(service.address, 20) as sock:
        head = f"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: {TOO_MUCH}\r\n"
        sock.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode()
    assert answer.startswith("HTTP/1.1 500 ")
    assert "not enough space for 1.0 PB: n0, n1, n2 (not enough space: " in answer


def test_storage_max_is_honoured_where_it_is_asked_for(
    kubo_factory: Callable[..., KuboNode], trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    small = kubo_factory({"Datastore.StorageMax": "10MB"})
    nodes = [*trio[:2], small]
    for node in nodes:
        clear_pins(node)
    service = service_factory(nodes, cluster=TWO_OF_THREE, ipfs_connector=limited(nodes, {"honour_storage_max": True}))
    fits = root_of(add(service, os.urandom(1_000_000)))
    assert set(small.pins()) == {fits}
    large = root_of(add(service, os.urandom(12_000_000)))
    assert large not in small.pins()
    assert large in trio[0].pins()
    assert message(add(service, os.urandom(12_000_000), "replication=3")).startswith("not enough space for 12.0 MB: ")
    service.stop()
    small.add(os.urandom(12_000_000))
    service.start()
    assert with_room(service) == {"n0": True, "n1": True, "n2": False}
    assert "its repository has reached StorageMax" in service.ctl("peers", "ls").stdout


def test_a_disk_that_is_really_full(
    trio: list[KuboNode], service_factory: Callable[..., Service], tmp_path: Path
) -> None:
    """Whatever its figures promised: the daemon's own words close it, and a copy is made by nobody who has no room."""
    with small_disk(tmp_path / "small", 40) as folder:
        crowded = KuboNode(folder / "repo")
        crowded.init()
        crowded.start()
        for node in (*trio, crowded):
            clear_pins(node)
        service = service_factory([trio[0], trio[1], crowded], cluster=TWO_OF_THREE)
        try:
            told = add(service, os.urandom(60_000_000), "replication=3")
            assert message(told).startswith("not enough space for 60.0 MB: ")
            first = root_of(add_chunked(service, os.urandom(60_000_000)))
            assert not with_room(service)["n2"]
            assert "no space left" in service.ctl("peers", "ls").stdout
            assert all(first in node.pins() for node in trio[:2])
            second = root_of(add_chunked(service, os.urandom(1000)))
            assert service.statuses(second)["n2"] == "remote"
            refused = add_chunked(service, os.urandom(60_000_000), "replication=3")
            assert refused.status == 500
            assert "n2 (" in message(refused)
            assert set(service.pins()) == {first, second}
            eventually(lambda: set(trio[0].pins()) == {first, second}, "nothing else is left", 60)
        finally:
            service.stop()
            crowded.stop()
