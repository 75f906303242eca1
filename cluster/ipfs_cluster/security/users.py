"""The users of a door as its configuration names them, in ipfs-cluster's and in Kubo's form. Sans-IO.

No message of an error here shows a secret.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ipfs_cluster.security.roles import EVERYTHING, Role
from ipfs_cluster.security.stored import Stored, parse_stored

BASIC = "basic"
BEARER = "bearer"
ENTRY_KEYS = {"authsecret": "AuthSecret", "allowedpaths": "AllowedPaths", "roles": "Roles", "expires": "Expires"}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a secret. name: as the log calls them. scheme: BASIC or BEARER. login: the user name of BASIC.
    paths: what a request's path has to begin with, one of them; empty for any. expires: unix seconds, None for never.
    """

    name: str
    scheme: str
    stored: Stored
    login: str = ""
    roles: frozenset[Role] = EVERYTHING
    paths: tuple[str, ...] = ()
    expires: float | None = None


Users = tuple[User, ...]


def basic_credentials(value: object) -> Users:
    """ipfs-cluster's `basic_auth_credentials`: a map from user to password; all of them may do everything, but those
    without a password, who cannot log in there either, are left out. From the environment as JSON, or
    "user:password,user:password". Raises ValueError.
    """
    found = tuple(_basic(name, name, password) for name, password in _passwords(value).items() if password)
    if not found:
        raise ValueError("must name at least one user with a password; leave it out to ask for no credentials")
    return found


def without_password(value: object) -> list[str]:
    """A line for each user of `basic_credentials` who is left out. Raises ValueError."""
    return [f"{name} has no password and cannot log in" for name, password in _passwords(value).items() if not password]


def _passwords(value: object) -> dict[str, str]:
    if isinstance(value, str):
        value = _from_environment(value)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be a map from user to password")
    return {str(name): password for name, password in value.items()}


def authorizations(value: object) -> Users:
    """Kubo's `API.Authorizations`, with `Roles` and `Expires` beside it: a map from name to
    `{"AuthSecret": "bearer:…" | "basic:user:password", "AllowedPaths": […], "Roles": […], "Expires": "…"}`. From the
    environment as JSON. Raises ValueError.
    """
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise ValueError("must be a map from name to a map with AuthSecret")
    if not value:
        raise ValueError("must name at least one user; leave it out to ask for no credentials")
    return tuple(_entry(str(name), item) for name, item in value.items())


def clashes(users: Iterable[User]) -> list[str]:
    """What is wrong with users of one door together: a name, a login or a token that is there twice."""
    seen: set[tuple[str, str | bytes]] = set()
    problems = []
    for user in users:
        login = ("the user name of", user.login) if user.scheme == BASIC else ("the token of", user.stored.digest)
        for kind, value in (("the name", user.name), login):
            if (kind, value) in seen:
                problems.append(f"{kind} {user.name} is there twice")
            seen.add((kind, value))
    return problems


def _from_environment(text: str) -> object:
    if text.lstrip().startswith("{"):
        return _json(text)
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not all(":" in item for item in items):
        raise ValueError('must be "user:password,user:password", or JSON')
    return dict(item.split(":", 1) for item in items)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("must be JSON") from None


def _basic(name: str, login: str, password: str) -> User:
    if not login or ":" in login or not login.isprintable():
        raise ValueError(f"{name or 'a user without a name'}: a user name must not be empty and not contain a colon")
    try:
        return User(name, BASIC, parse_stored(password), login)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _entry(name: str, item: Mapping[str, object]) -> User:
    # As Go reads JSON, whatever the case; and with underscores, as the rest of our files is written.
    given = {str(key).lower().replace("_", ""): value for key, value in item.items()}
    if unknown := sorted(str(key) for key in item if str(key).lower().replace("_", "") not in ENTRY_KEYS):
        raise ValueError(f"{name}: unknown key {unknown[0]}; there are {', '.join(ENTRY_KEYS.values())}")
    secret = given.get("authsecret")
    if not isinstance(secret, str):
        raise ValueError(f"{name}: AuthSecret must be a string")
    user = _secret(name, secret)
    if "allowedpaths" not in given and "roles" not in given:
        raise ValueError(f"{name}: may do nothing: give it AllowedPaths, Roles or both")
    paths = _texts(name, "AllowedPaths", given.get("allowedpaths", []))
    if "allowedpaths" in given and not all(path.startswith("/") for path in paths or [""]):
        raise ValueError(f'{name}: AllowedPaths must be a list of paths such as "/api/v0"')
    return User(
        name,
        user.scheme,
        user.stored,
        user.login,
        _roles(name, given["roles"]) if "roles" in given else EVERYTHING,
        tuple(paths),
        _moment(name, given["expires"]) if given.get("expires") is not None else None,
    )


def _secret(name: str, text: str) -> User:
    scheme, colon, rest = text.partition(":")
    if not colon:
        scheme, rest = BEARER, text
    if scheme == BASIC:
        if ":" not in rest:
            try:
                rest = base64.b64decode(rest, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                rest = ""
        login, colon, password = rest.partition(":")
        if not colon:
            raise ValueError(f"{name}: AuthSecret must be basic:user:password")
        return _basic(name, login, password)
    if scheme != BEARER:
        raise ValueError(f"{name}: AuthSecret must begin with bearer: or basic:")
    if not name:
        raise ValueError("a user without a name")
    try:
        stored = parse_stored(rest)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if stored.slow:
        raise ValueError(f"{name}: a bearer token is kept as sha256$…; scrypt$… is for passwords")
    return User(name, BEARER, stored)


def _roles(name: str, value: object) -> frozenset[Role]:
    texts = _texts(name, "Roles", value)
    known = {role.value for role in Role}
    if not texts or not set(texts) <= known:
        raise ValueError(f"{name}: Roles must be a list of {', '.join(sorted(known))}")
    return frozenset(Role(text) for text in texts)


def _texts(name: str, key: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name}: {key} must be a list of strings")
    return value


def _moment(name: str, value: object) -> float:
    """Unix seconds of an RFC 3339 text; YAML makes a datetime of one by itself."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f'{name}: Expires must be a time with its zone, such as "2027-01-31T00:00:00Z"')
    return moment.timestamp()
