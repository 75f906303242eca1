"""Secrets as the configuration keeps them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.security.stored import COST, hash_password, hash_token, parse_stored

CHEAP = (2, 1, 1)
SALT = bytes(range(16))


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_hash_matches_its_secret_and_no_other(secret: str, other: str) -> None:
    try:
        secret.encode(), other.encode()
    except UnicodeEncodeError:
        return
    for text in (hash_password(secret, SALT, CHEAP), hash_token(secret)):
        stored = parse_stored(text)
        assert stored.matches(secret.encode())
        assert stored.matches(other.encode()) == (secret == other)
        assert stored.hashed


def test_scrypt_is_the_standards() -> None:
    """RFC 7914, so that hashes made elsewhere are valid here."""
    digest = hashlib.scrypt(b"password", salt=b"NaClNaCl", n=1024, r=8, p=16, dklen=64)
    stored = parse_stored("scrypt$1024$8$16$TmFDbE5hQ2w$" + base64.b64encode(digest).decode())
    assert stored.matches(b"password")
    assert not stored.matches(b"Password")


def test_what_is_made_has_the_cost_that_is_documented() -> None:
    assert hash_password("x", SALT).startswith("scrypt$32768$8$1$AAECAwQFBgcICQoLDA0ODw$")
    assert parse_stored(hash_password("x", SALT)).cost == COST
    assert parse_stored(hash_password("x", SALT)).slow
    assert hash_token("x") == "sha256$2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_plain_secrets_are_what_they_are() -> None:
    stored = parse_stored("QmSecret")
    assert stored.matches(b"QmSecret")
    assert not stored.matches(b"QmSecre")
    assert not stored.slow
    assert not stored.hashed


WRONG = [
    ("", "must not be empty"),
    ("sha256$abcd", "64 hexadecimal digits"),
    ("sha256$" + "zz" * 32, "64 hexadecimal digits"),
    ("scrypt$", "must be scrypt$N$R$P$SALT$HASH"),
    ("scrypt$x$8$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "must be scrypt$N$R$P$SALT$HASH"),
    ("scrypt$16$8$1$ä$AAECAwQFBgcICQoLDA0ODw", "must be scrypt$N$R$P$SALT$HASH"),
    ("scrypt$15$8$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "N a power of 2"),
    ("scrypt$0$8$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "N a power of 2"),
    ("scrypt$16$0$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "N a power of 2"),
    ("scrypt$16$8$17$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "P at most 16"),
    (f"scrypt${2**18}$8$1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw", "N·R at most 2^20"),
    ("scrypt$16$8$1$AAECAwQFBgcICQoLDA0ODw$AAEC", "too short"),
    ("scrypt$16$8$1$AAEC$AAECAwQFBgcICQoLDA0ODw", "too short"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_a_broken_hash_is_refused_and_not_shown(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_stored(text)
    assert reason in str(caught.value)
    assert "AAEC" not in str(caught.value)


def test_a_secret_is_not_shown() -> None:
    for text in ("QmSecret", hash_token("QmSecret"), hash_password("QmSecret", SALT, CHEAP)):
        shown = repr(parse_stored(text))
        assert text not in shown
        assert "Secret" not in shown
        assert "digest" not in shown
