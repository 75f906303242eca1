"""What a block points to, whatever its codec. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent
from ipfs_cluster.ipld import dagcbor, dagjson
from ipfs_cluster.ipld.values import CidLink, Value
from ipfs_cluster.unixfs import dagpb
from ipfs_cluster.unixfs.protobuf import Malformed


def links(cid: Cid, data: bytes) -> list[Cid]:
    """In order, as often as they are there. Raises BadContent for what is not of its codec, or of one that is not
    known; the texts are Kubo's.
    """
    match codec := cids.codec(cid):
        case cids.RAW:
            return []
        case cids.DAG_PB:
            try:
                return [link.cid for link in dagpb.decode(data).links]
            except Malformed as error:
                raise BadContent(f"{cids.text(cid)}: {error}") from None
        case cids.DAG_CBOR | 0x51:  # and plain cbor
            return list(links_in(dagcbor.decode(data)))
        case 0x0129 | 0x0200:  # dag-json, plain json
            return list(links_in(dagjson.decode(data)))
    raise BadContent(f"no decoder registered for multicodec code {codec} (0x{codec:x})")


def links_in(value: Value) -> Iterator[Cid]:
    """The links in some data, in the order in which it is written."""
    waiting: list[Value] = [value]
    while waiting:
        match waiting.pop():
            case CidLink(cid):
                yield cid
            case list(items):
                waiting.extend(reversed(items))
            case dict(fields):
                waiting.extend(reversed(list(fields.values())))
