"""Raw HTTP/1.1 as bytes, with trailers and cut bodies visible."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from urllib.parse import quote

from ipfs_cluster.http1 import BodyReader, Cut, parse_response_head, response_body


@dataclass
class Answer:
    """One response. cut: the body ended before its framing said so."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def connect(address: tuple[str, int] | str, seconds: float = 60.0) -> socket.socket:
    """A connection to a tcp address or a unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(seconds)
        sock.connect(address)
        return sock
    return socket.create_connection(address, timeout=seconds)


def exchange(address: tuple[str, int] | str, request: bytes, *, seconds: float = 60.0) -> bytes:
    """Send bytes, read to the end of the connection."""
    with connect(address, seconds) as sock:
        sock.sendall(request)
        out = bytearray()
        try:
            while data := sock.recv(65536):
                out += data
        except ConnectionResetError:
            out += b""
        return bytes(out)


def parse(data: bytes, method: str = "POST") -> Answer:
    """The first final response in data."""
    at = 0
    while True:
        head = parse_response_head(data[at:])
        assert head is not None, f"no complete response head in {data[:200]!r}"
        at += head.size
        if head.status >= 200:
            break
    headers: dict[str, str] = {}
    for name, value in head.fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    reader: BodyReader = response_body(head, method)
    content: list[bytes] = []
    reader.take(data, at, content)
    cut = False
    try:
        reader.end_of_input()
    except Cut:
        cut = True
    return Answer(head.status, headers, b"".join(content), dict(reader.trailers), cut)


def post(
    address: tuple[str, int] | str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    method: str = "POST",
    seconds: float = 60.0,
) -> Answer:
    """One request on a connection of its own."""
    fields = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return parse(exchange(address, head.encode() + b"\r\n" + body, seconds=seconds), method)


def multipart(
    *parts: tuple[str | None, bytes, str], boundary: str = "BoundaryOfTheTests"
) -> tuple[dict[str, str], bytes]:
    """Headers and body of an upload; a part is (file name or None, content, content type)."""
    body = b""
    for filename, content, kind in parts:
        name = "" if filename is None else f'; filename="{quote(filename, safe="")}"'
        disposition = f'Content-Disposition: form-data; name="file"{name}\r\nContent-Type: {kind}\r\n\r\n'
        body += f"--{boundary}\r\n{disposition}".encode() + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def file_part(name: str, content: bytes) -> tuple[str | None, bytes, str]:
    """A regular file."""
    return name, content, "application/octet-stream"


def directory_part(name: str) -> tuple[str | None, bytes, str]:
    """A directory."""
    return name, b"", "application/x-directory"
