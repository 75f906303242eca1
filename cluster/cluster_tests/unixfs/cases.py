"""What each vector of `vectors.tsv` imports, and with which options; the IDs are those of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster_tests.unixfs.streams import chacha20, drand, rnd
from cluster_tests.unixfs.trees import Directory, Entry, File, Symlink, tree
from ipfs_cluster.unixfs import Asked, Estimation, Metadata, Mtime

V1 = Asked(cid_version=1)
V0 = Asked()
V0_RAW = Asked(raw_leaves=True)
V1_PB = Asked(cid_version=1, raw_leaves=False)
PROFILE_V1 = Asked(cid_version=1, chunker="size-1048576", max_links=1024, estimation=Estimation.BLOCK)
TRICKLE = Asked(trickle=True)
LARGE = {"V043", "V044", "V045", "V052", "V053", "V054"}
"""Of 100 MiB and more: for the long tier."""


@dataclass(frozen=True)
class Case:
    """One vector."""

    make: Callable[[], Entry]
    asked: Asked


def expected() -> dict[str, tuple[str, int | None]]:
    """ID → CID, bytes of the DAG."""
    rows = (Path(__file__).parent / "vectors.tsv").read_text().splitlines()[1:]
    parts = [row.split("\t") for row in rows]
    return {name: (cid, int(size) if size else None) for name, cid, size in parts}


def _line(text: str) -> File:
    return File(text.encode() + b"\n")


def _lines(shape: dict[str, object]) -> Directory:
    """A tree whose texts end in a line feed."""
    return tree({path: value + "\n" if isinstance(value, str) else value for path, value in shape.items()})


def _numbered(first: int, last: int, width: int = 0) -> Directory:
    return Directory({b"file%0*d" % (width, n): File(b"%d\n" % n) for n in range(first, last + 1)})


def _names(count: int, length: int, last: int, seed: str) -> Directory:
    """Published names: consecutive bytes of a stream, as characters of an alphabet with a second 0."""
    alphabet = b"abcdefghijklmnopqrstuvwxyz01234567890-_"
    stream = drand(1 << 20, seed)
    entries: dict[bytes, Entry] = {}
    for number in range(count):
        size = last if number == count - 1 else length
        raw = stream[number * length : number * length + size]
        entries[bytes([alphabet[byte % 39] for byte in raw])] = File(b"x")
    return Directory(entries)


def _planets() -> Directory:
    return _lines({"mars.txt": "Hello Mars!", "venus.txt": "Hello Venus!"})


_HIDDEN: dict[str, object] = {
    ".gitignore": "mars.txt",
    ".pluto.txt": "Hello Pluto",
    ".charon.txt": "Hello Charon",
}
_ASTEROIDS: dict[str, object] = {".asteroids/ceres.txt": "Hello Ceres", ".asteroids/pallas.txt": "Hello Pallas"}
_PLAIN: dict[str, object] = {"mars.txt": "Hello Mars", "venus.txt": "Hello Venus"}


def _some(*numbers: int) -> dict[str, object]:
    return {f"file{n}": f"some text {n}" for n in numbers}


def _a() -> Directory:
    branch = _lines({"1.txt": "1", "D/2.txt": "2"})
    return _lines({"1.txt": "1", "B": branch, "C/B": branch, "D/2.txt": "2"})


def _mixed() -> Directory:
    return _lines(
        {
            "f1": "test",
            "f2": "data",
            "d1": _lines({"a": "hello", "128": rnd(128, 42)}),
            "d2": _lines({"a": "world", "1024": rnd(1024, 42), "bad\x7fname.txt": "badname"}),
        }
    )


def _linked() -> Directory:
    return _lines(
        {"foo/baz": "some text", "bar/baz": Symlink(b"files/foo/baz"), "bad": Symlink(b"files/does/not/exist")}
    )


_T = 1655158632


def _x(preserved: bool = True) -> Directory:
    def about(mode: int, later: int) -> Metadata:
        return Metadata(mode, Mtime(_T + later))

    sub2 = Directory({b"file3": File(b"", about(0o644, 10))}, about(0o755, 30))
    link1 = Symlink(b"../sub2/file3", about(0, 20))
    sub1 = Directory({b"link1": link1, b"sub2": sub2}, about(0o755, 40))
    return Directory(
        {
            b"dir1": Directory({}, about(0o755, 90)),
            b"dir2": Directory({b"sub1": sub1}, about(0o755, 50)),
            b"dir3": Directory({b"file2": File(b"", about(0o644, 60))}, about(0o755, 70)),
            b"file1": File(b"", about(0o644, 80)),
        },
        about(0o700, 0),
    )


def _sub1() -> Entry:
    dir2 = _x().entries[b"dir2"]
    assert isinstance(dir2, Directory)
    return dir2.entries[b"sub1"]


def _dir4() -> Directory:
    return _lines(_some(1, 2, 6))


def _dir2() -> Directory:
    return _lines({"dir4": _dir4(), **_some(1, 4)})


def _dir3() -> Directory:
    return _lines(_some(2, 5))


def _rnd5() -> File:
    return File(rnd(5 << 20, 41))


def _p(size: int = 5 << 20) -> File:
    return File(drand(5 << 20, "pinwire")[:size])


class _Drand:
    """A stream too long to hold."""

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._seed = seed

    def __iter__(self) -> Iterator[bytes]:
        return chacha20(self._size, self._seed)


def _texts() -> Iterator[tuple[str, Case]]:
    world, comma = File(b"hello world"), File(b"hello, world!")
    yield "V001", Case(lambda: world, V0)
    yield "V002", Case(lambda: world, V1)
    yield "V003", Case(lambda: world, V1_PB)
    yield "V004", Case(lambda: world, Asked(hash_function="sha2-512"))
    yield "V005", Case(lambda: comma, V0)
    yield "V006", Case(lambda: comma, V1)
    yield "V007", Case(lambda: comma, V1_PB)
    yield "V008", Case(lambda: comma, Asked(hash_function="sha3-256"))
    yield "V009", Case(lambda: comma, Asked(inline=True))
    yield "V010", Case(lambda: comma, Asked(inline=True, raw_leaves=True))
    yield "V011", Case(lambda: File(b""), Asked(inline=True, inline_limit=0, raw_leaves=True))
    yield "V012", Case(lambda: _line("jkD98jkD975hkD8"), Asked(inline=True, raw_leaves=True))
    yield "V013", Case(lambda: _line("foo"), Asked(hash_function="blake3"))
    yield "V014", Case(lambda: File(b""), V0)
    yield "V015", Case(lambda: File(b""), V0_RAW)
    plain = ["Hello Worlds!", "Helloo Worlds!", "IPFS", "Hello MFS!", "Hello Mars!", "Hello Venus!", "Hello Jupiter!"]
    plain += ["test", "this is a test", "set nocompatible", "World"]
    for number, text in enumerate(plain, 16):
        yield f"V{number:03}", Case(lambda text=text: _line(text), V0)  # type: ignore[misc]
    yield "V027", Case(lambda: File(b"Hello Neptune!\nHello Pluton!"), V0)
    yield "V028", Case(lambda: _line("Hello Worlds!"), TRICKLE)
    yield "V029", Case(lambda: _line("base32 test"), V0)
    for number, text in enumerate(["file1", "file2", "Hello Mars!", "Hello Venus!"], 30):
        yield f"V{number:03}", Case(lambda text=text: _line(text), V1)  # type: ignore[misc]


def _files() -> Iterator[tuple[str, Case]]:
    keys = File(b"aoeuidhtns" * 200)
    yield "V034", Case(lambda: keys, Asked(chunker="size-4"))
    yield "V035", Case(lambda: keys, Asked(chunker="size-4", trickle=True))
    yield "V036", Case(lambda: File(bytes(1_000_000)), V0)
    for name, size, seed, asked in [
        ("V037", 262144, "chunk-v0-seed", V0),
        ("V038", 262145, "chunk-v0-seed", V0),
        ("V039", 174 * 262144, "v0-seed", V0),
        ("V040", 174 * 262144 + 1, "v0-seed", V0),
        ("V041", 1048576, "chunk-v1-seed", PROFILE_V1),
        ("V042", 1048577, "chunk-v1-seed", PROFILE_V1),
        ("V043", 1 << 30, "v1-2025-seed", PROFILE_V1),
        ("V044", (1 << 30) + 1, "v1-2025-seed", PROFILE_V1),
        ("V045", 256 << 20, "hello world", Asked(max_links=1024)),
    ]:
        yield name, Case(lambda size=size, seed=seed: File(_Drand(size, seed)), asked)  # type: ignore[misc]
    blake = Asked(hash_function="blake2b-256")
    yield "V046", Case(_rnd5, V0)
    yield "V047", Case(_rnd5, V0_RAW)
    yield "V048", Case(_rnd5, V1)
    yield "V049", Case(_rnd5, V1_PB)
    yield "V050", Case(_rnd5, blake)
    yield "V051", Case(_rnd5, Asked(hash_function="blake2b-256", raw_leaves=False))
    for name, asked in [("V052", V0), ("V053", V1), ("V054", blake)]:
        yield name, Case(lambda: File(rnd(100 << 20, 42)), asked)
    yield "V055", Case(lambda: File(rnd(128, 42)), V0)
    yield "V056", Case(lambda: File(rnd(1024, 42)), V0)
    yield "V057", Case(lambda: File(rnd(1_000_000, 3)), V0_RAW)
    three = {f"file{n}": size for n, size in [(1, 1000), (2, 10_000), (3, 1_000_000)]}
    for name in ("V058", "V059"):
        yield name, Case(lambda: tree({k: rnd(size, int(k[4:])) for k, size in three.items()}), V0_RAW)


def _directories() -> Iterator[tuple[str, Case]]:
    blake = Asked(hash_function="blake2b-256")
    for name, asked in [("V060", V0), ("V061", V1), ("V062", blake)]:
        yield name, Case(Directory, asked)
    yield "V063", Case(lambda: _lines({"hey": "Hey", "hello/world": "World"}), V0)
    yield "V064", Case(lambda: _lines({"mfs1.txt": "file1", "mfs2.txt": "file2"}), V1)
    for name, asked in [("V065", V0), ("V066", V0_RAW), ("V067", V1), ("V068", V1_PB), ("V069", blake)]:
        yield name, Case(_planets, asked)
    yield "V070", Case(lambda: _lines(_PLAIN), V0)
    yield "V071", Case(lambda: _lines({**_PLAIN, **_HIDDEN, **_ASTEROIDS}), V0)
    yield "V072", Case(lambda: _lines({"venus.txt": "Hello Venus", **_HIDDEN, **_ASTEROIDS}), V0)
    yield "V073", Case(lambda: _lines(_HIDDEN), V0)
    moons: dict[str, object] = {"jupiter/europa.txt": "Hello Europa!", "mercury.txt": "hey you are no moon!"}
    yield "V074", Case(lambda: _lines({**moons, "saturn/titan.txt": "Hello Titan!"}), V0)
    two = {"bar": "hello2", "foo": "hello1"}
    yield "V075", Case(lambda: tree(two), V0)
    yield "V076", Case(lambda: tree({"t": two}), V0)
    yield "V077", Case(lambda: tree({"abc/def": "world", **two}), V0)
    yield "V078", Case(lambda: tree({"def": "world"}), V0)
    yield "V079", Case(lambda: tree({"t": {"abc/def": "world", **two}}), V0)
    yield "V080", Case(lambda: tree({"foo": "hello, world!"}), V0)
    yield "V081", Case(lambda: tree({"t": {".bar": "hello2", **two}}), V0)
    yield "V082", Case(_a, V0)
    yield "V083", Case(lambda: _lines({f"file{n}": f"file{n}" for n in (1, 2, 3)}), V0)
    yield "V084", Case(_dir4, V0)
    yield "V085", Case(_dir2, V0)
    yield "V086", Case(_dir3, V0)
    yield "V087", Case(lambda: _lines({"dir2": _dir2(), "dir3": _dir3(), **_some(1, 2, 3)}), V0)
    yield "V088", Case(lambda: _lines({f"file{n}": f"some nopin text {n}" for n in (1, 2)}), V0)
    test = "this is a test"
    yield "V089", Case(lambda: _lines({"FILE": test, **{f"a/b/{x}/TEST": test for x in "cde"}}), V0)
    yield "V090", Case(_mixed, V0)
    yield "V091", Case(_linked, V0)
    yield "V092", Case(_linked, V1)
    yield "V093", Case(lambda: Symlink(b"files/foo/baz"), V0)
    yield "V094", Case(lambda: Symlink(b"files/does/not/exist"), V0)


def _sharded() -> Iterator[tuple[str, Case]]:
    yield "V095", Case(lambda: _numbered(1, 2000), V0)
    yield "V096", Case(lambda: _numbered(1, 2000), Asked(hamt_threshold=1))
    yield "V097", Case(lambda: _numbered(1, 2000), Asked(cid_version=1, hamt_threshold=1))
    yield "V098", Case(lambda: _numbered(1, 5960, 6), V0)
    yield "V099", Case(lambda: _numbered(6, 5960, 6), V0)
    yield "V100", Case(lambda: _numbered(1, 100), Asked(trickle=True, hamt_threshold=1))
    yield "V102", Case(lambda: _names(4096, 30, 30, "hamt-unixfs-v0-2015"), V0)
    yield "V103", Case(lambda: _names(4033, 31, 31, "hamt-unixfs-v0-2015"), V0)
    yield "V104", Case(lambda: _names(4766, 11, 21, "hamt-unixfs-v1-2025"), PROFILE_V1)
    yield "V105", Case(lambda: _names(4766, 11, 22, "hamt-unixfs-v1-2025"), PROFILE_V1)


def _metadata() -> Iterator[tuple[str, Case]]:
    def mtime(seconds: int, nanos: int = 0, mode: int = 0) -> Asked:
        return Asked(mode=mode, mtime=seconds, mtime_nanos=nanos)

    empty: dict[str, Asked] = {
        "V106": Asked(mode=0o640),
        "V107": mtime(1604320482),
        "V108": mtime(1604320482, mode=0o640),
        "V109": Asked(mode=0o764),
        "V110": mtime(1603539720),
        "V111": mtime(1603539720, 54321),
        "V112": mtime(1603539720, 54321, 0o764),
    }
    for name, asked in empty.items():
        yield name, Case(lambda: File(b""), asked)
    for name, asked in [("V113", empty["V107"]), ("V114", empty["V110"]), ("V115", empty["V111"])]:
        yield name, Case(lambda: Symlink(b"nothing"), asked)
    yield "V116", Case(Directory, Asked(mode=0o755))
    yield "V117", Case(Directory, mtime(1655158722))
    yield "V118", Case(Directory, Asked(mode=0o713))
    yield "V119", Case(Directory, empty["V110"])
    yield "V120", Case(Directory, empty["V111"])
    yield "V121", Case(_x, Asked(preserve_mode=True, preserve_mtime=True))
    yield "V122", Case(_sub1, Asked(preserve_mode=True, preserve_mtime=True))
    yield "V123", Case(_x, Asked(mode=0o753))
    yield "V124", Case(_x, mtime(1603539720))


def _derived() -> Iterator[tuple[str, Case]]:
    for name, size, asked in [
        ("D01", 5 << 20, Asked(chunker="buzhash")),
        ("D02", 5 << 20, Asked(chunker="buzhash", cid_version=1)),
        ("D03", 5 << 20, Asked(chunker="buzhash", trickle=True)),
        ("D04", 5 << 20, Asked(chunker="rabin")),
        ("D05", 5 << 20, Asked(chunker="rabin", cid_version=1)),
        ("D06", 5 << 20, Asked(chunker="rabin-131072")),
        ("D07", 200_000, Asked(chunker="rabin-36-512-1024")),
        ("D08", 200_000, Asked(chunker="rabin-min:36-avg:512-max:1024", trickle=True)),
        ("D09", 696, Asked(chunker="size-4")),
        ("D10", 696, Asked(chunker="size-4", trickle=True)),
        ("D11", 697, Asked(chunker="size-4")),
        ("D12", 697, Asked(chunker="size-4", trickle=True)),
        ("D13", 3480, Asked(chunker="size-4")),
        ("D14", 3480, Asked(chunker="size-4", trickle=True)),
        ("D15", 40_000, Asked(chunker="size-4")),
        ("D16", 40_000, Asked(chunker="size-4", trickle=True)),
        ("D17", 40_000, Asked(chunker="size-4", cid_version=1)),
        ("D18", 40_000, Asked(chunker="size-4", cid_version=1, trickle=True)),
        ("D19", 40_000, Asked(chunker="size-4", max_links=5)),
        ("D20", 40_000, Asked(chunker="size-4", max_links=5, trickle=True)),
        ("D21", 200_000, Asked(chunker="size-1", cid_version=1)),
    ]:
        yield name, Case(lambda size=size: _p(size), asked)  # type: ignore[misc]
    yield "D22", Case(lambda: File(b""), Asked(trickle=True, cid_version=1))
    yield "D23", Case(lambda: _numbered(1, 100), Asked(cid_version=1, max_directory_links=50))
    yield "D24", Case(lambda: _numbered(1, 100), Asked(cid_version=1, max_directory_links=50, hamt_fanout=16))
    yield "D25", Case(lambda: _numbered(1, 100), V1)


CASES: dict[str, Case] = dict(
    row for group in (_texts, _files, _directories, _sharded, _metadata, _derived) for row in group()
)
