"""JSON Web Tokens: ipfs-cluster's are valid, forged and expired ones are not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.security.stored import hash_password, hash_token
from ipfs_cluster.security.tokens import InvalidToken, check, issue
from ipfs_cluster.security.users import authorizations, basic_credentials

USERS = {
    user.name: user
    for user in (
        *basic_credentials({"ann": "short", "bob": hash_password("word", bytes(16), (2, 1, 1)), "long": "x" * 200}),
        *authorizations({"bot": {"AuthSecret": hash_token("tok"), "Roles": ["pin"]}}),
    )
}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encoded(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def made(claims: dict[str, Any], key: bytes, algorithm: str = "HS256", **header: Any) -> str:
    """A token as another program signs it, written out by hand."""
    signed = f"{encoded({'alg': algorithm, 'typ': 'JWT', **header})}.{encoded(claims)}"
    digest = HASHES.get(algorithm, hashlib.sha256)
    return f"{signed}.{encoded(hmac.new(key, signed.encode(), digest).digest())}"


@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize(("name", "password"), [("ann", b"short"), ("long", b"x" * 200)])
def test_a_token_of_ipfs_cluster_is_valid_and_has_no_end(name: str, password: bytes, algorithm: str) -> None:
    assert check(made({"iss": name}, password, algorithm), USERS, 1000.0) == (USERS[name], float("inf"))


@pytest.mark.parametrize("name", USERS)
def test_our_tokens_end(name: str) -> None:
    token = issue(USERS[name], 1000.0, 1060.0)
    assert check(token, USERS, 1059.9) == (USERS[name], 1060.0)
    with pytest.raises(InvalidToken):
        check(token, USERS, 1060.0)


def test_a_token_ends_with_the_password() -> None:
    token = issue(USERS["ann"], 1000.0, 1060.0)
    (changed,) = basic_credentials({"ann": "other"})
    with pytest.raises(InvalidToken):
        check(token, {"ann": changed}, 1000.0)


def test_the_hash_alone_is_not_the_key_of_a_foreign_token() -> None:
    with pytest.raises(InvalidToken):
        check(made({"iss": "bob"}, USERS["bob"].stored.text.encode()), USERS, 0.0)


UNSIGNED = f"{encoded({'alg': 'none'})}.{encoded({'iss': 'ann'})}."
FORGED = {
    "alg none": UNSIGNED,
    "alg None": f"{encoded({'alg': 'None'})}.{encoded({'iss': 'ann'})}.",
    "no alg": made({"iss": "ann"}, b"short", algorithm=None),  # type: ignore[arg-type]
    "alg rsa": made({"iss": "ann"}, b"short", "RS256"),
    "no signature": made({"iss": "ann"}, b"short").rpartition(".")[0] + ".",
    "other key": made({"iss": "ann"}, b"shor"),
    "other user": made({"iss": "bob"}, b"short"),
    "no user": made({"iss": "eve"}, b"short"),
    "no issuer": made({}, b"short"),
    "issuer no text": made({"iss": ["ann"]}, b"short"),
    "not yet": made({"iss": "ann", "nbf": 2000}, b"short"),
    "over": made({"iss": "ann", "exp": 999}, b"short"),
    "end no number": made({"iss": "ann", "exp": "never"}, b"short"),
    "end nan": made({"iss": "ann", "exp": float("nan")}, b"short"),
    "end true": made({"iss": "ann", "exp": True}, b"short"),
    "two parts": "a.b",
    "claims a list": f"{encoded({'alg': 'HS256'})}.{encoded([])}.{encoded(b'')}",
    "critical": made({"iss": "ann"}, b"short", crit=["x"], x=1),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=list(FORGED))
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        check(token, USERS, 1000.0)


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        check(text, USERS, 1000.0)


@given(st.data())
def test_no_byte_of_a_token_can_be_changed(data: st.DataObject) -> None:
    token = made({"iss": "ann"}, b"short")
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_."))
    changed = token[:at] + letter + token[at + 1 :]
    try:
        user, _ = check(changed, USERS, 1000.0)
    except InvalidToken:
        return
    # The last letter of base64 has bits that mean nothing.
    assert user.name == "ann"
    assert changed[:-1] == token[:-1]
