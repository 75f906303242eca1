"""What the pinset may be, given what a service has answered. Pure: times are numbers, nothing is asked.

Every request has effects, "this CID has this value now", at one moment between its begin and its end. What was answered
with success certainly took effect; what was refused did not, or is not certain; what got no answer may have, until the
process that got the request died. A value is possible at a moment when some order of all these moments gives it.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

RECURSIVE, DIRECT, ABSENT = "recursive", "direct", ""
ADDING = ("add", "block/put")
"""Commands that make nodes pin what the pinset does not know yet."""


class Fate(enum.Enum):
    """What is known of an effect."""

    SURE = "acknowledged"
    UNDONE = "refused"
    """It may have been there while the request lasted, and is gone at its end."""
    UNSURE = "uncertain"
    """Refused in a way that leaves it open; at the request's end it has taken place or never will."""
    LOST = "unanswered"
    """As UNSURE, but until the service's process died."""


@dataclass(slots=True)
class Effect:
    """One CID of one request. end: of the request; for a LOST one when the process died."""

    cid: str
    value: str
    begin: float
    end: float
    fate: Fate
    request: str


@dataclass(slots=True)
class Sight:
    """Somebody was told, between begin and end, that the CID has one of these values. at_home: what the home node
    holds and nobody asked for was told too.
    """

    cid: str
    values: frozenset[str]
    begin: float
    end: float
    request: str
    at_home: bool = False


@dataclass
class History:
    """All that happened, by CID."""

    effects: dict[str, list[Effect]] = field(default_factory=lambda: defaultdict(list))
    sights: dict[str, list[Sight]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[str, list[tuple[float, Effect]]] = field(default_factory=lambda: defaultdict(list))
    """Expiries to come, with when the request that asked for each was over."""

    def add(self, effect: Effect) -> None:
        """One more effect."""
        self.effects[effect.cid].append(effect)

    def saw(self, sight: Sight) -> None:
        """One more answer that tells a value."""
        self.sights[sight.cid].append(sight)

    def expires(self, pin: Effect, seconds: float) -> None:
        """The pin takes its own end: from so many seconds after it on, nobody knows exactly when. A pin that certainly
        took effect before an end could come has put it off.
        """
        if pin.fate is Fate.SURE:
            pending = self.ends[pin.cid]
            put_off = [end for asked, end in pending if asked < pin.begin and end.begin > pin.end]
            self.effects[pin.cid] = [one for one in self.effects[pin.cid] if one not in put_off]
            self.ends[pin.cid] = [(asked, end) for asked, end in pending if end not in put_off]
        if pin.fate is not Fate.UNDONE:
            end = Effect(pin.cid, ABSENT, pin.begin + seconds, inf, Fate.UNSURE, f"expiry of {pin.request}")
            self.add(end)
            self.ends[pin.cid].append((pin.end, end))

    def possible(self, cid: str, begin: float, end: float) -> frozenset[str]:
        """The values that the CID can have had at some moment between begin and end."""
        return _possible(self.effects.get(cid, ()), begin, end)

    def left_behind(self, cid: str, end: float = inf) -> bool:
        """Can nodes hold a copy that nobody asked for? Only an add that the service's death cut off leaves any."""
        effects = self.effects.get(cid, ())
        return any(one.fate is Fate.LOST and one.begin <= end and one.request.startswith(ADDING) for one in effects)

    def upload_was_cut(self, cid: str) -> bool:
        """Was an add of it broken off? Kubo may then lose a pin that it had before (`ipfs_cluster.doubt`)."""
        cut = (Fate.LOST, Fate.UNSURE)
        return any(one.fate in cut and one.request.startswith(ADDING) for one in self.effects.get(cid, ()))

    def contradictions(self) -> list[str]:
        """Answers that cannot have been true at any moment of their request."""
        found = []
        for cid, sights in self.sights.items():
            for sight in sights:
                possible = self.possible(cid, sight.begin, sight.end)
                if sight.at_home and self.left_behind(cid, sight.end):
                    possible |= {RECURSIVE}
                if not possible & sight.values:
                    told = "|".join(sorted(value or "absent" for value in sight.values))
                    when = f"{sight.begin:.3f} … {sight.end:.3f}"
                    found.append(f"{cid}: {when} {sight.request} told {told}\n{self.timeline(cid)}")
        return found

    def timeline(self, cid: str) -> str:
        """Everything about one CID, for people."""
        lines = [
            (effect.begin, f"{effect.begin:9.3f} … {effect.end:9.3f}  {effect.fate.value:12} {effect.request}")
            for effect in self.effects.get(cid, ())
        ]
        lines += [
            (
                sight.begin,
                f"{sight.begin:9.3f} … {sight.end:9.3f}  saw {'|'.join(sorted(sight.values))} {sight.request}",
            )
            for sight in self.sights.get(cid, ())[-20:]
            if not sight.request.startswith("pin/ls?type")
        ]
        return "\n".join("      " + line for _, line in sorted(lines))


def _possible(effects: Sequence[Effect], begin: float, end: float) -> frozenset[str]:
    settled = max((one.begin for one in effects if one.fate is Fate.SURE and one.end < begin), default=-inf)
    values = {ABSENT} if settled == -inf else set()
    for one in effects:
        over = one.end < settled or one.begin > end
        if one.fate is Fate.UNDONE and one.end < begin:
            # A pin that was refused is taken back only if there was none before; else its mode stays changed.
            over = over or one.value != RECURSIVE or DIRECT not in _possible(_before(effects, one), one.begin, one.end)
        if not over:
            values.add(one.value)
    return frozenset(values)


def _before(effects: Iterable[Effect], limit: Effect) -> list[Effect]:
    return [one for one in effects if one.begin <= limit.end and one.fate is not Fate.UNDONE]
