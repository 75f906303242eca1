"""Whom to ask for a block, and when again. Decisions only: no clock, no network.

Sources of the cluster come before public gateways, those that did not fail before those that did, and the one that
answered last before all of its kind. A source that does not have a block is asked for it again, soon, as it may be
getting it; one that fails is left alone for a while by everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

AGAIN = (0.05, 1.0)
"""Seconds until a node of the cluster that did not have a block is asked for it again: at first, and at most."""
AGAIN_PUBLIC = (5.0, 60.0)
"""The same of a public gateway."""
REST = (0.5, 30.0)
"""Seconds for which a source that failed is left alone: after the first failure, and at most."""


@dataclass(slots=True, eq=False)
class Source:
    """A trustless gateway. peer: its node's ID, "" for a public one. error: how it failed last, in words."""

    url: str
    peer: str = ""
    failures: int = 0
    failed_at: float = -inf
    rests_until: float = -inf
    answered: float = -inf
    error: str = ""

    @property
    def again(self) -> tuple[float, float]:
        """How soon it is worth asking again for what it did not have."""
        return AGAIN if self.peer else AGAIN_PUBLIC

    def gave(self, now: float) -> None:
        """It answered with a block."""
        self.failures, self.rests_until, self.error = 0, -inf, ""
        self.answered = now

    def lacks(self) -> None:
        """It answered that it does not have one."""
        self.failures, self.rests_until, self.error = 0, -inf, ""

    def failed(self, error: str, asked: float, now: float) -> None:
        """It did not answer what it was asked then, or not with that. Requests that were under way together fail
        together, and count as one failure: else a node that restarts under load rests for the longest time at once.
        """
        self.error = error
        if asked > self.failed_at or not self.failures:
            self.rests_until = now + _doubled(REST, self.failures)
            self.failures += 1
            self.failed_at = now


@dataclass(slots=True)
class Question:
    """The search for one block."""

    _asked: dict[Source, tuple[int, float]] = field(default_factory=dict)

    def ask(self, source: Source, now: float) -> None:
        """It is being asked: if it turns out not to have the block, the next time is this."""
        times, _ = self._asked.get(source, (0, 0.0))
        self._asked[source] = times + 1, now + _doubled(source.again, times)

    def next(self, sources: Sequence[Source], busy: Sequence[Source], now: float) -> tuple[Source | None, float]:
        """Who is to be asked now, if anybody, of those that are not being asked; else how many seconds from now there
        may be somebody (inf: only when a new source comes).
        """
        free = [source for source in sources if source not in busy]
        due = [source for source in free if self._due(source) <= now]
        if due:
            return min(due, key=lambda one: (not one.peer, one.failures, self._times(one), -one.answered)), 0.0
        return None, min((self._due(source) for source in free), default=inf) - now

    def _due(self, source: Source) -> float:
        _, again = self._asked.get(source, (0, -inf))
        return max(again, source.rests_until)

    def _times(self, source: Source) -> int:
        return self._asked.get(source, (0, 0.0))[0]


def _doubled(bounds: tuple[float, float], times: int) -> float:
    first, most = bounds
    return min(first * 2.0 ** min(times, 30), most)
