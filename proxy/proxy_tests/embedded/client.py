"""A client that sees everything of an answer: status, headers, trailers, a body that breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipfs_cluster.http1 import Cut, parse_response_head, response_body

BOUNDARY = "b0undary"
Headers = Mapping[str, str]


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def values(self) -> list[Any]:
        """The body's JSON values, one a line."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def value(self) -> Any:
        """The only JSON value of an answer that succeeded."""
        assert self.status == 200, self
        (value,) = self.values
        return value

    @property
    def error(self) -> str:
        """The message of an error that came before the first value."""
        assert self.status == 500, self
        (value,) = self.values
        assert list(value) == ["Message", "Code", "Type"]
        assert (value["Code"], value["Type"]) == (0, "error")
        return str(value["Message"])


async def ask(
    address: tuple[str, int] | str, method: str, target: str, headers: Headers | None = None, body: bytes = b""
) -> Answer:
    """One request on a connection of its own."""
    fields = {"Host": "x", "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    opening = asyncio.open_unix_connection(address) if isinstance(address, str) else asyncio.open_connection(*address)
    reader, writer = await opening
    try:
        writer.write(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        return _parsed(await reader.read(), method)
    finally:
        writer.close()
        await writer.wait_closed()


def _parsed(data: bytes, method: str) -> Answer:
    head = parse_response_head(data)
    assert head is not None, data[:200]
    answer = Answer(head.status, dict(head.fields), b"")
    if method == "HEAD":
        assert data[head.size :] == b"", "an answer to HEAD has no body"
        return answer
    reader, pieces = response_body(head, method), list[bytes]()
    reader.take(data, head.size, pieces)
    answer.body = b"".join(pieces)
    try:
        reader.end_of_input()
    except Cut:
        answer.cut = True
    answer.trailers = dict(reader.trailers)
    return answer


def multipart(*parts: tuple[str | None, bytes, str] | tuple[str | None, bytes]) -> tuple[dict[str, str], bytes]:
    """Headers and body of file parts: (filename, content, content type)."""
    body = bytearray()
    for part in parts:
        name, content = part[0], part[1]
        kind = part[2] if len(part) > 2 else "application/octet-stream"
        quoted = "" if name is None else f'; filename="{name}"'
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"{quoted}\r\n'.encode()
        body += f"Content-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, bytes(body)
