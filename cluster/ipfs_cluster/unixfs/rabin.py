"""The rabin chunker (spec 4.2): a cut where the last 16 bytes, as a polynomial over GF(2), leave a remainder that
ends in enough zero bits.

The remainder is linear in the bytes, so each byte of the window has a table of what it contributes. Which places may
be cuts is told for a whole stretch at once from the remainder's lowest byte alone: a table a place in the window,
applied by `bytes.translate`, and long integers added up without carry (XOR). One place in 256 is left to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ipfs_cluster.unixfs.cutting import Cutting

POLYNOMIAL = 17437180132763653
WINDOW = 16
_STRETCH = 32 << 10
"""Bytes looked at at once, at most: fewer where chunks are small, as what is beyond the cut was in vain."""


@cache
def _contributions() -> list[list[int]]:
    """[k][b]: b·x^(8k) modulo the polynomial, for the byte k places before the last."""
    degree = POLYNOMIAL.bit_length() - 1

    def reduced(value: int) -> int:
        while value.bit_length() > degree:
            value ^= POLYNOMIAL << (value.bit_length() - 1 - degree)
        return value

    tables = [list(range(256))]
    for _ in range(WINDOW - 1):
        tables.append([reduced(value << 8) for value in tables[-1]])
    return tables


@cache
def _lowest() -> list[bytes]:
    """The lowest byte of each contribution, as tables for `translate`."""
    return [bytes([value & 0xFF for value in table]) for table in _contributions()]


def remainder(window: bytes | bytearray) -> int:
    """The last WINDOW bytes as a polynomial, modulo POLYNOMIAL."""
    value = 0
    for table, byte in zip(_contributions(), reversed(window), strict=True):
        value ^= table[byte]
    return value


class Rabin(Cutting):
    """Chunks of low to high bytes, about average; low is at least WINDOW."""

    def __init__(self, low: int, average: int, high: int) -> None:
        super().__init__(high)
        self._low = low
        self._high = high
        self._stretch = max(WINDOW, min(average, _STRETCH))
        self._mask = (1 << (average.bit_length() - 1)) - 1

    def cut(self, buffer: bytearray) -> int:
        end = min(self._high, len(buffer))
        start = self._low
        while start < end:
            stop = min(start + self._stretch, end)
            for place in _candidates(buffer, start, stop, self._mask):
                if remainder(buffer[place - WINDOW : place]) & self._mask == 0:
                    return place
            start = stop
        return end


def _candidates(buffer: bytearray, start: int, stop: int, mask: int) -> Iterator[int]:
    """The places in [start, stop) before which the window's remainder may end in the mask's zeros."""
    stretch = bytes(memoryview(buffer)[start - WINDOW : stop - 1])
    total = 0
    # Little-endian: byte i of `total` is for the window that ends with byte i; the byte k before it is shifted by k.
    for back, table in enumerate(_lowest()):
        total ^= int.from_bytes(stretch.translate(table), "little") << (8 * back)
    low = mask & 0xFF
    values = (total & int.from_bytes(bytes([low]) * len(stretch), "little")).to_bytes(len(stretch) + WINDOW, "little")
    at = values.find(0, WINDOW - 1, len(stretch))
    while at >= 0:
        yield start - WINDOW + at + 1
        at = values.find(0, at + 1, len(stretch))
