"""JSON Web Tokens as ipfs-cluster's `POST /token` gives them, with an end. Sans-IO.

`iss` is the user, the key is that user's password: tokens of ipfs-cluster are valid here, and a new password ends all
tokens. Where the configuration keeps a hash, the key is made of the hash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jwt

from ipfs_cluster.security.users import User

ALGORITHMS = ("HS256", "HS384", "HS512")
"""HMAC only: "none" signs nothing, and with a public-key algorithm the secret would be taken for a public key."""
_HASHED = b"ipfs-cluster-proxy token key\0"
_UNCHECKED: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


class InvalidToken(Exception):
    """Not a token of a user, or one whose time is over or yet to come."""


def issue(user: User, now: float, until: float) -> str:
    """A token of a user. until: unix seconds of its end."""
    return jwt.encode({"iss": user.name, "iat": int(now), "exp": int(until)}, _key(user), algorithm="HS256")


def check(token: str, users: Mapping[str, User], now: float) -> tuple[User, float]:
    """Whose token it is, and when it ends: infinity for one without an end. users: by name. Raises InvalidToken."""
    try:
        claimed = jwt.decode(token, options={"verify_signature": False})
        issuer = claimed.get("iss")
        user = users.get(issuer) if isinstance(issuer, str) else None
        if user is None:
            raise InvalidToken
        claims = jwt.decode(token, _key(user), algorithms=list(ALGORITHMS), options=_UNCHECKED)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken from None
    until = _moment(claims, "exp", math.inf)
    if now >= until or now < _moment(claims, "nbf", 0.0):
        raise InvalidToken
    return user, until


def _moment(claims: Mapping[str, object], name: str, absent: float) -> float:
    value = claims.get(name, absent)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InvalidToken
    return float(value)


def _key(user: User) -> bytes:
    text = user.stored.text.encode()
    key = _HASHED + text if user.stored.hashed else text
    # HMAC itself fills a short key with zeros (RFC 2104), so this changes no signature; PyJWT warns of short keys.
    return key.ljust(64, b"\0")
