"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from ipfs_cluster.sizes import parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("10GB", 10 * 10**9),
        ("10gb", 10 * 10**9),
        ("512MiB", 512 * 2**20),
        ("1.5 TB", 15 * 10**11),
        ("9007199254740993", 9007199254740993),
        ("7B", 7),
        ("3k", 3000),
    ],
)
def test_a_size_text_is_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5%", "-1", "GB", "1 2", "1.GB", "10XB", "1ib", "inf"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="10GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_960_000, "1.0 GB"), (12 * 10**18, "12000.0 PB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
