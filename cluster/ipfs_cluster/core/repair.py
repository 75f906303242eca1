"""What to do about one pin whose copies are not where they should be: grow first, shrink later.

A pin that moves is allocated to its new peers beside the old ones until the new copies are made; the allocations
themselves are the state of the move, so that a crash at any point leaves nothing to be remembered. The peers to be let
go of come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from ipfs_cluster.core.failures import OF_THE_NODE, Failure, classify
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.model import PeerId, Pin, PinType, TrackerStatus, Work

Choose = Callable[[Sequence[PeerId], Sequence[PeerId], int], Sequence[PeerId]]
"""(peers whose copies stay, peers not to be taken again, number) → up to that many new peers, the best first."""


@dataclass(frozen=True, slots=True)
class Change:
    """New allocations of a pin. queue: peers that are to make a copy. release: peers that may let go of theirs.
    below_min: fewer copies than replication_min counted before."""

    allocations: tuple[PeerId, ...]
    queue: tuple[PeerId, ...] = ()
    release: tuple[PeerId, ...] = ()
    below_min: bool = False


DENIED = 5
"""Nodes whose denylists name a CID, after which no further one is asked: lists that agree are a policy, and to try
every node of a large cluster would only spread the attempts."""


@dataclass(frozen=True, slots=True)
class Copies:
    """How the allocated peers stand to a pin. counted: those whose copies count. held: of these, the ones that are up
    and have no work left. pending: of these, the ones that are at work and have not failed. leaving: the others, in
    part `barred`: their nodes cannot make the copy, for reasons of their own.
    """

    counted: tuple[PeerId, ...]
    held: tuple[PeerId, ...]
    pending: tuple[PeerId, ...]
    leaving: tuple[PeerId, ...]
    barred: Mapping[PeerId, Failure]


def barred(works: Iterable[Work]) -> dict[PeerId, Failure]:
    """Peers that failed at a pin for reasons that are their node's own, and have not been asked to try again."""
    failed = {
        work.peer: classify(work.error)
        for work in works
        if work.status is TrackerStatus.PIN_ERROR and work.attempts and work.error
    }
    return {peer: failure for peer, failure in failed.items() if failure in OF_THE_NODE}


def denied(failures: Mapping[PeerId, Failure]) -> int:
    """How many denylists name a pin, when they are so many that no further node is asked; else 0."""
    number = sum(failure is Failure.BLOCKED for failure in failures.values())
    return number if number >= DENIED else 0


def copies(
    pin: Pin, works: Sequence[Work], standing: Mapping[PeerId, PeerStanding], closed: Set[PeerId] = frozenset()
) -> Copies:
    """Sort a pin's allocations by what they are worth. works: the pin's rows. closed: peers that are at work and have
    no room any more.
    """
    rows = {work.peer: work for work in works}
    failed = {**barred(works), **{peer: Failure.DISK_FULL for peer in closed if peer in rows}}
    unable = {peer: failure for peer, failure in failed.items() if peer in pin.allocations}
    at = {peer: standing.get(peer, PeerStanding.GONE) for peer in pin.allocations}
    counted = tuple(
        peer for peer in pin.allocations if peer not in unable and at[peer] in (PeerStanding.UP, PeerStanding.AWAY)
    )
    return Copies(
        counted,
        tuple(peer for peer in counted if at[peer] is PeerStanding.UP and peer not in rows),
        tuple(peer for peer in counted if peer in rows and not rows[peer].attempts),
        tuple(peer for peer in pin.allocations if peer not in counted),
        unable,
    )


def decide(
    pin: Pin,
    works: Sequence[Work],
    standing: Mapping[PeerId, PeerStanding],
    choose: Choose,
    *,
    grow: bool = True,
    top_up: bool = False,
    closed: Set[PeerId] = frozenset(),
) -> Change | None:
    """The next step for one pin, None when there is none.

    grow: new copies may be asked for. top_up: also when the minimum is held but replication_max is not. closed: as in
    `copies`. A pin that belongs everywhere, and the entry that only stands for sharded content, have nothing to repair.
    """
    if not pin.allocations or pin.type is PinType.META:
        return None
    have = copies(pin, works, standing, closed)
    draining = {peer for peer in have.leaving if standing.get(peer) is PeerStanding.DRAINING}
    wanted = _wanted(pin, have)
    if grow and wanted > 0 and (len(have.counted) < pin.replication_min or draining or top_up):
        fresh = tuple(choose(have.counted, have.leaving, wanted))
        if fresh:
            below = len(have.counted) < pin.replication_min
            return Change((*have.counted, *fresh, *have.leaving), queue=fresh, below_min=below)
    return _trim(pin, have, draining, sought=grow or wanted <= 0)


def copies_missing(pin: Pin, works: Sequence[Work], standing: Mapping[PeerId, PeerStanding]) -> int:
    """How many copies that replication_max would like to have do not count, or are not asked for. works: the pin's
    rows.
    """
    if not pin.allocations or pin.type is PinType.META:
        return 0
    return max(pin.replication_max - len(copies(pin, works, standing).counted), 0)


def _wanted(pin: Pin, have: Copies) -> int:
    """How many further peers the pin should be given."""
    return 0 if denied(have.barred) else pin.replication_max - len(have.counted)


def _trim(pin: Pin, have: Copies, draining: Set[PeerId], *, sought: bool) -> Change | None:
    """Let go of what is too much once enough peers hold it. A copy in the making is waited for, unless it fails. A peer
    that cannot make its copy stays until then: its row is what keeps it from being chosen again.

    sought: further peers were looked for, or none is wanted.
    """
    if len(have.held) >= pin.replication_max:
        surplus = len(pin.allocations) > pin.replication_max
        keep = have.held[: pin.replication_max] if surplus and not have.pending else pin.allocations
    elif draining and sought and len(have.held) >= pin.replication_min and not have.pending:
        # There is nobody to take over, and the minimum is held without: the rest stays as it is.
        keep = tuple(peer for peer in pin.allocations if peer not in draining)
    else:
        keep = pin.allocations
    if keep == pin.allocations:
        return None
    return Change(keep, release=tuple(peer for peer in pin.allocations if peer not in keep))


def moved(pin: Pin, works: Iterable[Work], source: PeerId, target: PeerId) -> Change | None:
    """The first step of moving one copy; None when that would free nothing on the source: it does not hold the pin (all
    of it), the target has it already, or the pin has fewer copies than its maximum, so that it would be topped up.
    """
    if source not in pin.allocations or target in pin.allocations or pin.type is PinType.META:
        return None
    if len(pin.allocations) != pin.replication_max or any(work.peer == source for work in works):
        return None
    others = tuple(peer for peer in pin.allocations if peer != source)
    return Change((*others, target, source), queue=(target,))
