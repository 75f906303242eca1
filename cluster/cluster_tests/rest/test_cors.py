"""Which web pages may do what: as rs/cors answers, and nothing is done for a page that may not."""

from __future__ import annotations

import pytest

from ipfs_cluster.rest.cors import Cors

PAGE = "https://app.example"
UPSTREAM = Cors(("*",), ("GET",), (), ("Content-Type", "X-Stream-Output"))
"""What ipfs-cluster writes into its configuration."""


def from_page(origin: str = PAGE, **headers: str) -> dict[str, str]:
    return {"Origin": origin, **{name.replace("_", "-"): value for name, value in headers.items()}}


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_page_may_not_write_unless_its_origin_and_method_are_allowed(method: str) -> None:
    assert Cors().refuses(method, from_page())
    assert UPSTREAM.refuses(method, from_page()), "the origin is allowed, the method is not"
    assert Cors((PAGE,), ("GET",)).refuses(method, from_page())
    assert Cors(("https://other.example",), (method,)).refuses(method, from_page())
    assert not Cors((PAGE,), (method,)).refuses(method, from_page())
    assert not Cors(("*",), (method,)).refuses(method, from_page("null"))


def test_who_is_no_page_may_write() -> None:
    assert not Cors().refuses("POST", {})


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_never_refused_but_a_page_cannot_see_it(method: str) -> None:
    assert not Cors().refuses(method, from_page())
    assert Cors().answer(method, from_page()) == {}


def test_an_answer_says_who_may_see_it() -> None:
    exposed = {"Access-Control-Expose-Headers": "Content-Type, X-Stream-Output"}
    credentials = {"Access-Control-Allow-Credentials": "true"}
    assert UPSTREAM.answer("GET", from_page()) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "*",
        **credentials,
        **exposed,
    }
    assert UPSTREAM.answer("POST", from_page()) == {"Vary": "Origin"}
    assert UPSTREAM.answer("GET", {}) == {"Vary": "Origin"}
    one = Cors((PAGE,), credentials=False)
    assert one.answer("GET", from_page()) == {"Vary": "Origin", "Access-Control-Allow-Origin": PAGE}
    assert one.answer("GET", from_page("https://app.example.evil")) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    ("rule", "origin", "may"),
    [
        ("https://*.example", "https://app.example", True),
        ("https://*.example", "https://a.b.example", True),
        ("https://*.example", "https://.example", False),
        ("https://*.example", "http://app.example", False),
        ("https://*.example", "https://app.example.evil", False),
        ("HTTPS://App.Example", "https://app.example", True),
        ("https://app.example", "https://app.example:8443", False),
        ("*", "anything", True),
    ],
)
def test_a_star_stands_for_something(rule: str, origin: str, may: bool) -> None:
    assert ("Access-Control-Allow-Origin" in Cors((rule,)).answer("GET", from_page(origin))) is may


def ask(method: str = "POST", headers: str = "", origin: str = PAGE) -> dict[str, str]:
    asked = from_page(origin, Access_Control_Request_Method=method)
    return asked | {"Access-Control-Request-Headers": headers} if headers else asked


def test_a_browser_that_asks_first_is_told() -> None:
    cors = Cors((PAGE,), ("GET", "POST"), ("X-One",), max_age=600)
    vary = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
    assert cors.preflight(ask(headers="x-one")) == {
        **vary,
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "x-one",
        "Access-Control-Max-Age": "600",
    }
    assert cors.preflight(ask("DELETE")) == vary
    assert cors.preflight(ask(headers="x-one, x-two")) == vary
    assert cors.preflight(ask(origin="https://other.example")) == vary
    without = Cors((PAGE,), ("POST",)).preflight(ask(headers="content-type"))
    assert without is not None
    assert without["Access-Control-Allow-Headers"] == "content-type"
    assert Cors((PAGE,), ("POST",)).preflight(ask(headers="authorization")) == vary
    assert Cors((PAGE,), ("POST",), ("*",)).preflight(ask(headers="authorization")) != vary


def test_what_is_no_question() -> None:
    cors = Cors((PAGE,), ("POST",))
    assert cors.preflight({"Origin": PAGE}) is None
    assert cors.preflight({"Access-Control-Request-Method": "POST"}) is None
    assert Cors().preflight(ask()) is None
