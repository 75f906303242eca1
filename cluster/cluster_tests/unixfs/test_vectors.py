"""All published vectors, and the derived ones."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster_tests.unixfs.cases import CASES, LARGE, expected
from cluster_tests.unixfs.trees import imported
from ipfs_cluster import cid as cids
from ipfs_cluster import multihash
from ipfs_cluster.unixfs import Asked, DirectoryImport, FileImport, Pooled, resolve

BY_HAND = {"V101", "V125", "V126", "V127", "V128", "V129"}
VECTORS = expected()


def _check(name: str) -> None:
    case = CASES[name]
    with ThreadPoolExecutor(2) as pool:
        leaves = Pooled(pool) if name in LARGE else None
        out = imported(case.make(), resolve(case.asked), leaves=leaves, keep=name not in LARGE)
    cid, size = VECTORS[name]
    assert cids.text_in(out.root.cid, "base32" if name in ("V029", "V059") else None) == cid
    assert size is None or out.root.tsize == size


def test_every_vector_is_a_case() -> None:
    assert set(CASES) | BY_HAND == set(VECTORS)


@pytest.mark.parametrize("name", [name for name in CASES if name not in LARGE])
def test_vector(name: str) -> None:
    _check(name)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(LARGE))
def test_large_vector(name: str) -> None:
    _check(name)


def test_files_of_one_version_in_a_directory_of_another() -> None:
    """V101: written by `files/write`, v0, into a directory made with cid-version=1."""
    directory = DirectoryImport(resolve(Asked(cid_version=1, hamt_threshold=1)))
    for number in range(1, 101):
        file = FileImport(resolve(Asked(trickle=True)))
        list(file.feed(b"%d\n" % number))
        list(file.finish())
        assert file.node is not None
        directory.add(b"file%d" % number, file.node)
    list(directory.finish())
    assert directory.node is not None
    assert (cids.text(directory.node.cid), directory.node.tsize) == VECTORS["V101"]


@pytest.mark.parametrize(
    ("name", "codec", "function", "length", "data"),
    [
        ("V125", cids.RAW, "sha3", 20, b"foooo\n"),
        ("V126", cids.DAG_PB, "sha3", 20, b"foooo\n"),
        ("V127", cids.DAG_CBOR, "sha2-256", 32, base64.b64decode("omREYXRhRQABAgMEZUxpbmtzgA==")),
        ("V128", cids.DAG_PB, "sha2-256", 32, base64.b64decode("CgUAAQIDBA==")),
        ("V129", cids.RAW, "sha2-256", 32, b"Hello Mars!\n"),
    ],
)
def test_block_vector(name: str, codec: int, function: str, length: int, data: bytes) -> None:
    hasher = multihash.named(function)
    digest = hasher.multihash([data])[-hasher.size :]
    cid = cids.make(codec, hasher.wrap(digest[:length]))
    assert cids.text(cid) == VECTORS[name][0]
    assert multihash.fault(cids.multihash(cid), [data]) is None
    assert multihash.fault(cids.multihash(cid), [data + b"x"]) == "data did not match its hash"


def test_events_come_in_the_daemons_order() -> None:
    moons = imported(CASES["V074"].make(), resolve(Asked()), b"moons")
    assert [event.path for event in moons.events] == [
        b"moons/jupiter/europa.txt",
        b"moons/mercury.txt",
        b"moons/saturn/titan.txt",
        b"moons/jupiter",
        b"moons/saturn",
        b"moons",
    ]
    wrapped = imported(CASES["V077"].make(), resolve(Asked()), b"")
    assert [(event.path, event.size) for event in wrapped.events] == [
        (b"abc/def", 13),
        (b"bar", 14),
        (b"foo", 14),
        (b"abc", 62),
        (b"", 229),
    ]
