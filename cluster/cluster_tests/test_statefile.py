"""The pinset as ipfs-cluster's JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster import cid as cids
from ipfs_cluster.model import PeerId, Pin, PinMode, PinType
from ipfs_cluster.rest import shapes
from ipfs_cluster.statefile import LONGEST, MOST_LINES, BadState, Overrides, Reader, line
from ipfs_cluster.testing.store_values import cid

PEER = PeerId("12D3KooWSVuKHVgMq8qpbx8ubzxZnEzEc5m2YGCyCXKkBcz8cyNb")
OTHER = PeerId("QmcMDHmQEdyjgRzfTTvhyZ4XxrTk1ULEAvJmMNrPZBnhZB")
UPSTREAM = (
    b'{"replication_factor_min":2,"replication_factor_max":3,"name":"a \\u003cname\\u003e \\u0026 more",'
    b'"mode":"recursive","shard_size":0,"user_allocations":null,"expire_at":"2030-01-02T03:04:05Z",'
    b'"metadata":{"a":"1","b":"2"},"pin_update":"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",'
    b'"origins":["/ip4/10.0.0.1/tcp/4001/p2p/QmcMDHmQEdyjgRzfTTvhyZ4XxrTk1ULEAvJmMNrPZBnhZB"],'
    b'"cid":"QmfM2r8seH2GiRaC4esTjeraXEachRt8ZsSeGaWTPLyMoG","type":"pin",'
    b'"allocations":["12D3KooWSVuKHVgMq8qpbx8ubzxZnEzEc5m2YGCyCXKkBcz8cyNb",'
    b'"QmcMDHmQEdyjgRzfTTvhyZ4XxrTk1ULEAvJmMNrPZBnhZB"],"max_depth":-1,"reference":null,'
    b'"timestamp":"2024-05-06T07:08:09Z"}\n'
)
META = (
    b'{"replication_factor_min":-1,"replication_factor_max":-1,"name":"","mode":"direct","shard_size":0,'
    b'"user_allocations":null,"expire_at":"0001-01-01T00:00:00Z","metadata":null,"pin_update":null,"origins":[],'
    b'"cid":"QmfM2r8seH2GiRaC4esTjeraXEachRt8ZsSeGaWTPLyMoG","type":"meta-pin","allocations":[],"max_depth":0,'
    b'"reference":"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn","timestamp":"0001-01-01T00:00:00Z"}\n'
)
SHARD = META.replace(b'"direct","shard_size":0', b'"recursive","shard_size":104857600').replace(
    b'"meta-pin","allocations":[],"max_depth":0', b'"shard-pin","allocations":[],"max_depth":1'
)


def read(content: bytes, **overrides: Any) -> list[Pin]:
    return list(Reader(BytesIO(content), Overrides(**overrides)).pins())


@pytest.mark.parametrize("content", [UPSTREAM, META, SHARD])
def test_what_ipfs_cluster_writes_is_read_and_written_again_byte_for_byte(content: bytes) -> None:
    (entry,) = read(content)
    assert line(entry) == content


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], None])
def test_what_equals_a_number_is_none(value: object) -> None:
    """After a line with the right one, which must not speak for it."""
    right = UPSTREAM.replace(b'"replication_factor_min":2', b'"replication_factor_min":1')
    wrong = right.replace(b'"replication_factor_min":1', b'"replication_factor_min":' + json.dumps(value).encode())
    with pytest.raises(BadState, match="line 2: replication_factor_min"):
        read(right + wrong)


def test_every_field_arrives() -> None:
    assert read(UPSTREAM) == [
        Pin(
            cids.parse("QmfM2r8seH2GiRaC4esTjeraXEachRt8ZsSeGaWTPLyMoG"),
            name="a <name> & more",
            allocations=(PEER, OTHER),
            replication_min=2,
            replication_max=3,
            metadata={"a": "1", "b": "2"},
            origins=(f"/ip4/10.0.0.1/tcp/4001/p2p/{OTHER}",),
            expire_at=1893553445.0,
            pin_update=cids.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
            timestamp=1714979289.0,
        )
    ]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.just(0.0) | st.integers(1, 4 * 10**9 * 10**6).map(lambda micros: micros / 1e6)
factors = st.just((-1, -1)) | st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))


@st.composite
def entries(draw: st.DrawFn) -> Pin:
    low, high = draw(factors)
    return Pin(
        cid(draw(st.integers(0, 99))),
        draw(st.sampled_from(PinMode)),
        draw(st.sampled_from(PinType)),
        draw(texts),
        draw(st.sampled_from([(), (PEER,), (OTHER, PEER)])),
        low,
        high,
        draw(st.dictionaries(texts, texts, max_size=3)),
        tuple(draw(st.lists(texts.map("/".__add__), max_size=2))),
        draw(times),
        draw(st.none() | st.just(cid(5))),
        draw(st.none() | st.just(cid(6))),
        draw(st.integers(0, 2**64 - 1)),
        draw(times),
    )


@given(entries(), st.sets(st.sampled_from(["metadata", "origins", "pin_update", "reference", "shard_size", "name"])))
def test_an_entry_is_written_as_the_rest_api_shows_it(entry: Pin, without: set[str]) -> None:
    """Whether it is a usual one, which has a fast way of its own, or not."""
    empty: dict[str, Any] = {"metadata": {}, "origins": (), "pin_update": None, "reference": None}
    empty |= {"shard_size": 0, "name": ""}
    entry = replace(entry, **{field: empty[field] for field in without})
    assert list(json.loads(line(entry)).items()) == list(shapes.pin(entry).items())


@pytest.mark.parametrize("origins", [(), ("/ip4/10.0.0.1",)])
def test_names_are_escaped_as_go_does(origins: tuple[str, ...]) -> None:
    entry = Pin(cid(1), name='<a> & "b"\u2028\u2029é\x7f\x01', origins=origins)
    assert b',"name":"\\u003ca\\u003e \\u0026 \\"b\\"\\u2028\\u2029\xc3\xa9\x7f\\u0001","mode"' in line(entry)


@given(st.lists(entries(), min_size=1, max_size=5))
def test_any_entry_survives_the_way_out_and_in(pins: list[Pin]) -> None:
    content = b"".join(map(line, pins))
    assert content.count(b"\n") == len(pins)
    found = read(content)
    assert [line(entry) for entry in found] == [line(entry) for entry in pins]
    whole = [replace(entry, expire_at=0.0, timestamp=0.0) for entry in found]
    assert whole == [replace(entry, expire_at=0.0, timestamp=0.0) for entry in pins]


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(UPSTREAM), **fields}).encode() + b"\n"


REFUSED = {
    b"{x\n": "line 2: not JSON: Expecting property name enclosed in double quotes at column 2",
    b"{\n": "line 2: the input ends in the middle of the entry: it is cut off",
    b"{\n\n": "line 2: the input ends in the middle of the entry: it is cut off",
    b'{"cid":\n\n"x" y\n': "line 2: not JSON: Expecting ',' delimiter at line 4, column 5",
    b'\n{"cid": "x",\n' + UPSTREAM: "line 3: not JSON: Expecting property name enclosed in double quotes at line 4,",
    b'{"name": "a\nb"}\n': "line 2: not JSON: Invalid control character at at column",
    b"{\n" * (MOST_LINES + 1): "line 2: not JSON: ",
    b"{" + b"\n" * MOST_LINES + b"}\n": f"line 2: longer than {MOST_LINES} lines",
    b"[]\n": "line 2: must be a JSON object",
    b"\xff\n": "line 2: not UTF-8: invalid start byte at byte 0",
    b"{}\n": "line 2: has no cid",
    UPSTREAM[:100]: "line 2: the input ends in the middle of the line: it is cut off",
    b"[" * 100_000 + b"\n": "line 2: not JSON: too deep",
    b" " * LONGEST + b"{}\n": f"line 2: longer than {LONGEST} bytes",
    changed(colour="red"): 'line 2: unknown field "colour"',
    changed(cid="Qm"): 'line 2: cid: "Qm": ',
    changed(cid=None): "line 2: cid: null must be a string",
    changed(type="bad-type"): 'line 2: type: "bad-type" is not known',
    changed(mode="sideways"): 'line 2: mode: "sideways" is not known',
    changed(mode=[]): "line 2: mode: [] is not known",
    changed(max_depth=0): "line 2: max_depth 0 does not go with mode recursive and type pin",
    changed(max_depth=2): "line 2: max_depth 2 does not go with",
    changed(replication_factor_min=4): "line 2: replication_factor_min 4 and replication_factor_max 3 together",
    changed(replication_factor_min=-1): "line 2: replication_factor_min -1 and replication_factor_max 3 together",
    changed(replication_factor_min=0): "line 2: replication_factor_min 0 and",
    changed(replication_factor_max=True): "line 2: replication_factor_max: true must be a whole number",
    changed(shard_size=-1): "line 2: shard_size: -1 must be a whole number",
    changed(name=7): "line 2: name: 7 must be a string",
    changed(metadata={"a": 1}): 'line 2: metadata: {"a": 1} must be a map of strings',
    changed(origins=["here"]): 'line 2: origins: "here" is no multiaddr',
    changed(allocations="x"): 'line 2: allocations: "x" must be a list of strings',
    changed(allocations=["../.."]): 'line 2: allocations: "../.." is no peer ID',
    changed(allocations=[PEER, PEER]): "line 2: allocations: a peer is named twice",
    changed(user_allocations=[1]): "line 2: user_allocations: [1] must be a list of strings",
    changed(expire_at="soon"): 'line 2: expire_at: "soon" must be a time',
    changed(expire_at="9999-12-31T23:59:59-01:00"): 'line 2: expire_at: "9999-12-31T23:59:59-01:00" must be a time',
    changed(expire_at="9999-12-31T23:59:59.999999999Z"): "line 2: expire_at: ",
    changed(expire_at="2030-13-02T03:04:05Z"): "line 2: expire_at: ",
    changed(timestamp=5): "line 2: timestamp: 5 must be a time",
    changed(timestamp="1969-12-31T00:00:00Z"): "line 2: timestamp: ",
    changed(pin_update="x"): 'line 2: pin_update: "x": cid too short',
    changed(reference=5): "line 2: reference: 5 must be a string",
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.items(), ids=[str(number) for number in range(len(REFUSED))])
def test_what_cannot_be_kept_is_refused_with_its_line(content: bytes, reason: str) -> None:
    with pytest.raises(BadState) as caught:
        read(UPSTREAM + content)
    assert str(caught.value).startswith(reason)


@given(st.binary(max_size=60))
def test_no_input_is_anything_but_entries_or_refused(content: bytes) -> None:
    try:
        read(content)
    except BadState:
        return
    assert content.strip().startswith(b"{")


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n"])
def test_an_empty_input_is_refused(content: bytes) -> None:
    with pytest.raises(BadState, match="the input is empty"):
        read(content)


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_entry_may_go_over_lines_with_blank_ones_between(indent: int | None) -> None:
    entries = [UPSTREAM, META, SHARD]
    written = [json.dumps(json.loads(entry), indent=indent).encode() for entry in entries]
    assert read(b"\n \n" + b"\n\n".join(written) + b"\n\n") == read(b"".join(entries))


def test_absent_fields_take_the_defaults() -> None:
    assert read(b'{"cid":"QmfM2r8seH2GiRaC4esTjeraXEachRt8ZsSeGaWTPLyMoG"}') == [
        Pin(cids.parse("QmfM2r8seH2GiRaC4esTjeraXEachRt8ZsSeGaWTPLyMoG"))
    ]


def test_nanoseconds_and_offsets_of_times() -> None:
    (entry,) = read(changed(timestamp="2024-05-06T09:08:09.123456789+02:00"))
    assert entry.timestamp == 1714979289.123456


def test_overrides() -> None:
    everywhere = changed(replication_factor_min=-1, replication_factor_max=-1, allocations=[])

    def taken(content: bytes, **overrides: Any) -> tuple[object, ...]:
        (entry,) = read(content, **overrides)
        return entry.replication_min, entry.replication_max, entry.allocations

    assert taken(UPSTREAM, replication_min=1) == (1, 3, (PEER, OTHER))
    assert taken(UPSTREAM, allocations=(OTHER,)) == (2, 3, (OTHER,))
    assert taken(UPSTREAM, replication_min=-1, replication_max=-1) == (-1, -1, ())
    assert taken(everywhere, allocations=(PEER,)) == (-1, -1, ())
    assert taken(everywhere, replication_min=1, replication_max=1, allocations=(PEER,)) == (1, 1, (PEER,))
    assert taken(META, replication_min=1, replication_max=1) == (1, 1, ())
    with pytest.raises(BadState, match="line 1: is on every peer: for replication factors 1 and 2"):
        read(everywhere, replication_min=1, replication_max=2)
    with pytest.raises(BadState, match="line 1: replication_factor_min 4 and replication_factor_max 3 together"):
        read(UPSTREAM, replication_min=4)
