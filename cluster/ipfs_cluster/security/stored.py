"""Secrets as they are kept in the configuration: hashed, or plain as ipfs-cluster and Kubo have them. Sans-IO.

Passwords are `scrypt$N$R$P$SALT$HASH` (RFC 7914, base64 without padding): slow on purpose, since people choose them.
Tokens that were made by chance are `sha256$HEX`: nobody can guess 256 bits, however fast the hash is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

SCRYPT = "scrypt$"
SHA256 = "sha256$"
COST = (2**15, 8, 1)
"""N, R, P of new hashes: 32 MiB and about a tenth of a second."""
MEMORY_LIMIT = 128 * 1024 * 1024
"""Bytes that checking one password may take; N·R·128 of them."""
WORK_LIMIT = 16
"""P at most: work that takes time without memory."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A secret of the configuration. text: as it stands there. slow: checking a guess takes as long as the hash is
    costly, so it must not be done on an event loop.
    """

    text: str = field(repr=False)
    digest: bytes = field(repr=False)
    salt: bytes = field(default=b"", repr=False)
    cost: tuple[int, int, int] | None = None
    hashed: bool = False

    @property
    def slow(self) -> bool:
        """True for passwords that are kept as scrypt."""
        return self.cost is not None

    def matches(self, given: bytes) -> bool:
        """Whether this is the secret; takes as long for a wrong one."""
        if self.cost is None:
            return hmac.compare_digest(self.digest, hashlib.sha256(given).digest())
        return hmac.compare_digest(self.digest, _scrypt(given, self.salt, self.cost, len(self.digest)))


def parse_stored(text: str) -> Stored:
    """Read a secret of the configuration. Raises ValueError with a reason that does not show it."""
    if not text:
        raise ValueError("the secret must not be empty")
    if text.startswith(SCRYPT):
        return _parse_scrypt(text)
    if text.startswith(SHA256):
        try:
            digest = bytes.fromhex(text.removeprefix(SHA256))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise ValueError("a secret that begins with sha256$ must go on with 64 hexadecimal digits")
        return Stored(text, digest, hashed=True)
    return Stored(text, hashlib.sha256(text.encode()).digest())


def hash_password(password: str, salt: bytes, cost: tuple[int, int, int] = COST) -> str:
    """The form of a password that the configuration keeps. salt: 16 random bytes."""
    n, r, p = cost
    digest = _scrypt(password.encode(), salt, cost, 32)
    return f"{SCRYPT}{n}${r}${p}${_to_text(salt)}${_to_text(digest)}"


def hash_token(token: str) -> str:
    """The form of a random token that the configuration keeps."""
    return SHA256 + hashlib.sha256(token.encode()).hexdigest()


def _parse_scrypt(text: str) -> Stored:
    try:
        n, r, p, salt, digest = text.removeprefix(SCRYPT).split("$")
        cost = (int(n), int(r), int(p))
        found = Stored(text, _from_text(digest), _from_text(salt), cost, hashed=True)
    except (ValueError, binascii.Error):
        raise ValueError("a secret that begins with scrypt$ must be scrypt$N$R$P$SALT$HASH") from None
    if not _affordable(*cost):
        raise ValueError("the cost of the scrypt hash must be N a power of 2, N·R at most 2^20, P at most 16")
    if len(found.digest) < 16 or len(found.salt) < 8:
        raise ValueError("the scrypt hash or its salt is too short")
    return found


def _affordable(n: int, r: int, p: int) -> bool:
    return n >= 2 and n & (n - 1) == 0 and r >= 1 and 1 <= p <= WORK_LIMIT and 128 * n * r <= MEMORY_LIMIT


def _scrypt(password: bytes, salt: bytes, cost: tuple[int, int, int], size: int) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2 * MEMORY_LIMIT, dklen=size)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
