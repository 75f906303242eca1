"""A crowd at the REST API.

Question: do two thousand clients at once, and those who read or write slowly or never, keep it from answering others,
and what memory do they take?
Method: a service with 100,000 pins. *Busy*: so many connections ask for a pin's entry in turn, each the next when it
has its answer; requests a second, 99th percentile and the slowest. Then three crowds that stay: *slow readers* have
asked for all of `/pins` (half of them) or `/allocations` and read nothing; *heads* have sent half a request's head;
*bodies* have sent a part of the body of `POST /add`, to a service without pins before a real Kubo. During each,
another client asks `/id` again and again, on one connection and on a new one each: the slowest of its answers; resident
memory beside that before the crowd.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import quantiles

from benchmarks.common import Stage, arguments, pid_of, resident_mb
from benchmarks.pinset import cid, imported
from benchmarks.report import Row, report
from compat_tests.harness.kubo import free_port
from compat_tests.harness.service import Service
from ipfs_cluster import cid as cids
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.ports import PeerRecord, PutPeer
from ipfs_proxy.compose import STORE_FILE

ASKED = 300
UPLOAD = (
    b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
)


@dataclass
class Nobody:
    """A node that is not there."""

    multiaddr: str


class Client:
    """One connection. buffer: bytes that the kernel may keep for it, so that a slow reader is one soon."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> Client:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=65536)
        return self

    async def ask(self, path: str) -> float:
        """One small answer; seconds that it took."""
        began = time.perf_counter()
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self.reader.readexactly(int(length.partition(b":")[2]))
        return time.perf_counter() - began

    def close(self) -> None:
        """Leave."""
        self.writer.transport.abort()


async def busy(port: int, clients: int, seconds: float) -> list[float]:
    """Answers of that many clients that ask as fast as they are answered."""
    numbers = itertools.count()
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def one() -> None:
        client = await Client(port).open()
        while time.perf_counter() < until:
            times.append(await client.ask(f"/allocations/{cids.text(cid(next(numbers) % 1000))}"))
        client.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
    return times


@contextlib.asynccontextmanager
async def crowd(port: int, requests: list[bytes]) -> AsyncIterator[list[Client]]:
    """Connections on which these have been sent, and which then do nothing."""
    clients: list[Client] = []
    try:
        for request in requests:
            client = await Client(port).open()
            clients.append(client)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.writer.write(request)
        yield clients
    finally:
        for client in clients:
            client.close()


async def others(port: int) -> list[float]:
    """How long answers take somebody else."""
    path = "/id"
    staying = await Client(port).open()
    times = []
    for _ in range(ASKED):
        times.append(await staying.ask(path))
        fresh = await Client(port).open()
        times.append(await fresh.ask(path))
        fresh.close()
        await asyncio.sleep(0.01)
    staying.close()
    return times


async def measured(service: Service, clients: int, seconds: float) -> list[Row]:
    """All of it."""
    port, pid = service.rest_port, pid_of(service)
    alone = await others(port)
    rows = [Row("an answer, alone: slowest of 600", "", max(alone) * 1e3, "ms")]
    times = await busy(port, clients, seconds)
    rows += [
        Row(f"{clients:,} busy clients", "", len(times) / seconds, "requests/s"),
        Row("their answers, 99 of 100 within", "", quantiles(times, n=100)[98] * 1e3, "ms"),
        Row("their answers, slowest", "", max(times) * 1e3, "ms"),
        Row("resident after them", "", resident_mb(pid), "MB"),
    ]
    listing = [
        f"GET /{'pins' if n % 2 else 'allocations'} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in range(clients)
    ]
    rows += await beside(service, "slow readers", listing)
    return rows + await beside(service, "heads", [b"GET /pins HTTP/1.1\r\nHo"] * clients)


async def beside(service: Service, name: str, requests: list[bytes]) -> list[Row]:
    """What it is like for others while this crowd stays."""
    before = resident_mb(pid_of(service))
    async with crowd(service.rest_port, requests):
        await asyncio.sleep(5)
        slowest = max(await others(service.rest_port))
        grown = resident_mb(pid_of(service)) - before
    await asyncio.sleep(3)
    return [
        Row(f"beside {len(requests):,} {name}: an answer, slowest of 600", "", slowest * 1e3, "ms", must="< 1000"),
        Row(f"memory that {len(requests):,} {name} take", "", grown, "MB", must="< 300"),
    ]


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    clients, count = (200, 5_000) if options.quick else (2_000, 100_000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Stage() as stage:
        nobody = Nobody(f"/ip4/127.0.0.1/tcp/{free_port()}")
        service = stage.service([nobody], start=False)  # type: ignore[list-item]
        peer = load_or_create(service.folder / "identity.json").id
        imported(service.folder / STORE_FILE, count, peer, PutPeer(PeerRecord(peer, "n0", surveyed=True, adopted=True)))
        service.start()
        rows = asyncio.run(measured(service, clients, 2 if options.quick else 15))
        service.stop()
        rows += asyncio.run(beside(stage.service([stage.node()]), "bodies", [UPLOAD + b"x" * 1000] * clients))
    report(__name__, __doc__, rows, options)


if __name__ == "__main__":
    main()
