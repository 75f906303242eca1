"""Faults at the door and behind it, with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.http import Answer, connect, exchange, multipart, parse, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import COMMAND, Service


@pytest.fixture
def single(kubo_factory: Callable[..., KuboNode], service_factory: Callable[..., Service]) -> Service:
    """A service before one node of its own, which the test may kill."""
    return service_factory([kubo_factory()])


def next_answer(sock: socket.socket) -> Answer:
    """The next whole answer on a connection that stays open."""
    data = bytearray()
    while True:
        piece = sock.recv(65536)
        assert piece, f"closed after {bytes(data)!r}"
        data += piece
        if b"\r\n\r\n" in data and not (answer := parse(bytes(data))).cut:
            return answer


def test_a_daemon_that_is_down_is_a_kubo_shaped_500_and_comes_back(single: Service) -> None:
    (node,) = single.nodes
    cid = node.add(b"before the fall")
    with connect(single.address) as sock:
        request = b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\n\r\n"
        sock.sendall(request)
        assert next_answer(sock).status == 200
        node.kill()
        sock.sendall(request)
        answer = next_answer(sock)
        assert answer.status == 500
        value = json.loads(answer.text)
        assert (value["Code"], value["Type"]) == (0, "error")
        assert "cannot be reached" in value["Message"]
        refused = single.rpc("pin/add", ("arg", cid))
        assert refused.status == 500
        assert single.rpc("pin/ls", ("type", "recursive")).status == 200, "reads go on"
        node.start()
        sock.sendall(request)
        assert next_answer(sock).status == 200, "the same connection works again"
    eventually(lambda: single.rpc("pin/add", ("arg", cid)).status == 200, "pins work again")


def test_a_daemon_killed_in_the_middle_of_cat_breaks_the_body_visibly(single: Service) -> None:
    (node,) = single.nodes
    cid = node.add(os.urandom(80_000_000))
    with connect(single.address) as sock:
        sock.sendall(f"POST /api/v0/cat?arg={cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = bytearray(sock.recv(65536))
        node.kill()
        try:
            while piece := sock.recv(1 << 20):
                data += piece
        except ConnectionResetError:
            pass
    answer = parse(bytes(data))
    assert answer.status == 200
    assert answer.cut
    node.start()


def test_a_stalled_daemon_keeps_nobody_else_waiting(cluster: Service) -> None:
    home, other, third = cluster.nodes
    cid = home.add(os.urandom(1000), pin="false")
    third.suspend()
    try:
        answer = cluster.rpc("pin/add", ("arg", cid), ("replication-min", "1"), ("replication-max", "3"), seconds=30)
        assert answer.status == 200, answer.text
        assert cluster.rpc("version").status == 200
    finally:
        third.resume()
    eventually(lambda: cluster.pinned_everywhere(cid), "the resumed node catches up", 60)
    assert cid in other.pins()


def test_a_client_that_leaves_cancels_the_call_on_the_daemon(single: Service) -> None:
    (node,) = single.nodes
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"

    def running() -> int:
        commands = json.loads(node.rpc("diag/cmds").text) or []
        return sum(entry["Command"] == "cat" and entry["Active"] for entry in commands)

    with connect(single.address) as sock:
        sock.sendall(f"POST /api/v0/cat?arg={missing} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        eventually(lambda: running() == 1, "the daemon works on it")
    eventually(lambda: running() == 0, "and stops when the client is gone")


def test_a_client_that_leaves_a_waiting_pin_withdraws_nothing(single: Service) -> None:
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
    with connect(single.address) as sock:
        sock.sendall(f"POST /api/v0/pin/add?arg={missing} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        eventually(lambda: missing in single.pins(), "the pin is there")
    eventually(lambda: single.statuses(missing) == {"n0": "pinning"}, "and stays, being worked on")
    assert single.rpc("pin/rm", ("arg", missing)).status == 200
    eventually(lambda: single.statuses(missing) == {"n0": "unpinned"}, "until it is removed")


def test_content_that_stalls_is_an_error_with_its_reason(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    clear_pins(trio[0])
    service = service_factory(trio[:1])
    service.stop()
    service.configure(ipfs_connector={"ipfshttp": {"pin_timeout": "1s"}})
    service.start()
    missing = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"
    assert service.rpc("pin/add", ("arg", missing), ("wait", "accepted")).status == 200
    eventually(lambda: "no new block for 1s" in service.errors(missing).get("n0", ""), "the reason is shown")
    assert service.rpc("pin/rm", ("arg", missing)).status == 200


def test_an_early_answer_to_a_large_body_reaches_the_client(single: Service) -> None:
    """Kubo refuses bad options before it reads the body; the answer must not be lost in the upload."""
    headers, body = multipart(("big", os.urandom(20_000_000), "application/octet-stream"))
    head = f"POST /api/v0/add?pin=maybe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {headers['Content-Type']}\r\n\r\n"
    with connect(single.address) as sock:

        def upload() -> None:
            try:
                sock.sendall(head.encode() + body)
            except OSError:
                return

        sender = threading.Thread(target=upload)
        sender.start()
        data = bytearray()
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        sender.join()
    answer = parse(bytes(data))
    assert answer.status == 400
    assert answer.text == 'could not convert value "maybe" to type "bool" (for option "-pin")\n'


def test_a_slow_upload_streams_its_events_meanwhile(single: Service) -> None:
    headers, body = multipart(("one", b"1" * 1000, "text/plain"), ("two", b"2" * 1000, "text/plain"))
    with connect(single.address) as sock:
        head = f"POST /api/v0/add?progress=true HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        cut = body.index(b"222")
        sock.sendall((head + f"Content-Type: {headers['Content-Type']}\r\n\r\n").encode() + body[:cut])
        data = bytearray()
        while b'"Bytes":1000' not in data:
            piece = sock.recv(65536)
            assert piece, data
            data += piece
        sock.sendall(body[cut:])
        while not data.endswith(b"0\r\n\r\n"):
            piece = sock.recv(65536)
            assert piece, data
            data += piece
    names = [json.loads(line)["Name"] for line in parse(bytes(data)).text.splitlines()]
    assert names == ["one", "one", "two", "two"]


def fill(path: Path) -> None:
    """Write until the file system is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, b"\0" * 4096)
    except OSError:
        os.close(descriptor)


def test_a_full_disk_is_a_clear_error_and_reads_go_on(kubo_factory: Callable[..., KuboNode], tmp_path: Path) -> None:
    """The data folder on a file system of 3 MB that gets filled up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a small file system needs root")
    service = Service(folder, [kubo_factory()])
    try:
        service.start()
        first = service.nodes[0].add(b"fits")
        assert service.rpc("pin/add", ("arg", first)).status == 200
        ballast = folder / "ballast"
        fill(ballast)
        second = service.nodes[0].add(b"does not fit", pin="false")
        refused = service.rpc("pin/add", ("arg", second))
        assert refused.status == 500
        assert "disk" in json.loads(refused.text)["Message"]
        assert first in service.pins()
        assert second not in service.pins()
        ballast.unlink()
        eventually(lambda: service.rpc("pin/add", ("arg", second)).status == 200, "it works again with room")
        assert second in service.pins()
    finally:
        service.stop()
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_sigterm_lets_a_running_request_finish(single: Service) -> None:
    (node,) = single.nodes
    cid = node.add(os.urandom(3_000_000))
    assert single.child is not None
    with connect(single.address) as sock:
        sock.sendall(f"POST /api/v0/cat?arg={cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = bytearray(sock.recv(4096))
        single.child.send(signal.SIGTERM)
        while piece := sock.recv(1 << 20):
            data += piece
    answer = parse(bytes(data))
    assert not answer.cut
    assert len(answer.body) == 3_000_000
    assert single.stop() == 0


def test_wrong_settings_are_named_with_value_and_reason(tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    document = {
        "cluster": {"replication_factor_min": "many", "monitor_ping_interval": "soon"},
        "api": {"ipfsproxy": {"listen_multiaddress": "/ip4/0.0.0.0/tcp/9095"}},
        "ipfs_connector": {"nodes": [{"name": "x", "node_multiaddress": "http://localhost"}]},
    }
    (folder / "service.json").write_text(json.dumps(document))
    done = subprocess.run(
        [*COMMAND, "-c", str(folder), "daemon"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    for part in (
        'cluster.replication_factor_min: "many": must be a whole number',
        'cluster.monitor_ping_interval: "soon": must be a duration',
        "listens beyond this machine without credentials",
        "ipfs_connector.nodes",
    ):
        assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_one_node_cannot_be_two_peers(bare: KuboNode, service_factory: Callable[..., Service]) -> None:
    service = service_factory([bare, bare])
    peers = service.rest("/peers")
    errors = [peer["ipfs"]["error"] for peer in peers]
    assert sum("already served as peer" in error for error in errors) == 1


def test_unix_sockets_on_both_sides(
    kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"icp-{os.getpid()}"  # socket paths must be short
    folder.mkdir()
    node = kubo_factory()
    service = Service(tmp_path_factory.mktemp("unix") / "service", [node])
    listen = [f"/ip4/127.0.0.1/tcp/{service.port}", f"/unix{folder}/proxy.sock"]
    service.configure(proxy={"listen_multiaddress": listen})
    try:
        service.start()
        raw = exchange(
            f"{folder}/proxy.sock", b"POST /api/v0/version HTTP/1.1\r\nHost: unix\r\nConnection: close\r\n\r\n"
        )
        assert json.loads(parse(raw).text)["Version"] == "0.43.0"
        second = Service(tmp_path_factory.mktemp("unix2") / "service", [node])
        document = json.loads((second.folder / "service.json").read_text())
        document["ipfs_connector"]["nodes"][0]["node_multiaddress"] = f"/unix{folder}/proxy.sock"
        (second.folder / "service.json").write_text(json.dumps(document))
        second.start()
        headers, body = multipart(("f", b"through two doors\n", "text/plain"))
        answer = post(second.address, "/api/v0/add", headers=headers, body=body)
        cid = json.loads(answer.text)["Hash"]
        assert cid in second.pins()
        assert cid in service.pins()
        assert cid in node.pins()
        second.stop()
    finally:
        service.stop()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
