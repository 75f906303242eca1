"""The shell around the guard: slow checks in threads, few at once, and guesses held back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ipfs_cluster.security.guard import Check, Denied, Guard, Identity, Reason
from ipfs_cluster.security.throttle import Throttle
from ipfs_cluster.security.users import User

TOKEN_TTL = 86400.0
AT_ONCE = 2
"""Passwords checked at the same time: each takes a core and 32 MiB."""
WAITING = 64
"""Checks that wait for their turn; more are refused at once."""


class Gatekeeper:
    """Identifies who asks at one door, on the event loop. `close` at the end. asks: whether credentials are needed;
    without users nobody has any. token_ttl: seconds that a token is valid.
    """

    def __init__(self, users: Iterable[User], *, clock: Callable[[], float] = time.time, key: bytes = b"") -> None:
        """clock: unix seconds. key: 32 random bytes, made here if not given."""
        self.token_ttl = TOKEN_TTL
        self._key = key or secrets.token_bytes(32)
        self.replace(users)
        self.clock = clock
        self._throttle = Throttle()
        self._waiting = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, "password")

    def replace(self, users: Iterable[User]) -> None:
        """Other users from now on."""
        known = tuple(users)
        self.asks = bool(known)
        self.guard = Guard(known, key=self._key)

    def close(self) -> None:
        """Give up what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def look(self, authorization: str | None, remote: str) -> Identity | Check:
        """What can be said at once. remote: the address that asks, empty on a unix socket. Raises Denied."""
        if not authorization:
            raise Denied(Reason.MISSING)
        now = self.clock()
        seen = self.guard.knows(authorization)
        if not seen and self._throttle.closed(remote, now):
            raise Denied(Reason.BUSY)
        try:
            found = self.guard.identify(authorization, now)
        except Denied:
            if not seen:
                self._wrong(authorization, remote)
            raise
        if isinstance(found, Check):
            if self._waiting >= WAITING:
                raise Denied(Reason.BUSY)
        elif not seen:
            self.guard.note(authorization, right=True)
        return found

    async def settle(self, check: Check, authorization: str, remote: str) -> None:
        """Run a slow check; `look` knows the result afterwards."""
        guard = self.guard
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(self._threads, check.run)
        finally:
            self._waiting -= 1
        guard.settle(check, right)
        if not right:
            self._wrong(authorization, remote)

    async def identify(self, authorization: str | None, remote: str) -> Identity:
        """Who asks. Raises Denied."""
        found = self.look(authorization, remote)
        while isinstance(found, Check):
            await self.settle(found, authorization or "", remote)
            found = self.look(authorization, remote)
        return found

    def _wrong(self, authorization: str, remote: str) -> None:
        """A wrong guess; the same one again is none, or a forgotten script would lock everybody out of its machine."""
        self.guard.note(authorization, right=False)
        self._throttle.guessed(remote, self.clock())
