"""Query strings as go-ipfs-cmds reads them."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_proxy.wire.params import (
    BadRequest,
    InvalidEncoding,
    Option,
    Params,
    UnparsableTimeout,
    check_timeout,
    parse_duration,
    parse_params,
    parse_query,
)

OPTIONS = (
    Option("recursive", bool, ("r",), True),
    Option("name", str, ("n",)),
    Option("progress", bool),
    Option("count", int, ("c",)),
)


def params(query: str, *tail: str) -> Params:
    return parse_params(query, tail, OPTIONS)


def test_arguments_keep_their_order_and_path_arguments_come_first() -> None:
    assert params("arg=b&x=1&arg=a&arg=&arg", "t").arguments == ("t", "b", "a", "", "")


def test_defaults_aliases_and_what_is_not_known() -> None:
    plain = params("")
    assert plain.flag("recursive")
    assert not plain.flag("progress")
    assert plain.text("name") is None
    assert (plain.encoding, plain.timeout) == ("json", None)
    assert not params("r=false").flag("recursive")
    assert params("n=x&paths=y&meta-a=b").text("name") == "x"
    assert params("n=x&paths=y&meta-a=b").extra == {"paths": "y", "meta-a": "b"}
    assert params("api-auth=bearer%3As").extra == {}


@given(
    st.sampled_from(
        [("", True), ("1", True), ("t", True), ("true", True), ("0", False), ("f", False), ("false", False)]
    ),
    st.randoms(),
)
def test_bools_in_any_case(form: tuple[str, bool], random: object) -> None:
    text, value = form
    mixed = "".join(char.upper() if index % 2 else char for index, char in enumerate(text))
    for spelled in (text, text.upper(), text.capitalize(), mixed):
        assert params(f"recursive={spelled}").flag("recursive") is value
    assert params("progress").flag("progress")


@given(st.text(max_size=8).filter(lambda text: text.lower() not in {"", "1", "t", "true", "0", "f", "false"}))
def test_no_other_bools(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        params(f"r={quote(text)}")
    assert str(caught.value) == f'could not convert value "{text}" to type "bool" (for option "-r")'


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("42", 42),
        ("-42", -42),
        ("%2B42", 42),
        ("0644", 0o644),
        ("-010", -8),
        ("00", 0),
        ("0_7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0X_1f", 31),
        ("0b1", 1),
        ("1_000", 1000),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_ints_with_base_prefixes(text: str, number: int) -> None:
    assert params(f"count={text}").options["count"] == number


@pytest.mark.parametrize(
    "text", ["x", "08", "1.5", "%205", "5%20", "1__0", "_1", "0x", "%D9%A3", "9223372036854775808", "--1", "1e3"]
)
def test_what_is_no_int(text: str) -> None:
    with pytest.raises(BadRequest, match=r'could not convert value ".*" to type "int" \(for option "-c"\)'):
        params(f"c={text}")


def test_the_texts_of_refusals() -> None:
    with pytest.raises(BadRequest) as caught:
        params("count=")
    assert str(caught.value) == 'could not convert empty value to type "int" (for option "-count")'
    with pytest.raises(BadRequest) as caught:
        params("recursive=1&recursive=0")
    assert str(caught.value) == "expected key recursive to have only a single value, received [1 0]"
    with pytest.raises(InvalidEncoding, match=r"^invalid encoding: foobar$"):
        params("enc=foobar")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=5), st.booleans())
def test_pairs_come_back_however_they_were_escaped(pairs: list[tuple[str, str]], plus: bool) -> None:
    escape = quote_plus if plus else quote
    query = "&".join(f"{escape(key, safe='')}={escape(value, safe='')}" for key, value in pairs)
    assert parse_query(query) == pairs


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&", [("a", "1")]),
        ("a+b=c+d%2B", [("a b", "c d+")]),
        ("a;b=1&c=2", [("c", "2")]),
        ("a=%zz&b=%4&c=%&%g=1&d=%25", [("d", "%")]),
        ("name=\xc3\xbc&x=%C3%BC", [("name", "ü"), ("x", "ü")]),
        ("name=%FF&x=\xff", [("name", "�"), ("x", "�")]),
    ],
)
def test_pairs_as_go_reads_them(query: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_query(query) == pairs


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("300ms", 0.3),
        ("1m30s", 90),
        ("1h1m1s1ms1us1ns", 3661.001001001),
        (".5s", 0.5),
        ("1.5h", 5400),
        ("1.s", 1),
        ("-1s", -1),
        ("+1s", 1),
        ("1µs", 1e-6),
        ("1μs", 1e-6),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "1",
        "1 s",
        " 1s",
        "1s ",
        ".s",
        "1d",
        "1S",
        "1m30",
        "s1",
        "--1s",
        "1e3s",
        "٣s",
        "inf",
        "9999999h",
        400 * "1" + "s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="time: invalid duration"):
        parse_duration(text)


@given(st.integers(0, 10**14))
def test_durations_as_go_prints_them(microseconds: int) -> None:
    whole = timedelta(microseconds=microseconds)
    minutes, seconds = divmod(whole.days * 86400 + whole.seconds, 60)
    text = f"{minutes // 60}h{minutes % 60}m{seconds}.{whole.microseconds:06}s"
    assert parse_duration(text) == pytest.approx(whole.total_seconds())
    assert parse_duration("-" + text) == pytest.approx(-whole.total_seconds())


def test_a_timeout_that_is_none_is_found_after_all_else() -> None:
    good = params("timeout=1m")
    check_timeout(good)
    assert good.timeout == 60
    bad = params("timeout=30")
    with pytest.raises(UnparsableTimeout):
        check_timeout(bad)
    check_timeout(params(""))


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        params(query)
    except BadRequest:
        pass
