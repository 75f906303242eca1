"""Whether a node may have lost pins unnoticed.

For an `add` or a `block put` of what it holds already Kubo removes the pin and makes it anew, and when the request is
cut at that moment it stays without (observed with 0.43: a fifth of the cut `block put`s). Requests are cut when clients
leave, when nodes hang, and when this service dies; what was cut may be worked on for a while, also by a node that was
suspended.
"""

from __future__ import annotations

from ipfs_cluster.ports import Clock

SETTLE = 5.0
"""Seconds after which a node that answers is through with requests that were cut."""


class Doubt:
    """One node's. Only a comparison that began late enough clears it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    def cast(self) -> None:
        """Requests to the node may have been cut until now."""
        self._since = self._clock.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until a comparison that begins then clears it; None when there is none."""
        return None if self._since is None else max(self._since + SETTLE - self._clock.monotonic(), 0.0)

    def compared(self, began: float) -> None:
        """A comparison that began then (monotonic) is complete."""
        if self._since is not None and began >= self._since + SETTLE:
            self._since = None
