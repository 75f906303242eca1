"""What to do about one pin whose copies are not where they should be: grow first, shrink later.

A pin that moves is allocated to its new peers beside the old ones until the new copies are made; the allocations
themselves are the state of the move, so that a crash at any point leaves nothing to be remembered. The peers to be let
go of come last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.model import PeerId, Pin, PinType, Work

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


@dataclass(frozen=True, slots=True)
class Copies:
    """How the allocated peers stand to a pin. counted: those whose copies count. held: of these, the ones that are up
    and have no work left. pending: of these, the ones that are at work and have not failed. leaving: the others."""

    counted: tuple[PeerId, ...]
    held: tuple[PeerId, ...]
    pending: tuple[PeerId, ...]
    leaving: tuple[PeerId, ...]


def copies(pin: Pin, works: Sequence[Work], standing: Mapping[PeerId, PeerStanding]) -> Copies:
    """Sort a pin's allocations by what they are worth. works: the pin's rows."""
    rows = {work.peer: work for work in works}
    at = {peer: standing.get(peer, PeerStanding.GONE) for peer in pin.allocations}
    counted = tuple(peer for peer in pin.allocations if at[peer] in (PeerStanding.UP, PeerStanding.AWAY))
    return Copies(
        counted,
        tuple(peer for peer in counted if at[peer] is PeerStanding.UP and peer not in rows),
        tuple(peer for peer in counted if peer in rows and not rows[peer].attempts),
        tuple(peer for peer in pin.allocations if peer not in counted),
    )


def decide(
    pin: Pin,
    works: Sequence[Work],
    standing: Mapping[PeerId, PeerStanding],
    choose: Choose,
    *,
    grow: bool = True,
    top_up: bool = False,
) -> Change | None:
    """The next step for one pin, None when there is none.

    grow: new copies may be asked for. top_up: also when the minimum is held but replication_max is not. A pin that
    belongs everywhere, and the entry that only stands for sharded content, have nothing to repair.
    """
    if not pin.allocations or pin.type is PinType.META:
        return None
    have = copies(pin, works, standing)
    draining = {peer for peer in have.leaving if standing.get(peer) is PeerStanding.DRAINING}
    wanted = pin.replication_max - len(have.counted)
    if grow and wanted > 0 and (len(have.counted) < pin.replication_min or draining or top_up):
        fresh = tuple(choose(have.counted, have.leaving, wanted))
        if fresh:
            below = len(have.counted) < pin.replication_min
            return Change((*have.counted, *fresh, *have.leaving), queue=fresh, below_min=below)
    return _trim(pin, have, draining, sought=grow or wanted <= 0)


def copies_missing(pin: Pin, standing: Mapping[PeerId, PeerStanding]) -> int:
    """How many copies are not counted, or not asked for, that replication_max would like to have."""
    if not pin.allocations or pin.type is PinType.META:
        return 0
    counted = sum(standing.get(peer) in (PeerStanding.UP, PeerStanding.AWAY) for peer in pin.allocations)
    return max(pin.replication_max - counted, 0)


def _trim(pin: Pin, have: Copies, draining: Set[PeerId], *, sought: bool) -> Change | None:
    """Let go of what is too much once enough peers hold it. A copy in the making is waited for, unless it fails.

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


def moved(pin: Pin, source: PeerId, target: PeerId) -> Change | None:
    """The first step of moving one copy: None when the pin is not on the source, or on the target already."""
    if source not in pin.allocations or target in pin.allocations or len(pin.allocations) > pin.replication_max:
        return None
    others = tuple(peer for peer in pin.allocations if peer != source)
    return Change((*others, target, source), queue=(target,))
