"""Which peers should hold a pin: decisions over a `Landscape`, with their reasons. The error's text is ipfs-cluster's.

Peers that hold a pin stay while enough of them count, preferred ones come next, the rest goes by the balanced order.
Nobody is dropped for somebody who has yet to fetch the content: a re-pin only adds, and may so leave more than
`maximum` for a while, those to be dropped last; repair drops them once enough others hold it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.errors import InvalidArgument, NotEnoughPeers
from ipfs_cluster.model import EVERYWHERE, PeerId

NAMED = 10
"""How many reasons an error tells, and how many peers under each."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How many copies are asked for, and where rather. preferred: taken first when they are candidates, ignored else.
    size: bytes that must fit, 0 when unknown. without: not these peers, each with the reason.
    """

    minimum: int
    maximum: int
    preferred: tuple[PeerId, ...] = ()
    size: int = 0
    without: Mapping[PeerId, str] = field(default_factory=dict)

    @property
    def everywhere(self) -> bool:
        """True when every peer is to hold it."""
        return self.minimum == EVERYWHERE

    @property
    def factors(self) -> tuple[int, int]:
        """(minimum, maximum)."""
        return self.minimum, self.maximum


def check_factors(minimum: int, maximum: int) -> None:
    """Raise InvalidArgument unless the factors are both EVERYWHERE or 1 <= minimum <= maximum."""
    if minimum == EVERYWHERE and maximum == EVERYWHERE:
        return
    if minimum < 1 or maximum < 1:
        raise InvalidArgument("replication factors must be both -1 (everywhere) or both positive")
    if minimum > maximum:
        raise InvalidArgument("replication_factor_min is larger than replication_factor_max")


def allocate(wish: Wish, landscape: Landscape, now: float) -> tuple[PeerId, ...]:
    """Peers for a new pin, best first; empty means everywhere. Raises NotEnoughPeers, which says which filter removed
    which peer, and InvalidArgument.
    """
    check_factors(*wish.factors)
    if wish.everywhere:
        return ()
    chosen = _further(wish, (), wish.maximum, landscape, now)
    if len(chosen) < wish.minimum:
        raise _not_enough(wish, (), chosen, landscape, now)
    return chosen


def reallocate(
    wish: Wish,
    current: Sequence[PeerId],
    factors: tuple[int, int],
    landscape: Landscape,
    now: float,
    pending: Collection[PeerId] = (),
) -> tuple[PeerId, ...]:
    """Peers for a pin that is allocated to `current`, at least one, by `factors`. pending: those that do not hold it.

    Within the margin nothing moves. Unchanged factors never take a peer away, and where there are too few peers for
    them everything stays as it is. A raised maximum is filled up at once, as ipfs-cluster's documentation says of a
    re-pin; else that is repair's, which has a budget. A lowered one keeps those that hold the pin, in their order.
    Raises NotEnoughPeers, InvalidArgument.
    """
    check_factors(*wish.factors)
    if wish.everywhere:
        return ()
    counted = [peer for peer in current if landscape.keeps(peer, now, pending=peer in pending)]
    if len(counted) < wish.minimum:
        return _refilled(wish, current, counted, factors, landscape, now)
    if wish.maximum < factors[1] and wish.maximum < len(current):
        kept = _kept(wish, current, counted, pending)
        return tuple(peer for peer in current if peer in kept)
    if factors[1] < wish.maximum and len(current) < wish.maximum:
        return (*current, *_further(wish, current, wish.maximum - len(current), landscape, now))
    return tuple(current)


def _kept(
    wish: Wish, current: Sequence[PeerId], counted: Sequence[PeerId], pending: Collection[PeerId]
) -> Collection[PeerId]:
    """Who stays of too many: as many as the minimum that count, and then, as among these, whoever holds it."""
    needed = sorted(counted, key=lambda peer: peer in pending)[: wish.minimum]
    others = [peer for peer in current if peer not in needed]
    others.sort(key=lambda peer: (peer in pending, peer not in counted))
    return {*needed, *others[: wish.maximum - wish.minimum]}


def _refilled(
    wish: Wish,
    current: Sequence[PeerId],
    counted: Sequence[PeerId],
    factors: tuple[int, int],
    landscape: Landscape,
    now: float,
) -> tuple[PeerId, ...]:
    rest = [peer for peer in current if peer not in counted]
    others = replace(wish, without={**wish.without, **dict.fromkeys(rest, "its copy does not count")})
    fresh = _further(others, counted, wish.maximum - len(counted), landscape, now)
    if len(counted) + len(fresh) >= wish.minimum:
        return (*counted, *fresh, *rest)
    if wish.factors == factors:
        return tuple(current)
    raise _not_enough(wish, counted, fresh, landscape, now)


def _further(
    wish: Wish, current: Sequence[PeerId], number: int, landscape: Landscape, now: float
) -> tuple[PeerId, ...]:
    return landscape.grow(current, number, now, preferred=wish.preferred, size=wish.size, without=wish.without)


def _not_enough(
    wish: Wish, counted: Sequence[PeerId], fresh: Sequence[PeerId], landscape: Landscape, now: float
) -> NotEnoughPeers:
    rejected = landscape.why_not(now, named=wish.preferred, size=wish.size, without=wish.without)
    told = spoken(rejection for peer, rejection in rejected.items() if peer not in counted)
    return NotEnoughPeers(
        f"not enough peers to allocate CID. Needed at least: {wish.minimum}. Wanted at most: {wish.maximum}. "
        f"Available candidates: {len(counted) + len(fresh)}." + (f" Not candidates: {told}." if told else "")
    )


def spoken(rejections: Iterable[tuple[str, str]]) -> str:
    """Peers that cannot be taken, (name, reason), for people: those that share a reason together."""
    groups = [
        (reason, [name for name, _ in group])
        for reason, group in groupby(sorted(rejections, key=lambda one: (one[1], one[0])), lambda one: one[1])
    ]
    groups.sort(key=lambda group: -len(group[1]))
    texts = [f"{_listed(names)} ({reason})" for reason, names in groups[:NAMED]]
    if more := sum(len(names) for _, names in groups[NAMED:]):
        texts.append(f"{more} more for other reasons")
    return "; ".join(texts)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
