"""How many pins may be re-allocated: an allowance per hour that is spent evenly."""

from __future__ import annotations

from dataclasses import dataclass

BURST = 60.0
"""Seconds of allowance that may be saved up."""


@dataclass(slots=True)
class Budget:
    """per_hour: 0 for no limit. Times are monotonic seconds."""

    per_hour: int
    _saved: float = 1.0
    _at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next one may be spent; 0 when it may be now."""
        if not self.per_hour:
            return 0.0
        self._refill(now)
        return max(0.0, (1.0 - self._saved) * 3600.0 / self.per_hour)

    def spend(self, now: float) -> None:
        """One is spent."""
        if self.per_hour:
            self._refill(now)
            self._saved -= 1.0

    def _refill(self, now: float) -> None:
        rate = self.per_hour / 3600.0
        self._saved = min(max(1.0, BURST * rate), self._saved + max(now - self._at, 0.0) * rate)
        self._at = now
