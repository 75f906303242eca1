"""JSON as Go's encoder writes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_proxy.wire import gojson


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("a", b'"a"'),
        ("<b>&</b>", b'"\\u003cb\\u003e\\u0026\\u003c/b\\u003e"'),
        ("\u2028\u2029", b'"\\u2028\\u2029"'),
        ('"\\/', b'"\\"\\\\/"'),
        ("\n\r\t\b\f\0\x1f", b'"\\n\\r\\t\\b\\f\\u0000\\u001f"'),
        ("ü€😀\x7f", '"ü€😀\x7f"'.encode()),
        ("\udcff", b'"\\ufffd"'),
    ],
)
def test_strings(text: str, literal: bytes) -> None:
    assert gojson.string(text).encode() == literal
    assert gojson.value(text) == literal + b"\n"


def test_values_keep_their_order_and_have_no_spaces() -> None:
    value: object = {"b": [1, True, None, {}], "a": {"/": "Qm"}}
    assert gojson.value(value) == b'{"b":[1,true,null,{}],"a":{"/":"Qm"}}\n'


TEXTS = st.text()
LEAVES: st.SearchStrategy[object] = st.none() | st.booleans() | st.integers() | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


@given(VALUES)
def test_any_value_comes_back_on_one_line(value: object) -> None:
    line = gojson.value(value)
    assert json.loads(line) == value
    assert line.count(b"\n") == 1
    assert not set(b"<>&") & set(line)


@given(st.text(st.characters(categories=("Cs", "Ll"))))
def test_what_is_no_unicode_becomes_the_replacement_character(text: str) -> None:
    back = json.loads(gojson.value({text: text}))
    replaced = "".join("�" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert back == {replaced: replaced}
