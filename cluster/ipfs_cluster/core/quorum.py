"""When a waiting pin request is answered: enough peers hold the pin, or enough can no longer.

The rule: a request for `required` of the allocated peers fails as soon as (allocated − failed) < required. A pin
that belongs everywhere requires the peers that were reachable when the request began; one of them that goes away
meanwhile is no longer required, as long as another one holds the pin, and follows when it is back.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from ipfs_cluster.model import PeerId


class Verdict(enum.Enum):
    """Where a request stands."""

    WAITING = "waiting"
    REACHED = "reached"
    LOST = "lost"


@dataclass(slots=True)
class Quorum:
    """One pin of one request. allocated: the peers that count. required: how many must hold it."""

    allocated: frozenset[PeerId]
    required: int
    everywhere: bool = False
    held: set[PeerId] = field(default_factory=set)
    failed: dict[PeerId, str] = field(default_factory=dict)

    def hold(self, peer: PeerId) -> None:
        """The peer holds it."""
        if peer in self.allocated:
            self.held.add(peer)
            self.failed.pop(peer, None)

    def fail(self, peer: PeerId, message: str, *, away: bool) -> None:
        """The peer's first attempt for this request failed. away: because its node cannot be reached."""
        if peer not in self.allocated or peer in self.held or peer in self.failed:
            return
        if self.everywhere and away and len(self.allocated) > 1:
            self.allocated = self.allocated - {peer}
            self.required = min(self.required, len(self.allocated))
            return
        self.failed[peer] = message

    def follow(self, other: Quorum) -> None:
        """The pin was placed anew: the peers of `other` count from now on, and as many as before, unless that
        wants fewer."""
        self.required = min(self.required, other.required)
        self.held = (self.held & other.allocated) | other.held
        self.failed = {peer: reason for peer, reason in other.failed.items() if peer not in self.held}
        self.allocated, self.everywhere = other.allocated, other.everywhere

    def verdict(self) -> Verdict:
        """Reached, lost, or still open."""
        if len(self.held) >= self.required:
            return Verdict.REACHED
        if len(self.allocated) - len(self.failed) < self.required:
            return Verdict.LOST
        return Verdict.WAITING

    def reason(self, home: PeerId) -> str:
        """The error for the client: the home node's, else that of the first peer in order of failure."""
        return self.failed.get(home) or next(iter(self.failed.values()), "not enough peers hold the pin")


def required_peers(minimum: int, allocated: Collection[PeerId], *, everywhere: bool) -> int:
    """How many peers a request waits for: the minimum, or all that there are."""
    if everywhere:
        return len(allocated)
    return min(minimum, len(allocated)) if allocated else minimum
