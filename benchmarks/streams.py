"""Few large transfers over raw sockets: one buffer to read into, files sent by the kernel: a cheap client."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from compat_tests.harness.http import Answer, connect, parse
from ipfs_cluster.http1 import parse_response_head

Address = tuple[str, int]
BUFFER = 1 << 20
BOUNDARY = "BoundaryOfTheBenchmarks"


@dataclass(frozen=True)
class Download:
    """An answer read to its end. first: seconds to its first body byte. size: bytes, with their framing. objects: JSON
    objects, counted by their closing braces."""

    seconds: float
    first: float
    size: int
    objects: int


def download(address: Address, path: str, *, count_objects: bool = False) -> Download:
    """POST without a body; read until the last chunk. Fails unless the answer is a complete, chunked 200."""
    buffer = bytearray(BUFFER)
    view = memoryview(buffer)
    with connect(address, 600) as sock:
        begin = time.monotonic()
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Length: 0\r\n\r\n".encode())
        data = b""
        while (head := parse_response_head(data)) is None or len(data) == head.size:
            piece = sock.recv(65536)
            assert piece, f"no answer to {path}"
            data += piece
        first = time.monotonic() - begin
        assert head.status == 200, data[:500]
        size, objects, tail = len(data) - head.size, data.count(b"}", head.size), data[-7:]
        while not tail.endswith(b"0\r\n\r\n"):
            length = sock.recv_into(buffer)
            assert length, f"{path} was cut after {size} bytes"
            size += length
            objects += buffer.count(b"}", 0, length) if count_objects else 0
            tail = (tail + view[max(0, length - 7) : length])[-7:]
        return Download(time.monotonic() - begin, first, size, objects)


def file_body(path: Path, content_size: int, name: str = "file") -> Path:
    """A multipart body of one file with random content."""
    with open(path, "wb") as file:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        file.write(f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode())
        for _ in range(content_size // BUFFER):
            file.write(os.urandom(BUFFER))
        file.write(f"\r\n--{BOUNDARY}--\r\n".encode())
    return path


def upload(address: Address, path: str, body: Path) -> tuple[float, Answer]:
    """POST a multipart body from a file; seconds to the end of the answer, and the answer, which must be a 200."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\nContent-Length: {body.stat().st_size}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    with open(body, "rb") as file, connect(address, 600) as sock:
        begin = time.monotonic()
        sock.sendall(head.encode())
        sock.sendfile(file)
        data = bytearray()
        while piece := sock.recv(65536):
            data += piece
        seconds = time.monotonic() - begin
    answer = parse(bytes(data))
    assert answer.status == 200, answer.text[:500]
    assert not answer.cut, "the answer was cut"
    assert "x-stream-error" not in {name.lower() for name in answer.trailers}, answer.trailers
    return seconds, answer
