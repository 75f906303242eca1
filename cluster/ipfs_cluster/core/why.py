"""Sentences that an operator can act on: what a pin or a peer is doing, since when, what went wrong, what comes next.

Pure: everything is handed in. Durations are told relative to `now`; the doors show the absolute times beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ipfs_cluster.core.failures import Failure
from ipfs_cluster.core.membership import NOT_COMPARED, PeerStanding
from ipfs_cluster.core.repair import denied
from ipfs_cluster.model import PeerId, Pin, PinProgress, PinStatus, PinType, TrackerStatus

STILL = 20.0
"""Seconds without a new block after which a running attempt is said to stand still."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is going to happen to a pin beside its attempts. standing: of the peers. gone_in: seconds until an absent
    peer is given up. hold: why nothing at all is re-allocated now, empty when it would be; off: why only what an
    operator asked for is (drains). unfit: why no peer that has no copy can get one, by name; None when one can.
    barred: peers whose nodes cannot make their copy, for reasons of their own.
    """

    standing: Mapping[PeerId, PeerStanding]
    gone_in: Mapping[PeerId, float]
    hold: str = ""
    off: str = ""
    unfit: Mapping[str, str] | None = None
    barred: Mapping[PeerId, Failure] = field(default_factory=dict)


def about_pin(pin: Pin | None, statuses: Sequence[PinStatus], outlook: Outlook, now: float) -> str:
    """The pin as a whole."""
    if pin is None:
        return _about_no_pin(statuses)
    if pin.type is PinType.META:
        return "Stands for sharded content; its shards are pins of their own."
    wanted = [status for status in statuses if pin.wanted_on(status.peer)]
    held = [status for status in wanted if status.status is TrackerStatus.PINNED]
    if not pin.allocations:
        minimum = maximum = max(len(wanted), 1)
        aim = "the only peer" if len(wanted) == 1 else f"all {len(wanted)} peers"
    else:
        minimum, maximum = pin.replication_min, pin.replication_max
        aim = str(minimum) if minimum == maximum else f"{minimum} to {maximum}"
        aim += " peer" if maximum == 1 else " peers"
    sentence = f"Held by {len(held)}, wanted on {aim}: "
    sentence += _verdict(pin, wanted, len(held), minimum, maximum, outlook)
    if pin.expire_at:
        sentence += f" It expires in {span(pin.expire_at - now)}." if pin.expire_at > now else " It has expired."
    return sentence


def _verdict(pin: Pin, wanted: Sequence[PinStatus], held: int, minimum: int, maximum: int, outlook: Outlook) -> str:
    draining = [s for s in wanted if pin.allocations and outlook.standing.get(s.peer) is PeerStanding.DRAINING]
    staying = held - sum(status.status is TrackerStatus.PINNED for status in draining)
    if staying >= maximum:
        if len(pin.allocations) > maximum:
            return "complete; it is being moved, and what is too much is let go of when the new copies are made."
        return "complete."
    lacking = "below its minimum." if pin.allocations else "not all of them."
    text = "complete." if held >= maximum else "enough." if held >= minimum else lacking
    text += _parts(wanted, draining, outlook, everywhere=not pin.allocations)
    away = any(status.status is TrackerStatus.CLUSTER_ERROR for status in wanted)
    if pin.allocations and (_missing(pin, maximum, outlook) or (away and outlook.hold)):
        text += _replacement(held < minimum, draining, outlook)
        if draining and outlook.unfit is not None and staying < minimum:
            text += f" It stays on {_names(draining)} until one can."
    return text


def _missing(pin: Pin, maximum: int, outlook: Outlook) -> bool:
    """Some peers' copies do not count, and nobody is asked for others yet."""
    counted = (PeerStanding.UP, PeerStanding.AWAY)
    good = [p for p in pin.allocations if outlook.standing.get(p) in counted and p not in outlook.barred]
    return len(good) < maximum


def _parts(wanted: Sequence[PinStatus], draining: Sequence[PinStatus], outlook: Outlook, *, everywhere: bool) -> str:
    """The peers that do not hold it, or not for long."""
    text = ""
    if draining:
        them = "is being drained, so its copy is" if len(draining) == 1 else "are being drained, so their copies are"
        text += f" {_names(draining)} {them} to be made elsewhere."
    barred = [status for status in wanted if status.peer in outlook.barred]
    if barred:
        kinds = " and ".join(sorted({outlook.barred[status.peer].value for status in barred}))
        text += f" {_names(barred)} cannot make {'its copy' if len(barred) == 1 else 'their copies'} ({kinds})."
    rest = [status for status in wanted if status.status is not TrackerStatus.PINNED and status not in barred]
    unknown = [status for status in rest if _unknown(status)]
    if unknown:
        text += f" Whether {_names(unknown)} {'holds' if len(unknown) == 1 else 'hold'} it is not known yet."
    away = [status for status in rest if status.status is TrackerStatus.CLUSTER_ERROR and status not in unknown]
    busy = [status for status in rest if status.status is not TrackerStatus.CLUSTER_ERROR]
    if busy:
        text += f" {_names(busy)} {'is' if len(busy) == 1 else 'are'} to get it, see below."
    if away:
        text += f" {_names(away)} {'does' if len(away) == 1 else 'do'} not answer"
        later = f", and {'gets' if len(away) == 1 else 'get'} it when back"
        text += (later if everywhere else _given_up(away, outlook)) + "."
    return text


def _unknown(status: PinStatus) -> bool:
    return status.status is TrackerStatus.CLUSTER_ERROR and status.error.startswith(NOT_COMPARED)


def _given_up(away: Sequence[PinStatus], outlook: Outlook) -> str:
    soon = [outlook.gone_in[status.peer] for status in away if outlook.gone_in.get(status.peer, 0) > 0]
    if not soon or outlook.hold or outlook.off:
        return ""
    return f"; if that lasts, the copy is made elsewhere in {span(min(soon))}"


def _replacement(below: bool, draining: Sequence[PinStatus], outlook: Outlook) -> str:
    if hold := outlook.hold or ("" if draining else outlook.off):
        return f" No other peer is given it now: {hold}."
    if number := denied(outlook.barred):
        return f" No further node is asked: the denylists of {number} name it."
    if outlook.unfit:
        reasons = ", ".join(f"{name} ({why})" for name, why in sorted(outlook.unfit.items()))
        return f" No other peer can take it: {reasons}."
    if outlook.unfit is not None:
        return " Every peer has it or is to get it already: add peers, or free some."
    return " Another peer is given it by the next sweep." if below or draining or outlook.barred else ""


def _about_no_pin(statuses: Sequence[PinStatus]) -> str:
    leaving = [status for status in statuses if status.status is not TrackerStatus.UNPINNED]
    strangers = [s for s in statuses if s.status is TrackerStatus.UNPINNED and s.error not in ("", NOT_COMPARED)]
    if leaving:
        return f"Not in the pinset; {_names(leaving)} {'has' if len(leaving) == 1 else 'have'} still to let go of it."
    if strangers:
        return f"Not in the pinset, but held by {_names(strangers)}: pin it to keep it, or unpin it on the node."
    return "Not in the pinset."


@dataclass(frozen=True, slots=True)
class Wait:
    """What a row of work waits for. cause: what kind of failure its last attempt ended with, None without one. until:
    what must happen first, in words, empty when that is only time or a free place. ahead: rows that come before it.
    """

    cause: Failure | None = None
    until: str = ""
    ahead: int = 0


def about_copy(
    status: PinStatus, standing: PeerStanding | None, wait: Wait, now: float, *, everywhere: bool = False
) -> str:
    """One pin on one peer. everywhere: it belongs on every peer."""
    since = span(now - status.timestamp) if status.timestamp else "some time"
    match status.status:
        case TrackerStatus.PINNED:
            if standing is not PeerStanding.DRAINING:
                return "holds it"
            if everywhere:
                return "holds it, and keeps it while the peer is in the configuration, as it belongs everywhere"
            return "holds it; it goes when others hold it, as the peer is drained"
        case TrackerStatus.REMOTE:
            return "is not to hold it"
        case TrackerStatus.SHARDED:
            return "holds the shards that are allocated to it"
        case TrackerStatus.UNPINNED:
            return status.error or "does not hold it"
        case TrackerStatus.CLUSTER_ERROR if _unknown(status):
            return f"may hold it: {status.error}"
        case TrackerStatus.CLUSTER_ERROR:
            counts = "its copy counts no longer" if standing is PeerStanding.GONE else "its copy still counts"
            return f"has not answered for {since} ({status.error}); {counts}"
        case TrackerStatus.PINNING:
            return f"has been fetching it for {since}: {_progress(status.progress, now)}{_before(status, wait)}"
        case TrackerStatus.UNEXPECTEDLY_UNPINNED if not status.attempts:
            return f"lost it {since} ago, and fetches it again: {_next(status, wait, now)}"
        case TrackerStatus.PIN_QUEUED if not status.attempts:
            return f"has been waiting to fetch it for {since}: {_next(status, wait, now)}"
        case TrackerStatus.UNPINNING:
            return f"has been letting go of it for {since}"
        case TrackerStatus.UNPIN_QUEUED if not status.attempts:
            return f"has been waiting to let go of it for {since}: {_next(status, wait, now)}"
        case TrackerStatus.UNPIN_QUEUED | TrackerStatus.UNPIN_ERROR:
            return f"could not let go of it{_failed(status, wait)}; {_next(status, wait, now)}"
        case _:
            return f"could not fetch it{_failed(status, wait)}; {_next(status, wait, now)}"


ADVICE = {
    Failure.NOT_FOUND: "nobody reachable has all of it; connect the node to one that does, or give the pin origins",
    Failure.DISK_FULL: "free some space there",
    Failure.INVALID: "it cannot be pinned: remove it",
    Failure.BLOCKED: "the node's denylist names it: remove the pin, or the entry there",
    Failure.PIN_LOCK: "an add or a collection that somebody else began on the node keeps it from pinning",
}
"""What an operator can do about each kind of failure that does not pass by itself."""


def _progress(progress: PinProgress, now: float) -> str:
    if not progress.last_growth:
        return "no block so far; nobody that has it was found yet"
    size = f", {amount(progress.bytes)}" if progress.bytes else ""
    quiet = now - progress.last_growth
    last = f"nothing new for {span(quiet)}" if quiet >= STILL else f"the last one {span(quiet)} ago"
    return f"{progress.nodes:,} block{'' if progress.nodes == 1 else 's'}{size} so far, {last}"


def _before(status: PinStatus, wait: Wait) -> str:
    advice = f"; {ADVICE[wait.cause]}" if wait.cause is Failure.PIN_LOCK else ""
    return advice + (f" (attempt {status.attempts + 1}; before: {status.error})" if status.attempts else "")


def _failed(status: PinStatus, wait: Wait) -> str:
    attempts = "1 attempt" if status.attempts == 1 else f"{status.attempts} attempts"
    reason = f": {status.error}" if status.error else ""
    advice = f" ({ADVICE[wait.cause]})" if wait.cause in ADVICE else ""
    return f" in {attempts}{reason}{advice}"


def _next(status: PinStatus, wait: Wait, now: float) -> str:
    if wait.until:
        return wait.until
    if status.next_retry > now:
        return f"next attempt in {span(status.next_retry - now)}"
    if wait.ahead:
        return f"{wait.ahead:,} {'comes' if wait.ahead == 1 else 'come'} before it on this node"
    return "begins as soon as a place is free"


def _names(statuses: Sequence[PinStatus]) -> str:
    names = [status.peername or status.peer for status in statuses]
    if len(names) > 3:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join(names)


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What is known of a peer. since: seconds since its node came or went. oldest: seconds that the longest queued pin
    waits. gone_in: seconds until it is given up. remaining: pins allocated to it that have to be moved; stuck: those of
    them for which no other peer has room. unfit: why it gets no new pins. known: its node was compared with the pinset.
    """

    up: bool
    error: str
    since: float
    standing: PeerStanding
    pinning: int
    queued: int
    failing: int
    unpinning: int
    oldest: float = 0.0
    gone_in: float | None = None
    remaining: int = 0
    stuck: int = 0
    unfit: str = ""
    known: bool = True


def about_peer(facts: PeerFacts) -> str:
    """A peer as a whole."""
    if facts.up:
        text = f"Its node answers, for {span(facts.since)}. "
    else:
        text = f"Its node cannot be used, for {span(facts.since)}: {facts.error}. "
        text += _absence(facts)
    if not facts.known:
        text += f"{NOT_COMPARED[0].upper()}{NOT_COMPARED[1:]}. "
    text += _work(facts)
    if facts.standing is PeerStanding.DRAINING:
        text += _draining(facts)
    elif facts.unfit and facts.up:
        text += f" It gets no new pins: {facts.unfit}."
    return text


def _draining(facts: PeerFacts) -> str:
    if not facts.remaining:
        text = " It is drained: nothing is allocated to it any more, and it may be taken out of service."
    else:
        text = f" It is being drained: {_number(facts.remaining, 'pin is', 'pins are')} still to be moved"
        if facts.stuck:
            text += f"; no other peer can take {facts.stuck:,} of them, `why CID` says of each why not"
        text += "."
    return text + " `drain --undo` takes it into service again."


def _absence(facts: PeerFacts) -> str:
    if facts.standing is PeerStanding.DRAINING:
        return ""
    if facts.standing is PeerStanding.GONE:
        left = _number(facts.remaining, "pin is", "pins are")
        return f"Its copies count no longer; {left} still allocated to it. "
    if facts.gone_in is not None and facts.gone_in > 0:
        return f"Its copies count for another {span(facts.gone_in)}. "
    return "Its copies still count. "


def _work(facts: PeerFacts) -> str:
    parts = []
    if facts.pinning:
        parts.append(_number(facts.pinning, "pin is being fetched", "pins are being fetched"))
    if facts.queued:
        waits = f", the oldest for {span(facts.oldest)}" if facts.oldest else ""
        parts.append(_number(facts.queued, "waits for its turn", "wait for their turn") + waits)
    if facts.failing:
        parts.append(_number(facts.failing, "failed and is tried again", "failed and are tried again"))
    if facts.unpinning:
        parts.append(_number(facts.unpinning, "is to be let go of", "are to be let go of"))
    if not parts:
        return "It has nothing to do."
    text = ", ".join(parts)
    return text[0].upper() + text[1:] + "."


def _number(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def span(seconds: float) -> str:
    """A duration as people say it, in one unit, or two when the first is small."""
    seconds = max(seconds, 0.0)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            whole = int(seconds // size)
            rest = int(seconds % size // below)
            return f"{whole} {unit}" + (f" {rest} {small}" if rest and whole < 10 else "")
    return f"{int(seconds)} s"


def amount(size: int) -> str:
    """Bytes as people say them."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
