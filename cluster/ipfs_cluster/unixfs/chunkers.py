"""The chunker's option: its text, its errors (spec 4.2), and the chunkers it stands for."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs.buzhash import Buzhash
from ipfs_cluster.unixfs.cutting import Chunker, FixedSize
from ipfs_cluster.unixfs.rabin import WINDOW, Rabin

LIMIT = (2 << 20) - 256
"""Bytes of the largest chunk."""

DEFAULT = 256 << 10


def parse(text: str) -> Callable[[], Chunker]:
    """What makes chunkers for an option's text ("size-1048576", "rabin-16-32-64", "buzhash", "" is the default).

    Raises InvalidArgument with Kubo's text.
    """
    name, dash, rest = text.partition("-")
    if text in ("", "default"):
        return lambda: FixedSize(DEFAULT)
    if name == "size":
        size = _size(dash, rest)
        return lambda: FixedSize(size)
    if name == "rabin":
        low, average, high = _rabin(rest.split("-") if dash else [])
        return lambda: Rabin(low, average, high)
    if name == "buzhash":
        return Buzhash
    raise InvalidArgument(f"unrecognized chunker option: {text}")


def _size(dash: str, text: str) -> int:
    if not dash or "-" in text:
        raise InvalidArgument("incorrect chunker string format (expected size-{size})")
    size = _number(text)
    if size <= 0:
        raise InvalidArgument("chunker size must be greater than 0")
    return _limited(size)


def _limited(size: int) -> int:
    if size > LIMIT:
        raise InvalidArgument(f"chunker parameters may not exceed the maximum chunk size of {LIMIT}")
    return size


def _rabin(parts: list[str]) -> tuple[int, int, int]:
    if len(parts) == 3:
        return _rabin_three(parts)
    if len(parts) > 1:
        raise InvalidArgument("incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'")
    average = _number(parts[0]) if parts else DEFAULT
    (single,) = struct.unpack("f", struct.pack("f", average))
    _limited(int(single * 1.5))
    if average // 3 < WINDOW:
        # The daemon makes one chunk of the whole file: a number without a sign goes below zero there.
        raise InvalidArgument(f"rabin with an average of less than {3 * WINDOW} bytes is not supported")
    return average // 3, average, average + average // 2


def _rabin_three(parts: list[str]) -> tuple[int, int, int]:
    low = _labelled(parts[0], "min", "first")
    if low < WINDOW:
        raise InvalidArgument("rabin min must be greater than 16")
    average = _labelled(parts[1], "avg", "second")
    high = _labelled(parts[2], "max", "final")
    if low >= average:
        raise InvalidArgument("incorrect format: rabin-min must be smaller than rabin-avg")
    if average >= high:
        raise InvalidArgument("incorrect format: rabin-avg must be smaller than rabin-max")
    return low, average, _limited(high)


def _labelled(text: str, label: str, place: str) -> int:
    parts = text.split(":")
    if len(parts) > 1 and parts[0] != label:
        raise InvalidArgument(f"{place} label must be {label}")
    return _number(parts[-1])


def _number(text: str) -> int:
    """Go's strconv.Atoi."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": value out of range')
    return int(text)
