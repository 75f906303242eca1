"""dag-cbor: the strict subset of CBOR in which equal values have equal bytes.

Written: shortest heads, definite lengths, maps with text keys ordered by length and then by bytes, links as tag 42,
floats of 64 bits that are numbers. Read besides, as Kubo does, since there are such blocks: keys in any order, shorter
floats, `undefined` as null, and other tags, which say nothing. Everything else is refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import BadContent, InvalidArgument, InvalidCid
from ipfs_cluster.ipld.values import MAX_DEPTH, CidLink, Value

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_LINK_TAG = 42
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLES: dict[int, Value] = {20: False, 21: True, 22: None, 23: None}


def encode(value: Value) -> bytes:
    """The bytes of a value. Raises InvalidArgument for what dag-cbor cannot hold: NaN, infinities, integers of more
    than 64 bits, and data nested too deeply.
    """
    out = bytearray()
    _write(value, out, 0)
    return bytes(out)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise InvalidArgument("dag-cbor has no integers of more than 64 bits")


def _write(value: Value, out: bytearray, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"data of more than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        out += b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    elif isinstance(value, int):
        out += _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgument("dag-cbor has only floats that are numbers")
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, str):
        raw = value.encode()
        out += _head(_TEXT, len(raw)) + raw
    elif isinstance(value, CidLink):
        out += _head(_TAG, _LINK_TAG) + _head(_BYTES, len(value.cid) + 1) + b"\0" + value.cid
    elif isinstance(value, bytes):
        out += _head(_BYTES, len(value)) + value
    elif isinstance(value, list):
        out += _head(_LIST, len(value))
        for item in value:
            _write(item, out, depth + 1)
    else:
        keys = sorted([key.encode() for key in value], key=lambda key: (len(key), key))
        out += _head(_MAP, len(keys))
        for key in keys:
            out += _head(_TEXT, len(key)) + key
            _write(value[key.decode()], out, depth + 1)


def decode(raw: bytes | memoryview) -> Value:
    """The value of the bytes, all of them. Raises BadContent, which names the byte."""
    reader = _Reader(memoryview(raw))
    value = reader.value(0)
    if reader.at != len(raw):
        raise reader.refusal(f"{len(raw) - reader.at} bytes after the end")
    return value


class _Reader:
    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.at = 0
        self._by_major: dict[int, Callable[[int, int], Value]] = {
            _UNSIGNED: lambda number, _: number,
            _NEGATIVE: lambda number, _: -1 - number,
            _BYTES: lambda number, _: bytes(self._take(number)),
            _TEXT: lambda number, _: self._text(number),
            _LIST: self._list,
            _MAP: self._map,
            _TAG: self._tagged,
        }

    def refusal(self, reason: str) -> BadContent:
        return BadContent(f"dag-cbor, byte {self.at}: {reason}")

    def value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise self.refusal(f"data of more than {MAX_DEPTH} levels")
        major, number = self._head()
        if major == _SIMPLE:
            return self._simple(number)
        return self._by_major[major](number, depth)

    def _head(self) -> tuple[int, int]:
        (first,) = self._take(1)
        major, info = first >> 5, first & 31
        if info < 24 or (major == _SIMPLE and info in (24, *_FLOATS, 31)):
            return major, info
        if info > 27:
            raise self.refusal("a length that is not given or not defined")
        size = 1 << (info - 24)
        number = int.from_bytes(self._take(size), "big")
        if number < 24 or (size > 1 and number < 1 << (4 * size)):
            raise self.refusal("a number that is longer than needed")
        return major, number

    def _take(self, count: int) -> memoryview:
        if count > len(self._view) - self.at:
            raise self.refusal("the data is cut off")
        self.at += count
        return self._view[self.at - count : self.at]

    def _simple(self, info: int) -> Value:
        if (form := _FLOATS.get(info)) is not None:
            (number,) = struct.unpack(form, self._take(struct.calcsize(form)))
            if not math.isfinite(number):
                raise self.refusal("a float that is no number")
            return float(number)
        if info not in _SIMPLES:
            raise self.refusal(f"the simple value {info}")
        return _SIMPLES[info]

    def _text(self, length: int) -> str:
        raw = bytes(self._take(length))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.refusal("text that is not UTF-8") from None

    def _list(self, length: int, depth: int) -> Value:
        return [self.value(depth + 1) for _ in range(length)]

    def _map(self, length: int, depth: int) -> Value:
        out: dict[str, Value] = {}
        for _ in range(length):
            major, size = self._head()
            if major != _TEXT:
                raise self.refusal("a key that is not text")
            key = self._text(size)
            if key in out:
                raise self.refusal(f"the key {key!r} twice")
            out[key] = self.value(depth + 1)
        return out

    def _tagged(self, tag: int, depth: int) -> Value:
        major, number = self._head()
        if tag == _LINK_TAG:
            return self._link(major, number)
        if major == _TAG:
            raise self.refusal("a tag of a tag")
        return self._simple(number) if major == _SIMPLE else self._by_major[major](number, depth)

    def _link(self, major: int, size: int) -> CidLink:
        if major != _BYTES or size < 1 or self._take(1)[0] != 0:
            raise self.refusal("a link that is not a CID")
        try:
            return CidLink(cids.from_bytes(bytes(self._take(size - 1))))
        except InvalidCid as error:
            raise self.refusal(f"a link: {error}") from None
