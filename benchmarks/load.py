"""Many small requests: wrk as the client, nginx as a stub upstream and as a proxy, the Go reverse proxy."""

from __future__ import annotations

import getpass
import grp
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Stage, need
from compat_tests.harness.http import connect, post
from compat_tests.harness.kubo import free_port
from compat_tests.harness.process import Child, eventually

Address = tuple[str, int]
_POST = 'wrk.method = "POST"\nwrk.headers["Content-Length"] = "0"\n'
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Load:
    """What wrk saw. p50, p99: seconds."""

    requests: int
    rate: float
    p50: float
    p99: float


def wrk(stage: Stage, address: Address, path: str, *, connections: int, seconds: float, close: bool = False) -> Load:
    """POST to one path on `connections` connections for a while; close: a new connection for each request."""
    program = need("wrk", "the package wrk")
    file = stage.path("request.lua")
    file.write_text(_POST + ('wrk.headers["Connection"] = "close"\n' if close else ""), encoding="ascii")
    url = f"http://{address[0]}:{address[1]}{path}"
    words = [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s"]
    done = subprocess.run([*words, "-s", str(file), url], capture_output=True, text=True, check=True, timeout=900)
    text = done.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"requests failed at {url}:\n{text}")
    total = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert total is not None
    assert rate is not None, text
    return Load(int(total[1]), float(rate[1]), _percentile(text, "50"), _percentile(text, "99"))


def _percentile(text: str, which: str) -> float:
    match = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    assert match is not None, text
    return float(match[1]) * _UNITS[match[2]]


_NGINX = """
daemon off; worker_processes 1; {user} pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 0;
    client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream behind {{ server {host}:{port}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{listen} backlog=1024;
        proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_request_buffering off; proxy_buffering off; proxy_read_timeout 1h;
        {stub}
        location / {{ proxy_pass http://behind; }}
    }}
}}
"""


def nginx(stage: Stage, behind: Address, stub: str = "") -> tuple[Address, tuple[int, ...]]:
    """A running nginx that passes on to `behind` what the stub (location blocks) does not answer; its processes."""
    program = need("nginx", "the package nginx-light")
    folder, listen = stage.path("nginx"), free_port()
    folder.mkdir()
    file = folder / "nginx.conf"
    # Workers of an nginx that root started would be nobody, and could not read the benchmark's files.
    user = f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};" if os.geteuid() == 0 else ""
    file.write_text(
        _NGINX.format(user=user, folder=folder, host=behind[0], port=behind[1], listen=listen, stub=stub),
        encoding="utf-8",
    )
    child = stage.process(program, "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log"))
    address = ("127.0.0.1", listen)
    _listening(child, address)
    pid = child.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return address, (pid, *map(int, workers))


def go_proxy(stage: Stage, behind: Address) -> tuple[Address, tuple[int, ...]]:
    """Go's httputil.ReverseProxy, tuned."""
    program = stage.path("go_proxy")
    source = Path(__file__).parent / "go_proxy"
    go = need("go", "Go")
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    subprocess.run([go, "build", "-o", str(program), "."], cwd=source, env=environment, check=True, timeout=600)
    address = ("127.0.0.1", free_port())
    child = stage.process(str(program), f"{address[0]}:{address[1]}", f"http://{behind[0]}:{behind[1]}")
    _listening(child, address)
    return address, (child.process.pid,)


def _listening(child: Child, address: Address) -> None:
    def answers() -> bool:
        assert child.running, child.output()
        try:
            connect(address).close()
        except OSError:
            return False
        return True

    eventually(answers, "the process listens", 10)


def check(address: Address, path: str) -> None:
    """One request must succeed before many are sent."""
    answer = post(address, path)
    if answer.status != 200:
        raise SystemExit(f"{address}{path} answers {answer.status}: {answer.text[:300]}")
