"""Memory of the service with 10,000 idle connections.

Question: what does a client that keeps its connection open cost?
Method: connections that have each made one relayed request (`POST /api/v0/version`) and then stay open; resident
memory of the service with them, and what it grew by. One request on each still succeeds at the end.
"""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack

from benchmarks.common import Stage, arguments, pid_of, resident_mb
from benchmarks.report import Row, report
from compat_tests.harness.http import connect

REQUEST = b"POST /api/v0/version HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def ask(sock: socket.socket) -> None:
    """One request and its whole answer."""
    sock.sendall(REQUEST)
    data = b""
    while b"\r\n\r\n" not in data or (not data.endswith(b"}\n") and not data.endswith(b"\r\n0\r\n\r\n")):
        piece = sock.recv(65536)
        assert piece, "the service closed an idle connection"
        data += piece
    assert data.startswith(b"HTTP/1.1 200 "), data


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    count = 500 if options.quick else 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < count + 500:
        raise SystemExit(f"this benchmark needs {count + 500} open files; the limit here is {hard} (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 500 if hard < 0 else hard, hard))
    with Stage() as stage, ExitStack() as clients:
        service = stage.service([stage.node()])
        with connect(service.address) as sock:
            ask(sock)
        pid = pid_of(service)
        before = resident_mb(pid)
        sockets = []
        for _ in range(count):
            sock = clients.enter_context(connect(service.address))
            ask(sock)
            sockets.append(sock)
        time.sleep(3)  # the service looks after its connections once a second
        after = resident_mb(pid)
        for sock in sockets:
            ask(sock)
    rows = [
        Row(f"{count:,} idle connections: resident", "", after, "MB", must="< 150"),
        Row("growth a connection", "", (after - before) * 1000 / count, "kB"),
        Row("resident without them", "", before, "MB"),
    ]
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
