"""Amounts of bytes as people write them: "10GB", "1.5 GiB"."""

from __future__ import annotations

import re

STORAGE_MAX = 10_000_000_000
"""Bytes of an embedded node's repository unless told otherwise: Kubo's Datastore.StorageMax."""

_THOUSANDS = {letter: 1000**power for power, letter in enumerate("kmgtp", 1)}
_UNITS = {"": 1, **_THOUSANDS, **{f"{letter}i": 1024**power for power, letter in enumerate("kmgtp", 1)}}
_TEXT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?i?)b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size text; units of a thousand ("GB") and of 1024 ("GiB"). Raises ValueError."""
    match = _TEXT.fullmatch(text.strip())
    unit = None if match is None else _UNITS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError('must be bytes or a size such as "10GB" or "512MiB"')
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def size_text(size: int) -> str:
    """A size for people, in units of a thousand: "1.5 GB"."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
