"""Importing: threads, bounds, directories of many entries, metadata, refusals."""

from __future__ import annotations

import io
import random
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

import pytest

from cluster_tests.unixfs.trees import Directory, File, Symlink, imported, tree
from ipfs_cluster import cid as cids
from ipfs_cluster import multihash
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import Asked, Estimation, ImportOptions, Metadata, Mtime, Node, Pooled, TreeImport, resolve
from ipfs_cluster.unixfs.directory import DirectoryImport
from ipfs_cluster.unixfs.encoder import Encoder
from ipfs_cluster.unixfs.file import FileImport
from ipfs_cluster.unixfs.hamt import HamtWriter, key_of
from ipfs_cluster.unixfs.model import NO_METADATA, Block, Link
from ipfs_cluster.unixfs.opened import open_node
from ipfs_cluster.unixfs.runs import Entry, SortedRuns

NOISE = random.Random(8).randbytes(300_000)


@pytest.mark.parametrize("layout", ["balanced", "trickle"])
@pytest.mark.parametrize("raw", [True, False])
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, layout: str, raw: bool) -> None:
    monkeypatch.setattr(Pooled, "TASK", 70_000)
    asked = Asked(chunker="size-20000", max_links=3, trickle=layout == "trickle", raw_leaves=raw)
    plain = imported(File(NOISE), resolve(asked))
    with ThreadPoolExecutor(3) as pool:
        leaves = Pooled(pool, 3)
        for _ in range(2):
            threaded = imported(File(NOISE), resolve(asked), leaves=leaves, piece=7000)
            assert threaded.events == plain.events
            assert [(cid, block.data) for cid, block in threaded.blocks.items()] == [
                (cid, block.data) for cid, block in plain.blocks.items()
            ]


class _Counting(ThreadPoolExecutor):
    """Counts the tasks that nobody took the result of yet."""

    def __init__(self) -> None:
        super().__init__(2)
        self.open = self.most = 0

    def submit(self, call: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future = super().submit(call, *arguments, **named)
        self.open += 1
        self.most = max(self.most, self.open)
        result = future.result

        def taken(timeout: float | None = None) -> Any:
            self.open -= 1
            return result(timeout)

        future.result = taken  # type: ignore[method-assign]
        return future


def test_what_waits_for_threads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pooled, "TASK", 1000)
    with _Counting() as pool:
        imported(File(NOISE), resolve(Asked(chunker="size-500")), leaves=Pooled(pool, 3), piece=10_000)
    assert (pool.most, pool.open) == (3, 0)


@pytest.mark.parametrize("size", [30, 100])
def test_blocks_are_the_dag(size: int) -> None:
    """Every link's block is given out, before its parent, with its own size; identity CIDs are not blocks."""
    asked = Asked(chunker=f"size-{size}", max_links=4, inline=True, inline_limit=40)
    out = imported(tree({"a": NOISE[:5010], "b/c": b"short", "b/d": NOISE[:200]}), resolve(asked))
    seen: set[bytes] = set()
    for cid, block in out.blocks.items():
        assert multihash.fault(cids.multihash(cid), block.parts) is None
        assert cids.multihash(cid)[0] != multihash.IDENTITY
        for link in block.links:
            assert link.cid in seen or cids.multihash(link.cid)[0] == multihash.IDENTITY
        seen.add(cid)
    assert [*out.blocks][-1] == out.root.cid


def test_blocks_up_to_the_limit_are_inlined() -> None:
    options = resolve(Asked(raw_leaves=True, inline=True, inline_limit=10))
    assert not imported(File(b"x" * 10), options).blocks
    assert imported(File(b"x" * 11), options).blocks


def test_a_block_that_no_daemon_would_pass_on_is_refused() -> None:
    links = [Link(b"", cids.make(cids.RAW, b"\x12\x20" + bytes(32)), 1)] * 60_000
    with pytest.raises(InvalidArgument, match="is larger than 2097152 bytes"):
        Encoder(resolve(Asked())).node(links, b"")


@pytest.mark.parametrize("chunker", ["size-262144", "buzhash"])
def test_memory_does_not_grow_with_a_file(chunker: str) -> None:
    def peak(pieces: int) -> int:
        file = FileImport(resolve(Asked(chunker=chunker, max_links=5)))
        tracemalloc.start()
        for number in range(pieces):
            for _ in file.feed(number.to_bytes(4, "big") * (16 << 10)):
                pass
        for _ in file.finish():
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)
    assert peak(160) < peak(40) + (1 << 20)


def _entries(count: int) -> list[tuple[bytes, Node]]:
    names = [b"entry %d" % number for number in range(count)]
    return [(name, Node(cids.make(cids.RAW, b"\x12\x20" + name.rjust(32)), 7, 7)) for name in names]


def _directory(entries: list[tuple[bytes, Node]], options: ImportOptions, **more: Any) -> tuple[Node, list[Block]]:
    directory = DirectoryImport(options, **more)
    for name, node in entries:
        directory.add(name, node)
    blocks = list(directory.finish())
    assert directory.node is not None
    return directory.node, blocks


def test_a_large_directory_is_sorted_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[IO[bytes]] = []

    def spool() -> IO[bytes]:
        made.append(tempfile.TemporaryFile())  # noqa: SIM115
        return made[-1]

    entries = _entries(3000)
    options = resolve(Asked(hamt_threshold=100, hamt_fanout=16))
    expected = _directory(entries, options)
    assert not made
    monkeypatch.setattr(SortedRuns.__init__, "__defaults__", (None, 700))
    random.Random(1).shuffle(entries)
    assert _directory(entries, options, spool=spool) == expected
    assert len(made) == 4
    assert all(file.closed for file in made)


def test_runs_read_back_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipfs_cluster.unixfs.runs._BUFFER", 1000)
    entries = [Entry(key, b"n" * (key % 300), cids.Cid(b"c" * (key % 40 + 1)), key * 3) for key in range(2000)]
    random.Random(2).shuffle(entries)
    runs = SortedRuns(io.BytesIO, run=333)
    for entry in entries:
        runs.add(entry)
    assert list(runs.merged()) == sorted(entries)


@pytest.mark.parametrize("fanout", [8, 16, 256, 1024])
def test_order_of_entries_does_not_matter(fanout: int) -> None:
    entries = _entries(1200)
    options = resolve(Asked(cid_version=1, max_directory_links=5, hamt_fanout=fanout))
    node, blocks = _directory(entries, options)
    assert _directory(entries[::-1], options)[0] == node
    assert len({block.cid for block in blocks}) == len(blocks)


def test_equal_names_are_refused() -> None:
    for count in (3, 3000):
        directory = DirectoryImport(resolve(Asked(hamt_threshold=1000)))
        entries = _entries(count)
        with pytest.raises(InvalidArgument, match="directory already has entry by that name"):
            for name, node in [*entries, entries[1]]:
                directory.add(name, node)
            list(directory.finish())


def test_names_that_hash_alike_are_refused() -> None:
    node = Node(cids.make(cids.RAW, b"\x12\x20" + bytes(32)), 1, 1)
    entries = [Entry(5, b"a", node.cid, 1), Entry(5, b"b", node.cid, 1)]
    with pytest.raises(InvalidArgument, match="sharded directory too deep"):
        list(HamtWriter(Encoder(resolve(Asked())), 256, NO_METADATA).write(iter(entries)))


def test_a_directory_that_never_shards_is_refused_when_it_is_too_large() -> None:
    directory = DirectoryImport(resolve(Asked(estimation=Estimation.DISABLED)))
    node = Node(cids.make(cids.RAW, b"\x12\x20" + bytes(32)), 1, 1)
    with pytest.raises(InvalidArgument, match="not to be sharded"):
        for number in range(100_000):
            directory.add(b"%0100d" % number, node)


def test_a_directory_that_never_shards_keeps_to_its_number_of_links() -> None:
    directory = DirectoryImport(resolve(Asked(hamt_threshold=0, max_directory_links=3)))
    with pytest.raises(InvalidArgument, match=r"^BasicDirectory: cannot add child: maxLinks reached$"):
        for name, node in _entries(4):
            directory.add(name, node)


@pytest.mark.parametrize(("empty_dirs", "names"), [(True, [b"x/a", b"x/a/b", b"x"]), (False, [b"x/a", b"x"])])
def test_empty_directories(empty_dirs: bool, names: list[bytes]) -> None:
    out = imported(tree({"a/b": {}}), resolve(Asked(empty_dirs=empty_dirs)))
    assert sorted(event.path for event in out.events) == sorted(names)
    assert imported(Directory(), resolve(Asked(empty_dirs=False))).events[0].path == b"x"


def test_sub_directories_of_a_hamt_are_told_in_its_order() -> None:
    names = [b"d%d" % number for number in range(20)]
    out = imported(Directory({name: Directory() for name in names}), resolve(Asked(hamt_threshold=1)))
    told = [event.path.removeprefix(b"x/") for event in out.events[:-1]]
    assert told == sorted(names, key=key_of) != sorted(names)


def test_wrapping() -> None:
    out = imported(tree({"d/e": "f"}), resolve(Asked(wrap=True)), b"top")
    assert [event.path for event in out.events] == [b"top/d/e", b"top/d", b"top", b""]
    assert out.root.cid == imported(tree({"top": {"d/e": "f"}}), resolve(Asked())).root.cid


def test_several_entries_without_wrapping_are_roots_of_their_own() -> None:
    walk = TreeImport(resolve(Asked()))
    walk.open_file(b"a")
    list(walk.feed(b"1"))
    list(walk.close_file())
    list(walk.symlink(b"b", b"a"))
    list(walk.finish())
    assert len(walk.roots) == 2


def test_entries_are_not_named_with_slashes() -> None:
    for name in (b"a/b", b"", b".", b".."):
        walk = TreeImport(resolve(Asked()))
        walk.enter(b"top")
        with pytest.raises(InvalidArgument, match="cannot be named"):
            list(walk.symlink(name, b"x"))


def test_time_before_1970_takes_ten_bytes() -> None:
    link = imported(Symlink(b"t", Metadata(0o777, Mtime(-1, 5))), resolve(Asked(preserve_mtime=True)))
    (block,) = link.blocks.values()
    assert block.data.endswith(bytes.fromhex("4210 08ffffffffffffffffff01 1505000000"))
    assert b"\x38" not in block.data[-20:-18], "a link has no mode"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (Asked(cid_version=0, hash_function="sha3-256"), "CIDv0 only supports sha2-256"),
        (Asked(cid_version=2), "unknown CID version: 2"),
        (Asked(hash_function="sha9"), 'unrecognized hash function: "sha9"'),
        (Asked(hash_function="md5"), "potentially insecure hash functions not allowed"),
        (Asked(hash_function="Keccak-384"), "unknown multihash code 28 (0x1c): no such hash registered"),
        (Asked(mtime=1, mtime_nanos=1_000_000_000), "mtime nanoseconds must be in range [1, 999999999]"),
        (
            Asked(raw_leaves=True, mode=0o600),
            "raw-leaves can't be used with UnixFS metadata like mode or modification time",
        ),
        (Asked(mtime_nanos=5), 'option "mtime-nsecs" requires "mtime" to be provided as well'),
        (Asked(inline=True, inline_limit=200), "inline-limit 200 exceeds maximum allowed size of 128 bytes"),
        (Asked(hamt_fanout=100), "HAMT fanout must be a power of 2, between 8 and 1024 (got 100)"),
        (Asked(max_links=1), "a node of a file needs at least 2 links, not 1"),
    ],
)
def test_options_that_are_refused(asked: Asked, error: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve(asked)
    assert str(caught.value) == error


def test_of_a_preserved_mode_the_permissions_are_kept() -> None:
    (block,) = imported(File(b"", Metadata(0o104711)), resolve(Asked(preserve_mode=True))).blocks.values()
    assert open_node(block.cid, block.data).metadata.mode == 0o711


def test_what_is_asked_for_oddly() -> None:
    assert resolve(Asked(mode=0o104711)).metadata.mode == 0o711
    assert resolve(Asked(cid_version=-1)).cid_version == 0
    assert resolve(Asked(cid_version=-1, hash_function="sha1")).cid_version == 1
    assert resolve(Asked(max_directory_links=-1)).max_directory_links == 0


def test_metadata_turns_raw_leaves_off() -> None:
    assert resolve(Asked(cid_version=1)).raw_leaves
    assert not resolve(Asked(cid_version=1, mtime=1)).raw_leaves
    assert not resolve(Asked(cid_version=1, preserve_mode=True)).raw_leaves


def test_a_file_keeps_its_metadata_in_the_root_only() -> None:
    metadata = Metadata(0o640, Mtime(1))
    options = resolve(Asked(chunker="size-10", preserve_mode=True, preserve_mtime=True))
    out = imported(File(bytes(25), metadata), options)
    plain = imported(File(bytes(25)), options)
    assert len(set(out.blocks) - set(plain.blocks)) == 1


def _pieces() -> Iterator[bytes]:
    yield from [b"ab", b"", b"c"]


def test_empty_pieces_are_nothing() -> None:
    assert imported(File(list(_pieces())), resolve(Asked())).root == imported(File(b"abc"), resolve(Asked())).root
