"""dag-pb: nodes with named links, the links before the data, as Kubo writes them (spec 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import InvalidCid
from ipfs_cluster.unixfs import protobuf
from ipfs_cluster.unixfs.model import Link
from ipfs_cluster.unixfs.protobuf import BYTES, VARINT, Malformed
from ipfs_cluster.varint import encode

DATA = 0x0A


@dataclass(frozen=True, slots=True)
class PbNode:
    """A decoded node. data is None when the field is absent, which is not the same as empty."""

    links: tuple[Link, ...]
    data: memoryview | None


def encode_link(link: Link) -> bytes:
    """A link with its tag: Hash, Name, Tsize; the last two are written even if empty."""
    name, cid, tsize = link
    body = b"\x0a" + encode(len(cid)) + cid + b"\x12" + encode(len(name)) + name + b"\x18" + encode(tsize)
    return b"\x12" + encode(len(body)) + body


def link_size(link: Link) -> int:
    """Bytes of `encode_link`."""
    name, cid, tsize = link
    body = 3 + len(encode(len(cid))) + len(cid) + len(encode(len(name))) + len(name) + len(encode(tsize))
    return 1 + len(encode(body)) + body


def encode_links(links: Iterable[Link]) -> bytes:
    """The links in the order given, which has to be that of their names."""
    return b"".join([encode_link(link) for link in links])


def decode(raw: bytes | memoryview) -> PbNode:
    """A node from its block. Raises Malformed for what the dag-pb specification forbids.

    Accepted beyond its canonical form, as go-codec-dagpb does: links after the data (old nodes have them so).
    """
    links: list[Link] = []
    data: memoryview | None = None
    closed = False
    for field, kind, value in protobuf.fields(raw):
        if kind != BYTES or not isinstance(value, memoryview):
            raise Malformed(f"field {field} of a node has wire type {kind}")
        if field == 1:
            if data is not None:
                raise Malformed("a node with two Data fields")
            data = value
            closed = bool(links)
        elif field == 2:
            if closed:
                raise Malformed("links before and after Data")
            links.append(_link(value))
        else:
            raise Malformed(f"unknown field {field} in a node")
    return PbNode(tuple(links), data)


def _link(raw: memoryview) -> Link:
    cid: cids.Cid | None = None
    name: bytes | None = None
    tsize: int | None = None
    for field, kind, value in protobuf.fields(raw):
        if field == 1 and kind == BYTES and isinstance(value, memoryview):
            if cid is not None or name is not None or tsize is not None:
                raise Malformed("the Hash of a link is not first or not alone")
            try:
                cid = cids.from_bytes(bytes(value))
            except InvalidCid as error:
                raise Malformed(f"a link's CID: {error}") from None
        elif field == 2 and kind == BYTES and isinstance(value, memoryview):
            if name is not None or tsize is not None:
                raise Malformed("the Name of a link is not second or not alone")
            name = bytes(value)
        elif field == 3 and kind == VARINT and isinstance(value, int):
            if tsize is not None:
                raise Malformed("a link with two Tsizes")
            tsize = value
        else:
            raise Malformed(f"field {field} of wire type {kind} in a link")
    if cid is None:
        raise Malformed("a link without a CID")
    return Link(name or b"", cid, tsize or 0)
