"""What the front answers where no daemon is behind it, beside its commands; as seen on Kubo 0.43."""

from __future__ import annotations

import pytest

from ipfs_proxy.front.alone import NO_COMMAND, NO_METHOD, NOT_FOUND, OPTIONS, Alone
from ipfs_proxy.front.http1 import parse_request_head
from ipfs_proxy.front.policy import Refuse
from ipfs_proxy.front.routes import Kind, Route, route

ALONE = Alone("0.43.0", {"/ipfs/": "/ipfs"})
COMMANDS = {"pin/ls", "version", "pin"}


def answer(method: str, target: str, agent: str = "") -> Refuse | Route:
    lines = f"User-Agent: {agent}\r\n" if agent else ""
    head = parse_request_head(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1"))
    return ALONE.answer(head, route(head.method, head.path, head.query, COMMANDS))


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/api/v0/nosuch", NO_COMMAND),
        ("POST", "/api/v0/", NO_COMMAND),
        ("POST", "/api/v0/pin/ls/a/b", NO_COMMAND),
        ("GET", "/api/v0/pin/ls", NO_METHOD),
        ("HEAD", "/api/v0/nosuch", NO_METHOD),
        ("PUT", "/api/v0/", NO_METHOD),
        ("OPTIONS", "/api/v0/pin/ls", OPTIONS),
        ("OPTIONS", "/nothing", NOT_FOUND),
        ("GET", "/", NOT_FOUND),
        ("GET", "/ipfs", NOT_FOUND),
        ("POST", "/ipfs/bafkqaaa", NOT_FOUND),
        ("POST", "/nothing", NOT_FOUND),
    ],
)
def test_what_is_not_here(method: str, target: str, expected: Refuse) -> None:
    assert answer(method, target) == expected


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/api/v0/pin/ls?arg=x", Route(Kind.COMMAND, "pin/ls", "/api/v0/pin/ls")),
        ("POST", "/api/v0/pin/nosuch", Route(Kind.COMMAND, "pin", "/api/v0/pin/nosuch", ("nosuch",))),
        ("GET", "/ipfs/bafkqaaa?format=raw", Route(Kind.COMMAND, "/ipfs", "/ipfs/bafkqaaa")),
        ("HEAD", "/ipfs/a/%20b", Route(Kind.COMMAND, "/ipfs", "/ipfs/a/ b")),
    ],
)
def test_what_is_here(method: str, target: str, expected: Route) -> None:
    assert answer(method, target) == expected


@pytest.mark.parametrize(
    ("method", "target", "location"),
    [
        ("POST", "/api/v0", "/api/v0/"),
        ("GET", "/api/v0?a=b", "/api/v0/?a=b"),
        ("POST", "//api/v0/pin/ls?x=%20", "/api/v0/pin/ls?x=%20"),
        ("GET", "/a/../b c".replace(" ", "%20"), "/b%20c"),
    ],
)
def test_a_path_that_is_not_clean_is_redirected(method: str, target: str, location: str) -> None:
    found = answer(method, target)
    assert isinstance(found, Refuse)
    assert (found.status, found.headers["Location"]) == (307, location)
    page = f'<a href="{location}">Temporary Redirect</a>.\n\n'.encode() if method == "GET" else b""
    assert found.body == page


@pytest.mark.parametrize("agent", ["x/kubo/0.1.0/", "/go-ipfs/0.43.0/", "/kubo/0.43.0"])
def test_a_client_of_another_version_may_only_ask_for_the_version(agent: str) -> None:
    refused = answer("POST", "/api/v0/pin/ls", agent)
    assert isinstance(refused, Refuse)
    assert (refused.status, refused.body) == (400, f"api version mismatch (/kubo/0.43.0/ != {agent})\n".encode())
    assert answer("POST", "/api/v0/version", agent) == Route(Kind.COMMAND, "version", "/api/v0/version")
    assert answer("POST", "/api/v0/version", "/kubo/0.43.0/") == answer("POST", "/api/v0/version")
