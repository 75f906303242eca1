"""The peers of the cluster as allocation sees them, kept in order between decisions. Sans-IO; times are monotonic.

Who calls what: a peer's monitor `measure`s (`PeerState.put` leads here); planning asks for peers with `grow` and
`promise`s what it decided; an add `hold`s its bytes while it runs; repair `exclude`s peers and chooses with `grow`;
`why_not` and `room` answer people. A change and a decision cost what one peer costs, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, islice, takewhile
from math import inf
from types import MappingProxyType

from ipfs_cluster.core.partitions import Partition, Path, Rank, View
from ipfs_cluster.core.promises import Ledger, PinSizes
from ipfs_cluster.model import Metric, PeerId
from ipfs_cluster.sizes import size_text

TAG = "tag:"
NOBODY: Mapping[PeerId, str] = MappingProxyType({})


@dataclass(slots=True)
class _Place:
    """One peer. mark: the measurement that settled its ledger last. turn: of its last promise. timer: when it has to be
    looked at again. spot, room: where it stands in the two orders, while it is a candidate.
    """

    peer: PeerId
    name: str
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    mark: Metric | None = None
    excluded: str = ""
    turn: int = 0
    timer: float = inf
    spot: tuple[Path, Rank] | None = None
    room: tuple[float, PeerId] | None = None


class Landscape:
    """Candidates in balanced order by `allocate_by`, with free space net of what is promised.

    Estimates of what was promised only put a peer behind others. What closes it is what its node measured, and the
    bytes of adds: a long queue of pins whose sizes nobody knows is no reason to refuse anything.
    """

    def __init__(self, allocate_by: Sequence[str]) -> None:
        """allocate_by: names of metrics; those that are tags part the peers as far as no other one comes before."""
        self._tags = tuple(takewhile(lambda name: name.startswith(TAG), allocate_by))
        self._scales = tuple(allocate_by[len(self._tags) :])
        self._required = tuple(dict.fromkeys(("ping", *allocate_by)))
        self._aging = tuple(dict.fromkeys((*self._required, "freespace")))
        self._places: dict[PeerId, _Place] = {}
        self._order = Partition(len(self._tags))
        self._rooms: list[tuple[float, PeerId]] = []
        self._sizes = PinSizes()
        self._timers: list[tuple[float, PeerId]] = []
        self._turns = count(1)
        self._now = -inf

    # --- what is ---

    def measure(self, peer: PeerId, name: str, metrics: Mapping[str, Metric]) -> None:
        """All metrics of a peer after some of them were measured. A new `freespace` settles what was promised before;
        what is left of it is what `pinqueue` says is still to come.
        """
        place = self._places.setdefault(peer, _Place(peer, name))
        place.name, place.metrics = name, dict(metrics)
        self._sizes.report(peer, _number(metrics.get("reposize")), _number(metrics.get("numpin")))
        mark = metrics.get("freespace") or metrics.get("ping")
        if mark is not place.mark:
            spent = _number(place.mark) - _number(mark) if place.mark and place.mark.name == "freespace" else 0
            queue = _number(metrics.get("pinqueue"))
            self._sizes.made(place.ledger.pins + place.ledger.queue - queue, spent - place.ledger.brought)
            place.mark = mark
            place.ledger.measured(queue, self._sizes.average)
        self._sort(place)

    def exclude(self, peer: PeerId, reason: str) -> None:
        """The peer gets nothing new, for this reason, in words for people; an empty one ends that. What it holds goes
        on counting.
        """
        place = self._places.setdefault(peer, _Place(peer, peer))
        if reason != place.excluded:
            place.excluded = reason
            self._sort(place)

    def excluded(self, peer: PeerId) -> str:
        """Why the peer gets nothing new, as `exclude` was told; empty when it does."""
        place = self._places.get(peer)
        return place.excluded if place else ""

    def promise(self, peers: Iterable[PeerId], size: int = 0) -> None:
        """These peers will fetch one more pin. size: bytes, 0 when unknown. To be told after each decision, before the
        next one: that is what spreads a burst.
        """
        for peer in peers:
            if place := self._places.get(peer):
                place.ledger.promise(size or self._sizes.average)
                place.turn = next(self._turns)
                self._sort(place)

    @contextmanager
    def hold(self, peers: Sequence[PeerId], size: int) -> Iterator[None]:
        """An add of this many bytes runs on these peers; what it brought counts until it can be measured."""
        places = [place for peer in peers if (place := self._places.get(peer))]
        for place in places:
            place.ledger.adding += size
            self._sort(place)
        try:
            yield
        finally:
            for place in places:
                place.ledger.added(size)
                self._sort(place)

    # --- what follows ---

    def grow(
        self,
        current: Sequence[PeerId],
        number: int,
        now: float,
        *,
        preferred: Sequence[PeerId] = (),
        size: int = 0,
        without: Mapping[PeerId, str] = NOBODY,
    ) -> tuple[PeerId, ...]:
        """Up to `number` further peers for what is on `current`, the best first; promises nothing by itself.

        preferred: first, where they are candidates. size: bytes that must fit, 0 when unknown. without: not these,
        each with the reason (`why_not` repeats it).
        """
        self._advance(now)
        passed = {*current, *without}
        if size:
            passed.update(peer for _, peer in self._rooms[: bisect_left(self._rooms, (size,))])
        view = View(passed)
        for peer in current:
            if place := self._places.get(peer):
                view.take(self._path(place) or ())
        first = [spot for peer in dict.fromkeys(preferred) if peer not in passed and (spot := self._spot_of(peer))]
        chosen = self._chosen_first(first, view, number) if first else []
        if len(chosen) < number:
            passed.update(rank.peer for _, rank in first)
            for peer in passed:
                if spot := self._spot_of(peer):
                    view.hide(spot[0], spot[1].weight)
            chosen += islice(self._order.turns(view), number - len(chosen))
        return tuple(chosen)

    def _chosen_first(self, spots: Sequence[tuple[Path, Rank]], view: View, number: int) -> list[PeerId]:
        group = Partition(len(self._tags))
        for path, rank in spots:
            group.add(path, rank)
        chosen = list(islice(group.turns(view), number))
        for path, rank in spots:
            if rank.peer in chosen:
                view.take(path)
        return chosen

    def keeps(self, peer: PeerId, now: float, *, pending: bool) -> bool:
        """True when a copy on this peer counts: the peer answers, and if it has yet to fetch it, its disk is not full.
        Neither a full disk nor a missing tag takes away what it has.
        """
        place = self._places.get(peer)
        ping = place.metrics.get("ping") if place else None
        if place is None or ping is None or not ping.usable(now):
            return False
        free = place.metrics.get("freespace")
        return not pending or free is None or free.valid

    def why_not(
        self, now: float, *, named: Iterable[PeerId] = (), size: int = 0, without: Mapping[PeerId, str] = NOBODY
    ) -> dict[PeerId, tuple[str, str]]:
        """Every known peer that is no candidate: its name, and which filter removed it; also those of `named` that are
        none of the cluster's.
        """
        found = {peer: (str(peer), "is no peer of this cluster") for peer in named if peer not in self._places}
        for place in self._places.values():
            reason = without.get(place.peer) or self._obstacle(place, now, size)
            if reason:
                found[place.peer] = (place.name, reason)
        return found

    def shortages(self, peers: Iterable[PeerId], now: float, *, size: int = 0) -> dict[PeerId, tuple[str, str]]:
        """Which of these peers have no room, with name and reason, whatever else may be said of them. size: bytes that
        must fit; when it is unknown (0), nothing but a full disk counts.
        """
        found = {}
        for place in filter(None, map(self._places.get, peers)):
            free = place.metrics.get("freespace")
            if (size or (free is not None and not free.valid)) and (reason := self._shortage(place, now, size)):
                found[place.peer] = (place.name, reason)
        return found

    def room(self, peer: PeerId, now: float) -> int | None:
        """Bytes that the peer has left, net of reserve and of what adds bring; None when free space is not known."""
        place = self._places.get(peer)
        free = place.metrics.get("freespace") if place else None
        if place is None or free is None or now >= free.expire:
            return None
        return _number(free) - place.ledger.certain

    # --- keeping order ---

    def _advance(self, now: float) -> None:
        self._now = now
        while self._timers and self._timers[0][0] <= now:
            at, peer = heappop(self._timers)
            place = self._places[peer]
            if place.timer == at:
                place.timer = inf
                self._sort(place)

    def _sort(self, place: _Place) -> None:
        """Put a peer where it belongs now, and see to it that it is looked at again when a metric expires."""
        spot = None if self._obstacle(place, self._now) else self._spot(place)
        if spot != place.spot:
            if place.spot is not None:
                self._order.remove(*place.spot)
            if spot is not None:
                self._order.add(*spot)
            place.spot = spot
        room = None if spot is None else (self._room(place), place.peer)
        if room != place.room:
            if place.room is not None:
                del self._rooms[bisect_left(self._rooms, place.room)]
            if room is not None:
                insort(self._rooms, room)
            place.room = room
        ends = [
            metric.expire
            for name in self._aging
            if (metric := place.metrics.get(name)) is not None and metric.expire > self._now
        ]
        # Not moved back when metrics are renewed: a peer has one timer in the heap, and looks for itself when it rings.
        if ends and (until := min(ends)) < place.timer:
            place.timer = until
            heappush(self._timers, (until, place.peer))

    def _spot(self, place: _Place) -> tuple[Path, Rank]:
        weights = [self._weight(place, name) for name in self._scales]
        lightness = (-weights[0] if weights else 0) + self._overdrawn(place)
        return self._path(place) or (), Rank(lightness, -sum(weights[1:]), place.turn, place.peer)

    def _spot_of(self, peer: PeerId) -> tuple[Path, Rank] | None:
        place = self._places.get(peer)
        return place.spot if place else None

    def _path(self, place: _Place) -> Path | None:
        values = [metric.value for name in self._tags if (metric := place.metrics.get(name)) is not None]
        return tuple(values) if len(values) == len(self._tags) else None

    def _weight(self, place: _Place, name: str) -> int:
        weight = place.metrics[name].weight
        if name in ("freespace", "reposize"):
            return weight - place.ledger.promised
        return weight - place.ledger.pins if name in ("numpin", "pinqueue") else weight

    def _overdrawn(self, place: _Place) -> int:
        """Bytes that a peer was promised beyond what it has, where its weight does not tell: it then comes last."""
        free = place.metrics.get("freespace")
        if free is None or "freespace" in self._scales:
            return 0
        return max(place.ledger.promised - _number(free), 0)

    def _room(self, place: _Place) -> float:
        room = self.room(place.peer, self._now)
        return inf if room is None else room

    # --- words ---

    def _obstacle(self, place: _Place, now: float, size: int = 0) -> str:
        """Why a peer is no candidate; empty when it is one."""
        if place.excluded:
            return place.excluded
        for name in self._required:
            metric = place.metrics.get(name)
            if metric is None:
                return f"has no {name}" if name.startswith(TAG) else f"no {name} metric"
            if now >= metric.expire:
                return f"{name} metric expired"
            if not metric.valid and name != "freespace":
                return metric.reason or f"{name} metric invalid"
        return self._shortage(place, now, size)

    def _shortage(self, place: _Place, now: float, size: int) -> str:
        free = place.metrics.get("freespace")
        if free is None or now >= free.expire:
            return ""
        if not free.valid:
            return free.reason or "no space left above its reserve"
        measured, adds = _number(free), place.ledger.certain
        if measured - adds >= max(size, 1):
            return ""
        figures = ((measured, "free"), (adds, "taken by adds"), (size, "needed"))
        return "not enough space: " + ", ".join(f"{size_text(figure)} {what}" for figure, what in figures if figure)


def _number(metric: Metric | None) -> int:
    return int(metric.value) if metric is not None and metric.value.isdecimal() else 0
