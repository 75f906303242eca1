"""Users as ipfs-cluster's and Kubo's configurations name them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ipfs_cluster.security import EVERYTHING, Role
from ipfs_cluster.security.users import authorizations, basic_credentials, clashes

CANARY = "CANARYsecret"


def test_basic_auth_credentials_of_ipfs_cluster_may_do_everything() -> None:
    for value in ({"a": "x", "b": "y:z"}, "a:x,b:y:z", '{"a": "x", "b": "y:z"}'):
        users = basic_credentials(value)
        assert [(user.name, user.login, user.roles, user.paths, user.expires) for user in users] == [
            ("a", "a", EVERYTHING, (), None),
            ("b", "b", EVERYTHING, (), None),
        ]
        assert users[1].stored.matches(b"y:z")


def test_authorizations_of_kubo_with_roles_beside_them() -> None:
    value = {
        "all": {"AuthSecret": "bearer:t1", "AllowedPaths": ["/api/v0"]},
        "bare": {"AuthSecret": "t2", "AllowedPaths": ["/api/v0/pin", "/api/v0/cat"]},
        "bob": {"AuthSecret": "basic:robert:p:w", "Roles": ["read", "pin"]},
        "eve": {"auth_secret": "basic:ZXZlOnBhc3M=", "roles": ["add"], "expires": "2027-01-31T00:00:00Z"},
    }
    for form in (value, json.dumps(value)):
        every, bare, bob, eve = authorizations(form)
        assert (every.scheme, every.roles, every.paths) == ("bearer", EVERYTHING, ("/api/v0",))
        assert every.stored.matches(b"t1")
        assert bare.stored.matches(b"t2")
        assert bare.paths == ("/api/v0/pin", "/api/v0/cat")
        assert (bob.scheme, bob.login, bob.roles, bob.paths) == (
            "basic",
            "robert",
            frozenset({Role.READ, Role.PIN}),
            (),
        )
        assert bob.stored.matches(b"p:w")
        assert (eve.login, eve.roles) == ("eve", frozenset({Role.ADD}))
        assert eve.expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()


WRONG = [
    (basic_credentials, {}, "must name at least one user"),
    (basic_credentials, [CANARY], "must be a map from user to password"),
    (basic_credentials, {"a": 1}, "must be a map from user to password"),
    (basic_credentials, {"a": ""}, "must name at least one user with a password"),
    (basic_credentials, {"": CANARY}, "a user name must not be empty"),
    (basic_credentials, {"a:b": CANARY}, "not contain a colon"),
    (basic_credentials, {"a": f"scrypt${CANARY}"}, "a: a secret that begins with scrypt$"),
    (basic_credentials, CANARY, '"user:password,user:password"'),
    (basic_credentials, "{" + CANARY, "must be JSON"),
    (authorizations, {}, "must name at least one user"),
    (authorizations, {"a": CANARY}, "must be a map from name to a map"),
    (authorizations, CANARY, "must be JSON"),
    (authorizations, {"a": {"AllowedPaths": ["/"]}}, "a: AuthSecret must be a string"),
    (authorizations, {"a": {"AuthSecret": CANARY}}, "a: may do nothing"),
    (authorizations, {"a": {"AuthSecret": f"digest:{CANARY}", "Roles": ["pin"]}}, "must begin with bearer: or basic:"),
    (authorizations, {"a": {"AuthSecret": f"basic:{CANARY}", "Roles": ["pin"]}}, "must be basic:user:password"),
    (authorizations, {"a": {"AuthSecret": f"basic::{CANARY}", "Roles": ["pin"]}}, "a user name must not be empty"),
    (authorizations, {"a": {"AuthSecret": "bearer:", "Roles": ["pin"]}}, "a: the secret must not be empty"),
    (authorizations, {"": {"AuthSecret": CANARY, "Roles": ["pin"]}}, "a user without a name"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Roles": []}}, "Roles must be a list of add, admin, pin, read"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Roles": ["root"]}}, "Roles must be a list of add, admin, pin, read"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Roles": "pin"}}, "Roles must be a list of strings"),
    (authorizations, {"a": {"AuthSecret": CANARY, "AllowedPaths": []}}, "AllowedPaths must be a list of paths"),
    (authorizations, {"a": {"AuthSecret": CANARY, "AllowedPaths": ["api"]}}, "AllowedPaths must be a list of paths"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Roles": ["pin"], "Expires": "soon"}}, "a time with its zone"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Roles": ["pin"], "Expires": "2027-01-31"}}, "a time with its zone"),
    (authorizations, {"a": {"AuthSecret": CANARY, "Role": ["pin"]}}, "a: unknown key Role"),
    (
        authorizations,
        {"a": {"AuthSecret": "scrypt$16$8$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "Roles": ["pin"]}},
        "a bearer token is kept as sha256$",
    ),
]


@pytest.mark.parametrize(("parse", "value", "reason"), WRONG)
def test_a_wrong_user_is_refused_without_showing_the_secret(parse: object, value: object, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(value)  # type: ignore[operator]
    assert reason in str(caught.value)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.__cause__)


def test_names_logins_and_tokens_are_there_once() -> None:
    one = authorizations({"a": {"AuthSecret": "t", "Roles": ["pin"]}, "b": {"AuthSecret": "t", "Roles": ["add"]}})
    assert clashes(one) == ["the token of b is there twice"]
    two = basic_credentials({"a": "x", "b": "x"})
    assert clashes(two) == [], "the same password is nobody's business"
    both = authorizations({"a": {"AuthSecret": "basic:b:y", "Roles": ["pin"]}})
    assert clashes((*two, *both)) == ["the name a is there twice", "the user name of a is there twice"]
