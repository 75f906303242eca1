"""Paths: read as Kubo reads them, and followed to a block and what remains inside it. Texts: spec 2.0."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster.addresses import is_peer_id
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, InvalidArgument, InvalidCid, NodeError, NoSuchLink
from ipfs_cluster.ipld.values import CidLink, Value
from ipfs_cluster.unixfs import PathWalk, dagpb, open_node, resolve_path
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.opened import inlined
from ipfs_cluster.unixfs.protobuf import Malformed
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.node import Node

NAMESPACES = ("ipfs", "ipns", "ipld")
_LOOKED_INTO = 'func called on wrong kind: "LookupBySegment" called on a {} node (kind: bytes), ' + (
    "but only makes sense on map or list"
)
_SHORT = "path does not have enough components"


@dataclass(frozen=True, slots=True)
class Path:
    """A path that can be followed. namespace: "ipfs" or "ipld". base: the multibase that the root is spelled in."""

    namespace: str
    root: Cid
    names: tuple[str, ...]
    base: str = "z"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads: a block, and the names that lie inside of it."""

    namespace: str
    cid: Cid
    rest: tuple[str, ...] = ()


def parse(text: str) -> Path:
    """Read an argument. Raises InvalidArgument; NodeError for names, which this node cannot resolve."""
    try:
        return _parsed(_from_uri(text))
    except InvalidArgument as first:
        try:
            return _parsed("/ipfs/" + text)
        except InvalidArgument:
            raise first from None


def _from_uri(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in NAMESPACES:
        return text
    return f"/{scheme.lower()}/{rest.removeprefix('//')}"


def _parsed(text: str) -> Path:
    parts = posixpath.normpath(text).split("/")
    if text.startswith("//"):
        parts = parts[1:]
    if len(parts) < 3 or parts[0] or not parts[2]:
        raise InvalidArgument(f'invalid path "{text}": {_SHORT}')
    _, namespace, root, *names = parts
    if namespace not in NAMESPACES:
        raise InvalidArgument(f'invalid path "{text}": unknown namespace: "{namespace}"')
    if namespace == "ipns":
        raise _unresolvable(root)
    try:
        cid = cids.parse(root)
    except InvalidCid as error:
        raise InvalidArgument(f'invalid path "{text}": invalid cid: {error}') from None
    return Path(namespace, cid, tuple(names), "z" if cids.is_v0(cid) else root[0])


def _unresolvable(name: str) -> NodeError:
    """As an offline daemon says it: this node knows no names."""
    if is_peer_id(name):
        return NodeError("could not resolve name")
    return NodeError(
        f'DNSLink lookup for "{name}." failed: could not resolve name: DNSLink lookup could not find a TXT record '
        "(https://docs.ipfs.tech/concepts/dnslink/)"
    )


class Resolver:
    """Follows paths through one node's blocks. offline: nothing is fetched."""

    def __init__(self, node: Node, *, offline: bool = False) -> None:
        self._node = node
        self._offline = offline

    async def get(self, cid: Cid) -> bytes:
        """A block; identity CIDs carry theirs."""
        data = inlined(cid)
        return await self._node.get(cid, offline=self._offline) if data is None else data

    async def cid(self, argument: str) -> Cid:
        """The block that an argument names; what remains inside of it does not count."""
        return (await self.find(parse(argument))).cid

    async def find(self, path: Path) -> Found:
        """Follow a path. Raises NoSuchLink, BadContent and what `get` raises."""
        here, names = path.root, list(path.names)
        while names:
            codec = cids.codec(here)
            if codec == cids.DAG_PB and path.namespace == "ipfs":
                here = await self._link(here, names.pop(0), last=not names)
                continue
            if codec == cids.RAW and path.namespace == "ipfs":
                await self.get(here)
                _refuse(here, names, b"")
            value = ipld.decode(codec, await self.get(here))
            step, used = _walk(here, value, names)
            if step is None:
                return Found(path.namespace, here, tuple(names))
            here, names = step, names[used:]
        return Found(path.namespace, here)

    async def value(self, found: Found) -> Value:
        """The data where a path leads."""
        value = ipld.decode(cids.codec(found.cid), await self.get(found.cid))
        for name in found.rest:
            value = _inside(value, name)
        return value

    async def _link(self, here: Cid, name: str, *, last: bool) -> Cid:
        """The entry of a directory; of a node that is no UnixFS, its link of this name."""
        data = await self.get(here)
        try:
            node = open_node(here, data)
        except BadContent:
            return _plain_link(here, data, name)
        if last and node.kind in (Kind.FILE, Kind.RAW):
            raise NodeError(_file_text(node.links != ()))
        if node.kind not in (Kind.DIRECTORY, Kind.HAMT_SHARD):
            raise NoSuchLink(f'no link named "{name}" under {cids.text(here)}')
        walk = PathWalk(here, [name.encode()])
        walk.give(data)
        if walk.found is not None:
            return walk.found
        return await resolve_path(self.get, here, [name.encode()])


def _file_text(branching: bool) -> str:
    if branching:
        return 'func called on wrong kind: "" called on a INVALID node, but only makes sense on <empty KindSet>'
    return _LOOKED_INTO.format("data.Bytes")


def _plain_link(here: Cid, data: bytes, name: str) -> Cid:
    try:
        links = dagpb.decode(data).links
    except Malformed as error:
        raise BadContent(f"{cids.text(here)}: {error}") from None
    for link in links:
        if link.name == name.encode():
            return link.cid
    raise NoSuchLink(f'no link named "{name}" under {cids.text(here)}')


def _walk(here: Cid, value: Value, names: Sequence[str]) -> tuple[Cid | None, int]:
    """As far as the names lead inside a block: to a link and how many were used, or to the end (None)."""
    for at, name in enumerate(names):
        try:
            value = _inside(value, name)
        except NodeError:
            _refuse(here, names[at:], value)
        if isinstance(value, CidLink):
            return value.cid, at + 1
    return None, len(names)


def _inside(value: Value, name: str) -> Value:
    """One name into some data. Raises NodeError with go-ipld-prime's texts."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        raise NodeError(f'key not found: "{name}"')
    if isinstance(value, list):
        try:
            at = int(name)
        except ValueError:
            reason = f'strconv.ParseInt: parsing "{name}": invalid syntax'
            raise NodeError(f'invalid segment for lookup on a list: "{name}": {reason}') from None
        if 0 <= at < len(value):
            return value[at]
        raise NodeError(f'key not found: "{name}"')
    raise NodeError(ipld.wrong_kind("LookupBySegment", value, "map or list"))


def _refuse(here: Cid, names: Sequence[str], value: Value) -> None:
    """Kubo looks at the last name in another way than at those before it, and says it in other words."""
    if len(names) == 1 and cids.codec(here) != cids.DAG_PB:
        _inside(value, names[0])
    if len(names) == 1 and isinstance(value, bytes):
        raise NodeError(_LOOKED_INTO.format("dagpb.Bytes"))
    raise NoSuchLink(f'no link named "{names[0]}" under {cids.text(here)}')
