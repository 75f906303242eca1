"""Which requests a command handler answers, and Kubo's path rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_proxy.front.routes import Kind, Route, route

COMMANDS = {"add", "pin/add", "pin/ls"}
COMMAND, RELAY, REDIRECT = Kind.COMMAND, Kind.RELAY, Kind.REDIRECT


@pytest.mark.parametrize(
    ("path", "name", "tail"),
    [
        ("/api/v0/add", "add", ()),
        ("/api/v0/pin/add", "pin/add", ()),
        ("/api/v0/pin/add/QmFoo", "pin/add", ("QmFoo",)),
        ("/api/v0/pin/add/", "pin/add", ("",)),
        ("/api/v0/pin%2Fadd", "pin/add", ()),
        ("/api/v0/p%69n/add/a%20b", "pin/add", ("a b",)),
        ("/api/v0/pin/add/%C3%BC", "pin/add", ("ü",)),
        ("/api/v0/pin/add/\xc3\xbc", "pin/add", ("ü",)),
        ("/api/v0/pin/add/%FF", "pin/add", ("�",)),
        ("/api/v0/add/x", "add", ("x",)),
    ],
)
def test_commands(path: str, name: str, tail: tuple[str, ...]) -> None:
    found = route("POST", path, "a=b", COMMANDS)
    assert (found.kind, found.name, found.tail) == (COMMAND, name, tail)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v0/pin/add"),
        ("HEAD", "/api/v0/pin/add"),
        ("OPTIONS", "/api/v0/pin/add"),
        ("post", "/api/v0/pin/add"),
        ("POST", "/api/v0/pin"),
        ("POST", "/api/v0/pin/rm"),
        ("POST", "/api/v0/pin/add/a/b"),
        ("POST", "/api/v0/PIN/ADD"),
        ("POST", "/api/v0"),
        ("POST", "/api/v1/pin/add"),
        ("POST", "/webui"),
        ("GET", "/api/v0//pin/add"),
        ("OPTIONS", "*"),
        ("POST", "/api/v0/.hidden"),
        ("POST", "/api/v0/pin/%zz"),
    ],
)
def test_all_else_is_relayed(method: str, path: str) -> None:
    found = route(method, path, "", COMMANDS)
    assert (found.kind, found.name) == (RELAY, "relay")


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/api/v0//pin/add", "arg=x", "/api/v0/pin/add?arg=x"),
        ("//api/v0/pin/add", "", "/api/v0/pin/add"),
        ("///evil.example/x", "", "/evil.example/x"),
        ("//evil.example/..", "", "/"),
        ("/api/v0/./pin/add", "", "/api/v0/pin/add"),
        ("/api/v0/x/../pin/add", "", "/api/v0/pin/add"),
        ("/api/v0/%2e%2e/v0/pin/add", "", "/api/v0/pin/add"),
        ("/api/v0/pin//add/", "", "/api/v0/pin/add/"),
        ("/../../etc", "", "/etc"),
        ("/a//b%0d%0aX:%20y", "q=%0d", "/a/b%0D%0AX:%20y?q=%0d"),
        ("/a//%C3%BC\xc3\xbc%FF", "\xc3\xbc", "/a/%C3%BC%C3%BC%FF?\xc3\xbc"),
        ("/a//b%3Fc", "", "/a/b%3Fc"),
    ],
)
def test_paths_that_are_not_clean_are_redirected(path: str, query: str, location: str) -> None:
    assert route("POST", path, query, COMMANDS).location == location


@given(st.text(st.sampled_from("/.%2eEfpind0a\r\n\x00ü"), max_size=30), st.sampled_from(["POST", "GET"]))
def test_no_spelling_gets_a_command_past_the_table_or_a_line_into_a_head(text: str, method: str) -> None:
    found = route(method, "/" + text.encode("utf-8").decode("latin-1"), "", COMMANDS)
    if found.kind is REDIRECT:
        assert found.location.isascii()
        assert "\r" not in found.location
        assert "\n" not in found.location
        assert found.location.startswith("/")
        assert not found.location.startswith("//")
        assert route(method, found.location, "", COMMANDS).kind is not REDIRECT, "one step, not a loop"
    elif method == "POST":
        assert "//" not in found.path
        assert "/../" not in f"{found.path}/"


def test_a_route_is_a_value() -> None:
    assert route("POST", "/x", "", ()) == Route(RELAY, path="/x")
