"""Who asks, and whether they may: the decision that all doors share.

Sans-IO: the time is given, slow checks are handed out.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import math
from collections.abc import Iterable
from dataclasses import dataclass

from ipfs_cluster.security import tokens
from ipfs_cluster.security.roles import Role
from ipfs_cluster.security.stored import Stored, hash_password, parse_stored
from ipfs_cluster.security.users import BASIC, User

REMEMBERED = 4096
"""Headers whose check is kept; beyond, all are forgotten and checked again."""


class Reason(enum.Enum):
    """Why a request is denied."""

    MISSING = "no credentials"
    WRONG = "wrong credentials"
    TOKEN = "invalid token"
    FORBIDDEN = "not allowed"
    BUSY = "too many guesses"


class Denied(Exception):
    """The request must not be done. user: who asks, as far as that is known for sure."""

    def __init__(self, reason: Reason, user: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.user = user


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whose secret was right. until: unix seconds up to which that holds."""

    user: User
    until: float = math.inf

    @property
    def name(self) -> str:
        """As the log calls them."""
        return self.user.name

    def demand(self, role: Role, path: str) -> None:
        """Raises Denied unless they may do what needs this role, at this path."""
        roles = self.user.roles
        if role not in roles and Role.ADMIN not in roles:
            raise Denied(Reason.FORBIDDEN, self.name)
        self.demand_path(path)

    def demand_path(self, path: str) -> None:
        """Raises Denied unless the path begins with one of those that they are given: a plain prefix, as in Kubo."""
        if self.user.paths and not path.startswith(self.user.paths):
            raise Denied(Reason.FORBIDDEN, self.name)


@dataclass(frozen=True, slots=True)
class Check:
    """A slow check, to be run off the event loop: `Guard.settle(check, check.run())`, then ask again."""

    mark: bytes
    _stored: Stored
    _given: bytes
    _decoy: bool

    def run(self) -> bool:
        """Whether the password is right. Takes a tenth of a second and 32 MiB, or what the hash's cost says."""
        return self._stored.matches(self._given) and not self._decoy

    def __repr__(self) -> str:
        return "Check()"


class Guard:
    """The users of one door. Which credentials were right and wrong is remembered by an HMAC of the header under a key
    that never leaves the process: neither is checked slowly twice, and the same wrong one is one guess.
    """

    def __init__(self, users: Iterable[User], *, key: bytes) -> None:
        """key: 32 random bytes."""
        self._key = key
        self._users = tuple(users)
        self._names = {user.name: user for user in self._users}
        self._logins = {user.login.encode(): user for user in self._users if user.scheme == BASIC}
        self._tokens = {user.stored.digest: user for user in self._users if user.scheme != BASIC}
        self._known: dict[bytes, bool] = {}
        # Whoever is no user gets as slow an answer as one whose password is wrong.
        costs = [user.stored.cost for user in self._users if user.stored.cost is not None]
        self._decoy = parse_stored(hash_password("", key[:16], max(costs))) if costs else None

    def __repr__(self) -> str:
        return f"Guard({len(self._users)} users)"

    def user(self, name: str) -> User:
        """One of the users."""
        return self._names[name]

    def knows(self, authorization: str) -> bool:
        """Whether this header was seen before."""
        return self._mark(authorization) in self._known

    def note(self, authorization: str, *, right: bool) -> None:
        """Remember that this header was seen."""
        self._remember(self._mark(authorization), right)

    def identify(self, authorization: str | None, now: float) -> Identity | Check:
        """Who sends this value of the Authorization header; a Check when that takes longer. Raises Denied."""
        if not authorization:
            raise Denied(Reason.MISSING)
        scheme, _, rest = authorization.partition(" ")
        match scheme.lower():
            case "basic":
                return self._basic(authorization, rest.strip(), now)
            case "bearer":
                return self._bearer(rest.strip(), now)
        raise Denied(Reason.WRONG)

    def settle(self, check: Check, right: bool) -> None:
        """Remember how a check ended."""
        self._remember(check.mark, right)

    def _basic(self, authorization: str, encoded: str, now: float) -> Identity | Check:
        try:
            login, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            raise Denied(Reason.WRONG) from None
        user = self._logins.get(login)
        if not colon or not password:
            raise Denied(Reason.WRONG)
        stored = user.stored if user is not None else self._decoy
        if stored is None:
            raise Denied(Reason.WRONG)
        if stored.slow:
            mark = self._mark(authorization)
            right = self._known.get(mark)
            if right is None:
                return Check(mark, stored, password, user is None)
        else:
            right = stored.matches(password)
        if user is None or not right:
            raise Denied(Reason.WRONG)
        return _valid(user, now, math.inf, Reason.WRONG)

    def _bearer(self, token: str, now: float) -> Identity:
        user = self._tokens.get(hashlib.sha256(token.encode("latin-1", "replace")).digest())
        if user is not None:
            return _valid(user, now, math.inf, Reason.TOKEN)
        try:
            user, until = tokens.check(token, self._names, now)
        except tokens.InvalidToken:
            raise Denied(Reason.TOKEN) from None
        return _valid(user, now, until, Reason.TOKEN)

    def _remember(self, mark: bytes, right: bool) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[mark] = right

    def _mark(self, authorization: str) -> bytes:
        return hmac.digest(self._key, authorization.encode("utf-8", "surrogateescape"), "sha256")


def _valid(user: User, now: float, until: float, otherwise: Reason) -> Identity:
    if user.expires is not None:
        until = min(until, user.expires)
    if now >= until:
        raise Denied(otherwise)
    return Identity(user, until)
