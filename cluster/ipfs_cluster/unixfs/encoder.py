"""From content to blocks: the one place where nodes are hashed and get their CIDs."""

from __future__ import annotations

from collections.abc import Sequence

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import dagpb, message
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.model import MAX_BLOCK, Block, Link, Metadata, Node, Part
from ipfs_cluster.unixfs.options import ImportOptions, Layout
from ipfs_cluster.unixfs.protobuf import prefix

_IDENTITY = multihash.named("identity")

Made = tuple[Node, Block]


class Encoder:
    """Makes nodes under one set of options. Holds no state but a cache: threads may share it."""

    def __init__(self, options: ImportOptions) -> None:
        self._hash = multihash.named(options.hash_function)
        self._version = options.cid_version
        self._inline = options.inline_limit
        self.raw_leaves = options.raw_leaves
        self._leaf_kind = Kind.FILE if options.layout is Layout.BALANCED else Kind.RAW
        self._around: dict[int, tuple[bytes, bytes]] = {}

    def leaf(self, chunk: tuple[Part, ...]) -> Made:
        """A leaf of a file with more than one block."""
        length = sum(map(len, chunk))
        if self.raw_leaves:
            block = self._block(cids.RAW, chunk, length, ())
            return Node(block.cid, length, length), block
        found = self._around.get(length)
        if found is None:
            found = self._around[length] = _enclosed(message.around(self._leaf_kind, length), length)
            if len(self._around) > 64:
                self._around.clear()
        return self._enclose(chunk, length, found)

    def whole(self, chunk: tuple[Part, ...], metadata: Metadata) -> Made:
        """A file that is one leaf, with its metadata."""
        if self.raw_leaves:
            return self.leaf(chunk)
        length = sum(map(len, chunk))
        around = message.around(Kind.FILE, length, message.encode_metadata(metadata))
        return self._enclose(chunk, length, _enclosed(around, length))

    def internal(self, children: Sequence[Node], metadata: Metadata) -> Made:
        """A node of a file above others; metadata only at the root."""
        total = sum([child.content for child in children])
        data = message.file_node([c.content for c in children], total, message.encode_metadata(metadata))
        return self.node([Link(b"", child.cid, child.tsize) for child in children], data, total)

    def symlink(self, target: bytes, metadata: Metadata) -> Made:
        """A symbolic link: never a raw block."""
        return self.node((), message.symlink(target, message.encode_metadata(metadata)))

    def node(self, links: Sequence[Link], data: bytes, content: int = 0) -> Made:
        """A dag-pb node of links in order and a UnixFS message."""
        parts = (dagpb.encode_links(links), prefix(dagpb.DATA, len(data)), data)
        size = sum(map(len, parts))
        block = self._block(cids.DAG_PB, parts, size, tuple(links))
        return Node(block.cid, size + sum([link.tsize for link in links]), content), block

    def _enclose(self, chunk: tuple[Part, ...], length: int, around: tuple[bytes, bytes]) -> Made:
        before, after = around
        size = len(before) + length + len(after)
        block = self._block(cids.DAG_PB, (before, *chunk, after), size, ())
        return Node(block.cid, size, length), block

    def _block(self, codec: int, parts: tuple[Part, ...], size: int, links: tuple[Link, ...]) -> Block:
        if self._inline is not None and size <= self._inline:
            return Block(cids.make(codec, _IDENTITY.multihash(parts)), parts, size, links, False)
        if size > MAX_BLOCK:
            raise InvalidArgument(f"a block of {size} bytes is larger than {MAX_BLOCK} bytes")
        if self._hash is _IDENTITY and size > multihash.MAX_DIGEST:
            raise InvalidArgument(f"digest too large: identity digest got {size} bytes, maximum {multihash.MAX_DIGEST}")
        version = self._version if codec == cids.DAG_PB else 1
        cid = cids.make(codec, self._hash.multihash(parts), version)
        return Block(cid, parts, size, links, self._hash is not _IDENTITY)


def _enclosed(around: tuple[bytes, bytes], length: int) -> tuple[bytes, bytes]:
    """The message's two ends with the tag of the node's Data before them."""
    before, after = around
    return prefix(dagpb.DATA, len(before) + length + len(after)) + before, after
