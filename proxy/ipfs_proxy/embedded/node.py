"""What the door asks of the node behind it. Errors are Kubo's texts, as `ClusterError`s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import NodePin, PinMode, RepoStat

OnProgress = Callable[[int, int], None]
"""Called with blocks and bytes seen so far."""


class Node(Protocol):
    """A repository: blocks, pins, and the root of MFS."""

    # --- blocks ---

    async def get(self, cid: Cid, *, offline: bool = False) -> bytes:
        """A block, verified; fetched if it is not here, unless offline. Raises NodeError."""
        ...

    async def has(self, cid: Cid) -> bool:
        """Whether the block is here, under any CID of its multihash."""
        ...

    async def put(self, blocks: Sequence[tuple[Cid, bytes]]) -> None:
        """Keep blocks; they are durable afterwards. Raises NodeError (NodeFull)."""
        ...

    async def remove(self, cid: Cid) -> None:
        """Remove a block, pinned or not; one that is not here is no error."""
        ...

    def blocks(self) -> AsyncIterator[Sequence[Cid]]:
        """All blocks, as CIDv1 of raw."""
        ...

    # --- pins ---

    def adding(self) -> AbstractAsyncContextManager[None]:
        """While it is open no GC runs: for blocks that will be pinned."""
        ...

    async def pin(
        self, cid: Cid, mode: PinMode, name: str, on_progress: OnProgress | None = None, *, offline: bool = False
    ) -> None:
        """Pin, with all that is below it if recursive. Raises NodeError."""
        ...

    async def unpin(self, cid: Cid, *, recursive: bool) -> None:
        """Raises NodeError: "not pinned or pinned indirectly", "<cid> is pinned recursively"."""
        ...

    async def pin_update(self, old: Cid, new: Cid, *, unpin: bool) -> None:
        """Pin the new recursively under the old one's name. Raises NodeError."""
        ...

    async def pinned(self, cid: Cid) -> NodePin | None:
        """The pin of this very CID."""
        ...

    def pins(self, mode: PinMode) -> AsyncIterator[Sequence[NodePin]]:
        """All pins of a mode."""
        ...

    def indirect(self) -> AsyncIterator[Sequence[Cid]]:
        """What is below recursive pins, each once, without what is pinned itself. Raises NodeError."""
        ...

    async def indirect_root(self, cid: Cid) -> Cid | None:
        """A recursive pin that the CID is below, other than itself."""
        ...

    def verify_pins(self) -> AsyncIterator[tuple[Cid, Sequence[tuple[Cid, str]]]]:
        """Each recursive pin, and what is missing or broken below it: (block, why)."""
        ...

    # --- repository ---

    def gc(self) -> AsyncIterator[Sequence[tuple[Cid | None, str]]]:
        """Collect; what was removed, or an error."""
        ...

    def verify_blocks(self) -> AsyncIterator[tuple[Cid, str]]:
        """Each block, and why it is not good, or ""."""
        ...

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat: ...

    async def free_space(self) -> int:
        """Bytes that the disk has left."""
        ...

    # --- MFS ---

    async def files_root(self) -> Cid:
        """The root of MFS: an empty directory at first. GC keeps what is below it."""
        ...

    async def set_files_root(self, root: Cid) -> None:
        """Durable afterwards."""
        ...


class Sources(Protocol):
    """Other nodes that missing blocks may come from."""

    async def connect(self, peer: str, url: str) -> None:
        """Ask this trustless gateway too. Raises NodeError when nothing answers there."""
        ...

    def sources(self) -> Sequence[tuple[str, str]]:
        """(peer ID, URL) of those that are connected."""
        ...


class NoSources:
    """A node that is alone."""

    async def connect(self, peer: str, url: str) -> None:
        """Refuse."""
        raise NodeError("this node fetches from no other one")

    def sources(self) -> Sequence[tuple[str, str]]:
        """Nobody."""
        return ()

    async def fetch(self, cid: Cid) -> bytes:
        """Wait, as a daemon without peers does: until the caller gives up."""
        never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        return await never
