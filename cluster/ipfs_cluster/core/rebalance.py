"""Which copies to move so that nodes fill up evenly: a plan in numbers, made from measurements alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipfs_cluster.model import PeerId


@dataclass(frozen=True, slots=True)
class Load:
    """A peer's measurements. used, free: bytes, of the repository and on its disk. pins: how many the node holds.
    group: the tag values that copies are spread over; a copy is only moved within its group. open: something new may
    go there."""

    peer: PeerId
    used: int
    free: int
    pins: int
    group: tuple[str, ...] = ()
    open: bool = True

    @property
    def capacity(self) -> int:
        """What the repository could grow to."""
        return self.used + self.free


@dataclass(frozen=True, slots=True)
class Move:
    """pins copies, of about `bytes` together, from one peer to another."""

    source: PeerId
    target: PeerId
    pins: int
    bytes: int


def plan(loads: Sequence[Load], tolerance: float = 0.1) -> tuple[Move, ...]:
    """Moves after which each peer of a group is filled to the same level.

    Peers whose level differs from their group's by less than `tolerance` of it are left alone. The fewest moves are
    not looked for; each peer either gives or takes.
    """
    groups: dict[tuple[str, ...], list[Load]] = {}
    for load in loads:
        if load.capacity > 0:
            groups.setdefault(load.group, []).append(load)
    return tuple(move for group in groups.values() for move in _plan_group(group, tolerance))


def _plan_group(loads: Sequence[Load], tolerance: float) -> Iterable[Move]:
    level = sum(load.used for load in loads) / sum(load.capacity for load in loads)
    above = {load.peer: load.used - level * load.capacity for load in loads}
    givers = [load for load in loads if load.pins and above[load.peer] > tolerance * level * load.capacity]
    takers = [load.peer for load in loads if load.open and above[load.peer] < 0]
    for giver in sorted(givers, key=lambda load: (-above[load.peer], load.peer)):
        size = giver.used / giver.pins
        for taker in sorted(takers, key=lambda peer: (above[peer], peer)):
            amount = min(above[giver.peer], -above[taker])
            pins = int(amount / size)
            if pins < 1:
                continue
            above[giver.peer] -= pins * size
            above[taker] += pins * size
            yield Move(giver.peer, taker, pins, int(pins * size))
