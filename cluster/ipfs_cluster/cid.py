"""CIDs: text to bytes and back, with go-cid's error texts, because Kubo's clients match on them.

A `Cid` is the CID's binary form: CIDv0 is the bare sha2-256 multihash (34 bytes, 0x12 0x20 …), CIDv1 is
varint(version) varint(codec) multihash. Equality of CIDs is equality of these bytes: the v0 and v1 spellings of one
block are different CIDs and different pins, as in Kubo. py-cid is the oracle in tests, not used here: it parses
13,000 v1 strings a second, this module some hundred thousand.
"""

from __future__ import annotations

from functools import cache
from typing import NewType

from ipfs_cluster import varint
from ipfs_cluster.errors import InvalidCid

Cid = NewType("Cid", bytes)

_B32 = "abcdefghijklmnopqrstuvwxyz234567"
_B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_B36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_B64URL = _B64[:62] + "-_"
_B32HEX = "0123456789abcdefghijklmnopqrstuv"
_B32Z = "ybndrfg8ejkmcpqxot1uwisza345h769"

# prefix → (name, alphabet, bits a character or 0 for positional bases, padded, case-insensitive on input)
_BASES: dict[str, tuple[str, str, int, bool, bool]] = {
    "0": ("base2", "01", 1, False, False),
    "7": ("base8", "01234567", 3, False, False),
    "9": ("base10", "0123456789", 0, False, False),
    "f": ("base16", "0123456789abcdef", 4, False, True),
    "F": ("base16upper", "0123456789ABCDEF", 4, False, True),
    "b": ("base32", _B32, 5, False, True),
    "B": ("base32upper", _B32.upper(), 5, False, True),
    "c": ("base32pad", _B32, 5, True, True),
    "C": ("base32padupper", _B32.upper(), 5, True, True),
    "v": ("base32hex", _B32HEX, 5, False, True),
    "V": ("base32hexupper", _B32HEX.upper(), 5, False, True),
    "t": ("base32hexpad", _B32HEX, 5, True, True),
    "T": ("base32hexpadupper", _B32HEX.upper(), 5, True, True),
    "h": ("base32z", _B32Z, 5, False, False),
    "k": ("base36", _B36, 0, False, True),
    "K": ("base36upper", _B36.upper(), 0, False, True),
    "z": ("base58btc", _B58, 0, False, False),
    "Z": ("base58flickr", _B58[:9] + _B58[33:] + _B58[9:33], 0, False, False),
    "m": ("base64", _B64, 6, False, False),
    "M": ("base64pad", _B64, 6, True, False),
    "u": ("base64url", _B64URL, 6, False, False),
    "U": ("base64urlpad", _B64URL, 6, True, False),
}
_BY_NAME = {name: prefix for prefix, (name, *_rest) in _BASES.items()}
_TO_BASE32 = str.maketrans(_B32, _B32HEX)
_FROM_BASE32 = str.maketrans(_B32HEX, _B32)
_B32_PAIRS = [first + second for first in _B32 for second in _B32]

IDENTITY = 0x00
SHA2_256 = 0x12
DAG_PB = 0x70
RAW = 0x55
DAG_CBOR = 0x71


def parse(text: str) -> Cid:
    """The CID that a text spells, in any multibase.

    Raises InvalidCid with go-cid's text: "cid too short", "selected encoding not supported", ….
    """
    if len(text) < 2 and text.isascii():
        raise InvalidCid("cid too short")
    if len(text) == 46 and text.startswith("Qm"):
        return _validated(_positional_decode(text, _B58, "base58"))
    return _validated(_multibase_decode(text))


def from_bytes(raw: bytes) -> Cid:
    """The CID in its binary form, checked. Raises InvalidCid."""
    return _validated(bytes(raw))


def leading(raw: bytes | memoryview) -> tuple[Cid, int]:
    """The CID at the beginning of some bytes, and where it ends. Raises InvalidCid."""
    if len(raw) > 1 and raw[0] == SHA2_256 and raw[1] == 0x20:
        end = 34
    else:
        version, at = _varint(raw, 0)
        if version != 1:
            raise InvalidCid(f"expected 1 as the cid version number, got: {version}")
        for _ in range(2):
            _, at = _varint(raw, at)
        length, at = _varint(raw, at)
        end = at + length
    if end > len(raw):
        raise InvalidCid("length greater than remaining number of bytes in buffer")
    return Cid(bytes(raw[:end])), end


def text(cid: Cid) -> str:
    """The CID's usual spelling: base58btc for v0, lower-case base32 for v1."""
    if is_v0(cid):
        return _positional_encode(cid, _B58)
    return "b" + _base32_encode(cid)


def text_in(cid: Cid, base: str | None, upgrade_v0: bool | None = None) -> str:
    """The CID as Kubo prints it under `cid-base` and `upgrade-cidv0-in-output` (spec 1.2).

    base: a multibase name or one-letter prefix, None for the default. Any base but base58btc upgrades v0 to v1
    unless upgrade_v0 is False. Raises InvalidArgument's kin InvalidCid for a base that does not exist.
    """
    if base is None:
        return text(to_v1(cid)) if upgrade_v0 else text(cid)
    prefix = base_prefix(base)
    upgrade = upgrade_v0 if upgrade_v0 is not None else prefix != "z"
    if is_v0(cid):
        if not upgrade:
            return text(cid)
        cid = to_v1(cid)
    return prefix + _encode(cid, prefix)


def base_prefix(base: str) -> str:
    """The multibase prefix for a name ("base32") or a prefix ("b"). Raises InvalidCid when there is none."""
    if base in _BY_NAME:
        return _BY_NAME[base]
    if base in _BASES:
        return base
    raise InvalidCid(f"unsupported multibase encoding: {base}")


def is_v0(cid: Cid) -> bool:
    """True for a bare sha2-256 multihash."""
    return len(cid) == 34 and cid[0] == SHA2_256 and cid[1] == 0x20


def to_v1(cid: Cid) -> Cid:
    """The v1 spelling of the same node: v0 becomes v1 dag-pb, v1 stays."""
    return Cid(b"\x01\x70" + cid) if is_v0(cid) else cid


def multihash(cid: Cid) -> bytes:
    """The multihash inside: what Kubo's blockstore is keyed by."""
    if is_v0(cid):
        return cid
    _, at = _varint(cid, 0)
    _, at = _varint(cid, at)
    return cid[at:]


def codec(cid: Cid) -> int:
    """The multicodec of the node: DAG_PB for v0."""
    if is_v0(cid):
        return DAG_PB
    _, at = _varint(cid, 0)
    return _varint(cid, at)[0]


def make(codec_: int, multihash_: bytes, version: int = 1) -> Cid:
    """The CID of a codec and a multihash, both known to be good. Version 0 is for dag-pb under sha2-256 alone."""
    if version == 0:
        return Cid(multihash_)
    return Cid(b"\x01" + varint.encode(codec_) + multihash_)


def _validated(raw: bytes) -> Cid:
    """Checks of go-cid's Cast: version, codec, and a multihash whose length is exactly what follows."""
    if len(raw) == 34 and raw[0] == SHA2_256 and raw[1] == 0x20:
        return Cid(raw)
    if len(raw) == 36 and raw[0] == 1 and raw[1] < 0x80 and raw[2] == SHA2_256 and raw[3] == 0x20:
        return Cid(raw)  # what nearly all are: version 1, a codec of one byte
    version, at = _varint(raw, 0)
    if version != 1:
        raise InvalidCid(f"expected 1 as the cid version number, got: {version}")
    _, at = _varint(raw, at)
    _check_multihash(raw, at)
    return Cid(raw)


def _check_multihash(raw: bytes, at: int) -> None:
    _, at = _varint(raw, at)
    length, at = _varint(raw, at)
    if len(raw) - at < length:
        raise InvalidCid("length greater than remaining number of bytes in buffer")
    if len(raw) - at > length:
        raise InvalidCid("trailing bytes in data buffer passed to cid Cast")


def _varint(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    try:
        return varint.decode(raw, at)
    except ValueError as error:
        raise InvalidCid(str(error)) from None


def _multibase_decode(text_: str) -> bytes:
    prefix = text_[0]
    if prefix == "b":
        try:
            return _base32_decode(text_[1:])
        except ValueError as error:
            raise InvalidCid(str(error)) from None
    if prefix not in _BASES:
        raise InvalidCid("selected encoding not supported")
    name, alphabet, bits, padded, fold = _BASES[prefix]
    body = text_[1:]
    if fold:
        body = body.upper() if alphabet.upper() == alphabet and alphabet.lower() != alphabet else body.lower()
    if padded:
        body = body.rstrip("=")
    if not bits:
        return _positional_decode(body, alphabet, name)
    return _bits_decode(body, alphabet, bits, name)


def _base32_decode(body: str) -> bytes:
    """Lower-case base32 without padding through one big int: the form nearly all CIDs come in."""
    folded = body.lower()
    if not folded or not folded.isascii() or folded.strip(_B32):
        return _bits_decode(folded, _B32, 5, "base32")
    try:
        value = int(folded.translate(_TO_BASE32), 32)
    except ValueError:
        return _bits_decode(folded, _B32, 5, "base32")
    return _packed(value, len(folded) * 5, "base32")


def _bits_decode(body: str, alphabet: str, bits: int, name: str) -> bytes:
    value = 0
    for position, char in enumerate(body):
        digit = alphabet.find(char)
        if digit < 0:
            if name.startswith("base16"):
                raise InvalidCid(f"encoding/hex: invalid byte: U+{ord(char):04X} '{char}'")
            kind = "base32" if name.startswith("base32") else "base64" if name.startswith("base64") else name
            raise InvalidCid(f"illegal {kind} data at input byte {position}")
        value = value << bits | digit
    return _packed(value, len(body) * bits, name)


def _packed(value: int, bit_length: int, name: str) -> bytes:
    spare = bit_length & 7
    if name.startswith("base32") and bit_length // 5 % 8 in (1, 3, 6):
        raise InvalidCid(f"illegal base32 data at input byte {bit_length // 5}")
    return (value >> spare).to_bytes(bit_length >> 3, "big")


_RUN = 10
"""Characters of a positional base that are made a number at once, before it meets the long one."""


_LONGEST = 1024
"""Characters that a CID may have in a positional base, where decoding takes time in the square of them."""


@cache
def _values(alphabet: str) -> dict[str, int]:
    return {char: value for value, char in enumerate(alphabet)}


@cache
def _pairs(alphabet: str) -> list[str]:
    return [first + second for first in alphabet for second in alphabet]


def _positional_decode(body: str, alphabet: str, name: str) -> bytes:
    if len(body) > _LONGEST:
        raise InvalidCid(f"{len(body)} characters of {name} are no CID")
    values = _values(alphabet)
    base = len(alphabet)
    try:
        digits = [values[char] for char in body]
    except KeyError as error:
        kind = "invalid base58 digit" if name.startswith("base58") else f"illegal {name} data"
        raise InvalidCid(f"{kind} ('{error.args[0]}')") from None
    if base <= 36:
        value = int(body or "0", base)
    else:
        value = 0
        for at in range(0, len(digits), _RUN):
            run = 0
            for digit in digits[at : at + _RUN]:
                run = run * base + digit
            value = value * base ** len(digits[at : at + _RUN]) + run
    zeros = len(body) - len(body.lstrip(alphabet[0]))
    return bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def base58(raw: bytes) -> str:
    """Base58btc without multibase prefix: how peer IDs are written."""
    return _positional_encode(raw, _B58)


def _encode(raw: bytes, prefix: str) -> str:
    _, alphabet, bits, padded, _ = _BASES[prefix]
    if not bits:
        return _positional_encode(raw, alphabet)
    out = _bits_encode(raw, alphabet, bits)
    if padded:
        block = 8 if bits == 5 else 4
        out += "=" * (-len(out) % block)
    return out


def _base32_encode(raw: bytes) -> str:
    """Two characters at a time: every pin is spelled out a few times on its way."""
    total = len(raw) * 8
    pairs = -(-total // 10)
    value = int.from_bytes(raw, "big") << (pairs * 10 - total)
    text_ = "".join([_B32_PAIRS[value >> shift & 1023] for shift in range((pairs - 1) * 10, -1, -10)])
    return text_[: -(-total // 5)]


def _bits_encode(raw: bytes, alphabet: str, bits: int) -> str:
    total = len(raw) * 8
    count = -(-total // bits)
    value = int.from_bytes(raw, "big") << (count * bits - total)
    mask = (1 << bits) - 1
    return "".join([alphabet[value >> shift & mask] for shift in range((count - 1) * bits, -1, -bits)])


def _positional_encode(raw: bytes, alphabet: str) -> str:
    base, pairs = len(alphabet), _pairs(alphabet)
    square, run_of = base * base, base**_RUN
    value = int.from_bytes(raw, "big")
    out: list[str] = []
    while value:
        value, run = divmod(value, run_of)
        for _ in range(_RUN // 2):
            run, pair = divmod(run, square)
            out.append(pairs[pair])
    out.reverse()
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return alphabet[0] * zeros + "".join(out).lstrip(alphabet[0])
