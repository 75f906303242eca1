"""A bare Kubo and a service before its twin: the same requests must give the same answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from compat_tests.harness.http import Answer, directory_part, file_part, multipart, post
from compat_tests.harness.kubo import EMPTY_BLOCK, KuboNode
from compat_tests.harness.service import Service


class Fillable(Protocol):
    """A node that content can be added to."""

    @property
    def address(self) -> tuple[str, int]: ...

    def add(self, content: bytes, **options: str) -> str: ...


class Twin(Protocol):
    """What is held against a bare node: a service and its nodes, or a node of another kind."""

    @property
    def address(self) -> tuple[str, int]: ...

    @property
    def nodes(self) -> Sequence[Fillable]: ...


@dataclass
class Pair:
    """A bare node and what is held against it, with the same content."""

    bare: KuboNode
    other: Twin
    names: dict[str, str] = field(default_factory=dict)

    def put_content(self) -> None:
        """The same content on both, unpinned."""
        headers, body = multipart(
            directory_part("d"),
            file_part("d/a", b"file a\n"),
            file_part("d/sub/b", b"file b\n"),
            file_part("d/c", b"c" * 300_000),
        )
        for node in (self.bare, *self.other.nodes):
            answer = post(node.address, "/api/v0/add?pin=false", headers=headers, body=body)
            values = {value["Name"]: value["Hash"] for value in map(json.loads, answer.text.splitlines())}
            self.names |= {"dir": values["d"], "sub": values["d/sub"], "a": values["d/a"], "c": values["d/c"]}
            self.names["file"] = node.add(b"a file of its own\n", pin="false")
            self.names["direct"] = node.add(b"pinned directly\n", pin="false")
            self.names["v1"] = node.add(b"version one\n", **{"pin": "false", "cid-version": "1"})

    def fill(self, text: str) -> str:
        """Replace {file}, {dir} … by the CIDs of the content."""
        for name, cid in self.names.items():
            text = text.replace(f"{{{name}}}", cid)
        return text

    def reset(self) -> None:
        """The same pins on both: dir (named), direct directly, nothing else."""
        for address in (self.bare.address, self.other.address):
            for kind in ("recursive", "direct"):
                answer = post(address, f"/api/v0/pin/ls?type={kind}&stream=true")
                for line in answer.text.splitlines():
                    cid = json.loads(line)["Cid"]
                    if cid != EMPTY_BLOCK:
                        post(address, f"/api/v0/pin/rm?arg={cid}")
            for query in (self.fill("arg={dir}&name=the+dir"), self.fill("arg={direct}&recursive=false")):
                assert post(address, f"/api/v0/pin/add?{query}").status == 200

    def both(self, path: str, **options: object) -> tuple[Answer, Answer]:
        """The answers of the bare node and of the proxy, to a client that sees trailers."""
        target = self.fill(path)
        options["headers"] = {"User-Agent": "Go-http-client/1.1", **options.get("headers", {})}  # type: ignore[dict-item]
        return post(self.bare.address, target, **options), post(self.other.address, target, **options)  # type: ignore[arg-type]


class Twins(Pair):
    """A bare node and a service before its twin."""

    def __init__(self, bare: KuboNode, service: Service) -> None:
        super().__init__(bare, service)
        self.service = service


def normal(answer: Answer, *, ordered: bool = True) -> tuple[object, ...]:
    """What must be equal."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("Date", "Connection")}
    lines = [line for line in answer.body.split(b"\n") if EMPTY_BLOCK.encode() not in line or b"Keys" in line]
    if len(lines) == 2 and lines[0].startswith(b'{"Keys":'):
        value = json.loads(lines[0])
        value["Keys"].pop(EMPTY_BLOCK, None)
        lines[0] = json.dumps(value).encode()
    return answer.status, headers, lines if ordered else sorted(lines), answer.trailers, answer.cut
