"""The CID codec against py-cid, and hash functions against py-multihash."""

from __future__ import annotations

import cid as pycid
import multihash as pymultihash
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidCid
from ipfs_cluster.keccak import Keccak

digests = st.binary(min_size=32, max_size=32)
BASES = [name for name, *_ in cids._BASES.values()]
CODES = {"sha2-512": 64, "sha3-256": 32, "blake2b-256": 32, "sha1": 20, "identity": 5}


@st.composite
def valid(draw: st.DrawFn) -> Cid:
    """CIDs of the usual codecs and some hash functions, v0 among them."""
    if draw(st.booleans()):
        return cids.make(cids.DAG_PB, b"\x12\x20" + draw(digests), 0)
    codec = draw(st.sampled_from([cids.RAW, cids.DAG_PB, cids.DAG_CBOR, 0x0129, 0x0200]))
    function = multihash.named(draw(st.sampled_from(["sha2-256", *CODES])))
    return cids.make(codec, function.multihash([draw(st.binary(min_size=5, max_size=5))]))


@given(valid(), st.sampled_from(BASES))
def test_round_trips_in_every_base(cid: Cid, base: str) -> None:
    spelled = cids.text_in(cid, base)
    assert cids.parse(spelled) == (cid if base == "base58btc" else cids.to_v1(cid))
    assert cids.from_bytes(cid) == cid
    assert cids.parse(cids.text(cid)) == cid
    assert cids.leading(cid + b"more") == (cid, len(cid))
    for end in range(len(cid)):
        with pytest.raises(InvalidCid):
            cids.leading(cid[:end])


@given(st.binary(max_size=50))
@example(b"")
@example(b"\0\0\0")
@example(b"\xff" * 40)
def test_positional_bases_are_numbers(raw: bytes) -> None:
    for alphabet in (cids._B58, cids._B36, "0123456789"):
        spelled = cids._positional_encode(raw, alphabet)
        zeros = len(raw) - len(raw.lstrip(b"\0"))
        value = 0
        for char in spelled[zeros:]:
            value = value * len(alphabet) + alphabet.index(char)
        assert spelled[:zeros] == alphabet[0] * zeros
        assert value == int.from_bytes(raw, "big")
        assert cids._positional_decode(spelled, alphabet, "base") == raw


@given(valid())
def test_py_cid_reads_what_is_written(cid: Cid) -> None:
    theirs = pycid.make_cid(cids.text(cid))
    assert (theirs.buffer, theirs.version) == (cid, 0 if cids.is_v0(cid) else 1)
    assert theirs.multihash == cids.multihash(cid)
    assert cids.parse(str(theirs)) == cid
    assert theirs.encode("base32" if theirs.version else None).decode() == cids.text(cid)


@st.composite
def misspelled(draw: st.DrawFn) -> str:
    """A CID's text with a few characters changed, left out or put in."""
    spelled = cids.text_in(draw(valid()), draw(st.sampled_from([None, "base32", "base16", "base36"])))
    at = draw(st.integers(0, len(spelled)))
    return spelled[:at] + draw(st.text("abz019QmAéfk", max_size=2)) + spelled[at + draw(st.integers(0, 2)) :]


@given(misspelled())
def test_where_py_cid_reads_it_too_the_bytes_are_equal(text: str) -> None:
    """It accepts more (characters too many in base32, a path) and less (codecs and hash functions unknown to it)."""
    try:
        ours, theirs = cids.parse(text), pycid.make_cid(text).buffer
    except (ValueError, InvalidCid):
        return
    assert theirs == ours


@given(valid(), st.integers(1, 40), st.booleans())
def test_both_refuse_bytes_that_are_cut_off_or_too_many(cid: Cid, count: int, longer: bool) -> None:
    raw = cids.to_v1(cid)
    raw = Cid(raw + bytes(count)) if longer else Cid(raw[: max(3, len(raw) - count)])
    spelled = "f" + raw.hex()
    with pytest.raises(InvalidCid):
        cids.parse(spelled)
    with pytest.raises(ValueError):
        pycid.make_cid(spelled)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "cid too short"),
        ("b", "cid too short"),
        ("xyz", "selected encoding not supported"),
        ("bafkqabi", "length greater than remaining number of bytes in buffer"),
        ("f0355122000", "expected 1 as the cid version number, got: 3"),
        ("f0155920020" + "00" * 32, "varint not minimally encoded"),
        ("f01551220" + "00" * 33, "trailing bytes in data buffer passed to cid Cast"),
        ("f01551220" + "00" * 31, "length greater than remaining number of bytes in buffer"),
        ("f01ffffffffffffffffff7f1220" + "00" * 32, "varints larger than uint63 not supported"),
        ("f01ff", "varints malformed, could not reach the end"),
        ("k+1", "illegal base36 data ('+')"),
        ("k 1", "illegal base36 data (' ')"),
        ("k1_1", "illegal base36 data ('_')"),
        ("k٣", "illegal base36 data ('٣')"),
        ("k" + "1" * 5000, "5000 characters of base36 are no CID"),
        ("z" + "1" * 5000, "5000 characters of base58btc are no CID"),
        ("z0OIl", "invalid base58 digit ('0')"),
    ],
)
def test_refusals(text: str, error: str) -> None:
    with pytest.raises(InvalidCid) as caught:
        cids.parse(text)
    assert str(caught.value) == error


@given(st.binary(max_size=300))
@example(b"")
@example(bytes(200))
def test_hash_functions_are_those_of_py_multihash(data: bytes) -> None:
    for name in ("sha1", "sha2-256", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "dbl-sha2-256"):
        assert multihash.named(name).multihash([data[:7], data[7:]]) == pymultihash.digest(data, name).encode(), name
    for name in ("blake2b-160", "blake2b-256", "blake2b-512", "blake2s-256", "blake3"):
        function = multihash.named(name)
        assert function.multihash([data]) == pymultihash.digest(data, function.code).encode(), name


def test_keccak() -> None:
    """Published: the hash of nothing, as in Ethereum, and one of several blocks by its use in parts."""
    assert Keccak(32).digest().hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    whole, parts = Keccak(64), Keccak(64)
    whole.update(b"abc" * 200)
    for _ in range(200):
        parts.update(b"abc")
    assert whole.digest() == parts.digest() == whole.digest()


@given(st.integers(0, (1 << 63) - 1))
@example(127)
@example(128)
def test_varints(value: int) -> None:
    raw = varint.encode(value)
    assert varint.decode(raw + b"\1", 0) == (value, len(raw))
    for end in range(len(raw)):
        with pytest.raises(ValueError, match="could not reach the end"):
            varint.decode(raw[:end], 0)
