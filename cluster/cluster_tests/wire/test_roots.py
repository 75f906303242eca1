"""Which events of an add report roots."""

from __future__ import annotations

import json

import pytest

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import NodeError
from ipfs_cluster.wire.roots import AddRoots

CID = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"


def body(*names: str) -> bytes:
    parts = [f'--B\r\nContent-Disposition: form-data; filename="{name}"\r\n\r\nx\r\n' for name in names]
    return "".join([*parts, "--B--\r\n"]).encode()


def event(name: str) -> bytes:
    return json.dumps({"Name": name, "Hash": CID}, separators=(",", ":")).encode()


def roots(body: bytes, *names: str, wrap: bool = False) -> list[str]:
    """The names of the events that report roots, after a clean end."""
    read = AddRoots(b"B", wrap=wrap, directories=False)
    for at in range(0, len(body), 15_000):
        read.saw(body[at : at + 15_000])
    follower = read.follow()
    found = [name for name in names if follower.line(event(name)).root]
    follower.finish()
    return found


def test_each_entry_and_nothing_else() -> None:
    assert roots(body("a", "d%2Fx", "d%2Fs%2Fy", "a"), "a", "d/x", "d/s/y", "d/s", "d", "a") == ["a", "d", "a"]
    assert roots(body("%FF", "e%E2%82"), "\ufffd", "e\ufffd\ufffd") == ["\ufffd", "e\ufffd\ufffd"]
    assert roots(body(""), CID) == [CID]
    assert roots(body("a", "d%2Fx"), "a", "d/x", "d", "", wrap=True) == [""]


@pytest.mark.parametrize("wrap", [False, True])
def test_a_clean_end_without_all_the_roots_is_an_error(wrap: bool) -> None:
    """A body that the daemon reads otherwise than we do must not look added when its roots were not seen."""
    with pytest.raises(NodeError, match="reported 0 of the"):
        roots(body("a", "b"), "c", wrap=wrap)
    with pytest.raises(NodeError, match="part headers too large"):
        roots(body("x" * 40_000), "x" * 40_000)
    with pytest.raises(NodeError, match="reported 0 of the"):
        roots(body("a"), wrap=wrap)


def test_a_root_is_a_cid() -> None:
    read = AddRoots(b"B", wrap=False, directories=False)
    read.saw(body("a"))
    with pytest.raises(NodeError, match="no CID"):
        read.follow().line(b'{"Name":"a","Hash":"nonsense"}')
    assert read.follow().line(event("a")).root == cids.parse(CID)
