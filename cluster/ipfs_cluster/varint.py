"""Unsigned varints as multiformats write them: seven bits a byte, at most nine bytes, no longer than needed."""

from __future__ import annotations

_ONE = [bytes([value]) for value in range(0x80)]


def encode(value: int) -> bytes:
    """The varint of a number ≥ 0."""
    if value < 0x80:
        return _ONE[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where it ends. Raises ValueError with go-varint's text."""
    value = shift = 0
    start = at
    while at < len(raw):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and at - start > 1:
                raise ValueError("varint not minimally encoded")
            return value, at
        shift += 7
        if shift > 56:
            raise ValueError("varints larger than uint63 not supported")
    raise ValueError("varints malformed, could not reach the end")
