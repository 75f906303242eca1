"""HAMT directories (spec 4.5), written in one pass over entries that come in the order of their names' hashes.

An entry lies as deep as the longest common prefix, in whole levels, that its hash has with a neighbour's. So the open
shards are those of the current prefix, one a level, and memory does not grow with the directory.
"""

from __future__ import annotations

from collections.abc import Iterator

import mmh3

from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import message
from ipfs_cluster.unixfs.encoder import Encoder
from ipfs_cluster.unixfs.model import NO_METADATA, Block, Link, Metadata, Node
from ipfs_cluster.unixfs.runs import Entry

KEY_BITS = 64


def key_of(name: bytes) -> int:
    """The first half of MurmurHash3 x64-128 of a name; levels take its bits from the highest down."""
    return mmh3.hash64(name, 0, True, signed=False)[0]


class _Shard:
    __slots__ = ("bits", "links")

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.bits = 0


class HamtWriter:
    """Writes one directory; `node` is there when the blocks of `write` are used up."""

    def __init__(self, encoder: Encoder, fanout: int, metadata: Metadata) -> None:
        self._encoder = encoder
        self._fanout = fanout
        self._bits = fanout.bit_length() - 1
        self._width = len(f"{fanout - 1:X}")
        self._metadata = metadata
        self._open = [_Shard()]
        self.node: Node | None = None

    def write(self, entries: Iterator[Entry]) -> Iterator[Block]:
        """The blocks, children before parents. Raises InvalidArgument for equal names and names that hash alike."""
        shared = 0
        current = next(entries, None)
        while current is not None:
            following = next(entries, None)
            after = 0 if following is None else self._common(current, following)
            self._place(current, max(shared, after))
            while len(self._open) - 1 > after:
                yield self._close(current.key)
            shared, current = after, following
        self.node, block = self._node(self._open[0], self._metadata)
        yield block

    def _common(self, one: Entry, other: Entry) -> int:
        """Levels that two hashes have in common."""
        if one.name == other.name:
            raise InvalidArgument("directory already has entry by that name")
        return (KEY_BITS - (one.key ^ other.key).bit_length()) // self._bits

    def _place(self, entry: Entry, depth: int) -> None:
        if (depth + 1) * self._bits > KEY_BITS:
            raise InvalidArgument("sharded directory too deep")
        while len(self._open) - 1 < depth:
            self._open.append(_Shard())
        self._link(depth, entry.key, entry.name, entry)

    def _close(self, key: int) -> Block:
        """Close the deepest shard; key: of an entry in it."""
        node, block = self._node(self._open.pop(), NO_METADATA)
        self._link(len(self._open) - 1, key, b"", node)
        return block

    def _link(self, depth: int, key: int, name: bytes, target: Entry | Node) -> None:
        bucket = key >> (KEY_BITS - (depth + 1) * self._bits) & (self._fanout - 1)
        shard = self._open[depth]
        shard.bits |= 1 << bucket
        shard.links.append(Link(b"%0*X" % (self._width, bucket) + name, target.cid, target.tsize))

    def _node(self, shard: _Shard, metadata: Metadata) -> tuple[Node, Block]:
        field = shard.bits.to_bytes(self._fanout // 8, "big").lstrip(b"\0")
        return self._encoder.node(shard.links, message.shard(field, self._fanout, message.encode_metadata(metadata)))
