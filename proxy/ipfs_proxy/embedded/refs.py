"""`refs` and `refs/local`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError, InvalidArgument, NodeError
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.wire.params import Option

PLAIN = "<dst>"
EDGES = "<src> -> <dst>"
REFS = (
    Option("format", str, (), PLAIN),
    Option("edges", bool, ("e",)),
    Option("unique", bool, ("u",)),
    Option("recursive", bool, ("r",)),
    Option("max-depth", int, (), -1),
)


def refs_entries(node: Node) -> dict[str, Entry]:
    """The table of these commands."""
    refs = Refs(node)
    return {
        "refs": Entry(refs.refs, REFS, ("ipfs-path",), body=True, many=True, timed=False),
        "refs/local": Entry(refs.local),
    }


@dataclass(slots=True)
class _Walk:
    """depth: levels to go below a root, −1 for all. seen: what was named, if each is to be named once."""

    resolver: Resolver
    depth: int
    unique: bool
    seen: dict[Cid, int] = field(default_factory=dict)

    async def below(self, root: Cid) -> AsyncIterator[tuple[Cid, Cid, bytes]]:
        """(parent, child, name), depth first. Raises what `get` raises."""
        stack = [iter(await self._links(root))] if self.depth else []
        while stack:
            edge = next(stack[-1], None)
            if edge is None:
                stack.pop()
                continue
            child, level = edge[1], len(stack)
            if self.unique and not self._first(child, level):
                if self._deeper(child, level):
                    stack.append(iter(await self._links(child)))
                continue
            yield edge
            if self.depth < 0 or level < self.depth:
                stack.append(iter(await self._links(child)))

    def _first(self, cid: Cid, level: int) -> bool:
        if cid in self.seen:
            return False
        self.seen[cid] = level
        return True

    def _deeper(self, cid: Cid, level: int) -> bool:
        """Whether a block that was named before has to be walked again: it was reached too deep to see all below."""
        if self.depth < 0 or level >= self.seen[cid]:
            return False
        self.seen[cid] = level
        return level < self.depth

    async def _links(self, cid: Cid) -> list[tuple[Cid, Cid, bytes]]:
        data = await self.resolver.get(cid)
        return [(cid, link.cid, link.name) for link in ipld.links(cid, data)]


class Refs:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def refs(self, call: Call) -> None:
        """What blocks point to. Missing blocks are told as values: the request itself succeeds."""
        params, show = call.params, call.show
        template = params.text("format") or PLAIN
        if params.flag("edges"):
            if template != PLAIN:
                raise InvalidArgument("using format argument with edges is not allowed")
            template = EDGES
        depth = int(params.options["max-depth"]) if params.flag("recursive") else 1
        resolver = Resolver(self._node, offline=params.flag("offline"))
        walk = _Walk(resolver, depth, params.flag("unique"))
        try:
            async with asyncio.timeout(params.timeout):
                roots = [await resolver.cid(argument) for argument in call.arguments]
                for root in roots:
                    try:
                        async for source, target, name in walk.below(root):
                            await call.emit(_ref(_filled(template, show(source), show(target), name)))
                    except ClusterError as error:
                        await self._failed(call, str(error))
        except TimeoutError:
            await self._failed(call, "context deadline exceeded")
        await call.end()

    async def _failed(self, call: Call, message: str) -> None:
        """A value, except as text, which has no place for it."""
        if call.answer.encoding in ("text", "textnl"):
            await call.answer.begin()
            raise NodeError(message)
        await call.emit(_ref("", message))

    async def local(self, call: Call) -> None:
        """All blocks that are here."""
        show = call.show
        async for page in self._node.blocks():
            await call.emit(*[_ref(show(cid)) for cid in page])
        await call.end()


def _filled(template: str, source: str, target: str, name: bytes) -> str:
    if template == PLAIN:
        return target
    named = name.decode("utf-8", "replace")
    return template.replace("<src>", source).replace("<dst>", target).replace("<linkname>", named)


def _ref(text: str, error: str = "") -> Shown:
    return Shown({"Ref": text, "Err": error}, "RefWrapper", "" if error else f"{text}\n")
