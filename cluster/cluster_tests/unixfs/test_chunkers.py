"""Chunkers against plain loops over bytes, however the bytes come; the option's texts and errors."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tests.unixfs.buzhash_table import GoRand, generated
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import buzhash, rabin
from ipfs_cluster.unixfs.chunkers import parse

NOISE = random.Random(7).randbytes(1_400_000)
TABLE = [int.from_bytes(buzhash._TABLE[at : at + 4], "big") for at in range(0, 1024, 4)]


def cut(text: str, data: bytes, piece: int) -> list[bytes]:
    """The chunks of data that comes in pieces."""
    chunker = parse(text)()
    chunks = []
    for at in range(0, len(data), piece):
        chunks += chunker.feed(data[at : at + piece])
    chunks += chunker.finish()
    return [b"".join(chunk) for chunk in chunks]


def plain_buzhash(data: bytes) -> list[int]:
    """Lengths of chunks, by a rolling hash."""
    lengths, start = [], 0
    while start < len(data):
        chunk = data[start : start + buzhash.MAX]
        length = len(chunk)
        state = 0
        for place in range(buzhash.MIN - 32, len(chunk)):
            state = (state << 1 | state >> 31) & 0xFFFFFFFF
            state ^= TABLE[chunk[place]]
            if place >= buzhash.MIN:
                state ^= TABLE[chunk[place - 32]]
            if buzhash.MIN <= place + 1 < len(chunk) and state & 0x1FFFF == 0:
                length = place + 1
                break
        lengths.append(length)
        start += length
    return lengths


def plain_rabin(data: bytes, low: int, average: int, high: int) -> list[int]:
    """Lengths of chunks, each place's window divided by the polynomial."""
    mask = (1 << (average.bit_length() - 1)) - 1
    lengths, start = [], 0
    while start < len(data):
        end = min(len(data), start + high)
        length = end - start
        for place in range(start + low, end):
            value = int.from_bytes(data[place - 16 : place], "big")
            while value.bit_length() > 53:
                value ^= rabin.POLYNOMIAL << (value.bit_length() - 54)
            if value & mask == 0:
                length = place - start
                break
        lengths.append(length)
        start += length
    return lengths


@pytest.mark.parametrize("size", [0, 1, buzhash.MIN - 1, buzhash.MIN, buzhash.MIN + 1, 700_000, len(NOISE)])
def test_buzhash_is_the_rolling_hash(size: int) -> None:
    chunks = cut("buzhash", NOISE[:size], 65_536)
    assert b"".join(chunks) == NOISE[:size]
    assert [len(chunk) for chunk in chunks] == plain_buzhash(NOISE[:size])


def test_buzhash_cuts_what_never_changes_at_once() -> None:
    assert [len(chunk) for chunk in cut("buzhash", bytes(300_000), 4096)] == [131072, 131072, 37856]


def test_buzhash_cuts_at_its_longest() -> None:
    """The hash of one byte repeated is all its rotations: ones if the word has an odd number of them."""
    never = next(byte for byte in range(256) if TABLE[byte].bit_count() % 2)
    chunks = cut("buzhash", bytes([never]) * 1_200_000, 1_200_000)
    assert [len(chunk) for chunk in chunks] == [524_288, 524_288, 151_424]


@pytest.mark.parametrize(
    ("text", "numbers", "size"),
    [
        ("rabin-16-17-18", (16, 17, 18), 2000),
        ("rabin-36-512-1024", (36, 512, 1024), 30_000),
        ("rabin-min:20-avg:100-max:5000", (20, 100, 5000), 30_000),
        ("rabin-300", (100, 300, 450), 20_000),
        ("rabin-1000-70000-80000", (1000, 70_000, 80_000), 150_000),
    ],
)
def test_rabin_is_the_remainder_of_the_window(text: str, numbers: tuple[int, int, int], size: int) -> None:
    for data in (NOISE[:size], bytes(size), NOISE[: numbers[0]], b"ab" * (size // 2)):
        chunks = cut(text, data, 777)
        assert b"".join(chunks) == data
        assert [len(chunk) for chunk in chunks] == plain_rabin(data, *numbers)


@given(st.lists(st.binary(max_size=40), max_size=40), st.integers(1, 50))
def test_fixed_chunks_do_not_depend_on_the_pieces(pieces: list[bytes], size: int) -> None:
    chunker = parse(f"size-{size}")()
    chunks = [b"".join(chunk) for piece in pieces for chunk in chunker.feed(piece)]
    chunks += [b"".join(chunk) for chunk in chunker.finish()]
    whole = b"".join(pieces)
    assert chunks == [whole[at : at + size] for at in range(0, len(whole), size)]


def test_a_chunk_in_many_pieces_is_joined() -> None:
    chunker = parse("size-1000")()
    (chunk,) = [chunk for _ in range(1000) for chunk in chunker.feed(b"x")]
    assert len(chunk) <= 17
    assert b"".join(chunk) == b"x" * 1000


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("size-0", "chunker size must be greater than 0"),
        ("size--5", "incorrect chunker string format (expected size-{size})"),
        ("size-1-2", "incorrect chunker string format (expected size-{size})"),
        ("size", "incorrect chunker string format (expected size-{size})"),
        ("rabin-47", "rabin with an average of less than 48 bytes is not supported"),
        ("buzhashx", "unrecognized chunker option: buzhashx"),
        ("size-", 'strconv.Atoi: parsing "": invalid syntax'),
        ("size-1_0", 'strconv.Atoi: parsing "1_0": invalid syntax'),
        ("size-99999999999999999999", 'strconv.Atoi: parsing "99999999999999999999": value out of range'),
        ("size-2096897", "chunker parameters may not exceed the maximum chunk size of 2096896"),
        ("rabin-1397932", "chunker parameters may not exceed the maximum chunk size of 2096896"),
        ("rabin-15-20-30", "rabin min must be greater than 16"),
        ("rabin-20-20-30", "incorrect format: rabin-min must be smaller than rabin-avg"),
        ("rabin-20-30-30", "incorrect format: rabin-avg must be smaller than rabin-max"),
        ("rabin-20-30-2096897", "chunker parameters may not exceed the maximum chunk size of 2096896"),
        ("rabin-avg:20-30-40", "first label must be min"),
        ("rabin-20-30:30-40", "second label must be avg"),
        ("rabin-20-30-m:40", "final label must be max"),
        ("rabin-1-2", "incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'"),
        ("fastcdc", "unrecognized chunker option: fastcdc"),
    ],
)
def test_bad_chunkers(text: str, error: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert str(caught.value) == error


def test_go_random_numbers() -> None:
    assert GoRand(1).int63() == 5577006791947779410


@pytest.mark.long
def test_the_table_is_the_generated_one() -> None:
    assert generated() == TABLE
