"""Archives: what is written is read, in any pieces; whatever is damaged is refused, with its place."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tests.unixfs.trees import imported, tree
from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.car import BadCar, CarBlock, CarReader, head, section, section_size
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent
from ipfs_cluster.ipld import dagcbor
from ipfs_cluster.unixfs import Asked, resolve

SHA = multihash.named("sha2-256")
OUT = imported(tree({"a": random.Random(3).randbytes(900), "b/c": b"x", "e": b""}), resolve(Asked(chunker="size-300")))
BLOCKS = {cid: block.data for cid, block in OUT.blocks.items()}


def archive(roots: Iterable[Cid] = (), blocks: dict[Cid, bytes] | None = None) -> bytes:
    """A CARv1."""
    out = bytearray(head(roots))
    for cid, data in (BLOCKS if blocks is None else blocks).items():
        parts = section(cid, (data,), len(data))
        assert sum(map(len, parts)) == section_size(cid, len(data))
        out += b"".join(parts)
    return bytes(out)


V1 = archive([OUT.root.cid])


def version2(inner: bytes, *, padding: int = 0, index: bytes = b"", gap: int = 0) -> bytes:
    """A CARv2 around a CARv1."""
    start = 51 + padding
    at = start + len(inner) + gap if index else 0
    numbers = b"".join(number.to_bytes(8, "little") for number in (start, len(inner), at))
    pragma = bytes.fromhex("0aa16776657273696f6e02")
    return pragma + bytes(16) + numbers + bytes(padding) + inner + bytes(gap) + index


def opened(raw: bytes, pieces: Iterable[int] = (), **options: int) -> tuple[CarReader, list[CarBlock]]:
    """Read a whole archive in pieces of these sizes, the rest at once."""
    reader = CarReader(**options)  # type: ignore[arg-type]
    blocks: list[CarBlock] = []
    at = 0
    for size in pieces:
        blocks += reader.feed(raw[at : at + size])
        at += size
    blocks += reader.feed(raw[at:])
    reader.finish()
    return reader, blocks


@given(st.lists(st.integers(0, 200)))
def test_pieces_do_not_matter(pieces: list[int]) -> None:
    for raw, version in ((V1, 1), (version2(V1, padding=9, index=b"\x80\x08", gap=3), 2)):
        reader, blocks = opened(raw, pieces)
        assert (reader.version, reader.roots) == (version, (OUT.root.cid,))
        assert {block.cid: block.data for block in blocks} == BLOCKS
        for block in blocks:
            assert block.data in raw[block.offset :][: len(block.data) + 60]


def test_no_roots_and_many() -> None:
    assert opened(archive())[0].roots == ()
    many = [cids.make(cids.RAW, SHA.multihash([b"%d" % number])) for number in range(1000)]
    assert opened(archive(many))[0].roots == tuple(many)


def test_an_archive_without_blocks() -> None:
    assert opened(archive(blocks={}))[1] == []


def test_an_archive_that_is_cut_off_is_refused_at_every_byte() -> None:
    borders = {len(head([OUT.root.cid]))}
    for cid, data in BLOCKS.items():
        borders.add(max(borders) + section_size(cid, len(data)))
    for end in range(len(V1)):
        if end not in borders:
            with pytest.raises(BadCar, match="ends"):
                opened(V1[:end])
    whole = version2(V1, index=b"\x80\x08")
    for end in range(len(whole) - 1):
        with pytest.raises(BadCar, match="ends"):
            opened(whole[:end])


def test_any_bit_that_flips_in_a_section_is_seen() -> None:
    start = len(head([OUT.root.cid]))
    for at in range(start, len(V1)):
        damaged = bytearray(V1)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(BadCar) as caught:
            opened(bytes(damaged))
        assert start <= caught.value.offset <= len(V1)


def test_a_refusal_names_the_section_and_gives_what_was_before_it() -> None:
    (first, *_), offset = BLOCKS, len(head([OUT.root.cid]))
    second = offset + section_size(first, len(BLOCKS[first]))
    damaged = bytearray(V1)
    damaged[second + 50] ^= 1
    with pytest.raises(BadCar, match=f"CAR, byte {second}: block .*: data did not match its hash"):
        opened(bytes(damaged))


def _head(value: object) -> bytes:
    body = dagcbor.encode(value)  # type: ignore[arg-type]
    return varint.encode(len(body)) + body


def _section(cid: bytes, data: bytes) -> bytes:
    return varint.encode(len(cid) + len(data)) + cid + data


RAW_HEAD = head([])
MD5 = cids.make(cids.RAW, b"\xd5\x01\x10" + bytes(16))
SHORT = cids.make(cids.RAW, b"\x12\x04" + SHA.multihash([b"x"])[2:6])


@pytest.mark.parametrize(
    ("raw", "offset", "reason"),
    [
        (b"", 0, "the archive ends before its head"),
        (b"\0", 0, "a head of no bytes"),
        (b"\xff" * 10, 0, "the length of a head: varints larger than uint63"),
        (b"\x80\x80\x80\x80\x01", 0, "a head of 268435456 bytes, more than"),
        (b"\x81\x00", 0, "the length of a head: varint not minimally encoded"),
        (b"\x01\xff", 0, "a head that is not dag-cbor"),
        (_head([]), 0, "a head without a version"),
        (_head({"roots": []}), 0, "a head without a version"),
        (_head({"roots": [], "version": True}), 0, "a head without a version"),
        (_head({"version": 1}), 0, "a head without roots"),
        (_head({"roots": [], "version": 1, "x": 1}), 0, "or with more than them"),
        (_head({"roots": [b"x"], "version": 1}), 0, "a root that is not a link"),
        (_head({"roots": [], "version": 3}), 0, "version 3 is not supported"),
        (_head({"roots": [], "version": 2}), 0, "version 2 is not supported"),
        (RAW_HEAD + b"\0", len(RAW_HEAD), "a section of no bytes"),
        (RAW_HEAD + b"\xff" * 9, len(RAW_HEAD), "the length of a section: varints larger than uint63"),
        (RAW_HEAD + varint.encode(1 << 40), len(RAW_HEAD), "a section of 1099511627776 bytes, more than"),
        (RAW_HEAD + b"\x02\x01\x55", len(RAW_HEAD), "a section without a CID"),
        (RAW_HEAD + _section(b"\x12\x20", b"short"), len(RAW_HEAD), "a section without a CID"),
        (RAW_HEAD + _section(b"\x03\x55\x12\x20", bytes(32)), len(RAW_HEAD), "a section without a CID: expected 1"),
        (RAW_HEAD + _section(MD5, b""), len(RAW_HEAD), "hash function 0xd5 is not accepted"),
        (RAW_HEAD + _section(SHORT, b"x"), len(RAW_HEAD), "digest too small"),
        (RAW_HEAD + _section(b"\x01\x55\x00\x03abc", b"abd"), len(RAW_HEAD), "data did not match"),
        (RAW_HEAD + _section(b"\x01\x55\x00\x03abc", b"abcd"), len(RAW_HEAD), "data did not match"),
        (RAW_HEAD + _section(b"\x01\x55\x00\x81\x01" + bytes(129), bytes(129)), len(RAW_HEAD), "digest too large"),
        (version2(b""), 11, "data of 0 bytes at 51"),
        (version2(V1)[:27] + b"\x10" + bytes(7) + version2(V1)[35:], 11, "data of .* bytes at 16"),
        (version2(V1) + b"x", 51 + len(V1), "the archive goes on after its data"),
        (version2(V1[:-1]), 51 + V1.rindex(OUT.root.cid) - 2, "a section that goes beyond the data's end"),
        (version2(version2(V1)), 51, "data of version 2"),
        (version2(V1, index=b"i")[:43] + b"\1" + bytes(7) + V1, 11, "an index at 1, before the end"),
    ],
)
def test_hostile_archives(raw: bytes, offset: int, reason: str) -> None:
    for pieces in ([], [1] * len(raw)):
        with pytest.raises(BadCar, match=reason) as caught:
            opened(raw, pieces)
        assert caught.value.offset == offset


def test_lengths_are_refused_before_they_are_waited_for() -> None:
    reader = CarReader()
    reader.feed(RAW_HEAD)
    with pytest.raises(BadCar):
        reader.feed(varint.encode((2 << 20) + 200))
    reader = CarReader(max_block=100)
    reader.feed(RAW_HEAD)
    data = bytes(101)
    with pytest.raises(BadCar, match="a block of 101 bytes, more than 100"):
        reader.feed(_section(cids.make(cids.RAW, SHA.multihash([data])), data))


def test_blocks_that_come_twice() -> None:
    twice = V1 + V1[len(head([OUT.root.cid])) :]
    assert len(opened(twice)[1]) == 2 * len(BLOCKS)
    with pytest.raises(BadCar, match="comes twice") as caught:
        opened(twice, unique=True)
    assert caught.value.offset == len(V1)


def test_identity_blocks_may_be_there() -> None:
    cid = cids.make(cids.RAW, multihash.named("identity").multihash([b"abc"]))
    assert [block.data for block in opened(archive(blocks={cid: b"abc"}))[1]] == [b"abc"]


@given(st.binary(max_size=80), st.booleans())
def test_garbage_is_refused(garbage: bytes, after_a_head: bool) -> None:
    reader = CarReader()
    try:
        reader.feed(RAW_HEAD + garbage if after_a_head else garbage)
        reader.finish()
    except BadContent:
        return
    assert after_a_head or reader.version
