"""Which peers count: who is there, who is away for a while, who is gone; and when nothing may be concluded at all.

The outage brake: a service that has just started, or that sees many peers vanish at the same moment, is more likely to
be cut off itself than to be the witness of so many failures. While the brake is on nobody is gone.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ipfs_cluster.model import PeerId

NOT_COMPARED = "what its node holds has not been compared with the pinset yet"
"""Why nothing is known of a peer's copies: it is back in the configuration, or drives another node than before."""


class PeerStanding(enum.Enum):
    """What a peer's copies are worth to the minimum of a pin."""

    UP = "up"
    AWAY = "away"
    """Its node does not answer, but may well be back; or it answers, and what it holds is not known yet: its copies
    count, and nobody relies on them."""
    GONE = "gone"
    """Away for longer than the grace time, or no peer of this cluster any more: its copies do not count."""
    DRAINING = "draining"
    """Its copies are to be made elsewhere before it is taken out of service."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A peer as it is seen now. since: monotonic seconds at which it came or went. known: what its node holds has been
    compared with the pinset."""

    up: bool
    since: float
    draining: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class Patience:
    """grace: seconds a peer may be away. settle: seconds after the start, and after a brake, in which nothing is
    concluded. together: peers that went within this many seconds of each other went at the same moment."""

    grace: float = 300.0
    settle: float = 60.0
    together: float = 60.0

    @classmethod
    def of(cls, grace: float) -> Patience:
        """The usual settle and together, but not longer than the grace."""
        usual = cls()
        return cls(grace, min(usual.settle, grace), min(usual.together, grace))


@dataclass(frozen=True, slots=True)
class Brake:
    """Why nothing may be concluded. outage: many peers went at once; else it is only too early."""

    reason: str
    outage: bool


def brake(sightings: Mapping[PeerId, Sighting], quiet_since: float, now: float, patience: Patience) -> Brake | None:
    """None when conclusions may be drawn. quiet_since: monotonic time of the start, or of the end of an outage."""
    if mass := vanished_together(sightings, patience.together):
        return Brake(
            f"{len(mass)} of {len(sightings)} peers went away at the same moment: it looks as if this service had lost "
            "its network; nothing is re-allocated before enough of them are back",
            outage=True,
        )
    left = quiet_since + patience.settle - now
    if left > 0:
        return Brake("just started or reconnected: the peers get a moment to answer", outage=False)
    return None


def vanished_together(sightings: Mapping[PeerId, Sighting], together: float) -> frozenset[PeerId]:
    """Two or more peers that are away and went at one moment, if they were more than half of those then there."""
    away = {peer: seen.since for peer, seen in sightings.items() if not seen.up}
    for moment in sorted(away.values()):
        group = frozenset(peer for peer, since in away.items() if moment <= since <= moment + together)
        before = sum(since < moment for since in away.values())
        if len(group) > 1 and 2 * len(group) > len(sightings) - before:
            return group
    return frozenset()


def standings(
    sightings: Mapping[PeerId, Sighting], now: float, patience: Patience, *, braked: bool
) -> dict[PeerId, PeerStanding]:
    """Each known peer's standing. Peers that are not among the keys are gone, unless braked."""
    return {peer: _standing(seen, now, patience, braked=braked) for peer, seen in sightings.items()}


def _standing(seen: Sighting, now: float, patience: Patience, *, braked: bool) -> PeerStanding:
    if seen.draining:
        return PeerStanding.DRAINING
    if not seen.up and not braked and now - seen.since >= patience.grace:
        return PeerStanding.GONE
    return PeerStanding.UP if seen.up and seen.known else PeerStanding.AWAY


def observe(
    before: Mapping[PeerId, Sighting],
    up: Collection[PeerId],
    draining: Collection[PeerId],
    peers: Collection[PeerId],
    now: float,
    *,
    unknown: Collection[PeerId] = (),
) -> dict[PeerId, Sighting]:
    """The sightings after a look: `since` changes only when a peer came or went. unknown: those whose nodes have not
    been compared with the pinset.
    """
    seen = {}
    for peer in peers:
        old = before.get(peer)
        is_up = peer in up
        since = old.since if old is not None and old.up is is_up else now
        seen[peer] = Sighting(is_up, since, peer in draining, peer not in unknown)
    return seen
