"""Repositories of embedded nodes, and DAGs to put into them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.ipld import dagcbor
from ipfs_cluster.ipld.values import CidLink
from ipfs_cluster.nodes.embedded import EmbeddedNode


class Elsewhere:
    """Blocks that others have. asked: what was looked for. A block that nobody has is waited for."""

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}
        self.asked: list[Cid] = []
        self._changed = asyncio.Condition()

    async def fetch(self, cid: Cid) -> bytes:
        self.asked.append(cid)
        async with self._changed:
            self._changed.notify_all()
            await self._changed.wait_for(lambda: cid in self.blocks)
        return self.blocks[cid]

    async def missed(self, cid: Cid) -> None:
        """Until it is looked for."""
        async with self._changed:
            await self._changed.wait_for(lambda: cid in self.asked)

    async def publish(self, *blocks: tuple[Cid, bytes]) -> None:
        """Somebody has these now."""
        async with self._changed:
            self.blocks.update(blocks)
            self._changed.notify_all()


def raw(data: bytes) -> tuple[Cid, bytes]:
    """A leaf."""
    return cids.make(cids.RAW, b"\x12\x20" + hashlib.sha256(data).digest()), data


def listed(*links: Cid) -> tuple[Cid, bytes]:
    """A dag-cbor block with links."""
    data = dagcbor.encode([CidLink(link) for link in links])
    return cids.make(cids.DAG_CBOR, b"\x12\x20" + hashlib.sha256(data).digest()), data


def tree(name: str, width: int = 3, depth: int = 2) -> list[tuple[Cid, bytes]]:
    """All blocks of a DAG, its root first."""
    if not depth:
        return [raw(name.encode())]
    below = [tree(f"{name}/{number}", width, depth - 1) for number in range(width)]
    return [listed(*(one[0][0] for one in below)), *(block for one in below for block in one)]


def cids_of(blocks: Sequence[tuple[Cid, bytes]]) -> set[Cid]:
    """The CIDs."""
    return {cid for cid, _ in blocks}


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
async def node(tmp_path: Path, elsewhere: Elsewhere) -> AsyncIterator[EmbeddedNode]:
    opened = EmbeddedNode(tmp_path / "repo", elsewhere)
    await opened.open()
    yield opened
    await opened.close()
