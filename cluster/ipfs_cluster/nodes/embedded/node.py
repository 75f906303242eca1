"""A repository with what Kubo does to one: blocks, pins, the pin lock, garbage collection, fetching what is missing.

The order that makes it safe: blocks are durable before `put` returns, all that is below a pin is here before the pin is
written, and a pin is written before anybody is told. Error texts are Kubo's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, ClusterError, NodeError
from ipfs_cluster.model import NodePin, PinMode, RepoStat
from ipfs_cluster.nodes.embedded.blocks import Blocks, RepoLock
from ipfs_cluster.nodes.embedded.guard import PinLock
from ipfs_cluster.nodes.embedded.records import Records
from ipfs_cluster.nodes.embedded.seen import Seen
from ipfs_cluster.nodes.embedded.threads import Threads
from ipfs_cluster.nodes.embedded.walk import Absent, Walker, missing
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.unixfs.opened import inlined

OnProgress = Callable[[int, int], None]
"""Called with blocks and bytes seen so far."""

REPO_VERSION = "18"
FILES_ROOT = "files root"
EMPTY_DIRECTORY = cids.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
EMPTY_DIRECTORY_DATA = b"\x0a\x02\x08\x01"
PAGE = 256
"""CIDs or blocks in one page of a listing."""


class Fetcher(Protocol):
    """Where missing blocks come from."""

    async def fetch(self, cid: Cid) -> bytes:
        """The block, verified; waits until somebody has it."""
        ...


class EmbeddedNode:
    """One repository. `open` it first, `close` it last; everything between is for one event loop."""

    def __init__(self, repo: Path, fetcher: Fetcher, storage_max: int = 0) -> None:
        """storage_max: bytes that blocks may take, 0 = any."""
        self.repo = repo
        self._fetcher = fetcher
        self._blocks = Blocks(repo, storage_max)
        self._records = Records(repo / "records.sqlite")
        self._threads = Threads()
        self._walker = Walker(self._blocks, self._threads, self._fetch)
        self._pin_lock = PinLock()
        self._lock: RepoLock | None = None
        self._tasks = TaskSet()

    async def open(self) -> None:
        """Make the repository if there is none. Raises RepoInUse, NodeError."""
        self.repo.mkdir(parents=True, exist_ok=True)
        self._lock = RepoLock(self.repo)
        try:
            await self._threads.blocks(self._blocks.open)
            await self._threads.records(self._records.open)
        except BaseException:
            self._lock.release()
            raise
        self._tasks.start("take stock", self._threads.blocks(self._blocks.take_stock))

    async def close(self) -> None:
        """Let go of everything."""
        self._blocks.close()
        await self._tasks.close()
        await asyncio.to_thread(self._threads.close)
        self._records.close()
        if self._lock is not None:
            self._lock.release()

    # --- blocks ---

    async def get(self, cid: Cid, *, offline: bool = False) -> bytes:
        """A block, verified; fetched if it is not here, unless offline. Raises NodeError."""
        if (data := inlined(cid)) is not None:
            return data
        found = await self._threads.blocks(self._blocks.get, cids.multihash(cid))
        if found is not None:
            return found
        if offline:
            raise missing(cid)
        return await self._fetch(cid)

    async def _fetch(self, cid: Cid) -> bytes:
        data = await self._fetcher.fetch(cid)
        await self.put([(cid, data)])
        return data

    async def has(self, cid: Cid) -> bool:
        """Is the block here, under any CID of its multihash?"""
        return inlined(cid) is not None or await self._threads.blocks(self._blocks.has, cids.multihash(cid))

    async def put(self, blocks: Sequence[tuple[Cid, bytes]]) -> None:
        """Keep blocks that are known to be those of their CIDs; durable afterwards. Raises NodeError when the limit or
        the disk is reached: none of them is promised then.
        """
        kept = [(cids.multihash(cid), data) for cid, data in blocks if inlined(cid) is None]
        await self._threads.blocks(self._blocks.put, kept)

    async def remove(self, cid: Cid) -> None:
        """Remove a block, pinned or not; one that is not here is no error."""
        await self._threads.blocks(self._blocks.remove, cids.multihash(cid))

    async def blocks(self) -> AsyncIterator[Sequence[Cid]]:
        """All blocks, as CIDv1 of raw."""
        async for keys in self._keys():
            yield [cids.make(cids.RAW, key) for key in keys]

    async def _keys(self) -> AsyncGenerator[list[bytes]]:
        pages = self._blocks.keys()
        while (page := await self._threads.blocks(_next, pages)) is not None:
            yield page

    async def verify_blocks(self) -> AsyncIterator[tuple[Cid, str]]:
        """Each block, and what is wrong with it, or ""."""
        async for keys in self._keys():
            for key in keys:
                yield cids.make(cids.RAW, key), await self._threads.blocks(self._blocks.fault, key)

    # --- pins ---

    def adding(self) -> AbstractAsyncContextManager[None]:
        """While it is open no garbage is collected: for blocks that will be pinned."""
        return self._pin_lock.shared()

    async def pin(
        self, cid: Cid, mode: PinMode, name: str, on_progress: OnProgress | None = None, *, offline: bool = False
    ) -> None:
        """Pin, with all that is below it if recursive; durable afterwards. Raises NodeError."""
        async with self.adding():
            if mode is PinMode.DIRECT:
                before = await self.pinned(cid)
                if before is not None and before.mode is PinMode.RECURSIVE:
                    raise NodeError(f"{cids.text(cid)} already pinned recursively")
                data = await self.get(cid, offline=offline)
                if on_progress is not None:
                    on_progress(1, len(data))
            else:
                await self._complete(cid, on_progress, offline=offline)
            await self._threads.records(self._records.put_pin, NodePin(cid, mode, name))

    async def _complete(self, cid: Cid, on_progress: OnProgress | None, *, offline: bool) -> None:
        """Have all that is below it here."""
        nodes = size = 0
        with Seen() as seen:
            async for visited in self._walker.walk([cid], seen, Absent.FAIL if offline else Absent.FETCH):
                nodes += len(visited)
                size += sum(one.size or 0 for one in visited)
                if on_progress is not None:
                    on_progress(nodes, size)

    async def unpin(self, cid: Cid, *, recursive: bool) -> None:
        """Raises NodeError: "not pinned or pinned indirectly", "<cid> is pinned recursively"."""
        pin = await self.pinned(cid)
        if pin is None:
            raise NodeError("not pinned or pinned indirectly")
        if pin.mode is PinMode.RECURSIVE and not recursive:
            raise NodeError(f"{cids.text(cid)} is pinned recursively")
        await self._threads.records(self._records.remove_pin, cid)

    async def pin_update(self, old: Cid, new: Cid, *, unpin: bool) -> None:
        """Pin the new one recursively under the old one's name. Raises NodeError."""
        async with self.adding():
            before, there = await self.pinned(old), await self.pinned(new)
            if before is None or before.mode is not PinMode.RECURSIVE:
                raise NodeError("'from' cid was not recursively pinned already")
            if old == new:
                return
            if there is not None and there.mode is PinMode.RECURSIVE:
                raise NodeError("'to' cid was already recursively pinned")
            await self._complete(new, None, offline=False)
            pin = NodePin(new, PinMode.RECURSIVE, before.name)
            if unpin:
                await self._threads.records(self._records.move_pin, old, pin)
            else:
                await self._threads.records(self._records.put_pin, pin)

    async def pinned(self, cid: Cid) -> NodePin | None:
        """The pin of this very CID."""
        return await self._threads.records(self._records.pin, cid)

    async def pins(self, mode: PinMode) -> AsyncGenerator[Sequence[NodePin]]:
        """All pins of a mode, in pages, in the order of their CIDs."""
        after = b""
        while page := await self._threads.records(self._records.page, mode, after):
            yield page
            after = page[-1].cid

    async def _roots(self) -> AsyncGenerator[Cid]:
        async for page in self.pins(PinMode.RECURSIVE):
            for pin in page:
                yield pin.cid

    async def indirect(self) -> AsyncGenerator[Sequence[Cid]]:
        """What is below recursive pins, each once, without what is pinned itself. Raises NodeError."""
        with Seen() as seen:
            async for root in self._roots():
                async for visited in self._walker.walk([root], seen, Absent.FAIL):
                    found = [one.cid for one in visited]
                    if below := [cid for cid in found if await self.pinned(cid) is None]:
                        yield below

    async def indirect_root(self, cid: Cid) -> Cid | None:
        """A recursive pin that the CID is below, other than itself. Raises NodeError."""
        with Seen() as seen:
            async for root in self._roots():
                if root == cid:
                    continue
                async for visited in self._walker.walk([root], seen, Absent.FAIL):
                    if any(link == cid for one in visited for link in one.links):
                        return root
        return None

    async def verify_pins(self) -> AsyncGenerator[tuple[Cid, Sequence[tuple[Cid, str]]]]:
        """Each recursive pin, and what is missing or broken below it: (block, why)."""
        async for root in self._roots():
            bad: list[tuple[Cid, str]] = []
            with Seen() as seen:
                try:
                    async for visited in self._walker.walk([root], seen, Absent.PASS):
                        bad += [(one.cid, str(missing(one.cid))) for one in visited if one.size is None]
                except BadContent as error:
                    bad.append((root, str(error)))
            yield root, bad

    # --- the repository ---

    async def gc(self) -> AsyncGenerator[Sequence[tuple[Cid | None, str]]]:
        """Remove what is neither pinned nor in MFS; what was removed. When something below a pin cannot be read, that
        is told and nothing is removed: what it links to is not known.
        """
        async with self._pin_lock.exclusive():
            with Seen() as marks:
                try:
                    await self._mark(marks)
                except ClusterError as error:
                    yield [(None, str(error))]
                    return
                async for keys in self._keys():
                    if gone := await self._threads.blocks(self._sweep, keys, marks):
                        yield [(cids.make(cids.RAW, key), "") for key in gone]

    async def _mark(self, marks: Seen) -> None:
        async for page in self.pins(PinMode.DIRECT):
            await self._threads.blocks(marks.new, [cids.multihash(pin.cid) for pin in page])
        with Seen() as seen:
            async for root in self._roots():
                async for visited in self._walker.walk([root], seen, Absent.FAIL):
                    await self._threads.blocks(marks.new, [cids.multihash(one.cid) for one in visited])
        with Seen() as seen:
            async for visited in self._walker.walk([await self.files_root()], seen, Absent.PASS):
                await self._threads.blocks(marks.new, [cids.multihash(one.cid) for one in visited])

    def _sweep(self, keys: Sequence[bytes], marks: Seen) -> list[bytes]:
        return [key for key in keys if key not in marks and self._blocks.remove(key)]

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        """size_only: the objects are not told, as with Kubo."""
        size, count = await asyncio.to_thread(self._blocks.stock)
        objects = 0 if size_only else count
        return RepoStat(size, self._blocks.limit, objects, str(self.repo), f"fs-repo@{REPO_VERSION}")

    async def free_space(self) -> int:
        """Bytes that may still be written."""
        return await self._threads.blocks(self._blocks.free)

    # --- MFS ---

    async def files_root(self) -> Cid:
        """The root of MFS: an empty directory at first. What is below it is no garbage."""
        known = await self._threads.records(self._records.fact, FILES_ROOT)
        if known is not None:
            return cids.from_bytes(known)
        await self.put([(EMPTY_DIRECTORY, EMPTY_DIRECTORY_DATA)])
        return EMPTY_DIRECTORY

    async def set_files_root(self, root: Cid) -> None:
        """Durable afterwards."""
        await self._threads.records(self._records.put_fact, FILES_ROOT, bytes(root))


def _next(pages: Iterator[list[bytes]]) -> list[bytes] | None:
    return next(pages, None)
