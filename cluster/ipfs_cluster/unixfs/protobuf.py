"""The protobuf wire format, as much of it as dag-pb and UnixFS use.

Numbers are 64 bits; negative ones are written as their two's complement in ten bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipfs_cluster import varint

_M64 = (1 << 64) - 1

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """Bytes that are no message. The text says what and where."""


def number(tag: int, value: int) -> bytes:
    """A varint field; tag is the field's number and type as one byte."""
    return varint.encode(tag) + varint.encode(value & _M64)


def prefix(tag: int, length: int) -> bytes:
    """What stands before the data of a field of bytes."""
    return varint.encode(tag) + varint.encode(length)


def fields(raw: bytes | memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of each field; bytes as views. Raises Malformed."""
    view = memoryview(raw)
    at = 0
    while at < len(view):
        tag, at = read_varint(view, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise Malformed(f"field number 0 before byte {at}")
        value: int | memoryview
        if kind == VARINT:
            value, at = read_varint(view, at)
        elif kind == BYTES:
            length, at = read_varint(view, at)
            value = view[at : at + length]
            at += length
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
            value = int.from_bytes(view[at : at + length], "little")
            at += length
        else:
            raise Malformed(f"wire type {kind} before byte {at}")
        if at > len(view):
            raise Malformed(f"field {field} ends {at - len(view)} bytes after the end")
        yield field, kind, value


def read_varint(view: memoryview, at: int) -> tuple[int, int]:
    """A protobuf varint: up to ten bytes, 64 bits, longer than needed if it likes. Raises Malformed."""
    value = shift = 0
    start = at
    while at < len(view):
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > _M64:
                raise Malformed(f"number at byte {start} exceeds 64 bits")
            return value, at
        shift += 7
        if shift > 63:
            raise Malformed(f"number at byte {start} is longer than ten bytes")
    raise Malformed(f"number at byte {start} is cut off")


def signed(value: int) -> int:
    """A 64-bit number as its two's complement."""
    return value - (1 << 64) if value >> 63 else value
