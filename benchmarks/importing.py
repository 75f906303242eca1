"""The importer beside bare hashing.

Question: what does making a DAG cost beyond hashing its bytes, and what do two threads gain?
Method: 1 GiB in pieces of 1 MiB that are in memory, 64 of them again and again, so that neither disk nor copying is
measured. Beside it hashlib's sha2-256 over the same bytes, 256 KiB a call, in the same process and round. Blocks are
counted and dropped; for the archive their sections go to /dev/null by writev. Two threads: `Pooled` with two of them
while the main thread cuts and builds; beside one thread of bare hashing, and that beside two, for what the machine can
give at all. CPU: user and system time, which other work on the machine disturbs less. Content-defined chunkers and
reading back: 64 MiB. Small files: 20,000 of 1 KiB in one directory that becomes a HAMT.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.common import MIB, arguments, interleave, ratio
from benchmarks.report import Row, report
from ipfs_cluster import cid as cids
from ipfs_cluster.car import head, section
from ipfs_cluster.unixfs import Asked, Block, FileImport, FileWalk, Pooled, TreeImport, resolve

BUFFER = random.Random(1).randbytes(64 * MIB)
PIECES = [BUFFER[at : at + MIB] for at in range(0, len(BUFFER), MIB)]
CHUNK = 256 << 10
RAW, WRAPPED = Asked(raw_leaves=True), Asked(raw_leaves=False)


@dataclass(frozen=True)
class Spent:
    """What one run took, in seconds."""

    wall: float
    cpu: float


def main() -> None:
    """Run it."""
    options = arguments(__doc__)
    size = (128 if options.quick else 1024) * MIB
    small = 2000 if options.quick else 20_000
    variants: dict[str, Callable[[], object]] = {
        "bare": partial(_bare, size),
        "bare, two threads": partial(_bare_pair, size),
        "raw": partial(_imported, size, RAW),
        "wrapped": partial(_imported, size, WRAPPED),
        "archive": partial(_archived, size),
        "raw, two threads": partial(_pooled, size, RAW),
        "wrapped, two threads": partial(_pooled, size, WRAPPED),
        "buzhash": partial(_imported, len(BUFFER), Asked(chunker="buzhash", cid_version=1)),
        "rabin": partial(_imported, len(BUFFER), Asked(chunker="rabin", cid_version=1)),
        "small files": partial(_small_files, small),
    }
    reading = _reading()
    variants["reading"] = reading
    spent = interleave({name: partial(_timed, run) for name, run in variants.items()}, options.rounds)

    def speed(name: str, other: str, of: Callable[[Spent], float] = lambda one: one.wall) -> float:
        return ratio([of(one) for one in spent[other]], [of(one) for one in spent[name]])

    def rate(name: str, amount: float) -> float:
        return sorted(amount / one.wall for one in spent[name])[len(spent[name]) // 2]

    rows = [
        Row("import, raw leaves, one thread", "bare hashing", speed("raw", "bare"), must=">= 0.9"),
        Row("import, protobuf leaves, one thread", "bare hashing", speed("wrapped", "bare"), must=">= 0.9"),
        Row("import, raw leaves: CPU", "bare hashing", 1 / speed("raw", "bare", lambda one: one.cpu)),
        Row("import, protobuf leaves: CPU", "bare hashing", 1 / speed("wrapped", "bare", lambda one: one.cpu)),
        Row("import into an archive, one thread", "bare hashing", speed("archive", "bare")),
        Row("import, raw leaves, two threads", "bare, one thread", speed("raw, two threads", "bare"), must=">= 1.7"),
        Row("import, protobuf leaves, two threads", "bare, one", speed("wrapped, two threads", "bare"), must=">= 1.7"),
        Row("bare hashing, two threads", "bare, one thread", speed("bare, two threads", "bare")),
        Row("bare hashing, one thread", "", rate("bare", size / 1e6), "MB/s"),
        Row("import with buzhash", "", rate("buzhash", len(BUFFER) / 1e6), "MB/s"),
        Row("import with rabin", "", rate("rabin", len(BUFFER) / 1e6), "MB/s"),
        Row("reading, every block verified", "", rate("reading", len(BUFFER) / 1e6), "MB/s"),
        Row("files of 1 KiB", "", rate("small files", small), "/s"),
    ]
    report(__name__, __doc__, rows, options)


def _timed(run: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def _pieces(size: int) -> Iterator[bytes]:
    for number in range(size // MIB):
        yield PIECES[number % len(PIECES)]


def _bare(size: int) -> None:
    for piece in _pieces(size):
        view = memoryview(piece)
        for at in range(0, len(view), CHUNK):
            hashlib.sha256(view[at : at + CHUNK]).digest()


def _bare_pair(size: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_bare, size // 2) for _ in range(2)]:
            done.result()


def _blocks(size: int, asked: Asked, leaves: Pooled | None = None) -> Iterator[Block]:
    file = FileImport(resolve(asked), leaves=leaves)
    for piece in _pieces(size):
        yield from file.feed(piece)
    yield from file.finish()


def _imported(size: int, asked: Asked) -> None:
    for _ in _blocks(size, asked):
        pass


def _pooled(size: int, asked: Asked) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in _blocks(size, asked, Pooled(pool)):
            pass


def _archived(size: int) -> None:
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.write(sink, head(()))
        for block in _blocks(size, RAW):
            os.writev(sink, section(block.cid, block.parts, block.size))
    finally:
        os.close(sink)


def _small_files(count: int) -> None:
    walk = TreeImport(resolve(Asked(cid_version=1)))
    walk.enter(b"top")
    for number in range(count):
        walk.open_file(b"file%06d" % number)
        for _ in walk.feed(BUFFER[number : number + 1024]):
            pass
        for _ in walk.close_file():
            pass
    for _ in walk.finish():
        pass


def _reading() -> Callable[[], None]:
    file = FileImport(resolve(RAW))
    stored = {block.cid: block.data for block in (*file.feed(BUFFER), *file.finish())}
    assert file.node is not None
    root = cids.from_bytes(file.node.cid)

    def run() -> None:
        walk = FileWalk(root)
        while (cid := walk.wanted) is not None:
            walk.give(stored[cid])

    return run


if __name__ == "__main__":
    main()
