"""MFS and archives of an embedded node, beside a bare Kubo: the same steps, one after the other."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from compat_tests.harness.embedded import check, same
from compat_tests.harness.http import file_part, multipart, post
from compat_tests.harness.twins import Pair

LINKED = "a link to a symbolic link is made without a complaint"
AGAIN = "a file that is written to again is laid out anew; Kubo's CID depends on how it came about"
STEPS: list[tuple[str, bytes | None, str | None]] = [
    ("ls", None, None),
    ("mkdir?arg=/a", None, None),
    ("mkdir?arg=/a", None, None),
    ("mkdir?arg=/b/c", None, None),
    ("mkdir?arg=/b/c&parents=1", None, None),
    ("mkdir?arg=/b/c&parents=1", None, None),
    ("mkdir?arg=/", None, None),
    ("mkdir?arg=/v1&cid-version=1", None, None),
    ("mkdir?arg=/h&hash=blake2b-256", None, None),
    ("mkdir?arg=/h2&hash=nosuch", None, None),
    ("cp?arg=/ipfs/{dir}&arg=/d", None, None),
    ("cp?arg=/ipfs/{dir}&arg=/d", None, None),
    ("cp?arg=/ipfs/{a}&arg=/a/", None, None),
    ("cp?arg=/nosuch&arg=/x", None, None),
    ("cp?arg=/ipfs/{dir}/nosuch&arg=/x", None, None),
    ("cp?arg=/d/a&arg=/no/such/x", None, None),
    ("cp?arg=/d/a&arg=/no/such/x&parents=1", None, None),
    ("cp?arg=/d/a&arg=/copy", None, None),
    ("cp?arg=/d/a&arg=/copy&force=1", None, None),
    ("cp?arg=/d/a&arg=/d&force=1", None, None),
    ("cp?arg=/ipfs/{cbor}&arg=/cb", None, None),
    ("cp?arg=/ipfs/{raw}&arg=/raw", None, None),
    ("cp?arg=foo&arg=/y", None, None),
    ("cp?arg=/d/a&arg=/", None, None),
    ("cp?arg=/d/a&arg=/copy/x", None, None),
    ("ls?arg=/&long=1", None, None),
    ("ls?arg=/&long=1&cid-base=base32", None, None),
    ("ls?arg=/empty&long=1&cid-base=base32", None, None),
    ("ls?arg=/c1&l=1&cid-base=base16&encoding=text", None, None),
    ("ls?arg=/empty&cid-base=base32", None, None),
    ("ls?arg=/d/a&long=1", None, None),
    ("ls?arg=/d/sub/b/x", None, None),
    ("ls?arg=/&long=1&encoding=text", None, None),
    ("stat?arg=/v1", None, None),
    ("stat?arg=/h", None, None),
    ("stat?arg=/d", None, None),
    ("stat?arg=/d&with-local=1", None, None),
    ("stat?arg=/d&encoding=text", None, None),
    ("write?arg=/w", b"x", None),
    ("write?arg=/w&create=1", b"hello", None),
    ("stat?arg=/w", None, None),
    ("write?arg=/w&offset=3", b"XY", None),
    ("read?arg=/w", None, None),
    ("write?arg=/w&offset=-1", b"x", None),
    ("write?arg=/no/such/where/w&create=1", b"x", None),
    ("write?arg=/np/w&create=1&parents=1", b"x", None),
    ("write?arg=/d", b"x", None),
    ("write?arg=/nf/&create=1", b"x", None),
    ("write?arg=/r&create=1&raw-leaves=1", b"hello", None),
    ("write?arg=/c1&create=1&cid-version=1", b"hello", None),
    ("write?arg=/b2&create=1&hash=blake2b-256", b"hello", None),
    ("write?arg=/big&create=1", b"y" * 600_000, None),
    ("write?arg=/big1&create=1&cid-version=1", b"y" * 600_000, None),
    ("write?arg=/empty&create=1", b"", None),
    ("ls?arg=/&long=1", None, None),
    ("flush", None, None),
    ("write?arg=/big&offset=300000", b"z" * 10, None),
    ("flush?encoding=text", None, None),
    ("read?arg=/w&offset=100", None, None),
    ("read?arg=/w&offset=1&count=2", None, None),
    ("read?arg=/d", None, None),
    ("read?arg=/nosuch", None, None),
    ("mv?arg=/w&arg=/w2", None, None),
    ("mv?arg=/nosuch&arg=/x", None, None),
    ("mv?arg=/w2&arg=/d", None, None),
    ("mv?arg=/d/w2&arg=/np/", None, None),
    ("mv?arg=/np/w&arg=/np/w2", None, None),
    ("mv?arg=/&arg=/x", None, None),
    ("mv?arg=/r&arg=/c1", None, None),
    ("mv?arg=/copy&arg=/zz/", None, None),
    ("rm?arg=/nosuch", None, None),
    ("rm?arg=/d", None, None),
    ("rm?arg=/", None, None),
    ("rm?arg=x", None, None),
    ("rm?arg=/c1&arg=/nosuch&arg=/b2", None, None),
    ("rm?arg=/nosuch&force=1", None, None),
    ("rm?arg=/b2&flush=false", None, None),
    ("rm?arg=/d&recursive=1", None, None),
    ("ls?arg=/&long=1", None, None),
    ("flush?arg=/nosuch", None, None),
    ("flush", None, None),
    ("mv?arg=/no&arg=/no/such/y", None, "a directory cannot be moved into itself; Kubo loses it"),
    ("write?arg=/empty&offset=5", b"Z", None),
    ("stat?arg=/empty", None, AGAIN),
    ("cp?arg=/ipfs/{symlink}&arg=/sym", None, LINKED),
    ("chcid?arg=/v1&cid-version=1", None, "not there"),
]


def test_mfs_step_by_step(pair: Pair) -> None:
    for index, (step, content, reason) in enumerate(STEPS):
        path, key = f"/api/v0/files/{step}", f"step {index}: {step}"
        if content is None:
            check(pair, path, reason, key=key)
        else:
            headers, body = multipart(("x", content, "application/octet-stream"))
            check(pair, path, reason, key=key, headers=headers, body=body)


@pytest.mark.parametrize("name", ["dir", "a", "symlink", "raw", "hamt", "modes", "empty"])
@pytest.mark.parametrize("query", ["", "&archive=true&compress=true"])
def test_archives_hold_the_same(pair: Pair, name: str, query: str) -> None:
    """Byte for byte they differ: Kubo writes the time of the request with its fraction where there is none."""
    seen = []
    for answer in pair.both(f"/api/v0/get?arg={{{name}}}{query}"):
        _, headers, *_ = same(answer)
        with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
            members = [
                (entry.name, entry.type, entry.mode, entry.linkname, entry.size, name == "modes" and int(entry.mtime))
                for entry in archive
            ]
        seen.append((headers, members))
    assert seen[1] == seen[0]


def test_what_is_collected_and_verified(pair: Pair) -> None:
    pair.reset()
    loose = [post(node, "/api/v0/add?pin=false", headers=headers, body=body) for node, (headers, body) in (
        (address, multipart(file_part("loose", b"nobody's\n"))) for address in (pair.bare.address, pair.other.address)
    )]  # fmt: skip
    assert same(loose[1]) == same(loose[0])
    assert json.loads(post(pair.other.address, "/api/v0/repo/verify").text.splitlines()[-1])["Msg"].startswith("verify")
