"""An embedded node's repository with 10 GB in 100,000 blocks.

Question: does it keep within 100 MB of memory, and what does it cost beyond hashing the bytes and writing the files?
Method: one file of random bytes, 100,000 a block, imported and put as `add` does it: 4 MiB of blocks together, and
acknowledged when they are durable. Beside it one thread of bare hashlib and file writes, each block a file in one of
1,024 folders, the files synchronised 4 MiB at a time (`fdatasync`), or, for what durability costs, not at all.
A process each, which take turns; the bare ones write half as many blocks in a round, removed after it, outside the
time. Ratios are of the time a block. Then what a node does with all of it: the pin's walk; in a new process
counting, listing, reading every byte back, verifying every block, a collection of nothing and one of everything.
Memory is the highest resident size of the node's process, all of it, in each part.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.common import Stage, arguments, ratio, reset_peak, resident_mb
from benchmarks.report import Row, report
from ipfs_cluster import Cid
from ipfs_cluster import cid as cids
from ipfs_cluster.model import PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode
from ipfs_cluster.unixfs import Asked, FileImport, FileWalk, resolve

BLOCK = 100_000
BATCH = 40
"""Blocks in about 4 MiB, which `add` writes together."""
PIECE = 2
"""Blocks in what `add` hashes in a thread at once."""
FOLDERS = 1024
RANDOM = random.Random(1).randbytes(BLOCK)
VARIANTS = ("node", "bare", "unsynchronised")
PARTS = {
    "stock": "counting what is there after a start",
    "listing": "listing every block",
    "reading": "reading every byte back",
    "verify": "verifying every block",
    "gc": "collecting, all of it pinned",
    "sweep": "collecting, none of it pinned",
}


def content(first: int, count: int) -> Iterator[bytes]:
    """Blocks of a file, no two the same."""
    for number in range(first, first + count):
        yield number.to_bytes(8, "big") + RANDOM[8:]


class Nobody:
    """Everything is here."""

    async def fetch(self, cid: Cid) -> bytes:
        raise AssertionError(f"{cids.text(cid)} is not here")


class Repository:
    """The node's side: parts that are called by name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._node = EmbeddedNode(folder / "repo", Nobody())
        self._root = folder / "root"
        self._import = FileImport(resolve(Asked(cid_version=1, raw_leaves=True, chunker=f"size-{BLOCK}")))
        self._held: list[tuple[Cid, bytes]] = []
        self._first = 0

    async def run(self, parts: Callable[[], Awaitable[str]], say: Callable[[float], None]) -> None:
        """Do parts as they are asked for, until there is an empty one."""
        await self._node.open()
        async with self._node.adding():
            while (asked := (await parts()).split()) and asked[0] in ("put", "pin"):
                say(await self._timed(*asked))
        while asked:
            say(await self._timed(*asked))
            asked = (await parts()).split()
        await self._node.close()

    async def _timed(self, part: str, *numbers: str) -> float:
        begin = time.monotonic()
        await getattr(self, part)(*map(int, numbers))
        return time.monotonic() - begin

    async def put(self, count: int) -> None:
        """More of the file."""
        for first in range(self._first, self._first + count, PIECE):
            data = b"".join(content(first, PIECE))
            self._held += await asyncio.to_thread(self._made, data)
            if len(self._held) >= BATCH:
                await self._flush()
        await self._flush()
        self._first += count

    def _made(self, data: bytes) -> list[tuple[Cid, bytes]]:
        return [(block.cid, block.data) for block in self._import.feed(data)]

    async def _flush(self) -> None:
        held, self._held = self._held, []
        await self._node.put(held)

    async def pin(self) -> None:
        """The end of the file, and its pin."""
        self._held += [(block.cid, block.data) for block in self._import.finish()]
        await self._flush()
        assert self._import.node is not None
        await self._node.pin(self._import.node.cid, PinMode.RECURSIVE, "")
        self._root.write_text(cids.text(self._import.node.cid))

    async def stock(self, count: int) -> None:
        """Until it is known how much there is."""
        stat = await self._node.repo_stat()
        assert stat.num_objects >= count
        assert stat.repo_size >= count * BLOCK

    async def listing(self, count: int) -> None:
        """All CIDs."""
        found = 0
        async for page in self._node.blocks():
            found += len(page)
        assert found >= count

    async def reading(self, count: int) -> None:
        """Each byte of the file."""
        walk, size = FileWalk(cids.parse(self._root.read_text())), 0
        while (wanted := walk.wanted) is not None:
            size += sum(map(len, walk.give(await self._node.get(wanted, offline=True))))
        assert size == count * BLOCK

    async def verify(self, count: int) -> None:
        """Each block."""
        sound = 0
        async for _, fault in self._node.verify_blocks():
            assert not fault
            sound += 1
        assert sound >= count

    async def gc(self, _: int) -> None:
        """Nothing may go."""
        assert await self._collected() == 0

    async def sweep(self, count: int) -> None:
        """All may go."""
        await self._node.unpin(cids.parse(self._root.read_text()), recursive=True)
        assert await self._collected() >= count

    async def _collected(self) -> int:
        removed = 0
        async for page in self._node.gc():
            assert not any(error for _, error in page)
            removed += len(page)
        return removed


def node_process(folder: Path) -> None:
    """A process with a repository, told by lines what to do; answers with seconds and its highest memory since."""

    async def parts() -> str:
        line: str = await asyncio.to_thread(sys.stdin.readline)
        reset_peak(os.getpid())
        return line

    def say(seconds: float) -> None:
        print(json.dumps([seconds, resident_mb(os.getpid(), peak=True)]), flush=True)

    asyncio.run(Repository(folder).run(parts, say))


def bare_process(folder: Path, *, synchronised: bool) -> None:
    """Hashing and writing files, and nothing else."""
    first = 0
    for number in range(FOLDERS):
        (folder / str(number)).mkdir(parents=True)
    for line in sys.stdin:
        count = int(line.split()[1])
        begin = time.monotonic()
        for at in range(first, first + count, BATCH):
            written = [_written(folder, data) for data in content(at, min(BATCH, first + count - at))]
            if synchronised:
                _settle(written)
        seconds = time.monotonic() - begin
        for part in folder.iterdir():
            for path in part.iterdir():
                path.unlink()  # what was not written yet never will be: it is in nobody's way
        first += count
        print(json.dumps([seconds, 0]), flush=True)


def _written(folder: Path, data: bytes) -> Path:
    digest = hashlib.sha256(data).digest()
    path = folder / str(int.from_bytes(digest[:4], "big") % FOLDERS) / digest.hex()
    with path.open("xb", buffering=0) as file:
        file.write(data)
    return path


def _settle(paths: Sequence[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fdatasync(file.fileno())


class Process:
    """The other side of such a process."""

    def __init__(self, variant: str, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.embedded_blocks", variant, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, part: str, number: int) -> tuple[float, float]:
        """Have it done: seconds, and MB at the highest."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{part} {number}\n" if part != "pin" else "pin\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process of {part} ended"
        seconds, memory = json.loads(line)
        print(part, number, f"{seconds:.2f} s, {memory:.0f} MB", file=sys.stderr)
        return seconds, memory

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if any(error):
            self._process.terminate()
        assert self._process.wait() == 0 or any(error)


def filled(folder: Path, count: int, rounds: int) -> list[Row]:
    """All blocks put, in turns with the bare ones."""
    size = count // rounds
    spent: dict[str, list[float]] = {name: [] for name in VARIANTS}
    memory = []
    with (
        Process("node", folder / "node") as node,
        Process("bare", folder / "bare") as bare,
        Process("unsynchronised", folder / "fast") as fast,
    ):
        processes = dict(zip(VARIANTS, (node, bare, fast), strict=True))
        for number in range(rounds):
            for name in VARIANTS[number % 3 :] + VARIANTS[: number % 3]:
                blocks = size if name == "node" else size // 2
                seconds, highest = processes[name].ask("put", blocks)
                spent[name].append(seconds / blocks)
                memory.append(highest)
        walked, highest = node.ask("pin", 0)
    rates = {name: BLOCK / 1e6 / median(seconds) for name, seconds in spent.items()}
    work = f"{count:,} blocks put, {count * BLOCK / 1e9:.3g} GB ({rates['node']:.0f} MB/s): time"
    third = max(rounds // 3, 1)
    growth = sum(spent["node"][-third:]) / sum(spent["node"][:third])
    beside = sum(spent["bare"][-third:]) / sum(spent["bare"][:third])
    return [
        Row(work, f"bare, synchronised ({rates['bare']:.0f} MB/s)", ratio(spent["node"], spent["bare"])),
        Row("the same", f"not ({rates['unsynchronised']:.0f} MB/s)", ratio(spent["node"], spent["unsynchronised"])),
        Row("its last third", f"its first; bare: {beside:.2f}", growth),
        _memory("the same", max(memory)),
        Row("walk of its pin", "", walked, "s"),
        _memory("the same", highest),
    ]


def _memory(work: str, highest: float) -> Row:
    return Row(f"{work}: highest memory", "", highest, "MB", must="<= 100")


def used(folder: Path, count: int) -> list[Row]:
    """What is done with them afterwards."""
    rows = []
    with Process("node", folder / "node") as node:
        for part, name in PARTS.items():
            seconds, highest = node.ask(part, count)
            rows += [Row(name, "", seconds, "s"), _memory("the same", highest)]
    return rows


def main() -> None:
    """Run it; or, in a child, one variant."""
    if len(sys.argv) == 3 and sys.argv[1] in VARIANTS:
        variant, folder = sys.argv[1], Path(sys.argv[2])
        if variant == "node":
            node_process(folder)
        else:
            bare_process(folder, synchronised=variant == "bare")
        return
    options = arguments(__doc__)
    count, options.rounds = (3_000, 3) if options.quick else (100_000, 10)
    with Stage() as stage:
        free = shutil.disk_usage(stage.folder).free
        if free < 2 * count * BLOCK:
            raise SystemExit(f"this benchmark needs {2 * count * BLOCK / 1e9:.0f} GB in {stage.folder.parent}")
        rows = [*filled(stage.folder, count, options.rounds), *used(stage.folder, count)]
    report("benchmarks.embedded_blocks", __doc__, rows, options)


if __name__ == "__main__":
    main()
