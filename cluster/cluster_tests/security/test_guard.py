"""Who asks, and whether they may."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import pytest

from ipfs_cluster.security import Check, Denied, Guard, Identity, Reason, Role, User
from ipfs_cluster.security import guard as module
from ipfs_cluster.security.stored import hash_password, hash_token
from ipfs_cluster.security.tokens import issue
from ipfs_cluster.security.users import authorizations, basic_credentials

KEY = b"k" * 32
HASHED = hash_password("word", bytes(16), (2, 1, 1))
USERS = (
    *basic_credentials({"ann": "plain", "bob": HASHED}),
    *authorizations(
        {
            "bot": {"AuthSecret": f"bearer:{hash_token('tok')}", "Roles": ["pin"], "AllowedPaths": ["/pins"]},
            "guest": {"AuthSecret": "bearer:guest-token", "Roles": ["read"], "Expires": "1970-01-01T01:00:00Z"},
        }
    ),
)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def settled(guard: Guard, authorization: str, now: float = 0.0) -> Identity:
    """Who asks, slow checks included. Raises Denied."""
    found = guard.identify(authorization, now)
    if isinstance(found, Check):
        guard.settle(found, found.run())
        found = guard.identify(authorization, now)
    assert isinstance(found, Identity)
    return found


def reason(guard: Guard, authorization: str | None, now: float = 0.0) -> Reason:
    with pytest.raises(Denied) as caught:
        settled(guard, authorization or "", now)
    return caught.value.reason


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (basic("ann", "plain"), "ann"),
        (basic("bob", "word"), "bob"),
        ("basic " + basic("ann", "plain")[6:], "ann"),
        ("Bearer tok", "bot"),
        ("bearer guest-token", "guest"),
        ("Bearer " + issue(USERS[1], 0, 10), "bob"),
    ],
)
def test_the_right_secret_says_who_it_is(authorization: str, name: str) -> None:
    assert settled(Guard(USERS, key=KEY), authorization).name == name


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, Reason.MISSING),
        ("", Reason.MISSING),
        (basic("ann", "wrong"), Reason.WRONG),
        (basic("ann", ""), Reason.WRONG),
        (basic("ann", HASHED), Reason.WRONG),
        (basic("bob", "wrong"), Reason.WRONG),
        (basic("bob", HASHED), Reason.WRONG),
        (basic("bob", ""), Reason.WRONG),
        (basic("eve", "word"), Reason.WRONG),
        (basic("eve", ""), Reason.WRONG),
        (basic("", ""), Reason.WRONG),
        (basic("bot", "tok"), Reason.WRONG),
        ("Basic ann:plain", Reason.WRONG),
        ("Basic YW5u", Reason.WRONG),
        ("Basic", Reason.WRONG),
        (f"{basic('ann', 'plain')}, {basic('ann', 'plain')}", Reason.WRONG),
        ("Digest ann", Reason.WRONG),
        ("Bearer", Reason.TOKEN),
        ("Bearer tok2", Reason.TOKEN),
        (f"Bearer {hash_token('tok')}", Reason.TOKEN),
        ("Bearer plain", Reason.TOKEN),
        ("Bearer \xff\u20ac", Reason.TOKEN),
    ],
)
def test_anything_else_is_denied(authorization: str | None, expected: Reason) -> None:
    assert reason(Guard(USERS, key=KEY), authorization) is expected


def test_a_user_of_whom_nobody_knows_takes_as_long_as_a_wrong_password() -> None:
    guard = Guard(USERS, key=KEY)
    for name in ("bob", "eve"):
        assert isinstance(guard.identify(basic(name, "guess"), 0.0), Check)
    assert reason(guard, basic("eve", "")) is Reason.WRONG


def test_slow_checks_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(USERS, key=KEY)
    for password in ("word", "wrong"):
        first = guard.identify(basic("bob", password), 0.0)
        assert isinstance(first, Check)
        guard.settle(first, first.run())
    assert isinstance(guard.identify(basic("bob", "word"), 0.0), Identity)
    assert reason(guard, basic("bob", "wrong")) is Reason.WRONG
    monkeypatch.setattr(module, "REMEMBERED", 2)
    guard.note("Bearer x", right=False)
    assert isinstance(guard.identify(basic("bob", "word"), 0.0), Check), "a bounded memory forgets"


def test_what_expires_is_denied_from_then_on() -> None:
    guard = Guard(USERS, key=KEY)
    assert settled(guard, "Bearer guest-token", 3599.9).until == 3600.0
    assert reason(guard, "Bearer guest-token", 3600.0) is Reason.TOKEN
    token = "Bearer " + issue(USERS[3], 0, 9000)
    assert settled(guard, token, 100.0).until == 3600.0, "a token is no longer valid than its user"
    assert reason(guard, token, 3600.0) is Reason.TOKEN


def person(roles: Iterable[Role], *paths: str) -> Identity:
    one = USERS[0]
    return Identity(User(one.name, one.scheme, one.stored, one.login, frozenset(roles), paths))


@pytest.mark.parametrize("role", Role)
def test_a_role_includes_no_other_but_admin_all(role: Role) -> None:
    for asked in Role:
        if asked is role or role is Role.ADMIN:
            person([role]).demand(asked, "/")
        else:
            with pytest.raises(Denied) as caught:
                person([role]).demand(asked, "/")
            assert (caught.value.reason, caught.value.user) == (Reason.FORBIDDEN, "ann")


def test_paths_are_plain_prefixes_as_in_kubo() -> None:
    somebody = person(Role, "/api/v0/pin/ls", "/api/v0/cat")
    for path in ("/api/v0/pin/ls", "/api/v0/pin/lsX", "/api/v0/cat/Qm"):
        somebody.demand(Role.READ, path)
    for path in ("/api/v0/pin/rm", "/API/v0/cat", "/", ""):
        with pytest.raises(Denied):
            somebody.demand(Role.READ, path)


def test_a_denial_is_a_new_exception_each_time() -> None:
    guard = Guard(USERS, key=KEY)
    raised = []
    for _ in range(2):
        with pytest.raises(Denied) as caught:
            guard.identify("Bearer x", 0.0)
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_nothing_shows_a_secret() -> None:
    guard = Guard(USERS, key=KEY)
    check = guard.identify(basic("bob", "CANARY"), 0.0)
    shown = repr([guard, check, USERS, settled(guard, "Bearer tok"), Denied(Reason.WRONG, "bob")])
    for secret in ("CANARY", "plain", "tok'", hash_token("tok"), HASHED, KEY.decode(), "guest-token"):
        assert secret not in shown
