"""A fake node whose `add` reads multipart and tells events as Kubo does, and what tests send to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.model import NodePin, PinMode
from ipfs_cluster.ports import NodeResponse
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_cluster.wire.multipart import MultipartParser, Part, boundary_of

BOUNDARY = "b0undary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def cid_of(content: bytes) -> Cid:
    """What the node makes of these bytes."""
    return cids.from_bytes(b"\x01\x55\x12\x20" + hashlib.sha256(content).digest())


def text_of(content: bytes) -> str:
    """The same as text."""
    return cids.text(cid_of(content))


def form(*files: tuple[str, bytes], end: bool = True) -> bytes:
    """A multipart body."""
    body = b""
    for name, content in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


class ImportingNode(FakeNode):
    """trailer, refusal: how its answers end or begin. imported: the events that `dag/import` ends with. begun, left: an
    upload has.
    """

    def __init__(self, like: FakeNode) -> None:
        super().__init__(like.network, like.node_id, like.free)
        self.trailer = ""
        self.refusal: tuple[int, bytes] | None = None
        self.imported: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.begun, self.left = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AsyncIterator[NodeResponse]:
        self.asked.append((command, dict(parse_qsl(query))))
        self.begun.set()
        try:
            yield _Import(
                self, command, dict(parse_qsl(query)), boundary_of(dict(headers)["Content-Type"]) or b"", body
            )
        finally:
            self.left.set()


class _Import:
    def __init__(
        self, node: ImportingNode, command: str, query: dict[str, str], boundary: bytes, body: AsyncIterator[bytes]
    ) -> None:
        self.status = node.refusal[0] if node.refusal else 200
        self.headers: Mapping[str, str] = {}
        self._node = node
        self._import = command == "dag/import"
        self._query = query
        self._parser = MultipartParser(boundary)
        self._body = body

    @property
    def trailers(self) -> Mapping[str, str]:
        return {"x-stream-error": self._node.trailer} if self._node.trailer else {}

    async def read(self) -> bytes:
        assert self._node.refusal is not None
        return self._node.refusal[1]

    async def batches(self) -> AsyncIterator[list[bytes]]:
        name, content, due = "", b"", None
        async for piece in self._body:
            for event in self._parser.feed(piece):
                if isinstance(event, Part):
                    name, content = event.filename or "", b""
                elif isinstance(event, bytes):
                    content += event
                elif not self._import:
                    self._pin(due)
                    due = cid_of(content)
                    if self._query["progress"] == "true":
                        yield [json.dumps({"Name": name, "Bytes": len(content)}, separators=(",", ":")).encode()]
                    value = {"Name": name, "Hash": cids.text(due), "Size": str(len(content) + 8)}
                    yield [json.dumps(value, separators=(",", ":")).encode()]
        for imported in self._node.imported if self._import else ():
            if (root := imported.get("Root")) and not root["PinErrorMsg"]:
                self._pin(cids.parse(root["Cid"]["/"]))
            yield [json.dumps(imported, separators=(",", ":")).encode()]
        if not self._node.trailer:
            self._pin(due)

    def _pin(self, root: Cid | None) -> None:
        if root is not None and "true" in (self._query.get("pin"), self._query.get("pin-roots")):
            self._node.network.content.add(root)
            self._node.pins_held[root] = NodePin(root, PinMode.RECURSIVE)
