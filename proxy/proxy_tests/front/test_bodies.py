"""Bodies and response heads of `ipfs_cluster.http1`: any split means the same, and h11 agrees."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipfs_cluster.http1 import (
    HEAD_LIMIT,
    LINE_LIMIT,
    BodyReader,
    Cut,
    ProtocolError,
    keeps_alive,
    parse_response_head,
    response_body,
)
from ipfs_proxy.front.responses import ResponsePlan

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


Outcome = tuple[bytes, int, bool, dict[str, str]]
"""Content, how much was taken, whether the body is complete, trailers."""


def read(data: bytes, cuts: list[int], length: int | None = None, *, chunked: bool = True) -> Outcome | None:
    """What a reader makes of data that is cut at these places; None when it is refused."""
    reader = BodyReader(length, chunked=chunked)
    content: list[bytes] = []
    taken = 0
    places = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    at = 0
    try:
        for place in places:
            piece = data[at:place]
            used = reader.take(piece, 0, content)
            taken += used
            if used < len(piece):
                assert reader.complete
                break
            at = place
    except ProtocolError:
        return None
    return b"".join(content), taken, reader.complete, dict(reader.trailers)


SIZES = st.sampled_from(
    ["%x", "%X", "0%x", "%x ", "%x;a=b", '%x;a="b"', "%x ;a", "%x\t", " %x", "0x%x", "%x;\x00", "-%x"]
)
SIZES_ODD = st.sampled_from(["fffffffffffffffff", "", "g", "ffffffffffffffff", "+1", "1_0"])
LINE_ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"])
TRAILERS = st.lists(
    st.sampled_from(["X-Stream-Error: a b", "X: \xfc", "X : b", " X: b", "Content-Length: 5", "no colon", "X: a\x00"]),
    max_size=2,
)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    """Chunked bodies: good ones, and ones with one flaw or more."""
    out = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = draw(SIZES) % len(data) if draw(st.integers(0, 9)) else draw(SIZES_ODD)
        out += size.encode("latin-1") + draw(LINE_ENDS).encode() + data + draw(LINE_ENDS).encode()
    out += draw(st.sampled_from([b"0\r\n", b"0\r\n", b"000\r\n", b"0;x\r\n", b"0\n", b""]))
    for line in draw(TRAILERS):
        out += line.encode("latin-1") + draw(LINE_ENDS).encode()
    return out + draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b""]))


@settings(max_examples=1500, deadline=None)
@given(body=chunked_bodies(), junk=st.binary(max_size=10))
def test_a_chunked_body_that_we_take_h11_takes_with_the_same_content(body: bytes, junk: bytes) -> None:
    ours = read(body + junk, [])
    if ours is None or not ours[2]:
        return
    content, taken, _, trailers = ours
    server = h11.Connection(h11.SERVER)
    server.receive_data(HEAD + body + junk)
    assert isinstance(server.next_event(), h11.Request)
    theirs = b""
    while isinstance(event := server.next_event(), h11.Data):
        theirs += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert content == theirs
    assert trailers == {name.decode(): value.decode("utf-8", "replace") for name, value in event.headers}
    assert server.trailing_data[0] == (body + junk)[taken:]


@settings(max_examples=500, deadline=None)
@given(body=chunked_bodies(), junk=st.binary(max_size=10), cuts=st.lists(st.integers(0, 150), max_size=8))
def test_a_chunked_body_means_the_same_in_any_split(body: bytes, junk: bytes, cuts: list[int]) -> None:
    whole = read(body + junk, [])
    assert read(body + junk, cuts) == whole
    assert read(body + junk, list(range(len(body) + len(junk)))) == whole


@given(data=st.binary(max_size=60), length=st.integers(0, 80), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_body_with_a_length_takes_so_many_bytes_in_any_split(data: bytes, length: int, cuts: list[int]) -> None:
    taken = min(len(data), length)
    for places in ([], cuts, list(range(len(data)))):
        assert read(data, places, length, chunked=False) == (data[:taken], taken, len(data) >= length, {})


def test_a_body_until_close_ends_with_the_connection_and_the_others_are_cut() -> None:
    reader = BodyReader(None)
    assert reader.take(b"abc") == 3
    assert not reader.complete
    reader.end_of_input()
    assert reader.take(b"more") == 0
    for cut in (BodyReader(5), BodyReader(None, chunked=True)):
        cut.take(b"5\r\nab")
        if not cut.complete:
            with pytest.raises(Cut):
                cut.end_of_input()


def test_a_line_that_is_too_long_is_refused_whether_it_comes_whole_or_in_pieces() -> None:
    for extra, refused in ((0, False), (1, True)):
        body = b"1;" + b"x" * (LINE_LIMIT - 4 + extra) + b"\r\na\r\n0\r\n\r\n"
        for cuts in ([], [LINE_LIMIT - 1], [3, 100, LINE_LIMIT]):
            assert (read(body, cuts) is None) == refused


def test_trailers_are_text_in_utf8_and_not_without_end() -> None:
    reader = BodyReader(None, chunked=True)
    reader.take("0\r\nX-Stream-Error: möp\r\n\r\n".encode())
    assert reader.trailers == {"x-stream-error": "möp"}
    many = b"0\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(100)) + b"\r\n"
    assert read(many, []) is None


# --- response heads ---


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\x0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_a_response_that_can_be_understood_twice_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponsePlan(head)


STATUS = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 500 \xfc", "HTTP/1.0 404 x", "HTTP/1.1 99 x", "HTTP/1.1 200 a\x01"]
)
RESPONSE_FIELDS = st.sampled_from(
    [
        "Content-Length: 3",
        "Content-Length: 4",
        "content-length: 3, 3",
        "Transfer-Encoding: chunked",
        "transfer-encoding: Chunked",
        "Connection: close",
        "Connection: keep-alive",
        "X: \x01",
        "X: y",
        "X : y",
    ]
)


@settings(max_examples=500, deadline=None)
@given(status=STATUS, fields=st.lists(RESPONSE_FIELDS, max_size=4))
def test_a_response_head_that_we_accept_h11_accepts_with_the_same_framing(status: str, fields: list[str]) -> None:
    data = "\r\n".join([status, *fields, "", ""]).encode("latin-1")
    try:
        head = parse_response_head(data)
        assert head is not None
        ours = response_body(head, "POST")
    except ProtocolError:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    theirs = client.next_event()
    assert isinstance(theirs, h11.Response)
    assert theirs.status_code == head.status
    chunked = any(name == b"transfer-encoding" for name, _ in theirs.headers)
    lengths = [int(value) for name, value in theirs.headers if name == b"content-length"]
    assert ours.chunked == chunked
    assert ours.length == (lengths[0] if lengths else None)
    closes = any(name == b"connection" and b"close" in value for name, value in theirs.headers)
    assert keeps_alive(head) == (not closes and not head.http10)


def test_a_response_head_waits_for_its_end_within_bounds() -> None:
    assert parse_response_head(b"HTTP/1.1 200 OK\r\nX: y\r\n") is None
    with pytest.raises(ProtocolError):
        parse_response_head(b"x" * (HEAD_LIMIT + 1))
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nrest")
    assert head is not None
    assert (head.status, head.get("x"), head.get("y"), head.size) == (200, "y", None, 25)


def test_responses_without_a_body() -> None:
    for line, method in ((b"204 No Content", "POST"), (b"304 Not Modified", "POST"), (b"200 OK", "HEAD")):
        head = parse_response_head(b"HTTP/1.1 " + line + b"\r\nContent-Length: 9\r\n\r\n")
        assert head is not None
        assert response_body(head, method).complete


def test_the_head_for_the_client_loses_what_belongs_to_one_connection() -> None:
    plan = ResponsePlan(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nkeep-alive: 5\r\nTrailer: X-Stream-Error\r\n"
        b"Access-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\n"
    )
    plain = b"HTTP/1.1 200 OK\r\nTrailer: X-Stream-Error\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n"
    assert plan.edited("", close=False) == plain + b"\r\n"
    assert plan.edited("", close=True) == plain + b"Connection: close\r\n\r\n"
    mine = plan.edited("http://localhost:5", close=False)
    assert mine.count(b"Access-Control-Allow-Origin") == 1
    assert b"Access-Control-Allow-Origin: http://localhost:5\r\n\r\n" in mine
    assert plan.reusable
    assert not ResponsePlan(b"HTTP/1.1 200 OK\r\nConnection: a\r\nConnection: Close\r\n\r\n").reusable
    assert not ResponsePlan(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n").reusable


WHOLE_CHUNKED = ResponsePlan(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@settings(max_examples=500, deadline=None)
@given(
    body=st.one_of(
        chunked_bodies(), st.binary(max_size=20).map(lambda data: b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
    )
)
def test_a_chunked_answer_that_is_whole_at_a_glance_is_whole_to_its_reader(body: bytes) -> None:
    if WHOLE_CHUNKED.whole(b"head" + body, 4):
        outcome = read(body, [])
        assert outcome is not None
        assert outcome[1:] == (len(body), True, {})


def test_answers_that_are_whole_at_a_glance() -> None:
    assert WHOLE_CHUNKED.whole(b"head3\r\nabc\r\n0\r\n\r\n", 4)
    for other in (b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n.", b"0\r\n\r\n", b""):
        assert not WHOLE_CHUNKED.whole(other, 0)
    sized = ResponsePlan(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    assert [sized.whole(data, 1) for data in (b".a", b".ab", b".abc")] == [False, True, False]
    assert not ResponsePlan(b"HTTP/1.1 200 OK\r\n\r\n").whole(b"", 0)
