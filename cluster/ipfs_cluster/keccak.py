"""Keccak before NIST's padding change, as Ethereum uses it: hashlib has only its successor SHA-3.

Written after FIPS 202 (chapters 3 and 4), with the original padding 0x01. About 1 MB/s.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1


def _constants() -> list[int]:
    """The 24 round constants, from the linear feedback shift register of FIPS 202, algorithm 5."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for exponent in range(7):
            if register & 1:
                constant |= 1 << ((1 << exponent) - 1)
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        constants.append(constant)
    return constants


def _offsets() -> list[int]:
    """The rotations of ρ, lane x + 5y (FIPS 202, 3.2.2)."""
    offsets = [0] * 25
    x, y = 1, 0
    for t in range(24):
        offsets[x + 5 * y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


_CONSTANTS = _constants()
# ρ and π in one: where lane i goes, and by how much it is rotated.
_MOVES = [(i, i // 5 + 5 * ((2 * (i % 5) + 3 * (i // 5)) % 5), offset) for i, offset in enumerate(_offsets())]


def _permute(lanes: list[int]) -> None:
    moved = [0] * 25
    for constant in _CONSTANTS:
        column = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for x in range(5):
            right = column[(x + 1) % 5]
            mix = column[x - 1] ^ (right << 1 & _MASK | right >> 63)
            for at in range(x, 25, 5):
                lanes[at] ^= mix
        for source, target, offset in _MOVES:
            lane = lanes[source]
            moved[target] = lane << offset & _MASK | lane >> (64 - offset)
        for row in range(0, 25, 5):
            for x in range(5):
                lanes[row + x] = moved[row + x] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5])
        lanes[0] ^= constant


class Keccak:
    """A hash object with a digest of `size` bytes: 28, 32, 48 or 64."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rate = 200 - 2 * size
        self._lanes = [0] * 25
        self._rest = bytearray()

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Hash more."""
        self._rest += data
        whole = len(self._rest) - len(self._rest) % self._rate
        for at in range(0, whole, self._rate):
            self._absorb(self._lanes, self._rest[at : at + self._rate])
        del self._rest[:whole]

    def digest(self) -> bytes:
        """The digest of what was hashed so far."""
        last = self._rest + b"\x01" + bytes(self._rate - len(self._rest) - 1)
        last[-1] |= 0x80
        lanes = list(self._lanes)
        self._absorb(lanes, last)
        return b"".join(lane.to_bytes(8, "little") for lane in lanes)[: self._size]

    def _absorb(self, lanes: list[int], block: bytearray) -> None:
        for at in range(0, self._rate, 8):
            lanes[at // 8] ^= int.from_bytes(block[at : at + 8], "little")
        _permute(lanes)
