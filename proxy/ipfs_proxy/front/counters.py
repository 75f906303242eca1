"""What the door counts: plain numbers, bumped on the way and read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ipfs_cluster.counters import Histogram

RELAY = "relay"
"""The route of all that has no command of its own."""
FIRST_BYTE = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
LAG = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0)
DURATION = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)


OUTCOMES = ("ok", "refused", "error", "cut", "left")
OK, REFUSED, ERROR, CUT, LEFT = range(len(OUTCOMES))
"""How a request ended, as plain numbers: every relayed request counts one. REFUSED: status 4xx. ERROR: 5xx, which is
Kubo's word for nearly everything, or an error told in mid-stream. CUT: broken off in the middle, by the daemon or for
a body that is no HTTP. LEFT: by the client.
"""


def outcome_of(status: int) -> int:
    """The outcome of a whole answer with this status."""
    return OK if status < 400 else REFUSED if status < 500 else ERROR


class RouteStats:
    """One route. begun − sum(ended) are in progress. durations: by outcome, of commands only: a relayed request is not
    worth a second look at the clock.
    """

    __slots__ = ("begun", "durations", "ended", "first_byte")

    def __init__(self, *, timed: bool) -> None:
        self.begun = 0
        self.ended = [0] * len(OUTCOMES)
        self.first_byte = Histogram(FIRST_BYTE)
        self.durations = [Histogram(DURATION) for _ in OUTCOMES] if timed else None


@dataclass(slots=True)
class FrontCounters:
    """The door as a whole. to_daemon, from_daemon: bytes of whole messages; to_commands, from_commands: of bodies.
    turned_away: connections beyond the limit. garbage: requests that are no HTTP. replaced: daemon connections that had
    died unused. unreachable: requests that the daemon could not be asked. lag: seconds by which the loop was late.
    """

    routes: dict[str, RouteStats] = field(default_factory=dict)
    connections: int = 0
    turned_away: int = 0
    garbage: int = 0
    to_daemon: int = 0
    from_daemon: int = 0
    to_commands: int = 0
    from_commands: int = 0
    replaced: int = 0
    unreachable: int = 0
    lag: Histogram = field(default_factory=lambda: Histogram(LAG))

    @classmethod
    def of(cls, commands: Iterable[str]) -> FrontCounters:
        """With a route for each command, and one for all the rest."""
        return cls({**{name: RouteStats(timed=True) for name in commands}, RELAY: RouteStats(timed=False)})
