"""JSON as Go's encoder writes it: fields in the given order, no spaces, HTML characters escaped, one LF a value."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_SPECIAL = re.compile("[<>&\u2028\u2029]")


def string(text: str) -> str:
    """A JSON string literal."""
    literal = json.dumps(text, ensure_ascii=False)
    return _SPECIAL.sub(lambda match: _ESCAPE[match[0]], literal)


def value(data: Any) -> bytes:
    """A value and its LF. Mappings keep their order."""
    literal = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    literal = _SPECIAL.sub(lambda match: _ESCAPE[match[0]], literal)
    return (literal + "\n").encode("utf-8", "replace")
