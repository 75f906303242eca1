"""A real embedded node: the process that a service starts for each of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from compat_tests.harness.http import Answer, directory_part, file_part, multipart, post
from compat_tests.harness.kubo import free_port
from compat_tests.harness.process import Child, eventually
from compat_tests.harness.twins import Pair, normal

AGENT = "kubo/0.43.0/embedded"


class EmbeddedProcess:
    """One node with its repository; keeps its port over restarts. Can be held against a bare Kubo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.child: Child | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    @property
    def nodes(self) -> list[EmbeddedProcess]:
        return [self]

    def start(self) -> None:
        """Start it and wait until its RPC API answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ipfs_proxy.node", "--repo", str(self.folder / "repo")]
        environment = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        self.child = Child([*command, "--listen", self.multiaddr], self.folder / "node.log", environment)
        eventually(self._answers, "the embedded node starts", 60)

    def _answers(self) -> bool:
        assert self.child is not None
        assert self.child.running, self.child.output()[-2000:]
        try:
            return self.rpc("version").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.child is not None:
            self.child.end()

    def rpc(self, command: str, *pairs: tuple[str, str]) -> Answer:
        """An RPC call by query options alone."""
        query = urlencode(pairs)
        return post(self.address, f"/api/v0/{command}{'?' if query else ''}{query}")

    def add(self, content: bytes, **options: str) -> str:
        """Add one file; its CID."""
        headers, body = multipart(("file", content, "application/octet-stream"))
        answer = post(self.address, f"/api/v0/add?{urlencode(options)}", headers=headers, body=body)
        assert answer.status == 200, answer.text
        return str(json.loads(answer.text.splitlines()[-1])["Hash"])


def more_content(pair: Pair) -> None:
    """Other codecs, symbolic links, a HAMT, modes and times; each must have the same CID on both."""
    octets = "application/octet-stream"
    tree = (directory_part("m"), file_part("m/x", b"x"), ("m/l", b"x", "application/symlink"), directory_part("m/s"))
    hamt = (directory_part("h"), *(file_part(f"h/f{index}", b"%d" % index) for index in range(6)))
    node = {"a": {"/": pair.names["dir"]}, "b": [1, {"/": pair.names["a"]}], "c": {"d": "e"}}
    odd = {"Data": {"/": {"bytes": "eA"}}, "Links": [{"Hash": {"/": pair.names["a"]}, "Name": "n", "Tsize": 15}]}
    made: Mapping[str, tuple[str, tuple[tuple[str | None, bytes, str], ...]]] = {
        "symlink": ("add", (("l", b"a", "application/symlink"),)),
        "raw": ("add?raw-leaves=true", (file_part("r", b"raw!"),)),
        "empty": ("add", (file_part("e", b""),)),
        "hamt": ("add?raw-leaves=true&max-hamt-fanout=8&max-directory-links=2", hamt),
        "modes": ("add?mode=0750&mtime=1700000000&mtime-nsecs=5000", tree),
        "cbor": ("dag/put", (("x", json.dumps(node).encode(), octets),)),
        "plain": ("dag/put?store-codec=dag-pb", (("x", json.dumps(odd).encode(), octets),)),
    }
    for name, (path, parts) in made.items():
        headers, body = multipart(*parts)
        found = []
        for address in (pair.bare.address, pair.other.address):
            separator = "&" if "?" in path else "?"
            answer = post(address, f"/api/v0/{path}{separator}pin=false", headers=headers, body=body)
            last = json.loads(answer.text.splitlines()[-1])
            found.append(last["Hash"] if "Hash" in last else last["Cid"]["/"])
        assert found[0] == found[1], name
        pair.names[name] = found[0]


def same(answer: Answer, *, ordered: bool = True) -> tuple[object, ...]:
    """What must be equal. An embedded node names itself in the Server header, always."""
    status, headers, lines, trailers, cut = normal(answer, ordered=ordered)
    assert isinstance(headers, dict)
    if headers.get("Server") == AGENT:
        headers["Server"] = "kubo/0.43.0"
    return status, headers, lines, trailers, cut


def check(pair: Pair, path: str, reason: str | None, *, ordered: bool = True, key: str = "", **options: object) -> None:
    """Ask both. reason: why they answer differently; None if they must not."""
    direct, embedded = pair.both(path, **options)
    if reason is None:
        assert same(embedded, ordered=ordered) == same(direct, ordered=ordered), key
    else:
        assert same(embedded, ordered=ordered) != same(direct, ordered=ordered), f"no longer different: {reason}"
