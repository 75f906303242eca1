"""Writing CARv1: a head with the roots, then sections, one a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ipfs_cluster import varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.ipld import dagcbor
from ipfs_cluster.ipld.values import CidLink, Value

Part = bytes | memoryview


def head(roots: Iterable[Cid]) -> bytes:
    """The archive's beginning."""
    links: list[Value] = [CidLink(root) for root in roots]
    body = dagcbor.encode({"roots": links, "version": 1})
    return varint.encode(len(body)) + body


def section(cid: Cid, parts: Sequence[Part], size: int) -> tuple[Part, ...]:
    """A block's section, in parts for `writelines` or `writev`: its data is not copied. size: of the data, in bytes."""
    return (varint.encode(len(cid) + size) + cid, *parts)


def section_size(cid: Cid, size: int) -> int:
    """Bytes of a section."""
    return len(varint.encode(len(cid) + size)) + len(cid) + size
