"""XML as Go's encoder writes a struct: every field in order, zero values too, no white space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&#34;",
    "'": "&#39;",
    "\t": "&#x9;",
    "\n": "&#xA;",
    "\r": "&#xD;",
}
_TABLE = str.maketrans(_ESCAPES)


def text(value: str) -> str:
    """Character data."""
    return value.translate(_TABLE)


def element(name: str, value: Any) -> str:
    """A field: a mapping is a struct, a list the same field for each item, None a nil pointer and left out, anything
    else its text.
    """
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "".join(element(name, item) for item in value)
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, Mapping):
        inner = "".join(element(key, item) for key, item in value.items())
    else:
        inner = text(str(value))
    return f"<{name}>{inner}</{name}>"
