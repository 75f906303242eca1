"""From a request and what is there now to the store writes that make it so. No I/O: the engine reads and commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

from ipfs_cluster.addresses import AddressError, check_peer_address
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.core.allocate import Wish, allocate, reallocate, spoken
from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.errors import InvalidArgument, NotEnoughPeers, NotEnoughSpace, PinModeError
from ipfs_cluster.model import (
    EVERYWHERE,
    LATEST,
    WANTS_PIN,
    PeerId,
    Pin,
    PinMode,
    PinOptions,
    PinType,
    Priority,
    TrackerStatus,
    Work,
)
from ipfs_cluster.ports import PutPin, QueueWork, Write
from ipfs_cluster.sizes import size_text

GUARD_RETRIES = 16
"""How often a decision is made anew when somebody else's write came in between."""
AWAY = "its node does not answer"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What absent options mean for a new pin, and what allocation goes by."""

    replication_min: int = EVERYWHERE
    replication_max: int = EVERYWHERE
    allocate_by: tuple[str, ...] = ("tag:group", "freespace")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The cluster at the moment of a decision. peers: all that are known; up: the node of one answers. landscape: what
    allocation goes by; chosen peers are promised the pin there at once, so that the decisions that follow spread. now:
    unix seconds; steady: the same moment on the monotonic clock, by which metrics expire.
    """

    peers: tuple[PeerId, ...]
    up: Callable[[PeerId], bool]
    landscape: Landscape
    now: float
    steady: float
    defaults: Defaults


def merged(pin: Pin, options: PinOptions, around: Surroundings) -> Pin:
    """The entry with the options of a request: absent ones keep their value. Allocations are not decided here."""
    minimum, maximum = _factors(pin, options, around.defaults)
    mode = options.mode or pin.mode
    if pin.mode is PinMode.RECURSIVE and mode is PinMode.DIRECT:
        raise PinModeError(f"pin: {cid_text(pin.cid)} already pinned recursively")
    check(options, around)
    return replace(
        pin,
        mode=mode,
        name=pin.name if options.name is None else options.name,
        replication_min=minimum,
        replication_max=maximum,
        metadata=pin.metadata if options.metadata is None else dict(options.metadata),
        origins=pin.origins if options.origins is None else options.origins,
        expire_at=pin.expire_at if options.expire_at is None else options.expire_at,
        pin_update=pin.pin_update if options.pin_update is None else options.pin_update,
        shard_size=pin.shard_size if options.shard_size is None else options.shard_size,
    )


def _factors(pin: Pin | None, options: PinOptions, defaults: Defaults) -> tuple[int, int]:
    base = (defaults.replication_min, defaults.replication_max)
    if pin is not None:
        base = (pin.replication_min, pin.replication_max)
    low, high = options.replication_min or 0, options.replication_max or 0
    # One factor given: the other follows where the configured one would contradict it.
    if low and not high:
        high = EVERYWHERE if low == EVERYWHERE else max(base[1], low)
    if high and not low:
        low = EVERYWHERE if high == EVERYWHERE else min(base[0], high) if base[0] > 0 else high
    return (low or base[0]), (high or base[1])


def plan_new(
    cid: Cid,
    options: PinOptions,
    around: Surroundings,
    *,
    unseen: bool = False,
    held: Set[PeerId] = frozenset(),
) -> PutPin:
    """The write for a CID that has no entry. unseen: it is to have no rows either; the write is refused when it has.
    held: peers whose nodes hold it already.

    Raises NotEnoughPeers, InvalidArgument.
    """
    wish = _wish(None, options, around)
    check(options, around)
    pin = Pin(
        cid,
        options.mode or PinMode.RECURSIVE,
        name=options.name or "",
        allocations=_placed(wish, around),
        replication_min=wish.minimum,
        replication_max=wish.maximum,
        metadata={} if options.metadata is None else dict(options.metadata),
        origins=options.origins or (),
        expire_at=options.expire_at or 0.0,
        pin_update=options.pin_update,
        shard_size=options.shard_size or 0,
        timestamp=around.now,
    )
    around.landscape.promise(peer for peer in pin.allocations if peer not in held)
    return PutPin(pin, 0, queue=_holders(pin, around.peers), priority=Priority.USER, unseen=unseen)


def plan_pin(
    existing: Pin | None,
    cid: Cid,
    options: PinOptions,
    works: Sequence[Work],
    around: Surroundings,
    held: Set[PeerId] = frozenset(),
) -> tuple[Pin, list[Write]]:
    """The entry as it will be, and the writes for it; no writes when it is so already and nothing needs a retry.

    held: peers whose nodes hold it, whatever works say. Raises PinModeError, NotEnoughPeers, InvalidArgument.
    """
    if existing is None:
        # Entry and rows were read one after the other: between the two the entry may have turned into removals.
        put = plan_new(cid, options, around, unseen=not works, held=held)
        return put.pin, [put]
    before = existing
    if before.type is not PinType.PIN:
        return before, []
    pin = merged(before, options, around)
    pin = replace(pin, allocations=_anew(before, options, works, around, held))
    wanted = _holders(pin, around.peers)
    listed = _holders(before, around.peers)
    queue = tuple(peer for peer in wanted if peer not in listed or pin.mode is not before.mode)
    release = tuple(peer for peer in listed if peer not in wanted)
    writes: list[Write] = []
    if pin != before:
        pin = replace(pin, timestamp=around.now)
        user = Priority.USER
        writes.append(PutPin(pin, before.revision, queue, (), release, release_mode=before.mode, priority=user))
    writes += [
        QueueWork(work.peer, work.cid, TrackerStatus.PIN_QUEUED, priority=Priority.USER)
        for work in works
        if work.status in WANTS_PIN and work.peer in wanted and work.peer not in queue and work.next_retry > around.now
    ]
    return pin, writes


def _anew(
    before: Pin, options: PinOptions, works: Sequence[Work], around: Surroundings, held: Set[PeerId]
) -> tuple[PeerId, ...]:
    """The allocations of an entry after a request."""
    wish = _wish(before, options, around)
    pending = {work.peer for work in works if work.status in WANTS_PIN} - held
    if not before.allocations:
        # It was everywhere, so everybody else lets go of it: the peers that stay had better hold it.
        holders = tuple(peer for peer in around.peers if peer not in pending)
        return _placed(replace(wish, preferred=wish.preferred or holders), around)
    factors = before.replication_min, before.replication_max
    found = reallocate(wish, before.allocations, factors, around.landscape, around.steady, pending)
    around.landscape.promise(peer for peer in found if peer not in before.allocations and peer not in held)
    return found


def upload_peers(
    options: PinOptions, around: Surroundings, size: int = 0, *, all_needed: bool = True
) -> tuple[PeerId, ...]:
    """The peers that an add is sent to, before its CID is known: those that a new pin with these options would be
    allocated to, as far as their nodes answer. size: bytes that must fit, 0 when unknown. all_needed: what belongs
    everywhere is refused when one of them has no room, else it is sent to the others.

    Nothing is promised: the add holds its bytes while it runs. Raises NotEnoughPeers, NotEnoughSpace, InvalidArgument.
    """
    wish = replace(_wish(None, options, around), size=size)
    if wish.everywhere:
        return _with_room(around, size, all_needed=all_needed)
    try:
        return _answering(wish, around)
    except NotEnoughPeers as error:
        if size and _possible(replace(wish, size=0), around):
            raise NotEnoughSpace(f"not enough space for {size_text(size)}: {error}") from None
        raise


def _answering(wish: Wish, around: Surroundings) -> tuple[PeerId, ...]:
    peers = allocate(wish, around.landscape, around.steady)
    if all(map(around.up, peers)):
        return peers
    return allocate(replace(wish, without=_away(around)), around.landscape, around.steady)


def _placed(wish: Wish, around: Surroundings) -> tuple[PeerId, ...]:
    """Peers for a new pin. A metric outlives its node for a while: rather somebody else than a peer that is away."""
    peers = allocate(wish, around.landscape, around.steady)
    if all(map(around.up, peers)):
        return peers
    land, now = around.landscape, around.steady
    there = land.grow((), wish.maximum, now, preferred=wish.preferred, without=_away(around))
    # Who is left was counted by the metrics: taken as well, rather than a pin refused or a copy short.
    return (*there, *land.grow(there, wish.maximum - len(there), now, preferred=wish.preferred))


def _away(around: Surroundings) -> dict[PeerId, str]:
    return {peer: AWAY for peer in around.peers if not around.up(peer)}


def _possible(wish: Wish, around: Surroundings) -> bool:
    try:
        _answering(wish, around)
    except NotEnoughPeers:
        return False
    return True


def _with_room(around: Surroundings, size: int, *, all_needed: bool) -> tuple[PeerId, ...]:
    up = tuple(filter(around.up, around.peers))
    # Who is being drained fetches it later, and is not worth an upload that fails.
    up = tuple(peer for peer in up if not around.landscape.excluded(peer)) or up
    short = around.landscape.shortages(up, around.steady, size=size)
    if short and (all_needed or len(short) == len(up)):
        what = f" for {size_text(size)}" if size else ""
        raise NotEnoughSpace(f"not enough space{what}: {spoken(short.values())}")
    return tuple(peer for peer in up if peer not in short)


def _wish(pin: Pin | None, options: PinOptions, around: Surroundings) -> Wish:
    return Wish(*_factors(pin, options, around.defaults), preferred=options.user_allocations)


def check(options: PinOptions, around: Surroundings) -> None:
    for origin in options.origins or ():
        try:
            check_peer_address(origin)
        except AddressError as error:
            raise InvalidArgument(f"parameter origins invalid: {origin}: {error}") from None
    if options.expire_at is not None and options.expire_at > LATEST:
        raise InvalidArgument("pin.ExpireAt set after the year 9999")
    if options.expire_at is not None and 0 < options.expire_at <= around.now:
        raise InvalidArgument("pin.ExpireAt set before current time")


def _holders(pin: Pin, peers: tuple[PeerId, ...]) -> tuple[PeerId, ...]:
    return pin.allocations or peers
