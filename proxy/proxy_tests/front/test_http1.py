"""Request heads: what the front accepts, h11 accepts with the same meaning; and our own heads."""

from __future__ import annotations

import email.utils
from collections.abc import Callable

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipfs_proxy.front.http1 import (
    HEAD_LIMIT,
    ProtocolError,
    RequestHead,
    date_header,
    find_head,
    parse_request_head,
    response_head,
)

HOST = b"Host: a\r\n"


def accepted(data: bytes) -> RequestHead | None:
    """What we make of these bytes; None when they are refused or are no whole head."""
    try:
        head = find_head(bytearray(data))
        return None if head is None else parse_request_head(head)
    except ProtocolError:
        return None


def oracle(data: bytes) -> h11.Request:
    """What h11 makes of them; raises RemoteProtocolError."""
    # The two liberties that our module names: raw bytes in the target, empty lines in front.
    target_end = data.find(b"\r\n")
    line = bytes(byte if byte < 0x80 else 0x7E for byte in data[:target_end])
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT * 2)
    server.receive_data(line + data[target_end:])
    event = server.next_event()
    assert isinstance(event, h11.Request)
    return event


TOKENS = st.sampled_from(["GET", "POST", "OPTIONS", "pUt", "M-SEARCH", "CONNECT", "PRI", "A B", "", "G(T", "\tGET"])
TARGETS = st.sampled_from(
    ["/", "/api/v0/pin/add?arg=Qm", "*", "a", "http://a/", "/a b", "/\x7f", "/\xfc", "/\r", "//x", "/%zz", "/#f", ""]
)
VERSIONS = st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/11", ""])
NAMES = st.sampled_from(
    [
        "Host",
        "host",
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "transfer-encoding",
        "Transfer-Encoding ",
        " Transfer-Encoding",
        "Content-Length\t",
        "Connection",
        "Expect",
        "X",
        "X-\xfc",
        "X:Y",
        "",
        "\x00",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "5",
            "05",
            "+5",
            "-5",
            "5, 5",
            "5,6",
            "0x5",
            "5_0",
            "\N{SUPERSCRIPT TWO}",
            "99999999999999999999999",
            "9" * 5000,
            "chunked",
            "Chunked",
            "chunked, chunked",
            "gzip, chunked",
            "chunked;q=1",
            "xchunked",
            "\x0bchunked",
            "close",
            "keep-alive, Close",
            "closed",
            "\xa0close",
            "100-continue",
            "x, 100-Continue",
            "a",
            "a\x00b",
            "a\rb",
            "a\nb",
            "a\n b",
            "a\r\n b",
            "a\x85b",
            "\x7f",
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\r\r\n"])
LINES = st.lists(st.tuples(NAMES, st.sampled_from([":", ": ", ":\t ", " :", ""]), VALUES, ENDS), max_size=5)


@st.composite
def heads(draw: Callable[..., object]) -> bytes:
    """Heads that are good, nearly good, or hostile."""
    first = f"{draw(TOKENS)} {draw(TARGETS)} {draw(VERSIONS)}{draw(ENDS)}"
    host = draw(st.sampled_from(["Host: a\r\n", "Host: a\r\n", ""]))
    lines: list[tuple[str, ...]] = draw(LINES)  # type: ignore[assignment]
    return f"{first}{host}{''.join(''.join(line) for line in lines)}\r\n".encode("latin-1")


@settings(max_examples=2000, deadline=None)
@given(data=heads())
@example(data=b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
@example(data=b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n")
@example(data=b"POST / HTTP/1.1\r\nHost: a\r\nConnection: \xa0close\r\n\r\n")
def test_what_we_accept_h11_accepts_with_the_same_meaning(data: bytes) -> None:
    ours = accepted(data)
    if ours is None:
        return
    theirs = oracle(data)
    headers = [(name.decode(), value.decode("latin-1")) for name, value in theirs.headers]
    assert [(name.lower(), value) for name, value in ours.fields] == headers
    assert ours.method == theirs.method.decode()
    whole = theirs.target.decode("latin-1")
    assert len(ours.target) == len(whole if whole[0] in "/*" else f"/{whole.split('/', 3)[3]}")
    assert ours.http10 == (theirs.http_version == b"1.0")
    lengths = {int(value) for name, value in headers if name == "content-length"}
    chunked = any(name == "transfer-encoding" for name, _ in headers)
    assert ours.chunked == chunked
    assert ours.length == (None if chunked else lengths.pop() if lengths else 0)
    server = h11.Connection(h11.SERVER)
    server.receive_data(data.replace(b"\xfc", b"x").replace(b"\xa0", b"x"))
    server.next_event()
    assert ours.keep_alive == (server.our_state is not h11.MUST_CLOSE and not says_close(theirs))
    assert ours.expects_continue == server.they_are_waiting_for_100_continue or lengths == {0}


def says_close(request: h11.Request) -> bool:
    """By the letter of RFC 9110: the token close, or HTTP/1.0."""
    tokens = b",".join(value for name, value in request.headers if name == b"connection").lower().split(b",")
    return b"close" in [token.strip() for token in tokens] or request.http_version == b"1.0"


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n\r\n",
    ],
)
def test_what_can_be_understood_twice_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_request_head(find_head(bytearray(data)) or b"")


def test_the_parts_of_a_head() -> None:
    head = parse_request_head(
        b"POST /api/v0/add?pin=true&x=a?b HTTP/1.1\r\nHost: a\r\nX: 1\r\nx:  2 \r\nTransfer-Encoding: CHUNKED\r\n"
        b"Expect: 100-Continue\r\n\r\n"
    )
    assert (head.path, head.query) == ("/api/v0/add", "pin=true&x=a?b")
    assert head.headers["x"] == "1, 2"
    assert (head.length, head.chunked, head.keep_alive, head.expects_continue) == (None, True, True, True)
    assert parse_request_head(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path == "*"


@given(
    data=heads(), junk=st.binary(max_size=8), cuts=st.lists(st.integers(0, 200), max_size=6), empty=st.integers(0, 3)
)
def test_any_split_gives_the_same_answer_and_trailing_junk_stays(
    data: bytes, junk: bytes, cuts: list[int], empty: int
) -> None:
    data = b"\r\n" * empty + data + junk
    whole = bytearray(data)
    try:
        expected = find_head(whole)
    except ProtocolError:
        expected = None
    if expected is None:
        return
    buffer = bytearray()
    found = None
    places = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    at = 0
    try:
        for place in places:
            buffer += data[at:place]
            at = place
            found = found or find_head(buffer)
    except ProtocolError:
        # Early: bytes that can never become a head, which must then be no good as a whole either.
        with pytest.raises(ProtocolError):
            parse_request_head(expected)
        return
    assert found == expected
    assert whole.startswith(expected)


def test_one_byte_at_a_time_and_the_size_limit() -> None:
    first = b"GET / HTTP/1.1\r\n" + HOST
    for size, good in ((HEAD_LIMIT, True), (HEAD_LIMIT + 1, False)):
        data = first + b"X: " + b"a" * (size - len(first) - 7) + b"\r\n\r\n"
        assert len(data) == size
        assert (accepted(data) is not None) == good
        buffer = bytearray(data[:-6])
        with pytest.raises(ProtocolError) if not good else nothing():
            for at in range(len(data) - 6, len(data)):
                assert find_head(buffer) is None
                buffer.append(data[at])
            assert find_head(buffer) == data


class nothing:  # noqa: N801 - used as a statement
    """A context that expects nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def test_garbage_without_an_end_is_refused_when_it_is_too_long() -> None:
    assert find_head(bytearray(b"x" * HEAD_LIMIT)) is None
    with pytest.raises(ProtocolError):
        find_head(bytearray(b"x" * (HEAD_LIMIT + 1)))


@given(st.binary(max_size=200))
def test_any_garbage_is_refused_or_parsed_and_nothing_else_happens(data: bytes) -> None:
    accepted(data)
    accepted(b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n")


@given(st.integers(-(2**31), 2**37))
@example(951782400)  # a leap day
@example(0)
def test_dates_are_those_of_the_standard_library(second: int) -> None:
    if second < -62135596800 or second > 253402300799:
        return
    assert date_header(second) == email.utils.formatdate(second, usegmt=True)


def test_our_heads_are_sorted_as_go_sorts_them_with_the_tail_in_order() -> None:
    head = response_head(200, {"Vary": "Origin", "Content-Type": "text/plain"}, {"Date": "now", "Connection": "close"})
    assert head == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Origin\r\nDate: now\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://a/x?y=http://b/", "/x"), ("https://a:1", "/"), ("HTTP://[::1]:5?q", "/"), ("http://a//x", "//x")],
)
def test_the_host_of_an_absolute_target_says_nothing(target: str, path: str) -> None:
    head = parse_request_head(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert head.path == path
    assert head.target.startswith(path)
