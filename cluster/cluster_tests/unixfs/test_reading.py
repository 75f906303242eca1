"""Reading back what was imported: ranges, listings, paths; and what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tests.unixfs.trees import Directory, Entry, File, Imported, Symlink, imported, tree
from ipfs_cluster import cid as cids
from ipfs_cluster import multihash
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, NoSuchLink
from ipfs_cluster.unixfs import Asked, FileWalk, Link, entries, open_node, read, reader, resolve, resolve_path
from ipfs_cluster.unixfs.dagpb import encode_links
from ipfs_cluster.unixfs.hamt import key_of
from ipfs_cluster.unixfs.message import Kind, directory, file_node, shard
from ipfs_cluster.unixfs.model import Metadata, Mtime
from ipfs_cluster.unixfs.protobuf import number, prefix

NOISE = random.Random(9).randbytes(20_000)
SHA = multihash.named("sha2-256")


class Store:
    """Blocks by CID; counts what is asked for."""

    def __init__(self, *parts: Imported) -> None:
        self.blocks = {cid: block.data for part in parts for cid, block in part.blocks.items()}
        self.asked: list[Cid] = []

    def put(self, data: bytes, codec: int = cids.DAG_PB) -> Cid:
        cid = cids.make(codec, SHA.multihash([data]))
        self.blocks[cid] = data
        return cid

    def node(self, links: list[Link], data: bytes) -> Cid:
        return self.put(encode_links(links) + prefix(0x0A, len(data)) + data)

    async def get(self, cid: Cid) -> bytes:
        self.asked.append(cid)
        return self.blocks[cid]

    async def read(self, cid: Cid, start: int = 0, stop: int | None = None) -> bytes:
        return b"".join([piece async for piece in read(self.get, cid, start, stop)])

    async def list(self, cid: Cid) -> list[Link]:
        return [link async for link in entries(self.get, cid)]


SHAPES = [
    Asked(chunker="size-100", max_links=3),
    Asked(chunker="size-100", max_links=3, cid_version=1),
    Asked(chunker="size-70", max_links=4, trickle=True),
    Asked(chunker="size-70", max_links=4, trickle=True, raw_leaves=True),
    Asked(chunker="size-60", max_links=2, inline=True, inline_limit=128),
    Asked(),
]


@pytest.mark.parametrize("asked", SHAPES)
@settings(max_examples=25)
@given(size=st.integers(0, 3000), start=st.integers(0, 3100), length=st.one_of(st.none(), st.integers(0, 3100)))
async def test_ranges(asked: Asked, size: int, start: int, length: int | None) -> None:
    out = imported(File(NOISE[:size]), resolve(asked))
    stop = None if length is None else start + length
    assert await Store(out).read(out.root.cid, start, stop) == NOISE[:size][start:stop]


async def test_only_what_a_range_needs_is_fetched() -> None:
    out = imported(File(NOISE), resolve(Asked(chunker="size-100", max_links=3)))
    store = Store(out)
    assert await store.read(out.root.cid, 10_000, 10_001) == NOISE[10_000:10_001]
    assert len(store.asked) == 6, "the root, four nodes, a leaf"
    walk = FileWalk(out.root.cid)
    walk.give(store.blocks[out.root.cid])
    assert walk.size == 20_000
    assert walk.upcoming(2)[0] == walk.wanted
    assert len(walk.upcoming(2)) == 2


async def test_symlinks_are_read_as_their_target() -> None:
    out = imported(Symlink(b"../there"), resolve(Asked()))
    assert await Store(out).read(out.root.cid) == b"../there"


@pytest.mark.parametrize(
    "asked", [Asked(), Asked(hamt_threshold=1), Asked(hamt_threshold=1, hamt_fanout=8, cid_version=1)]
)
async def test_listings_and_paths(asked: Asked) -> None:
    names = {f"n{number}": f"content {number}" for number in range(300)}
    out = imported(tree({**names, "d/e/f": "deep", "ä": "umlaut"}), resolve(asked))
    store = Store(out)
    listed = {link.name.decode() for link in await store.list(out.root.cid)}
    assert listed == {*names, "d", "ä"}
    found = await resolve_path(store.get, out.root.cid, [b"d", b"e", b"f"])
    assert await store.read(found) == b"deep"
    assert await resolve_path(store.get, out.root.cid, []) == out.root.cid
    for path in ([b"nosuch"], [b"d", b"x"], [b"d", b"e", b"f", b"g"]):
        with pytest.raises(NoSuchLink, match=f'no link named "{path[-1].decode()}" under '):
            await resolve_path(store.get, out.root.cid, path)


async def test_a_path_in_a_hamt_fetches_one_node_a_level() -> None:
    out = imported(Directory({b"%d" % n: File(b"x") for n in range(3000)}), resolve(Asked(hamt_threshold=1)))
    store = Store(out)
    await resolve_path(store.get, out.root.cid, [b"1234"])
    assert len(store.asked) <= 3


def test_metadata_is_read_back() -> None:
    metadata = Metadata(0o755, Mtime(-62_000_000_000, 999_999_999))
    options = resolve(Asked(preserve_mode=True, preserve_mtime=True))
    cases: list[Entry] = [File(b"x", metadata), Directory({}, metadata), Symlink(b"x", metadata)]
    for entry in cases:
        out = imported(entry, options)
        node = open_node(out.root.cid, out.blocks[out.root.cid].data)
        assert node.metadata == (metadata if not isinstance(entry, Symlink) else Metadata(0, metadata.mtime))


async def test_blocks_are_checked() -> None:
    out = imported(File(NOISE), resolve(Asked(chunker="size-1000")))
    store = Store(out)
    victim = next(cid for cid in store.blocks if cid != out.root.cid)
    store.blocks[victim] = store.blocks[victim][:-1] + b"\0\0"
    with pytest.raises(BadContent, match="data did not match its hash"):
        await store.read(out.root.cid)
    assert await store.read(out.root.cid, 19_000) == NOISE[19_000:], "what is not asked for is not looked at"


Hostile = Callable[[Store], Cid]


def _leaf(store: Store, size: int = 5) -> Cid:
    return store.put(bytes(size), cids.RAW)


def _wrong_child_size(store: Store) -> Cid:
    return store.node([Link(b"", _leaf(store), 5)], file_node([6], 6))


def _wrong_total(store: Store) -> Cid:
    return store.node([Link(b"", _leaf(store), 5)], file_node([5], 6))


def _too_few_sizes(store: Store) -> Cid:
    return store.node([Link(b"", _leaf(store), 5)] * 2, file_node([10], 10))


def _too_deep(store: Store) -> Cid:
    cid = _leaf(store)
    for _ in range(200):
        cid = store.node([Link(b"", cid, 5)], file_node([5], 5))
    return cid


def _directory_in_a_file(store: Store) -> Cid:
    return store.node([Link(b"", store.node([], directory()), 5)], file_node([5], 5))


def _link_in_a_file(store: Store) -> Cid:
    target = number(0x08, Kind.SYMLINK) + prefix(0x12, 1) + b"x"
    return store.node([Link(b"", store.node([], target), 5)], file_node([1], 1))


def _huge_total(store: Store) -> Cid:
    return store.node([Link(b"", _leaf(store), 5)] * 3, file_node([(1 << 64) - 1] * 3, 5))


def _other_codec(store: Store) -> Cid:
    return store.put(b"\xa0", cids.DAG_CBOR)


def _too_large(store: Store) -> Cid:
    return store.put(bytes((2 << 20) + 1), cids.RAW)


def _linking_link(store: Store) -> Cid:
    return store.node([Link(b"", _leaf(store), 5)], number(0x08, Kind.SYMLINK) + prefix(0x12, 1) + b"x")


def _sized_link(store: Store) -> Cid:
    return store.node([], number(0x08, Kind.SYMLINK) + number(0x20, 1))


def _no_data(store: Store) -> Cid:
    return store.put(encode_links([Link(b"", _leaf(store), 5)]))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_wrong_child_size, "5 bytes of a file where its parent says 6"),
        (_wrong_total, "a file of 6 bytes whose parts are 5"),
        (_too_few_sizes, "1 sizes of blocks for 2 links"),
        (_too_deep, "a file of more than 128 levels"),
        (_directory_in_a_file, "is a directory"),
        (_link_in_a_file, "a symbolic link inside a file"),
        (_huge_total, "a file of 5 bytes whose parts are"),
        (_other_codec, "a node of codec 0x71 is not UnixFS"),
        (_too_large, "is larger than"),
        (_linking_link, "a symbolic link with links"),
        (_sized_link, "a symlink node with sizes of blocks"),
        (_no_data, "proto: required field ipfs.boxo.ipld.unixfs.pb.Data.Type not set"),
    ],
)
async def test_hostile_files(make: Hostile, error: str) -> None:
    store = Store()
    with pytest.raises(BadContent, match=error):
        await store.read(make(store))


async def test_what_claims_to_be_empty_is_not_fetched() -> None:
    """A bomb: forty levels of nothing, each twice the one below."""
    store = Store()
    cid = store.put(b"", cids.RAW)
    for _ in range(40):
        cid = store.node([Link(b"", cid, 0)] * 2, file_node([0, 0], 0))
    assert await store.read(cid) == b""
    assert len(store.asked) == 1


def _misplaced(store: Store) -> Cid:
    bucket = (key_of(b"name") >> 56) ^ 1
    return store.node([Link(b"%02XX" % bucket, _leaf(store), 5)], shard((1 << bucket).to_bytes(32, "big"), 256))


def _shared(store: Store) -> Cid:
    """A shard hung in at each bucket, eight levels: a listing without end, were places not checked."""
    name = b"name"
    key = key_of(name)
    cid = store.node(
        [Link(b"%02X" % (key & 0xFF) + name, _leaf(store), 5)], shard((1 << (key & 0xFF)).to_bytes(32, "big"), 256)
    )
    for _ in range(7):
        links = [Link(b"%02X" % bucket, cid, 5) for bucket in range(256)]
        cid = store.node(links, shard(b"\xff" * 32, 256))
    return cid


def _bottomless(store: Store) -> Cid:
    cid = store.node([Link(b"00", _leaf(store), 5)], shard(b"\1", 256))
    for _ in range(9):
        cid = store.node([Link(b"00", cid, 5)], shard(b"\1", 256))
    return cid


def _hollow(store: Store) -> Cid:
    return store.node([Link(b"00", store.node([], shard(b"", 256)), 5)], shard(b"\1", 256))


def _bits_without_links(store: Store) -> Cid:
    return store.node([], shard(b"\7", 256))


def _odd_fanout(store: Store) -> Cid:
    return store.node([], shard(b"", 100))


def _huge_fanout(store: Store) -> Cid:
    return store.node([], shard(b"", 1 << 40))


def _climbing(store: Store) -> Cid:
    return store.node([Link(b"..", _leaf(store), 5)], directory())


def _slashed(store: Store) -> Cid:
    return store.node([Link(b"a/b", _leaf(store), 5)], directory())


def _other_bucket(store: Store) -> Cid:
    return store.node([Link(b"05name", _leaf(store), 5)], shard(b"\1", 256))


def _climbing_bucket(store: Store) -> Cid:
    return store.node([Link(b"00..", _leaf(store), 5)], shard(b"\1", 256))


def _other_hash(store: Store) -> Cid:
    return store.node([], number(0x08, Kind.HAMT_SHARD) + number(0x28, 0x23) + number(0x30, 256))


def _long_bitfield(store: Store) -> Cid:
    return store.node([], shard(bytes(33), 256))


def _other_fanout_below(store: Store) -> Cid:
    below = store.node([Link(b"0name", _leaf(store), 5)], shard(b"\1", 16))
    return store.node([Link(b"00", below, 5)], shard(b"\1", 256))


def _leads_to_a_file(store: Store) -> Cid:
    return store.node([Link(b"00", _leaf(store), 5)], shard(b"\1", 256))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_misplaced, "in the wrong place"),
        (_shared, "in the wrong place"),
        (_bottomless, "sharded directory too deep"),
        (_hollow, "an empty HAMT node"),
        (_bits_without_links, "does not fit its 0 links"),
        (_odd_fanout, "a HAMT with a fanout of 100"),
        (_huge_fanout, "a HAMT with a fanout of"),
        (_climbing, r"an entry of a directory is named b'\.\.'"),
        (_slashed, "an entry of a directory is named"),
        (_other_bucket, "a HAMT whose bucket 0 is named"),
        (_climbing_bucket, "an entry of a directory is named"),
        (_other_hash, "a HAMT by hash function 0x23"),
        (_long_bitfield, "bitfield of 33 bytes"),
        (_other_fanout_below, "of another fanout than its parent"),
        (_leads_to_a_file, "leads to something else"),
        (_leaf, "is not a directory"),
    ],
)
async def test_hostile_directories(make: Hostile, error: str) -> None:
    store = Store()
    cid = make(store)
    with pytest.raises(BadContent, match=error):
        await store.list(cid)
    assert len(store.asked) < 20


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    out = imported(File(NOISE), resolve(Asked(chunker="size-100", max_links=70)))
    monkeypatch.setattr(reader, "MAX_WAITING", 72)
    assert await Store(out).read(out.root.cid) == NOISE
    monkeypatch.setattr(reader, "MAX_WAITING", 71)
    with pytest.raises(BadContent, match="too many links"):
        await Store(out).read(out.root.cid)


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_read_never_worse(data: bytes) -> None:
    try:
        node = open_node(Store().put(data), data)
    except BadContent:
        return
    assert len(node.sizes) in (0, len(node.links))
