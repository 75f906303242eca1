"""Multihashes: the hash functions a daemon accepts for blocks, and whether a block is what its hash claims.

The set and its limits are those of Kubo 0.43's allow-list (spec 4.1.6): digests of 20 to 128 bytes, or the data itself
(`identity`) up to 128 bytes. hashlib has most of them and lets go of the interpreter's lock while it hashes; blake3 is
its authors' package; Keccak, which nearly nobody uses, is in Python and slow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import blake3

from ipfs_cluster import varint
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.keccak import Keccak

SHA2_256 = 0x12
IDENTITY = 0x00
MIN_DIGEST = 20
MAX_DIGEST = 128

Part = bytes | bytearray | memoryview


class Hasher(Protocol):
    """What is common to hashlib's objects and others'."""

    def update(self, data: Part, /) -> object: ...

    def digest(self) -> bytes: ...


class _Identity:
    def __init__(self) -> None:
        self._data = bytearray()

    def update(self, data: Part, /) -> None:
        self._data += data

    def digest(self) -> bytes:
        return bytes(self._data)


class _Double:
    """sha2-256 of the sha2-256."""

    def __init__(self) -> None:
        self._inner = hashlib.sha256()

    def update(self, data: Part, /) -> None:
        self._inner.update(data)

    def digest(self) -> bytes:
        return hashlib.sha256(self._inner.digest()).digest()


class _Shake256:
    """SHAKE-256 with 64 bytes, go-multihash's default."""

    def __init__(self) -> None:
        self._inner = hashlib.shake_256()

    def update(self, data: Part, /) -> None:
        self._inner.update(data)

    def digest(self) -> bytes:
        return self._inner.digest(64)


@dataclass(frozen=True, slots=True)
class HashFunction:
    """One hash function. size: bytes of its digest, 0 for identity."""

    name: str
    code: int
    size: int
    new: Callable[[], Hasher]

    def multihash(self, parts: Iterable[Part]) -> bytes:
        """The multihash of the parts' concatenation."""
        hasher = self.new()
        for part in parts:
            hasher.update(part)
        return self.wrap(hasher.digest())

    def wrap(self, digest: bytes) -> bytes:
        """The multihash around a digest of this function."""
        return varint.encode(self.code) + varint.encode(len(digest)) + digest


def named(name: str) -> HashFunction:
    """The function of a name as `add --hash` takes it, in any case.

    Raises InvalidArgument with Kubo's text for a name that is none or whose hash is not accepted for blocks.
    """
    folded = recognised(name)
    found = _by_name().get(folded)
    if found is not None:
        return found
    if folded in _INSECURE:
        raise InvalidArgument("potentially insecure hash functions not allowed")
    code = _UNREGISTERED[folded]
    raise InvalidArgument(f"unknown multihash code {code} (0x{code:x}): no such hash registered")


def recognised(name: str) -> str:
    """The name in lower case. Raises InvalidArgument for one that the daemon has never heard of."""
    folded = name.lower()
    if folded not in _by_name() and folded not in _INSECURE and folded not in _UNREGISTERED:
        raise InvalidArgument(f'unrecognized hash function: "{folded}"')
    return folded


def coded(code: int) -> HashFunction | None:
    """The function of a multicodec code, None for one that is not accepted."""
    return _by_code().get(code)


def refused(multihash: bytes) -> str | None:
    """None if there can be a block of this multihash, else why no data would ever do, in Kubo's words."""
    code, at = varint.decode(multihash, 0)
    length, _ = varint.decode(multihash, at)
    if coded(code) is None:
        return "potentially insecure hash functions not allowed"
    if code != IDENTITY and length < MIN_DIGEST:
        return f"digest too small: must be at least {MIN_DIGEST} bytes"
    if length > MAX_DIGEST:
        return f"digest too large: must be no more than {MAX_DIGEST} bytes"
    return None


def fault(multihash: bytes, parts: Iterable[Part]) -> str | None:
    """None if the parts are the data of the multihash, else what is wrong, in words.

    A digest may be cut short, as `block/put` with `mhlen` does; it is compared to its own length.
    """
    code, at = varint.decode(multihash, 0)
    length, at = varint.decode(multihash, at)
    function = coded(code)
    if function is None:
        return f"hash function 0x{code:x} is not accepted for blocks"
    if (reason := refused(multihash)) is not None:
        return reason
    hasher = function.new()
    for part in parts:
        hasher.update(part)
    digest = hasher.digest()
    if (code == IDENTITY and len(digest) != length) or digest[:length] != multihash[at:]:
        return "data did not match its hash"
    return None


# What the daemon knows by name and refuses: what is not on its allow-list, and what it has no code for.
_INSECURE = frozenset(
    ["md5", "murmur3-x64-64", "shake-128", *(f"blake2b-{bits}" for bits in range(8, 160, 8))],
)
_UNREGISTERED = {
    "keccak-224": 0x1A,
    "keccak-384": 0x1C,
    "sha2-256-trunc254-padded": 0x1012,
    "x11": 0x1100,
    "poseidon-bls12_381-a2-fc1": 0xB401,
    **{f"blake2s-{8 * size}": 0xB240 + size for size in range(1, 32)},
}


@cache
def _by_name() -> dict[str, HashFunction]:
    rows: list[tuple[str, int, int, Callable[[], Hasher]]] = [
        ("identity", IDENTITY, 0, _Identity),
        ("sha1", 0x11, 20, hashlib.sha1),
        ("sha2-256", SHA2_256, 32, hashlib.sha256),
        ("sha2-512", 0x13, 64, hashlib.sha512),
        ("sha3-512", 0x14, 64, hashlib.sha3_512),
        ("sha3-384", 0x15, 48, hashlib.sha3_384),
        ("sha3-256", 0x16, 32, hashlib.sha3_256),
        ("sha3-224", 0x17, 28, hashlib.sha3_224),
        ("shake-256", 0x19, 64, _Shake256),
        ("keccak-256", 0x1B, 32, partial(Keccak, 32)),
        ("keccak-512", 0x1D, 64, partial(Keccak, 64)),
        ("blake3", 0x1E, 32, blake3.blake3),
        ("dbl-sha2-256", 0x56, 32, _Double),
    ]
    rows += [
        (f"blake2b-{n * 8}", 0xB200 + n, n, partial(hashlib.blake2b, digest_size=n)) for n in range(MIN_DIGEST, 65)
    ]
    rows.append(("blake2s-256", 0xB260, 32, hashlib.blake2s))
    table = {name: HashFunction(name, code, size, new) for name, code, size, new in rows}
    table["sha3"] = table["sha3-512"]
    return table


@cache
def _by_code() -> dict[int, HashFunction]:
    return {function.code: function for function in _by_name().values()}
