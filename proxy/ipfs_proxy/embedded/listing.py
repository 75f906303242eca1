"""`ls` as text: the columns that Go's tabwriter makes of it. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipfs_proxy.wire.params import Params

Links = Sequence[Mapping[str, Any]]
STREAM_WIDTH = 10
"""Columns of a stream are not known in advance: each is at least this wide."""
_BITS = "rwxrwxrwx"


def listed_text(listings: Sequence[tuple[str, Links]], params: Params) -> str:
    """All listings; each is named if there are several, which a stream cannot know."""
    several = len(listings) > 1
    parts = []
    for name, links in listings:
        head = f"{name}:\n" if several else ""
        parts.append(head + _columns(_rows(links, params), STREAM_WIDTH if params.flag("stream") else 0))
    return "\n".join(parts)


def _rows(links: Links, params: Params) -> list[list[str]]:
    long, size = params.flag("long"), params.flag("size")
    titles = [*(["Mode"] if long else []), "Hash", *(["Size"] if size else []), *(["ModTime"] if long else []), "Name"]
    rows = [titles] if params.flag("headers") and not params.flag("stream") else []
    for link in links:
        directory = link["Type"] in (1, 5)
        name = str(link["Name"]) + ("/" if directory else "")
        row = [str(link["Hash"])]
        if size:
            row.append("-" if directory else str(link["Size"]))
        if long:
            row = [_mode(int(link["Mode"]), directory=directory), *row, _when(str(link["ModTime"]))]
        rows.append([*row, name])
    return rows


def _columns(rows: Sequence[Sequence[str]], narrowest: int) -> str:
    if not rows:
        return ""
    widths = [max(narrowest, *(len(cell) + 1 for cell in column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        *cells, last = row
        lines.append("".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)) + last)
    return "".join(f"{line}\n" for line in lines)


def _mode(mode: int, *, directory: bool) -> str:
    """As `ls -l` shows it; "-" for none."""
    bits = mode & 0o777
    if not mode:
        return "-"
    kind = "d" if directory else "l" if mode >> 27 & 1 else "-"
    return kind + "".join(letter if bits >> (8 - at) & 1 else "-" for at, letter in enumerate(_BITS))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _when(moment: str) -> str:
    """Month, day and year; "-" for no time."""
    if moment.startswith("0001-01-01T00:00:00"):
        return "-"
    year, month, day = moment.split("T")[0].rsplit("-", 2)
    return f"{_MONTHS[int(month) - 1]} {int(day):02}  {year}"
