"""Time and randomness, injected."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time and randomness, injected so that tests own them."""

    def time(self) -> float:
        """Unix seconds; may jump. For what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back. For timeouts and intervals."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this long on the monotonic clock."""
        ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...
