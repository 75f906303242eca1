"""A block as UnixFS: checked against its CID and against what its kind of node may look like.

Whatever does not fit is refused here, so that those who walk a DAG may rely on counts, sizes and kinds. Errors name the
CID.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent
from ipfs_cluster.unixfs import dagpb, message
from ipfs_cluster.unixfs.message import Kind, Message
from ipfs_cluster.unixfs.model import MAX_BLOCK, NO_METADATA, Link, Metadata
from ipfs_cluster.unixfs.protobuf import Malformed

MIN_FANOUT, MAX_FANOUT = 8, 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A node. content: its own bytes, or a link's target. size: of the file below it. sizes: one a link, for files.

    buckets: of a HAMT shard, one a link.
    """

    kind: Kind
    content: memoryview
    links: tuple[Link, ...] = ()
    sizes: tuple[int, ...] = ()
    size: int = 0
    metadata: Metadata = NO_METADATA
    fanout: int = 0
    buckets: tuple[int, ...] = ()


def inlined(cid: Cid) -> bytes | None:
    """The data that an identity CID carries; None for every other CID."""
    hashed = cids.multihash(cid)
    if hashed[0] != multihash.IDENTITY:
        return None
    _, at = varint.decode(hashed, 1)
    return hashed[at:]


def verify(cid: Cid, data: bytes | memoryview) -> None:
    """Raises BadContent unless the data is the block of the CID, and of a size that blocks may have."""
    if len(data) > MAX_BLOCK:
        raise BadContent(f"{cids.text(cid)}: a block of {len(data)} bytes is larger than {MAX_BLOCK}")
    fault = multihash.fault(cids.multihash(cid), [data])
    if fault is not None:
        raise BadContent(f"{cids.text(cid)}: {fault}")


def open_node(cid: Cid, data: bytes | memoryview) -> Opened:
    """The node in a block. Raises BadContent."""
    verify(cid, data)
    codec = cids.codec(cid)
    if codec == cids.RAW:
        return Opened(Kind.RAW, memoryview(data), size=len(data))
    if codec != cids.DAG_PB:
        raise BadContent(f"{cids.text(cid)}: a node of codec 0x{codec:x} is not UnixFS")
    try:
        node = dagpb.decode(data)
        if node.data is None:
            raise Malformed(
                "proto: required field ipfs.boxo.ipld.unixfs.pb.Data.Type not set"
            )  # in the words that clients know
        return _opened(node.links, message.decode(node.data))
    except Malformed as error:
        raise BadContent(f"{cids.text(cid)}: {error}") from None


def _opened(links: tuple[Link, ...], told: Message) -> Opened:
    if told.kind in (Kind.FILE, Kind.RAW):
        return _file(links, told)
    if told.sizes:
        raise Malformed(f"a {told.kind.name.lower()} node with sizes of blocks")
    if told.kind is Kind.DIRECTORY:
        for link in links:
            _check_name(link.name)
        return Opened(told.kind, told.data, links, metadata=told.metadata)
    if told.kind is Kind.HAMT_SHARD:
        return _shard(links, told)
    if told.kind is Kind.SYMLINK:
        if links:
            raise Malformed("a symbolic link with links")
        return Opened(told.kind, told.data, size=len(told.data), metadata=told.metadata)
    raise Malformed(f"UnixFS type {told.kind.name.lower()} is not supported")


def _file(links: tuple[Link, ...], told: Message) -> Opened:
    if len(links) != len(told.sizes):
        raise Malformed(f"{len(told.sizes)} sizes of blocks for {len(links)} links")
    size = len(told.data) + sum(told.sizes)
    if told.filesize is not None and told.filesize != size:
        raise Malformed(f"a file of {told.filesize} bytes whose parts are {size}")
    return Opened(told.kind, told.data, links, told.sizes, size, told.metadata)


def _shard(links: tuple[Link, ...], told: Message) -> Opened:
    fanout = told.fanout
    if told.hash_type != message.MURMUR3_X64_64:
        raise Malformed(f"a HAMT by hash function 0x{told.hash_type:x}")
    if not MIN_FANOUT <= fanout <= MAX_FANOUT or fanout & (fanout - 1):
        raise Malformed(f"a HAMT with a fanout of {fanout}")
    field = int.from_bytes(told.data, "big")
    if len(told.data) > fanout // 8 or field.bit_count() != len(links):
        raise Malformed(f"a HAMT whose bitfield of {len(told.data)} bytes does not fit its {len(links)} links")
    buckets = tuple(bucket for bucket in range(fanout) if field >> bucket & 1)
    width = len(f"{fanout - 1:X}")
    for bucket, link in zip(buckets, links, strict=True):
        if link.name[:width] != b"%0*X" % (width, bucket):
            raise Malformed(f"a HAMT whose bucket {bucket} is named {link.name[:width]!r}")
        if len(link.name) > width:
            _check_name(link.name[width:])
    return Opened(told.kind, told.data, links, metadata=told.metadata, fanout=fanout, buckets=buckets)


def _check_name(name: bytes) -> None:
    """Names that would lead out of the directory when they are written to a disk."""
    if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
        raise Malformed(f"an entry of a directory is named {name!r}")
