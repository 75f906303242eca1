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
def test_refusals_are_equal(raw: bytes) -> None:
    try:
        expected = dag_cbor.decode(raw)
    except Exception:  # noqa: BLE001  the package lets errors of several libraries out
        with pytest.raises(BadContent):
            decode(raw)
    else:
        assert theirs(decode(raw)) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "byte 0: the data is cut off"),
        ("1817", "a number that is longer than needed"),
        ("1900ff", "a number that is longer than needed"),
        ("9f01ff", "a length that is not given"),
        ("a2616101616102", "keys out of order or twice"),
        ("a262616101616202", "keys out of order or twice"),
        ("a10101", "a key that is not text"),
        ("fb7ff8000000000000", "a float that is no number"),
        ("f93c00", "the simple value 25"),
        ("f7", "the simple value 23"),
        ("61ff", "text that is not UTF-8"),
        ("c101", "the tag 1"),
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


def test_what_cannot_be_written() -> None:
    deep: Value = None
    for _ in range(200):
        deep = [deep]
    for value in (math.nan, math.inf, 1 << 64, -(1 << 64) - 1, deep):
        with pytest.raises(InvalidArgument):
            encode(value)
