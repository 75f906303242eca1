"""The values of UnixFS: blocks as an importer gives them out, and what a parent needs to know of a child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ipfs_cluster.cid import Cid

Part = bytes | memoryview

MAX_BLOCK = 2 << 20
"""Bytes of the largest block that a daemon passes on."""


class Link(NamedTuple):
    """One link of a dag-pb node. tsize: bytes of all blocks below it, counted once a link."""

    name: bytes
    cid: Cid
    tsize: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block, in parts whose concatenation is its data: a leaf's part is the caller's buffer, not a copy of it.

    size: bytes of the block. links: what it points to, in the order they are written. stored: False if the CID is an
    identity hash and carries the data itself; importers keep such blocks to themselves.
    """

    cid: Cid
    parts: tuple[Part, ...]
    size: int
    links: tuple[Link, ...] = ()
    stored: bool = True

    @property
    def data(self) -> bytes:
        """The block's bytes, joined."""
        return b"".join(self.parts)


class Node(NamedTuple):
    """A finished DAG. tsize: bytes of its blocks, as `add` reports them; content: bytes of the file below it."""

    cid: Cid
    tsize: int
    content: int


class Mtime(NamedTuple):
    """When something was modified: seconds since 1970, negative before it, and 0 to 999,999,999 nanoseconds after."""

    seconds: int
    nanos: int = 0


class Metadata(NamedTuple):
    """UnixFS 1.5: permission bits (0 is unset) and the time of modification."""

    mode: int = 0
    mtime: Mtime | None = None


NO_METADATA = Metadata()
