"""The pseudo-random streams that published vectors are made from."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from functools import cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

_PIECE = 1 << 20


def chacha20(size: int, seed: str) -> Iterator[bytes]:
    """drand: the ChaCha20 keystream (RFC 8439) under the seed's SHA-256, nonce and counter zero, in pieces of 1 MiB."""
    key = hashlib.sha256(seed.encode()).digest()
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    for at in range(0, size, _PIECE):
        yield stream.update(bytes(min(_PIECE, size - at)))


@cache
def drand(size: int, seed: str) -> bytes:
    """The whole stream."""
    return b"".join(chacha20(size, seed))


@cache
def rnd(size: int, seed: int) -> bytes:
    """Go's math/rand/v2 ChaCha8 under the SHA-256 of the seed's decimal text."""
    key = hashlib.sha256(str(seed).encode()).digest()
    out = bytearray()
    while len(out) < size:
        block = _chacha8rand(key)
        out += block[:-32]
        key = block[-32:]
    return bytes(out[:size])


_LANES = 16
_ONES = sum(1 << (64 * lane) for lane in range(_LANES))
_M32 = 0xFFFFFFFF * _ONES
_COUNTER = sum(lane << (64 * lane) for lane in range(_LANES))
_QUARTERS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
_QUARTERS += [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _M32


def _chacha8rand(key: bytes) -> bytes:
    """1,024 bytes by the specification (C2SP chacha8rand): 16 blocks of 8 rounds, four interleaved, only the key added.

    Sixteen blocks at once, each in a lane of 64 bits of a long integer.
    """
    constants = [int.from_bytes(b"expand 32-byte k"[at : at + 4], "little") * _ONES for at in range(0, 16, 4)]
    keys = [int.from_bytes(key[at : at + 4], "little") * _ONES for at in range(0, 32, 4)]
    x = [*constants, *keys, _COUNTER, 0, 0, 0]
    for _ in range(4):
        for a, b, c, d in _QUARTERS:
            x[a] = (x[a] + x[b]) & _M32
            x[d] = _rotated(x[d] ^ x[a], 16)
            x[c] = (x[c] + x[d]) & _M32
            x[b] = _rotated(x[b] ^ x[c], 12)
            x[a] = (x[a] + x[b]) & _M32
            x[d] = _rotated(x[d] ^ x[a], 8)
            x[c] = (x[c] + x[d]) & _M32
            x[b] = _rotated(x[b] ^ x[c], 7)
    for place, word in enumerate(keys, 4):
        x[place] = (x[place] + word) & _M32
    words = [array("I", word.to_bytes(8 * _LANES, "little"))[::2] for word in x]
    out = array("I")
    for group in range(0, _LANES, 4):
        for lanes in words:
            out += lanes[group : group + 4]
    return out.tobytes()
