"""dag-cbor against the package of that name: same bytes, same values, same refusals."""

from __future__ import annotations

import math
from typing import Any

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import BadContent, InvalidArgument
from ipfs_cluster.ipld.dagcbor import decode, encode
from ipfs_cluster.ipld.values import CidLink, Value

LINK = CidLink(cids.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.binary(max_size=30),
    st.just(LINK),
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=5), st.dictionaries(st.text(max_size=5), below, max_size=5)),
    max_leaves=20,
)


def theirs(value: Value) -> Any:
    """The value as the other package has it."""
    if isinstance(value, CidLink):
        return CID.decode(cids.text(value.cid))
    if isinstance(value, list):
        return [theirs(item) for item in value]
    if isinstance(value, dict):
        return {key: theirs(item) for key, item in value.items()}
    return value


@given(values)
def test_bytes_are_equal_and_read_back(value: Value) -> None:
    raw = encode(value)
    assert raw == dag_cbor.encode(theirs(value))
    assert repr(decode(raw)) == repr(decode(encode(decode(raw))))
    assert theirs(decode(raw)) == theirs(value)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    raw = encode(draw(values))
    at = draw(st.integers(0, len(raw) - 1))
    return raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)) :]


@given(st.one_of(st.binary(max_size=30), damaged()))
def test_what_is_canonical_is_read_alike_and_nothing_else_is_written(raw: bytes) -> None:
    try:
        expected = dag_cbor.decode(raw)
    except Exception:  # noqa: BLE001  the package lets errors of several libraries out
        try:
            found = decode(raw)
        except BadContent:
            return
        assert encode(found) != raw
    else:
        assert theirs(decode(raw)) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "byte 0: the data is cut off"),
        ("1817", "a number that is longer than needed"),
        ("1900ff", "a number that is longer than needed"),
        ("9f01ff", "a length that is not given"),
        ("a2616101616102", "the key 'a' twice"),
        ("a10101", "a key that is not text"),
        ("fb7ff8000000000000", "a float that is no number"),
        ("f97e00", "a float that is no number"),
        ("fa7f800000", "a float that is no number"),
        ("f97e", "the data is cut off"),
        ("e0", "the simple value 0"),
        ("f820", "the simple value 24"),
        ("ff", "the simple value 31"),
        ("a1f701", "a key that is not text"),
        ("61ff", "text that is not UTF-8"),
        ("c1c101", "a tag of a tag"),
        ("c1", "the data is cut off"),
        ("d82a6161", "a link that is not a CID"),
        ("d82a4101", "a link that is not a CID"),
        ("d82a420001", "a link: "),
        ("0101", "1 bytes after the end"),
        ("9b00ffffffffffffff", "the data is cut off"),
        ("5b7fffffffffffffff", "the data is cut off"),
        ("81" * 200, "data of more than 128 levels"),
    ],
)
def test_refusals(raw: str, reason: str) -> None:
    with pytest.raises(BadContent, match=reason):
        decode(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a262616101616202", {"b": 2, "aa": 1}),
        ("a2616201616102", {"a": 2, "b": 1}),
        ("f93c00", 1.0),
        ("fa3fc00000", 1.5),
        ("f7", None),
        ("c101", 1),
        ("c1f5", True),
        ("a16161d82b81c2f7", {"a": [None]}),
    ],
)
def test_what_is_read_though_it_would_be_written_otherwise(raw: str, value: Value) -> None:
    # As Kubo 0.43 reads it: compat_tests/test_embedded.py.
    found = decode(bytes.fromhex(raw))
    assert (found, type(found)) == (value, type(value))
    assert decode(encode(found)) == found


def test_what_cannot_be_written() -> None:
    deep: Value = None
    for _ in range(200):
        deep = [deep]
    for value in (math.nan, math.inf, 1 << 64, -(1 << 64) - 1, deep):
        with pytest.raises(InvalidArgument):
            encode(value)
