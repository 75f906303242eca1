"""Multipart bodies in any split, beside the email package; part names; the entries of an `add`."""

from __future__ import annotations

import email.message
import email.policy
import re
from email.parser import BytesParser

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ipfs_cluster.wire.multipart import (
    HEADERS_LIMIT,
    EntryNames,
    MultipartError,
    MultipartParser,
    Part,
    PartEnd,
    boundary_of,
)

B = b"Bound"


def parse(
    body: bytes, cuts: list[int] | range = range(0), boundary: bytes = B
) -> tuple[list[tuple[Part, bytes]], bool]:
    """The parts of a body that is fed in pieces, and whether it was finished. Checks the order of events."""
    parser = MultipartParser(boundary)
    parts: list[tuple[Part, bytes]] = []
    content: list[bytes] | None = None
    at = 0
    for place in sorted({min(cut, len(body)) for cut in cuts} | {len(body)}):
        for event in parser.feed(body[at:place]):
            match event:
                case Part():
                    assert content is None
                    content = []
                    parts.append((event, b""))
                case bytes():
                    assert event
                    assert content is not None
                    content.append(event)
                case PartEnd():
                    assert content is not None
                    parts[-1] = (parts[-1][0], b"".join(content))
                    content = None
        at = place
    if content:
        parts[-1] = (parts[-1][0], b"".join(content))
    return parts, parser.finished


DELIMITER = re.compile(rb"\r\n--Bound([ \t\r\n]|--)")
"""Go's rule: white space after the boundary, or "--" to end; all else is content."""

HEADERS = st.lists(
    st.sampled_from(
        [
            b'Content-Disposition: form-data; name="file"; filename="a%2Fb"',
            b'content-disposition: attachment; filename="x y"',
            b"Content-Type: application/x-directory",
            b"Abspath-Encoded: %2Ftmp",
        ]
    ),
    unique=True,
    max_size=3,
)
CONTENT = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"--", b"\r\n--", b"\r", b"\n", b"-", b"\r\n--Boun", b"\r\n--Boundary", b"--Bound"]),
        st.sampled_from([b"\r\n--Bound-x", b"\r\n--Boundx--\r\n", b"\r\n--bound--"]),
        st.binary(max_size=5),
    ),
    max_size=6,
).map(b"".join)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A body and its parts' contents, which are full of what is nearly a delimiter."""
    body = draw(st.sampled_from([b"", b"preamble\r\n", b"\r\n", b"--Boun\r\n"]))
    parts = draw(st.lists(st.tuples(HEADERS, CONTENT), max_size=4))
    for headers, content in parts:
        assume(DELIMITER.search(b"\r\n" + content + b"\r\n") is None)
        body += b"--" + B + draw(st.sampled_from([b"\r\n", b"  \t\r\n"]))
        body += b"".join(header + b"\r\n" for header in headers) + b"\r\n" + content + b"\r\n"
    end = draw(st.sampled_from([b"", b"\r\n", b"\r\nepilogue\r\n--Bound\r\n\r\nx"]))
    return body + b"--" + B + b"--" + end, [content for _, content in parts]


@settings(max_examples=600, deadline=None)
@given(made=bodies(), cuts=st.lists(st.integers(0, 300), max_size=8))
@example(made=(b"--Bound\r\n\r\n\r\n--Bound--", [b""]), cuts=[])
@example(made=(b"--Bound\r\n\r\n--Bound--", [b""]), cuts=[])
@example(made=(b"--Bound\r\nX: y\r\n\r\n--Bound\r\n\r\n\r\n--Bound--", [b"", b""]), cuts=[])
@example(made=(b"--Bound\r\n\r\nx\r\n--Bounder\r\n--Bound--", [b"x\r\n--Bounder"]), cuts=[])
def test_a_body_has_its_parts_in_any_split(made: tuple[bytes, list[bytes]], cuts: list[int]) -> None:
    body, contents = made
    parts, finished = parse(body)
    assert finished
    assert [content for _, content in parts] == contents
    assert parse(body, cuts) == (parts, True)
    assert parse(body, range(len(body))) == (parts, True)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=30).filter(lambda data: b"Bound" not in data)), max_size=4))
def test_a_plain_body_has_the_parts_that_the_email_package_sees(given_parts: list[tuple[list[bytes], bytes]]) -> None:
    body = b"".join(
        b"--Bound\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + content.hex().encode() + b"\r\n"
        for headers, content in given_parts
    )
    body += b"--Bound--\r\n"
    parts, finished = parse(body)
    message = BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: multipart/form-data; boundary=Bound\r\n\r\n" + body
    )
    theirs = list(message.iter_parts()) if given_parts else []
    assert finished
    assert [content.decode() for _, content in parts] == [their.get_payload() for their in theirs]
    for (part, _), their in zip(parts, theirs, strict=True):
        assert isinstance(their, email.message.EmailMessage)
        assert (part.content_type == "application/x-directory") == (
            their.get_content_type() == "application/x-directory"
        )
        assert (part.filename is None) == (their.get_filename() is None)


def test_content_is_handed_out_before_the_part_ends() -> None:
    parser = MultipartParser(B)
    events = list(parser.feed(b"--Bound\r\n\r\n" + b"x" * 1000))
    assert sum(len(event) for event in events if isinstance(event, bytes)) >= 1000 - len(B) - 4
    assert list(parser.feed(b"\r\n--Bound")) != []
    assert not parser.finished


def test_nothing_is_kept_without_bound() -> None:
    with pytest.raises(MultipartError, match="headers too large"):
        parse(b"--Bound\r\n" + b"a" * (HEADERS_LIMIT + 1))
    with pytest.raises(MultipartError, match="delimiter line too long"):
        parse(b"--Bound\r\n\r\nx\r\n--Bound " + b" " * (HEADERS_LIMIT + 1))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_garbage_parses_or_is_refused(data: bytes, cuts: list[int]) -> None:
    for body in (data, b"--Bound\r\n" + data, b"--Bound\r\n\r\n" + data):
        try:
            parse(body, cuts)
        except MultipartError:
            pass


def test_an_unfinished_body_is_seen() -> None:
    assert not parse(b"--Bound\r\n\r\nabc")[1]
    assert not parse(b"--Bound\r\n\r\nabc\r\n--Bound")[1]
    assert not parse(b"--Bound\r\n\r\nabc\r\n--Bound-")[1]
    assert parse(b"--Bound\r\n\r\nabc\r\n--Bound--")[1]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ("Multipart/Form-Data;BOUNDARY=abc; charset=x", b"abc"),
        ('multipart/form-data; boundary="a b;c"', b"a b;c"),
        ('multipart/form-data; boundary="a\\"b"', b'a"b'),
        ('multipart/form-data; x="; boundary=evil"; boundary=good', b"good"),
        ("multipart/form-data; boundary=-----x", b"-----x"),
        ("multipart/form-data", None),
        ('multipart/form-data; boundary=""', None),
        ("multipart/form-datax; boundary=abc", None),
        ("multipart/mixed; boundary=abc", None),
        ("text/plain; boundary=abc", None),
        ("", None),
    ],
)
def test_boundaries(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


def part(*headers: str) -> Part:
    """The part with these headers."""
    block = "".join(f"{header}\r\n" for header in headers)
    ((found, content),), _ = parse(f"--Bound\r\n{block}\r\nx\r\n--Bound--".encode("utf-8", "surrogateescape"))
    assert content == b"x"
    return found


@pytest.mark.parametrize(
    ("written", "filename"),
    [
        ('filename="a.txt"', "a.txt"),
        ("filename=a.txt", "a.txt"),
        ('filename="d%2Fa+b%2B.txt"', "d/a b+.txt"),
        ('filename="a%20b"', "a b"),
        ('filename="100%"', "100%"),
        ('filename="a+b%zz"', "a+b%zz"),
        ('filename="ü"', "ü"),
        ('filename="%C3%BC"', "ü"),
        ("filename*=UTF-8''%C3%BC%20x", "ü x"),
        ("filename*=koi8-r''%C3", None),
        ('filename="/a//b/./c/"', "a/b/c"),
        ('filename="../../etc/passwd"', "etc/passwd"),
        ('filename="%2e%2e%2Fx"', "x"),
        ('filename=""', ""),
        ('filename="/"', ""),
        ('filename="a\\"b"', 'a"b'),
        ('filename="C:\\dir\\a"', "C:\\dir\\a"),
        ('name="x"', None),
        ('name="a; filename=evil"; filename="good"', "good"),
        ('FileName="x"', "x"),
    ],
)
def test_filenames_as_kubo_reads_them(written: str, filename: str | None) -> None:
    assert part(f"Content-Disposition: form-data; {written}").filename == filename
    assert part(f"content-disposition: attachment; {written}").filename == filename


def test_a_filename_that_is_no_utf8_keeps_its_bytes() -> None:
    found = part('Content-Disposition: form-data; filename="\udcff%FE"')
    assert found.filename == "\udcff\udcfe"


def test_names_types_and_directories() -> None:
    found = part(
        'Content-Disposition: form-data; name="file?mode=0640&mtime=1"; filename="a"', "Content-Type: Text/X; q=1"
    )
    assert (found.name, found.content_type, found.directory) == ("file?mode=0640&mtime=1", "text/x", False)
    for kind, directory in (
        ("application/x-directory", True),
        ("multipart/form-data", True),
        ("multipart/mixed", False),
        ("application/symlink", False),
        ("application/octet-stream", False),
    ):
        assert part(f"Content-Type: {kind}").directory is directory
    assert part() == Part(None, "", "", readable=False)


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        ('form-data; name="file"; filename="a;b=\\"c"', True),
        ("attachment; filename=a;", True),
        ("form-data", True),
        ("", False),
        ("garbage;;=", False),
        ("form-data; filename=a b", False),
        ("form-data; filename=a/b", False),
        ('form-data; filename="a', False),
        ('form-data; filename="a"; FILENAME="b"', False),
    ],
)
def test_a_part_that_go_cannot_read_ends_the_upload(value: str, readable: bool) -> None:
    found = part(f"Content-Disposition: {value}")
    assert found.readable is readable
    names = EntryNames()
    for each in (Part("first", "", ""), found, Part("last", "", "")):
        names.add(each)
    assert names.entries[0] == "first"
    assert (names.entries[-1] == "last") is readable


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
@pytest.mark.parametrize("preamble", [b"", b"preamble\n", b"--Bounder\n--Bound x\n", b"--Bound \r \n"])
def test_lines_end_as_go_allows(preamble: bytes, line: bytes, end: bytes) -> None:
    """Delimiters as the first one does, header lines as they like; long headers go on in the next line."""
    head = b"Content-Disposition: form-data;" + line + b"\t filename=x" + line + b"Content-Type: a/b" + line + line
    body = preamble + b"--Bound \t" + end + head + b"x\n\r" + end + b"--Bound" + end + line + end + b"--Bound--"
    parts = [(Part("x", "", "a/b"), b"x\n\r"), (Part(None, "", "", readable=False), b"")]
    assert parse(body) == parse(body, range(len(body))) == (parts, True)


# --- which entries an add has (spec 3.2, 3.5) ---


def entries(*names: str | None) -> list[str | None]:
    """Names ending in "/" are explicit directories; "/" alone is the unnamed one."""
    found = EntryNames()
    for name in names:
        kind = "application/x-directory" if name is not None and name.endswith("/") else ""
        found.add(Part(name.removesuffix("/") if name is not None else None, "", kind))
    return found.entries


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (["a", "a"], ["a", "a"]),
        (["d/", "d/a", "d/b"], ["d"]),
        (["d/a", "d/b/c"], ["d"]),
        (["d/", "d/sub/", "d/sub/x", "d/y"], ["d"]),
        (["d/"], ["d"]),
        (["d/", "e/", "e/x"], ["d", "e"]),
        (["d/x", "d/"], ["d", "d"]),
        (["d/", "d/"], ["d", "d"]),
        (["d/x", "f", "d/y"], ["d", "f", "d"]),
        (["d/x", "e/x", "d/y"], ["d", "e", "d"]),
        (["d", "d/x", "e", "d/x"], ["d", "e", "d"]),
        (["d", "d/", "d/x"], ["d", "d"]),
        (["f", "d/", "d/x"], ["f", "d"]),
        (["dd/x", "d/x"], ["dd", "d"]),
        ([None], [None]),
        ([""], [None]),
        ([None, None, "a"], [None, None, "a"]),
        (["/", "a", "sub/", "sub/b"], [""]),
        (["/", "a", None, "b"], [""]),
        (["/", "a", "/", "b"], [""]),
        (["\udcffx", "\udcff/a", "\udcff/b"], ["\ufffdx", "\ufffd"]),
        (["a", "/", "a"], ["a", ""]),
    ],
)
def test_entries(names: list[str | None], expected: list[str | None]) -> None:
    assert entries(*names) == expected


@given(st.lists(st.sampled_from(["a", "b", "d/", "d/x", "d/y", "e/x", "e/"]), max_size=10))
def test_entries_for_a_dumb_reader(names: list[str]) -> None:
    expected: list[str] = []
    above = None  # the entry whose children are no entries: a directory's join it, a file's are passed over
    for name in names:
        top, _, rest = name.partition("/")
        child = bool(rest)
        if not (child and above == top):
            expected.append(top)
        above = top
    assert entries(*names) == expected


def test_directories_are_remembered_if_asked_for() -> None:
    names = EntryNames(directories=True)
    for part_ in (Part("d/e/x", "", ""), Part("f", "", ""), Part("g", "", "application/x-directory")):
        names.add(part_)
    assert [name for name in ("", "d", "d/e", "g", "d/e/x", "f", "x") if names.is_directory(name)] == [
        "",
        "d",
        "d/e",
        "g",
    ]
    assert not EntryNames().is_directory("")
