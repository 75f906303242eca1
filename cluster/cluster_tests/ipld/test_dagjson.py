"""dag-json: recorded from a Kubo; round trips; refusals."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tests.ipld.test_dagcbor import LINK, values
from ipfs_cluster import cid as cids
from ipfs_cluster.errors import BadContent, InvalidArgument
from ipfs_cluster.ipld.dagjson import decode, encode
from ipfs_cluster.ipld.values import CidLink, Value

V0 = "QmQy2Dw4Wk7rdJKjThjYXzfFJNaRKRHhHP5gHHXroJMYxk"
RECORDED: list[tuple[Value, str]] = [
    (1.0, "1"),
    (0.1, "0.1"),
    (1e21, "1e+21"),
    (1e20, "100000000000000000000"),
    (1e-7, "1e-7"),
    (1e-6, "0.000001"),
    (-0.0, "-0"),
    (123456789.125, "123456789.125"),
    (1e300, "1e+300"),
    (5e-324, "5e-324"),
    (
        'a"\\/\b\f\n\r\t\x00\x1f\x7f<>&\u2028é😀',
        '"a\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0000\\u001f\x7f<>&\\u2028é😀"',
    ),
    ({"b": 1, "aa": 2, "c": {"z": None, "y": True}}, '{"aa":2,"b":1,"c":{"y":true,"z":null}}'),
    (CidLink(cids.parse(V0)), f'{{"/":"{V0}"}}'),
    (b"", '{"/":{"bytes":""}}'),
    (b"\xff\xfe\xfd", '{"/":{"bytes":"//79"}}'),
    ([], "[]"),
    ({}, "{}"),
    (-(1 << 63), "-9223372036854775808"),
    ({"/": 1}, '{"/":1}'),
    ({"/": {"bytes": "AA", "x": 1}}, '{"/":{"bytes":"AA","x":1}}'),
    ({"/": "x", "a": 1}, '{"/":"x","a":1}'),
    ({"é": 1, "z": 2, "~": 3}, '{"z":2,"~":3,"é":1}'),
]


@pytest.mark.parametrize(("value", "text"), RECORDED)
def test_what_kubo_writes(value: Value, text: str) -> None:
    assert encode(value) == text.encode()
    if value != 1e20:
        assert decode(text.encode()) == value


def _plain(value: Value) -> bool:
    """Whether dag-json can tell the value: no large integers, no floats that look like them, no maps like links."""
    if isinstance(value, float):
        return not value.is_integer() or abs(value) < 1 << 53
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if isinstance(value, list):
        return all(map(_plain, value))
    return not isinstance(value, dict) or ("/" not in value and all(map(_plain, value.values())))


@given(values.filter(_plain))
def test_round_trips(value: Value) -> None:
    assert decode(encode(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(value: float) -> None:
    text = encode(value).decode()
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?(e[+-][1-9]\d*)?", text)
    assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)


def test_what_is_read() -> None:
    assert decode(b' { "x" : [ 1.5e3 , {"/":{"bytes":"AA=="}} ] } ') == {"x": [1500.0, b"\0"]}
    assert decode(encode(LINK)) == LINK


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value"),
        (b"1 2", "Extra data"),
        (b"[1,]", "Expecting value|Illegal trailing comma"),
        (b"01", "Extra data"),
        (b"NaN", "NaN is no number"),
        (b'{"a":1,"a":2}', "cannot repeat map key 'a'"),
        (b'{"/":"x"}', "invalid cid: cid too short"),
        (b'{"/":{"bytes":"A_8"}}', "bytes: "),
        (b"9223372036854775808", "value out of range"),
        (b"1" * 5000, "value out of range"),
        (b"1E400", "value out of range"),
        (b'"\xff"', "text that is not UTF-8"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'{"\\ud800":1}', "half of a surrogate pair"),
        (b'"\n"', "Invalid control character"),
        (b"[" * 200 + b"]" * 200, "data of more than 128 levels"),
        (b"[" * 100_000, "data of more than 128 levels"),
    ],
)
def test_refusals(text: bytes, reason: str) -> None:
    with pytest.raises(BadContent, match=reason):
        decode(text)


def test_what_cannot_be_written() -> None:
    deep: Value = None
    for _ in range(200):
        deep = [deep]
    for value in (math.nan, math.inf, deep):
        with pytest.raises(InvalidArgument):
            encode(value)
