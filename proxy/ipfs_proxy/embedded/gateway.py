"""A trustless gateway (specs.ipfs.tech/http-gateways/trustless-gateway): blocks and CARs of what is here.

It never fetches: two nodes that lack a block would ask each other for ever, and a web page could make this one fetch.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from ipfs_cluster import cid as cids
from ipfs_cluster.car import head, section
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, ClusterError, InvalidArgument
from ipfs_cluster.unixfs import open_node
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.opened import inlined
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Path, Resolver, parse
from ipfs_proxy.embedded.walks import walk
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.wire.params import parse_query

PREFIX = "/ipfs/"
NAME = "/ipfs"
RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
FORMATS = {"raw": RAW, "car": CAR}
IMMUTABLE = "public, max-age=29030400, immutable"
PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
TRUSTLESS = (
    "only trustless requests are accepted on this gateway: https://specs.ipfs.tech/http-gateways/trustless-gateway/"
)
PARAMETERS = ("version", "order", "dups")
SCOPES = ("all", "entity", "block")


class Refused(Exception):
    """An answer that is no content."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wanted:
    """kind: RAW or CAR. location: where the same is to be had without an Accept header; empty without one."""

    kind: str
    location: str
    order: str
    scope: str


def wanted(request: Request) -> Wanted:
    """What is asked for: by the query before the Accept header. Raises Refused."""
    query = dict(reversed(parse_query(request.query)))
    location = ""
    kind = FORMATS.get(query.get("format", ""), "")
    if "format" not in query:
        kind, options = _accepted(request.headers.get("accept", ""))
        query |= options
        if kind:
            named = {**options, "format": kind[-3:]}
            location = request.path + "?" + "&".join(f"{name}={named[name]}" for name in sorted(named))
    if not kind:
        raise Refused(406, TRUSTLESS)
    if kind == RAW:
        return Wanted(RAW, location, "", "block")
    return Wanted(CAR, location, _order(query), _scope(query))


def _accepted(header: str) -> tuple[str, dict[str, str]]:
    """The first type in an Accept header that is served here, and its parameters as those of the query."""
    for part in header.split(","):
        kind, *parameters = [item.strip() for item in part.split(";")]
        if kind.lower() in (RAW, CAR):
            pairs = [item.partition("=") for item in parameters]
            known = {f"car-{name.strip()}": value.strip() for name, _, value in pairs if name.strip() in PARAMETERS}
            return kind.lower(), known if kind.lower() == CAR else {}
    return "", {}


def _order(query: Mapping[str, str]) -> str:
    if query.get("car-version", "1") != "1":
        raise Refused(400, "only version 1 of CAR is served")
    order = query.get("car-order", "dfs")
    if order not in ("dfs", "unk"):
        raise Refused(400, f"unsupported order of blocks: {order}")
    dups = query.get("car-dups", "n")
    if dups not in ("y", "n"):
        raise Refused(400, f"unsupported dups: {dups}")
    if dups == "y":
        raise Refused(406, "CARs are served without duplicate blocks only: dups=n")
    return order


def _scope(query: Mapping[str, str]) -> str:
    if "entity-bytes" in query:
        raise Refused(406, "entity-bytes is not served: ask for the whole entity")
    scope = query.get("dag-scope", "all")
    if scope not in SCOPES:
        raise Refused(400, f"unsupported dag-scope: {scope}")
    return scope


class Trail(Resolver):
    """Remembers the blocks that a path leads through, in order."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, offline=True)
        self.seen: dict[Cid, bytes] = {}
        self.noting = True

    async def get(self, cid: Cid) -> bytes:
        """A block of this node."""
        data = self.seen.get(cid)
        if data is None:
            data = await super().get(cid)
            if self.noting:
                self.seen[cid] = data
        return data


class Gateway:
    """The handler of GET and HEAD."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def command(self) -> Command:
        """As the front wants it."""
        return Command(self._handle)

    async def _handle(self, request: Request, reply: Reply) -> None:
        try:
            path = _path(request.path)
            asked = wanted(request)
            if asked.kind == RAW and path.names:
                raise Refused(406, TRUSTLESS)
            await self._serve(request, reply, path, asked)
        except Refused as refused:
            body = f"{refused}\n".encode("utf-8", "replace")
            named = {"X-Ipfs-Path": quote(request.path)} if refused.status == 406 else {}
            await reply.respond(refused.status, body, headers={**PLAIN, **named})

    async def _serve(self, request: Request, reply: Reply, path: Path, asked: Wanted) -> None:
        if inlined(path.root) is None and not await self._node.has(path.root):
            cached = "only-if-cached" in request.headers.get("cache-control", "")
            raise Refused(412 if cached else 404, f'"{request.path}" not in local datastore')
        trail = Trail(self._node)
        try:
            steps = [replace(path, names=path.names[:depth]) for depth in range(len(path.names) + 1)]
            roots = [(await trail.find(step)).cid for step in steps]
            first = await trail.get(roots[-1])
        except ClusterError as error:
            raise Refused(404, f"failed to resolve {request.path}: {error}") from None
        headers = _headers(request, path, roots, asked)
        if _known(request, headers["Etag"]):
            kept = ("Cache-Control", "Etag", "X-Ipfs-Path")
            await reply.respond(304, b"", headers={name: headers[name] for name in kept})
        elif asked.kind == RAW:
            await reply.respond(200, first, headers=headers)
        else:
            await self._archive(request, reply, headers, trail, roots[-1], asked.scope)

    async def _archive(
        self, request: Request, reply: Reply, headers: Mapping[str, str], trail: Trail, root: Cid, scope: str
    ) -> None:
        await reply.open(200, headers)
        if request.method == "HEAD":
            await reply.finish()
            return
        try:
            await reply.write(head([root]))
            sent: set[Cid] = set()
            async for cid, data in self._blocks(trail, root, scope):
                if cid not in sent and inlined(cid) is None:
                    await reply.write(b"".join(section(cid, (data,), len(data))))
                sent.add(cid)
        except ClusterError as error:
            await reply.fail(str(error))
        else:
            await reply.finish()

    async def _blocks(self, trail: Trail, root: Cid, scope: str) -> AsyncIterator[tuple[Cid, bytes]]:
        """Those of the path, then what is asked for below its end."""
        trail.noting = False
        for item in trail.seen.items():
            yield item
        if scope == "block":
            return
        async for cid, data in _entity(trail, root) if scope == "entity" else walk(trail, root):
            yield cid, data


async def _entity(resolver: Resolver, root: Cid) -> AsyncIterator[tuple[Cid, bytes]]:
    """All of a file; of a directory what names its entries; of anything else its block."""
    data = await resolver.get(root)
    try:
        kind = open_node(root, data).kind if cids.codec(root) in (cids.RAW, cids.DAG_PB) else None
    except BadContent:
        kind = None
    if kind is Kind.FILE or kind is Kind.RAW:
        async for item in walk(resolver, root):
            yield item
        return
    yield root, data
    if kind is not Kind.HAMT_SHARD:
        return
    width = len(f"{open_node(root, data).fanout - 1:X}")
    stack = [link.cid for link in ipld.links(root, data) if len(link.name) == width]
    while stack:
        cid = stack.pop()
        shard = await resolver.get(cid)
        yield cid, shard
        stack.extend(link.cid for link in ipld.links(cid, shard) if len(link.name) == width)


def _path(text: str) -> Path:
    try:
        return parse(text)
    except InvalidArgument as error:
        raise Refused(400, str(error)) from None


def _headers(request: Request, path: Path, roots: list[Cid], asked: Wanted) -> dict[str, str]:
    root = cids.text(path.root)
    options = dict(reversed(parse_query(request.query)))
    car = asked.kind == CAR
    stem = root + (f"_{path.names[-1]}" if path.names else "")
    name = options.get("filename") or f"{stem}.{'car' if car else 'bin'}"
    mark = hashlib.blake2b(f"{request.path}\n{asked.scope}\n{asked.order}".encode(), digest_size=8).hexdigest()
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    headers = {
        "Accept-Ranges": "none",
        "Cache-Control": IMMUTABLE,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Type": f"{CAR}; version=1; order={asked.order}; dups=n" if car else RAW,
        "Etag": f'W/"{root}.car.{mark}"' if car else f'"{root}.raw"',
        "X-Content-Type-Options": "nosniff",
        "X-Ipfs-Path": quote(request.path),
        "X-Ipfs-Roots": ",".join(map(cids.text, roots)),
    }
    return headers | ({"Content-Location": quote(asked.location, safe="/?&=")} if asked.location else {})


def _known(request: Request, etag: str) -> bool:
    """Whether the client has it already, by a weak comparison."""
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag.removeprefix("W/") in given or "*" in given
