"""The running command: what it says, what signals do to it, what a service manager hears. Its node is a stub."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

NODE_ID = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
ANSWERS: dict[str, object] = {
    "id": {"ID": NODE_ID, "Addresses": [], "AgentVersion": "kubo/0.43.0/stub"},
    "version": {"Version": "0.43.0"},
    "block/put": {"Key": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "Size": 0},
    "diag/sys": {"diskinfo": {"free_space": 10**12, "total_space": 10**12}},
}


@contextmanager
def stub_node(listing: threading.Event | None = None, **others: object) -> Iterator[str]:
    """A daemon that has nothing and never finds anything: its multiaddr. listing: set when it is asked for the list of
    its pins, which it then never gives.
    """

    over, answers = threading.Event(), ANSWERS | {name.replace("_", "/"): value for name, value in others.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            command = self.path.removeprefix("/api/v0/").split("?")[0]
            if listing is not None and self.path.startswith("/api/v0/pin/ls") and "arg=" not in self.path:
                listing.set()
            if command == "pin/add" or (listing is not None and listing.is_set()):
                over.wait()
            status, body = 200, json.dumps(answers[command]).encode() if command in answers else b""
            if command == "pin/ls" and "arg=" in self.path:
                status, body = 500, b'{"Message": "path is not pinned", "Code": 0, "Type": "error"}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"/ip4/127.0.0.1/tcp/{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


class Daemon:
    """The command as a process."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLUSTER_", "IPFS_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipfs_proxy.service", "--config", str(folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, "HOME": str(folder.parent), **environ},
        )

    def lines_until(self, last: str) -> list[str]:
        """The lines of stdout up to the one that begins so."""
        assert self.process.stdout is not None
        found: list[str] = []
        for line in self.process.stdout:
            found.append(line.rstrip("\n"))
            if found[-1].startswith(last):
                return found
        raise AssertionError(f"no {last!r} in {found}: {self.process.stderr.read() if self.process.stderr else ''}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Exit status and what is left of stdout and stderr."""
        out, err = self.process.communicate(timeout=50)
        return self.process.returncode, out, err


@contextmanager
def daemon(folder: Path, *arguments: str, **environ: str) -> Iterator[Daemon]:
    made = Daemon(folder, *arguments, **environ)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()
        for stream in (made.process.stdout, made.process.stderr):
            assert stream is not None
            stream.close()


def configure(folder: Path, node: str, **sections: Any) -> None:
    folder.mkdir(exist_ok=True)
    document = {
        "cluster": {"peername": "me", **sections.pop("cluster", {})},
        "api": {
            "ipfsproxy": {"listen_multiaddress": f"/unix{folder}/proxy.sock"},
            "restapi": {"http_listen_multiaddress": f"/unix{folder}/rest.sock", **sections.pop("restapi", {})},
        },
        "ipfs_connector": {"ipfshttp": {"node_multiaddress": node}},
        **sections,
    }
    (folder / "service.json").write_text(json.dumps(document))


def rest(folder: Path, path: str) -> tuple[int, dict[str, str]]:
    """GET on the REST API's socket: status and headers."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(folder / "rest.sock"))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head = answer.split(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(head[0].split()[1]), dict(line.split(": ", 1) for line in head[1:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_from_the_first_line_to_the_last_with_a_reload_between(folder: Path) -> None:
    with stub_node() as node:
        configure(folder, node)
        with daemon(folder, "daemon", "--stats", "--leave", "--upgrade") as running:
            lines = running.lines_until("ready")
            assert lines[:3] == [
                "--leave has no effect: there is no cluster of services to leave",
                "--stats has no effect: metrics are always at /metrics of the REST API",
                "--upgrade has no effect: a pinset of an earlier version is upgraded when it is opened",
            ]
            assert lines[3:5] == [f"IPFS proxy API: /unix{folder}/proxy.sock", f"REST API: /unix{folder}/rest.sock"]
            assert f"node {NODE_ID} (kubo/0.43.0/stub)" in lines[5]
            assert rest(folder, "/version")[0] == 200

            configure(
                folder,
                node,
                cluster={"replication_factor_min": 1, "replication_factor_max": 1},
                restapi={"headers": {"X-New": "1"}, "http_log_file": "requests.log", "idle_timeout": "3m"},
                log={"level": "info"},
            )
            running.signal(signal.SIGHUP)
            assert running.lines_until("reload: these need") == [
                "reload: cluster.replication_factor_min -1 -> 1; cluster.replication_factor_max -1 -> 1; "
                'log.level "" -> "info"; api.restapi.http_log_file "" -> "requests.log"; '
                'api.restapi.headers [] -> [["X-New", "1"]]',
                "reload: these need a restart: api.restapi.idle_timeout",
            ]
            assert rest(folder, "/version")[1]["X-New"] == "1"
            assert "GET /version HTTP/1.1" in (folder / "requests.log").read_text()

            (folder / "service.json").write_text('{"cluster": {"peername": 5}}')
            running.signal(signal.SIGHUP)
            assert running.lines_until("reload: ") == [
                "reload: nothing was changed: cluster.peername: 5: must be a string"
            ]
            assert rest(folder, "/version")[1]["X-New"] == "1"

            running.signal(signal.SIGTERM)
            assert running.end() == (0, "stopping: running requests may finish\nstopped\n", "")
    assert not {"proxy.sock", "rest.sock"} & {path.name for path in folder.iterdir()}


def test_who_waits_for_a_pin_is_told_when_the_service_stops(folder: Path) -> None:
    absent = "bafkqaaa"
    with stub_node() as node:
        configure(folder, node)
        with daemon(folder, "daemon") as running, socket.socket(socket.AF_UNIX) as client:
            running.lines_until("ready")
            client.connect(str(folder / "proxy.sock"))
            client.sendall(f"POST /api/v0/pin/add?arg={absent}&progress=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
            running.signal(signal.SIGTERM)
            rest_of_it = b"".join(iter(lambda: client.recv(65536), b""))
            assert (
                b'{"Message":"the service is stopping: the pin is kept, and is made after its next start"' in rest_of_it
            )
            assert running.end() == (0, "stopping: running requests may finish\nstopped\n", "")


def test_it_stops_also_before_it_is_ready(folder: Path) -> None:
    """A node with millions of pins takes its time to be compared, and one that hangs even more."""
    listing = threading.Event()
    with stub_node(listing) as node:
        configure(folder, node)
        with daemon(folder, "daemon") as running:
            assert listing.wait(50)
            running.signal(signal.SIGTERM)
            assert running.end() == (0, "stopping: running requests may finish\nstopped\n", "")


def test_what_only_looks_like_a_node_is_told_of_and_does_not_keep_the_service_from_starting(folder: Path) -> None:
    with stub_node(pin_ls={"Keys": {}}) as node:
        configure(folder, node)
        with daemon(folder, "daemon") as running:
            assert running.lines_until("ready")
            running.signal(signal.SIGTERM)
            status, _, err = running.end()
    assert status == 0
    assert "what answers there is no IPFS node: pin/ls lists {'Keys': {}}" in err
    assert "Traceback" not in err


def test_a_log_file_that_cannot_be_opened_changes_nothing(folder: Path) -> None:
    configure(folder, "/unix/nowhere")
    with daemon(folder, "daemon") as running:
        running.lines_until("ready")
        changed = {"http_log_file": "no/requests.log", "headers": {"X-New": "1"}}
        configure(folder, "/unix/nowhere", restapi=changed)
        running.signal(signal.SIGHUP)
        assert running.lines_until("reload: ") == [
            f"reload: nothing was changed: {folder}/no/requests.log: No such file or directory"
        ]
        assert "X-New" not in rest(folder, "/version")[1]


def test_a_first_start_writes_down_the_daemon_that_answers(folder: Path) -> None:
    with stub_node() as node:
        repository = folder.parent / "kubo"
        repository.mkdir()
        (repository / "api").write_text(node)
        unix = {
            "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS": f"/unix{folder}/proxy.sock",
            "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS": f"/unix{folder}/rest.sock",
            "IPFS_PATH": str(repository),
        }
        with daemon(folder, "daemon", "--init", **unix) as running:
            lines = running.lines_until("ready")
            assert f"IPFS node: kubo/0.43.0/stub answers at {node}; written down" in lines
            running.signal(signal.SIGINT)
            assert running.end()[0] == 0
        before = (folder / "service.json").read_bytes()
        assert json.loads(before)["ipfs_connector"]["nodes"][0]["node_multiaddress"] == node
        (repository / "api").write_text("/ip4/127.0.0.1/tcp/1")
        with daemon(folder, "daemon", "--init", **unix) as running:
            lines = running.lines_until("ready")
            assert not [line for line in lines if line.startswith("IPFS node:")]
            assert f"node {NODE_ID}" in " ".join(lines)
        assert (folder / "service.json").read_bytes() == before


def test_a_service_manager_hears_when_it_is_ready_reloads_and_stops(folder: Path) -> None:
    configure(folder, "/unix/nowhere")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(30)

        def heard() -> list[str]:
            return [line.split("=")[0] + "=" + line.split("=")[1][:1] for line in manager.recv(4096).decode().split()]

        with daemon(folder, "daemon", NOTIFY_SOCKET=str(folder / "notify")) as running:
            assert heard()[0] == "READY=1"
            running.signal(signal.SIGHUP)
            reloading = heard()
            assert reloading[0] == "RELOADING=1"
            assert reloading[1].startswith("MONOTONIC_USEC=")
            assert heard()[0] == "READY=1"
            running.signal(signal.SIGTERM)
            assert heard() == ["STOPPING=1"]
            assert running.end()[0] == 0


def test_json_on_request(folder: Path) -> None:
    configure(folder, "/unix/nowhere")
    with daemon(folder, "--log-format", "json", "--loglevel", "error,monitor:info", "daemon") as running:
        lines = running.lines_until('{"level": "info", "ts": ')
        while '"ready"' not in lines[-1]:
            lines += running.lines_until("{")
        configure(folder, "/unix/nowhere", log={"level": "debug", "format": "text"})
        running.signal(signal.SIGHUP)
        lines += running.lines_until("{") + running.lines_until("{")
        assert '"reload: log.level: that of the command line or IPFS_CLUSTER_LOG_LEVEL goes on"' in lines[-1]
        running.signal(signal.SIGTERM)
        status, out, err = running.end()
    said = [json.loads(line)["msg"] for line in (*lines, *out.splitlines())]
    assert (status, said[-1]) == (0, "stopped")
    assert all(json.loads(line)["logger"] for line in err.splitlines())


def test_a_node_belongs_to_one_service_and_is_free_when_that_is_killed(folder: Path) -> None:
    other = folder.parent / "other"
    with stub_node() as node:
        configure(folder, node)
        configure(other, node)
        with daemon(folder, "daemon") as first:
            first.lines_until("ready")
            served = f"node {NODE_ID} is already served by process {first.process.pid};"
            with daemon(other, "daemon") as second:
                assert served in " ".join(second.lines_until("ready"))
            first.signal(signal.SIGKILL)
            first.process.wait(30)
        with daemon(other, "daemon") as again:
            assert f"node {NODE_ID} (kubo" in " ".join(again.lines_until("ready"))


def test_one_process_per_folder(folder: Path) -> None:
    configure(folder, "/unix/nowhere")
    with daemon(folder, "daemon") as running:
        running.lines_until("ready")
        with daemon(folder, "daemon") as second:
            assert second.end() == (
                1,
                "",
                f"ipfs-cluster-service: {folder} is in use by process {running.process.pid}: one process per folder\n",
            )
        assert rest(folder, "/version")[0] == 200


def test_one_process_per_socket(folder: Path) -> None:
    other = folder.parent / "other"
    configure(folder, "/unix/nowhere")
    configure(other, "/unix/nowhere")
    (other / "service.json").write_text((folder / "service.json").read_text())
    with daemon(folder, "daemon") as running:
        running.lines_until("ready")
        with daemon(other, "daemon") as second:
            status, _, err = second.end()
            assert status == 1
            assert "cannot listen: somebody listens on" in err
        assert rest(folder, "/version")[0] == 200


# --- embedded nodes ---


def embedded(folder: Path, number: int) -> None:
    """A configuration with so many of them, on free ports, at least one."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    nodes = [
        {"name": f"n{i}", "node_multiaddress": f"/ip4/127.0.0.1/tcp/{sock.getsockname()[1]}", "embedded": True}
        for i, sock in enumerate(held)
    ]
    for sock in held:
        sock.close()
    configure(folder, "/unix/nowhere", ipfs_connector={"nodes": nodes}, informer={"disk": {"reserve": 0}})


def processes(lines: list[str]) -> list[int]:
    """Of embedded nodes, as the start lines tell them."""
    return [int(line.rsplit("process ", 1)[1]) for line in lines if line.startswith("peer ")]


def wait_for_end(pid: int) -> None:
    """Of a process that is not our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 30)[0], f"process {pid} goes on"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_embedded_nodes_start_and_end_with_the_service_however_it_ends(folder: Path, number: signal.Signals) -> None:
    embedded(folder, 2)
    with daemon(folder, "daemon") as running:
        pids = processes(running.lines_until("ready"))
        assert len(set(pids)) == 2
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        running.signal(number)
        running.process.wait(30)
        for pid in pids:
            wait_for_end(pid)


def test_a_stopped_embedded_node_does_not_outlive_the_service(folder: Path) -> None:
    embedded(folder, 1)
    with daemon(folder, "daemon") as running:
        (pid,) = processes(running.lines_until("ready"))
        os.kill(pid, signal.SIGSTOP)
        running.signal(signal.SIGKILL)
        running.process.wait(30)
        os.kill(pid, signal.SIGCONT)
        wait_for_end(pid)
