"""Origin, Referer and User-Agent: the cases of Kubo's check, at this door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipfs_proxy.front.policy import EXTENSIONS, FORBIDDEN, PLAIN, PREFLIGHT_VARY, Pass, Policy, Refuse

POLICY = Policy([9095], ["https://app.example", "http://other.example:<port>"])
MOZILLA = "Mozilla/5.0 (X11; Linux)"
ELECTRON = "Mozilla/5.0 Electron/30"


def check(method: str = "POST", policy: Policy = POLICY, **headers: str) -> Pass | Refuse:
    return policy.check(method, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:9095",
        "https://127.0.0.1:9095",
        "http://[::1]:9095",
        "https://localhost:9095",
        *EXTENSIONS,
        "https://app.example",
        "http://other.example:9095",
    ],
)
def test_the_doors_own_origins_and_the_configured_ones_pass(origin: str) -> None:
    assert check(origin=origin) == Pass(origin, browser=True)
    assert check(referer=f"{origin}/page?x#y") == Pass("", browser=True)
    assert check(origin=origin, user_agent=MOZILLA) == Pass(origin, browser=True)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost",
        "http://localhost:5001",
        "http://localhost:9095.evil.example",
        "http://127.0.0.2:9095",
        "https://app.example:444",
        "http://app.example",
        "null",
        "http://other.example:<port>",
        "http://localhost:9095, http://evil.example",
    ],
)
def test_others_are_refused(origin: str) -> None:
    assert check(origin=origin) is FORBIDDEN
    assert check(referer=f"{origin}/page") is FORBIDDEN
    assert check(origin=origin, user_agent="curl/8") is FORBIDDEN


@pytest.mark.parametrize("referer", ["http://[", "http://[::1:9095/", "nonsense", "//localhost:9095/", "http://[x]/"])
def test_a_referer_that_is_no_url_is_refused(referer: str) -> None:
    assert check(referer=referer) is FORBIDDEN


def forbidden_to(origin: str) -> Refuse:
    """Refused, but the page may read that it was."""
    return replace(FORBIDDEN, headers={**FORBIDDEN.headers, "Access-Control-Allow-Origin": origin})


def test_an_origin_in_capitals_is_no_good_and_may_read_that() -> None:
    assert check(origin="HTTP://LocalHost:9095") == forbidden_to("HTTP://LocalHost:9095")


def test_origin_and_referer_must_both_be_good() -> None:
    good = "http://localhost:9095"
    assert check(origin=good, referer="http://evil.example/") == forbidden_to(good)
    assert check(origin="http://evil.example", referer=good) is FORBIDDEN
    assert check(origin=good, referer=f"{good}/x") == Pass(good, browser=True)


def test_a_browser_that_does_not_say_where_it_comes_from_is_refused_unless_it_is_electron() -> None:
    assert check(user_agent=MOZILLA) is FORBIDDEN
    assert check(user_agent=MOZILLA, origin="") is FORBIDDEN
    assert check(user_agent=ELECTRON) == PLAIN
    assert check(user_agent="curl/8 Mozilla") == PLAIN
    assert check() == PLAIN


def test_only_post_is_checked_but_nothing_of_a_browser_goes_on() -> None:
    assert check("GET", origin="http://evil.example") == Pass("", browser=True)
    assert check("GET", user_agent=MOZILLA) == Pass("", browser=True)
    assert check("OPTIONS", origin="http://evil.example") == Pass("", browser=True)


def test_a_star_allows_all_and_says_so() -> None:
    star = Policy([9095], ["*"])
    assert check(policy=star, origin="http://evil.example") == Pass("*", browser=True)
    assert check(policy=star, referer="http://evil.example/") == Pass("", browser=True)


def test_a_door_without_a_port_has_no_origin_of_its_own() -> None:
    unix = Policy([], ["http://x:<port>"])
    assert check(policy=unix, origin="http://localhost:9095") is FORBIDDEN
    assert check(policy=unix, origin="http://localhost:<port>") is FORBIDDEN
    assert check(policy=unix, origin=EXTENSIONS[0]) == Pass(EXTENSIONS[0], browser=True)


def test_the_refusal_is_kubos() -> None:
    assert (FORBIDDEN.status, FORBIDDEN.body) == (403, b"403 - Forbidden\n")
    assert FORBIDDEN.headers["Content-Type"] == "text/plain; charset=utf-8"


GOOD = "http://localhost:9095"


@pytest.mark.parametrize(
    ("origin", "method", "asked", "allowed"),
    [
        (GOOD, "POST", None, True),
        (GOOD, "POST", "Content-Type, x-requested-with", True),
        (GOOD, "POST", "content-type,,accept , ORIGIN", True),
        (GOOD, "POST", "Content-Type, X-Secret", False),
        (GOOD, "PUT", None, False),
        (GOOD, "GET", None, False),
        ("http://evil.example", "POST", None, False),
        (None, "POST", None, False),
    ],
)
def test_preflight_is_always_204_and_allows_by_its_headers(
    origin: str | None, method: str, asked: str | None, allowed: bool
) -> None:
    headers = {"access-control-request-method": method, "user-agent": MOZILLA}
    if origin is not None:
        headers["origin"] = origin
    if asked is not None:
        headers["access-control-request-headers"] = asked
    answer = POLICY.check("OPTIONS", headers)
    assert isinstance(answer, Refuse)
    assert (answer.status, answer.body, answer.headers["Vary"]) == (204, b"", PREFLIGHT_VARY)
    expected = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": method}
    if asked is not None:
        expected["Access-Control-Allow-Headers"] = asked
    assert {**answer.headers} == {"Vary": PREFLIGHT_VARY, **(expected if allowed else {})}


def test_preflight_with_a_star() -> None:
    answer = Policy([1], ["*"]).check("OPTIONS", {"access-control-request-method": "POST", "origin": "http://x"})
    assert isinstance(answer, Refuse)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
