"""How fast one address may guess. Sans-IO."""

from __future__ import annotations

BURST = 20
"""Wrong guesses in a row that an address has free."""
REFILL = 3.0
"""Seconds until it has one more."""
ADDRESSES = 4096
"""Addresses remembered; beyond, all are forgotten: who has as many addresses is not held back by this."""


class Throttle:
    """A bucket of guesses for each address. Local clients of a unix socket have no address and no limit."""

    def __init__(self) -> None:
        self._empty_until: dict[str, float] = {}

    def closed(self, remote: str, now: float) -> bool:
        """Whether this address has used up its guesses."""
        return self._empty_until.get(remote, 0.0) - now > (BURST - 1) * REFILL

    def guessed(self, remote: str, now: float) -> None:
        """A wrong guess."""
        if not remote:
            return
        if len(self._empty_until) >= ADDRESSES:
            self._empty_until.clear()
        self._empty_until[remote] = max(self._empty_until.get(remote, 0.0), now) + REFILL
