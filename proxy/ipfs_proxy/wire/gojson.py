"""JSON as Go's encoder writes it: fields in the given order, no spaces, HTML characters escaped, one LF a value."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_SPECIAL = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def string(text: str) -> str:
    """A JSON string literal. What was no UTF-8 (lone surrogates here) is U+FFFD, escaped, as Go writes it."""
    return _escaped(json.dumps(text, ensure_ascii=False))


def value(data: Any) -> bytes:
    """A value and its LF. Mappings keep their order."""
    return (_escaped(json.dumps(data, ensure_ascii=False, separators=(",", ":"))) + "\n").encode()


def _escaped(literal: str) -> str:
    return _SPECIAL.sub(lambda match: _ESCAPE.get(match[0], "\\ufffd"), literal)
