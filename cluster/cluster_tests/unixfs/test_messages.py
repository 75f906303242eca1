"""dag-pb and UnixFS messages: written, read back, and refused where they are malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster import cid as cids
from ipfs_cluster.unixfs import Link, Metadata, Mtime, dagpb, message
from ipfs_cluster.unixfs.message import Kind
from ipfs_cluster.unixfs.protobuf import Malformed, fields, number, prefix

CID = cids.make(cids.RAW, b"\x12\x20" + bytes(32))
LINK = Link(b"name", CID, 300)
HASH = b"\x0a\x24" + CID

links = st.builds(Link, st.binary(max_size=200), st.just(CID), st.integers(0, (1 << 63) - 1))


@given(st.lists(links, max_size=4), st.binary(max_size=20))
def test_nodes_are_read_back(written: list[Link], data: bytes) -> None:
    encoded = dagpb.encode_links(written)
    assert sum(map(dagpb.link_size, written)) == len(encoded)
    node = dagpb.decode(encoded + prefix(dagpb.DATA, len(data)) + data)
    assert (list(node.links), bytes(node.data or b"")) == (written, data)
    assert dagpb.decode(encoded).data is None


@given(
    st.lists(st.integers(0, (1 << 62)), max_size=5),
    st.integers(0, 0o7777),
    st.one_of(st.none(), st.builds(Mtime, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 999_999_999))),
)
def test_messages_are_read_back(sizes: list[int], mode: int, mtime: Mtime | None) -> None:
    metadata = Metadata(mode, mtime)
    told = message.decode(message.file_node(sizes, sum(sizes), message.encode_metadata(metadata)))
    assert (told.kind, told.sizes, told.filesize, told.metadata) == (Kind.FILE, tuple(sizes), sum(sizes), metadata)


def test_what_other_writers_do_is_read() -> None:
    link = dagpb.encode_link(LINK)
    assert dagpb.decode(b"\x0a\x01x" + link).links == (LINK,), "links after the data"
    assert dagpb.decode(b"\x12\x26" + HASH).links == (Link(b"", CID, 0),), "neither Name nor Tsize"
    packed = b"\x08\x02\x18\x81\x01" + prefix(0x22, 3) + b"\x01\x80\x01"
    assert message.decode(packed).sizes == (1, 128), "sizes as one field"
    assert message.decode(b"\x08\x01" + number(0x78, 7)).kind is Kind.DIRECTORY, "a field nobody knows"
    assert message.decode(b"\x88\x00\x01").kind is Kind.DIRECTORY, "a number longer than needed"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x08", "number at byte 1 is cut off"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "longer than ten bytes"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "exceeds 64 bits"),
        (b"\x0a\x05abc", "field 1 ends 2 bytes after the end"),
        (b"\x0d\x01\x02", "field 1 ends 2 bytes after the end"),
        (b"\x09\x01\x02", "field 1 ends 6 bytes after the end"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x01", "field number 0"),
    ],
)
def test_malformed_protobuf(raw: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        list(fields(raw))


def _link(body: bytes) -> bytes:
    return prefix(0x12, len(body)) + body


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x0a\x00\x0a\x00", "two Data fields"),
        (_link(HASH) + b"\x0a\x00" + _link(HASH), "links before and after Data"),
        (b"\x1a\x00", "unknown field 3"),
        (b"\x08\x01", "field 1 of a node has wire type 0"),
        (_link(b""), "a link without a CID"),
        (_link(HASH + HASH), "the Hash of a link is not first or not alone"),
        (_link(b"\x12\x00" + HASH), "the Hash of a link is not first or not alone"),
        (_link(HASH + b"\x12\x00\x12\x00"), "the Name of a link is not second or not alone"),
        (_link(HASH + b"\x18\x01\x12\x00"), "the Name of a link is not second or not alone"),
        (_link(HASH + b"\x18\x01\x18\x01"), "two Tsizes"),
        (_link(HASH + b"\x20\x01"), "field 4 of wire type 0 in a link"),
        (_link(b"\x0a\x02\x01\x55"), "a link's CID: "),
    ],
)
def test_malformed_nodes(raw: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        dagpb.decode(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "without a type"),
        (b"\x08\x06", "unknown UnixFS type 6"),
        (b"\x0a\x00", "field 1 of a UnixFS message has wire type 2"),
        (b"\x08\x02\x10\x01", "field 2 of a UnixFS message has wire type 0"),
        (b"\x08\x02\x1d" + bytes(4), "field 3 of a UnixFS message has wire type 5"),
        (b"\x08\x02\x22\x01\x80", "is cut off"),
        (b"\x08\x02\x42\x00", "a time of modification without seconds"),
        (b"\x08\x02\x42\x07\x08\x01\x15\x00\xca\x9a\x3b", "too many nanoseconds"),
        (b"\x08\x02\x42\x04\x08\x01\x10\x01", "field 2 of a time has wire type 0"),
    ],
)
def test_malformed_messages(raw: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        message.decode(raw)
