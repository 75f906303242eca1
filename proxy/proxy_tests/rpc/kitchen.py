"""Command handlers over an engine of fake nodes: a request goes in, what the client would see comes out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from cluster_tests.engine.conftest import World
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError, NodeUnreachable
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_proxy.front.exchange import Request
from ipfs_proxy.rpc.pin import pin_commands

SERVER = "kubo/0.43.0"


class TreeNode(FakeNode):
    """A node that knows paths, and what is below its recursive pins."""

    def __init__(self, like: FakeNode) -> None:
        super().__init__(like.network, like.node_id, like.free)
        self.paths: dict[str, Cid] = {}
        self.children: dict[Cid, Cid] = {}
        """child → root"""
        self.broken = ""

    async def resolve(self, path: str) -> Cid:
        if path not in self.paths:
            raise NodeError(f'invalid path "{path}": path does not have enough components')
        return self.paths[path]

    async def indirect(self) -> AsyncIterator[list[Cid]]:
        if self.broken:
            raise NodeUnreachable(self.broken)
        if self.children:
            yield list(self.children)

    async def indirect_root(self, cid: Cid) -> Cid | None:
        return self.children.get(cid)


@dataclass
class Answered:
    """What a client sees of one answer. whole: sent by `respond`."""

    status: int = 0
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    failure: str | None = None
    finished: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """The body."""
        return b"".join(self.pieces).decode()

    @property
    def values(self) -> list[object]:
        """The body's JSON values, one a line."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def error(self) -> str:
        """The message of an error that came before the first value."""
        assert (self.status, self.finished, self.failure) == (500, True, None), self
        (value,) = self.values
        assert isinstance(value, dict)
        assert list(value) == ["Message", "Code", "Type"]
        assert (value["Code"], value["Type"]) == (0, "error")
        return str(value["Message"])


class Recorder:
    """A `Reply` that keeps everything, and the order of calls strict."""

    def __init__(self) -> None:
        self.seen = Answered()

    @property
    def started(self) -> bool:
        return self.seen.status != 0

    async def start(
        self, status: int = 200, *, content_type: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        assert not self.started
        self.seen.status, self.seen.content_type, self.seen.headers = status, content_type, dict(headers or {})

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        await self.start(status, content_type=headers.get("Content-Type", ""), headers=headers)

    async def write(self, data: bytes) -> None:
        assert self.started
        assert not self.seen.finished
        if data:
            self.seen.pieces.append(data)

    async def finish(self) -> None:
        assert self.started
        assert not self.seen.finished
        self.seen.finished = True

    async def fail(self, message: str) -> None:
        await self.finish()
        self.seen.failure = message

    async def respond(self, status: int, body: bytes, *, headers: Mapping[str, str]) -> None:
        await self.start(status, content_type=headers.get("Content-Type", ""), headers=headers)
        await self.write(body)
        await self.finish()
        self.seen.whole = True


class Pieces:
    """A request body."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


BOUNDARY = "b0undary"


def lines_body(text: bytes, *, end: bool = True) -> bytes:
    """A multipart body with this file in it."""
    head = b'--b0undary\r\nContent-Disposition: form-data; name="file"; filename="stdin"\r\n\r\n'
    return head + text + (b"\r\n--b0undary--\r\n" if end else b"")


class Kitchen:
    """The pin commands over a world."""

    def __init__(self, world: World, *, indirect: bool = True) -> None:
        assert world.cluster is not None
        self.world = world
        self.commands = pin_commands(world.cluster, lambda: SERVER, indirect=indirect, tick=world.clock.sleep)

    def request(self, query: str, body: Sequence[bytes] = (), tail: Sequence[str] = (), kind: str = "") -> Request:
        """A request for a command."""
        content = kind or f"multipart/form-data; boundary={BOUNDARY}"
        headers = {"content-type": content} if body or kind else {}
        return Request("POST", "/api/v0/x", query, headers, Pieces(*body), tuple(tail))

    async def ask(
        self, command: str, query: str = "", *body: bytes, tail: Sequence[str] = (), kind: str = ""
    ) -> Answered:
        """Ask and wait for the whole answer."""
        reply = Recorder()
        await self.commands[command].handler(self.request(query, body, tail, kind), reply)
        assert reply.seen.finished
        return reply.seen
