"""ipfs-cluster's balanced order, kept as a tree that follows each change at once instead of being sorted anew.

Peers are parted by the value of the first tag, those parts by the next one, and so on; in the innermost parts they
stand by weight. Turns go round over the parts, the heaviest first, so that copies spread over tag values. A part where
copies are already is passed over until the others have as many.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from heapq import merge
from typing import NamedTuple

from ipfs_cluster.model import PeerId

Path = tuple[str, ...]
"""The values of a peer's tags, outermost first."""


class Rank(NamedTuple):
    """Where a peer stands in its part: the heaviest first, then the one whose turn is longest ago."""

    lightness: int
    below: int
    turn: int
    peer: PeerId

    @property
    def weight(self) -> int:
        """What the peer adds to the parts that it is in."""
        return -self.lightness - self.below


@dataclass(slots=True)
class View:
    """One decision's view of the tree. passed: peers that must not be chosen. copies: how many there are already in a
    part, by its path. hidden: weight of the passed peers in the parts of a part.
    """

    passed: Set[PeerId]
    copies: dict[Path, int] = field(default_factory=dict)
    hidden: dict[Path, dict[str, int]] = field(default_factory=dict)

    def take(self, path: Path) -> None:
        """There is a copy on a peer with these tags."""
        for depth in range(1, len(path) + 1):
            part = path[:depth]
            self.copies[part] = self.copies.get(part, 0) + 1

    def hide(self, path: Path, weight: int) -> None:
        """A peer of the tree is among the passed: its parts weigh so much less."""
        for depth, value in enumerate(path):
            inside = self.hidden.setdefault(path[:depth], {})
            inside[value] = inside.get(value, 0) + weight


class Partition:
    """A part of the peers: parted further by `depth` tags, or a plain list when that is 0."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.weight = 0
        self._parts: dict[str, Partition] = {}
        self._order: list[tuple[int, str]] = []
        self._peers: list[Rank] = []

    @property
    def empty(self) -> bool:
        """True when no peer is in it."""
        return not self._parts and not self._peers

    def add(self, path: Path, rank: Rank) -> None:
        """Put in a peer that is not in it."""
        self.weight += rank.weight
        if not path:
            insort(self._peers, rank)
            return
        value = path[0]
        part = self._parts.get(value)
        if part is None:
            part = self._parts[value] = Partition(self._depth - 1)
        else:
            self._unlist(value, part)
        part.add(path[1:], rank)
        insort(self._order, (-part.weight, value))

    def remove(self, path: Path, rank: Rank) -> None:
        """Take out a peer, which must be in it as it was added."""
        self.weight -= rank.weight
        if not path:
            del self._peers[bisect_left(self._peers, rank)]
            return
        value = path[0]
        part = self._parts[value]
        self._unlist(value, part)
        part.remove(path[1:], rank)
        if part.empty:
            del self._parts[value]
        else:
            insort(self._order, (-part.weight, value))

    def _unlist(self, value: str, part: Partition) -> None:
        del self._order[bisect_left(self._order, (-part.weight, value))]

    def turns(self, view: View, path: Path = ()) -> Iterator[PeerId]:
        """The peers in balanced order, found one by one: who takes three has not sorted a thousand."""
        if self._depth == 0:
            for rank in self._peers:
                if rank.peer not in view.passed:
                    yield rank.peer
            return
        open_parts: list[tuple[int, Iterator[PeerId]]] = []
        for value in self._by_weight(view, path):
            inner = (*path, value)
            copies, peers = view.copies.get(inner, 0), self._parts[value].turns(view, inner)
            if copies == 0:
                peer = next(peers, None)
                if peer is None:
                    continue
                copies = 1
                yield peer
            open_parts.append((copies, peers))
        yield from _rounds(open_parts)

    def _by_weight(self, view: View, path: Path) -> Iterator[str]:
        hidden = view.hidden.get(path)
        if not hidden:
            return (value for _, value in self._order)
        lighter = sorted((hidden[value] - part.weight, value) for value in hidden if (part := self._parts.get(value)))
        others = (entry for entry in self._order if entry[1] not in hidden)
        return (value for _, value in merge(others, lighter))


def _rounds(parts: list[tuple[int, Iterator[PeerId]]]) -> Iterator[PeerId]:
    """Go round over parts, (copies, peers), each of which gets its next copy when no other one has fewer."""
    level = 1
    while parts:
        left = []
        for copies, peers in parts:
            if copies > level:
                left.append((copies, peers))
                continue
            peer = next(peers, None)
            if peer is not None:
                left.append((copies + 1, peers))
                yield peer
        parts = left
        level += 1
