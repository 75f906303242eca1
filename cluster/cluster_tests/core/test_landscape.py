"""The landscape against a deliberately dumb model that sorts everything anew for each decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tests.core.peers import NOW, ids, land_of, metrics_of
from ipfs_cluster.core.allocate import Wish, allocate, reallocate
from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.core.promises import FAR_OFF, USUAL_PINS, USUAL_SIZE, PinSizes
from ipfs_cluster.errors import NotEnoughPeers
from ipfs_cluster.model import Metric, PeerId

NAMES = "abcdefg"
ORDERS = (
    ("tag:group", "freespace"),
    ("tag:group", "tag:rack", "freespace"),
    ("freespace",),
    ("reposize", "freespace"),
    ("tag:group",),
    ("tag:group", "numpin"),
)


@dataclass
class Account:
    """One peer of the model."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    excluded: bool = False
    queued: int = 0
    fresh: int = 0
    adding: int = 0
    pins: int = 0
    brought: int = 0
    turn: int = 0

    def number(self, name: str) -> int:
        return int(self.metrics[name].value) if name in self.metrics else 0

    @property
    def promised(self) -> int:
        return self.queued + self.fresh + self.adding


@dataclass
class Model:
    """Peers in a dict; nothing else is remembered between decisions."""

    by: Sequence[str]
    peers: dict[PeerId, Account] = field(default_factory=dict)
    turns: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)

    def average(self) -> int:
        size = USUAL_PINS * USUAL_SIZE + sum(one.number("reposize") for one in self.peers.values())
        pins = USUAL_PINS + sum(one.number("numpin") for one in self.peers.values())
        return (size + sum(size for _, size in self.seen)) // (pins + sum(pins for pins, _ in self.seen))

    def measure(self, peer: PeerId, metrics: Mapping[str, Metric]) -> None:
        account = self.peers.setdefault(peer, Account())
        free, queue, first = account.number("freespace"), account.number("pinqueue"), not account.metrics
        account.metrics = metrics
        made = account.pins + queue - account.number("pinqueue")
        spent = (0 if first else free - account.number("freespace")) - account.brought
        if made > 0 and spent >= 0:
            self.seen.append((made, min(spent, FAR_OFF * made * max(self.average(), 1))))
        account.queued = account.number("pinqueue") * self.average()
        account.fresh = account.pins = account.brought = 0

    def promise(self, peers: Iterable[PeerId], size: int) -> None:
        for peer in peers:
            self.turns += 1
            self.peers[peer].fresh += size
            self.peers[peer].pins += 1
            self.peers[peer].turn = self.turns

    def fit(self, peer: PeerId, now: float, size: int) -> bool:
        account = self.peers[peer]
        needed = {"ping", "freespace", *self.by}
        if account.excluded or any(
            name not in account.metrics or not account.metrics[name].usable(now) for name in needed
        ):
            return False
        return account.number("freespace") - account.adding - account.brought >= max(size, 1)

    def weight(self, peer: PeerId, name: str) -> int:
        account = self.peers[peer]
        promised = {"freespace": account.promised, "reposize": account.promised, "numpin": account.pins}
        return account.metrics[name].weight - promised[name]

    def weights(self, peer: PeerId) -> list[int]:
        """By the metrics that are no tags; the first is lower for who was promised more than there is room for."""
        scales = [name for name in self.by if not name.startswith("tag:")]
        account = self.peers[peer]
        overdrawn = 0 if "freespace" in scales else max(account.promised - account.number("freespace"), 0)
        first, *others = [self.weight(peer, name) for name in scales] or [0]
        return [first - overdrawn, *others]

    def tags(self, peer: PeerId) -> tuple[str, ...]:
        account = self.peers.get(peer, Account())
        names = [name for name in self.by if name.startswith("tag:")]
        return tuple(account.metrics[name].value for name in names) if set(names) <= account.metrics.keys() else ()

    def grow(
        self, current: Sequence[PeerId], number: int, now: float, preferred: Sequence[PeerId], size: int
    ) -> tuple[PeerId, ...]:
        fit = [peer for peer in self.peers if peer not in current and self.fit(peer, now, size)]
        wanted = [peer for peer in fit if peer in preferred]
        first = self.ordered(wanted, current)[:number]
        others = [peer for peer in fit if peer not in wanted]
        return (*first, *self.ordered(others, [*current, *first]))[:number]

    def ordered(self, peers: Sequence[PeerId], holders: Sequence[PeerId], depth: int = 0) -> list[PeerId]:
        """Go round over the parts: the one with the fewest copies is next, the heaviest of those with as many."""
        weights = {peer: self.weights(peer) for peer in peers}
        if depth == sum(name.startswith("tag:") for name in self.by):
            return sorted(peers, key=lambda one: (-weights[one][0], -sum(weights[one][1:]), self.peers[one].turn, one))
        parts: dict[str, list[PeerId]] = {}
        for peer in peers:
            parts.setdefault(self.tags(peer)[depth], []).append(peer)
        values = sorted(parts, key=lambda value: (-sum(sum(weights[peer]) for peer in parts[value]), value))
        inside = {
            value: [peer for peer in holders if self.tags(peer)[depth : depth + 1] == (value,)] for value in parts
        }
        copies = {value: len(inside[value]) for value in parts}
        left = {value: self.ordered(parts[value], inside[value], depth + 1) for value in parts}
        found = []
        while any(left.values()):
            value = min((value for value in values if left[value]), key=lambda value: copies[value])
            found.append(left[value].pop(0))
            copies[value] += 1
        return found


peers = st.sampled_from(ids(NAMES))
some = st.lists(peers, unique=True, max_size=4).map(tuple)
sizes = st.integers(1, 6).map(lambda size: size * USUAL_SIZE)
tags = st.fixed_dictionaries({}, optional={"group": st.sampled_from("xyz"), "rack": st.sampled_from("12")})
numbers = st.fixed_dictionaries(
    {"reposize": sizes}, optional={"numpin": st.integers(0, 10**4), "pinqueue": st.integers(0, 3)}
)
steps = st.one_of(
    st.tuples(st.just("measure"), peers, st.integers(0, 20), tags, numbers, st.sampled_from((30, 30, 30, -1))),
    st.tuples(st.just("promise"), some, sizes),
    st.tuples(st.just("add"), some, sizes),
    st.tuples(st.just("end")),
    st.tuples(st.just("exclude"), peers, st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 40)),
    st.tuples(st.just("grow"), some, some, st.integers(1, 5), st.sampled_from((0, 0, 4 * USUAL_SIZE))),
)
beginnings = st.fixed_dictionaries(
    {peer: st.tuples(st.integers(0, 20), tags, numbers) for peer in ids(NAMES[:4])},
    optional={peer: st.tuples(st.integers(0, 20), tags, numbers) for peer in ids(NAMES[4:])},
)


class Both:
    """The landscape and the model, told the same."""

    def __init__(self, by: Sequence[str]) -> None:
        self.land, self.model = Landscape(by), Model(by)
        self.now = NOW
        self.adds: list[tuple[ExitStack, list[PeerId], int]] = []

    def measure(self, peer: PeerId, free: int, tags: Mapping[str, str], numbers: Mapping[str, int], ttl: int) -> None:
        metrics = metrics_of(peer, free * USUAL_SIZE, now=self.now + ttl - 30, tags=tags, **numbers)
        self.land.measure(peer, str(peer), metrics)
        self.model.measure(peer, metrics)

    def promise(self, peers: Sequence[PeerId], size: int) -> None:
        self.land.promise(peers, size)
        self.model.promise([peer for peer in peers if peer in self.model.peers], size)

    def add(self, peers: Sequence[PeerId], size: int) -> None:
        running = ExitStack()
        running.enter_context(self.land.hold(peers, size))
        known = [peer for peer in peers if peer in self.model.peers]
        for peer in known:
            self.model.peers[peer].adding += size
        self.adds.append((running, known, size))

    def end(self) -> None:
        if not self.adds:
            return
        running, peers, size = self.adds.pop(0)
        running.close()
        for peer in peers:
            self.model.peers[peer].adding -= size
            self.model.peers[peer].fresh += size
            self.model.peers[peer].brought += size

    def exclude(self, peer: PeerId, excluded: bool) -> None:
        self.land.exclude(peer, "it is being drained" if excluded else "")
        self.model.peers.setdefault(peer, Account()).excluded = excluded

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def grow(self, current: Sequence[PeerId], preferred: Sequence[PeerId], number: int, size: int) -> None:
        found = self.land.grow(current, number, self.now, preferred=preferred, size=size)
        assert found == self.model.grow(current, number, self.now, preferred, size)
        told = self.land.why_not(self.now, size=size).keys()
        assert told == {peer for peer in self.model.peers if not self.model.fit(peer, self.now, size)}
        self.promise(found, size or USUAL_SIZE)


@pytest.mark.parametrize("by", ORDERS)
@settings(max_examples=200, deadline=None)
@given(beginning=beginnings, course=st.lists(steps, max_size=12))
def test_it_decides_as_if_everything_were_sorted_anew(
    by: Sequence[str], beginning: Mapping[PeerId, tuple[Any, ...]], course: Sequence[tuple[Any, ...]]
) -> None:
    both = Both(by)
    for peer, (free, tags, numbers) in beginning.items():
        both.measure(peer, free, tags, numbers, 30)
    for verb, *words in (("grow", (), (), 3, 0), *course, ("grow", (), (), len(NAMES), 0)):
        getattr(both, verb)(*words)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Both, dict[PeerId, bool]]:
    """Peers, and which of them answer."""
    both = Both(ORDERS[0])
    for peer in ids(NAMES):
        free, group, ttl = draw(st.integers(0, 3)), draw(st.sampled_from("xyz")), draw(st.sampled_from((30, 30, -1)))
        both.measure(peer, free, {"group": group}, {}, ttl)
    return both, {peer: both.model.peers[peer].metrics["ping"].usable(NOW) for peer in ids(NAMES)}


@settings(max_examples=200, deadline=None)
@given(worlds(), some, st.integers(1, 4), st.integers(0, 3))
def test_a_new_pin_gets_the_best_peers_or_is_refused(
    world: tuple[Both, Mapping[PeerId, bool]], preferred: tuple[PeerId, ...], minimum: int, extra: int
) -> None:
    both, _ = world
    wish = Wish(minimum, minimum + extra, preferred)
    best = both.model.grow((), wish.maximum, NOW, preferred, 0)
    if len(best) >= minimum:
        assert allocate(wish, both.land, NOW) == best
        return
    with pytest.raises(NotEnoughPeers, match=f"Available candidates: {len(best)}\\."):
        allocate(wish, both.land, NOW)


@settings(max_examples=200, deadline=None)
@given(
    worlds(),
    st.lists(peers, unique=True, min_size=1, max_size=5).map(tuple),
    st.sets(peers),
    st.tuples(st.integers(1, 4), st.integers(0, 3)),
    st.tuples(st.integers(1, 4), st.integers(0, 3)),
)
def test_the_promises_of_a_re_pin_hold(
    world: tuple[Both, Mapping[PeerId, bool]],
    current: tuple[PeerId, ...],
    pending: set[PeerId],
    before: tuple[int, int],
    wanted: tuple[int, int],
) -> None:
    both, up = world
    had, wish = (before[0], sum(before)), Wish(wanted[0], sum(wanted))
    free = {peer: both.model.peers[peer].number("freespace") for peer in up}
    counted = [peer for peer in current if up[peer] and (peer not in pending or free[peer])]
    try:
        found = reallocate(wish, current, had, both.land, NOW, pending)
    except NotEnoughPeers:
        assert wish.factors != had
        assert len(counted) + len(both.model.grow(current, len(NAMES), NOW, (), 0)) < wish.minimum
        return
    fresh = [peer for peer in found if peer not in current]
    assert len(set(found)) == len(found)
    assert all(both.model.fit(peer, NOW, 0) for peer in fresh)
    assert len(fresh) <= max(wish.maximum - len(counted), 0)
    if len(counted) >= wish.minimum:
        assert not fresh or (wish.maximum > had[1] and len(found) <= wish.maximum)
        assert len({*found} & {*counted}) >= wish.minimum
    elif wish.factors != had:
        assert len(fresh) + len(counted) >= wish.minimum
    if set(found) < set(current):
        assert len(found) == wish.maximum < had[1]
        needed = max(wish.minimum - len({*counted} - pending), 0)
        assert {*current} - pending <= {*found} or len({*found} & pending) <= needed, "holders stay first"
    else:
        assert set(current) <= set(found), "nobody is dropped for somebody who has yet to fetch it"


def test_a_part_with_more_copies_waits_until_the_others_have_as_many() -> None:
    groups = {"a": "eu", "b": "eu", "c": "eu", "d": "us", "e": "us", "f": "us"}
    land = land_of({"a": 9, "b": 9, "c": 9, "d": 3, "e": 2, "f": 1}, groups=groups)
    assert land.grow(ids("ab"), 4, NOW) == ids("decf")


def test_what_an_add_brought_counts_until_it_is_measured() -> None:
    land = land_of({"a": 10, "b": 9}, by=("freespace",))
    with land.hold(ids("a"), 2):
        assert land.grow((), 1, NOW) == ids("b")
    assert land.grow((), 1, NOW) == ids("b")
    land.measure(ids("a")[0], "a", metrics_of("a", 10, tags={}))
    assert land.grow((), 1, NOW) == ids("a")


@pytest.mark.parametrize("by", [("freespace",), ("tag:group",), ("numpin",)])
def test_estimates_put_a_peer_last_and_close_nobody(by: Sequence[str]) -> None:
    land = Landscape(by)
    for name in "ab":
        free = 8 * 10**9 if name == "a" else 2 * 10**9
        metrics = metrics_of(name, free, tags={"group": "eu"}, numpin=10 if name == "a" else 0, pinqueue=0)
        land.measure(PeerId(name), name, metrics)
    land.promise(ids("b"), 3 * 10**9)
    assert land.grow((), 1, NOW) == ids("a")
    assert land.grow((), 2, NOW) == ids("ab")
    land.promise(ids("ab"), 10**12)
    assert set(land.grow((), 2, NOW, size=10**9)) == {*ids("ab")}
    assert not land.why_not(NOW)


def test_a_peer_whose_metrics_ran_out_is_no_candidate_though_nobody_measured() -> None:
    land = land_of({"a": 1})
    assert land.grow((), 1, NOW + 29) == ids("a")
    assert land.grow((), 1, NOW + 30) == ()


def test_the_size_of_pins_is_learned_from_what_they_take() -> None:
    sizes = PinSizes()
    for _ in range(100):
        sizes.made(1000, 1000 * 40 * USUAL_SIZE)
    assert 35 * USUAL_SIZE < sizes.average <= 40 * USUAL_SIZE
    for _ in range(100):
        sizes.made(1000, 1000 * USUAL_SIZE)
    assert sizes.average < 2 * USUAL_SIZE, "what was seen long ago fades"
    before = sizes.average
    sizes.made(1, 10**15)
    sizes.made(0, 10**15)
    sizes.made(5, -(10**15))
    assert sizes.average < 1.1 * before, "something else filled the disk, or emptied it"


def test_a_wrong_estimate_does_not_draw_pins_to_the_peers_that_were_not_measured_for_long() -> None:
    land, given = land_of({"a": 10**12, "b": 10**12}, by=("freespace",)), {"a": 0, "b": 0}
    shares = []
    for turn in range(40):
        before = given["a"]
        for _ in range(100):
            (peer,) = land.grow((), 1, NOW)
            land.promise([peer])
            given[peer] += 1
        measured = "ab"[turn % 2]
        land.measure(PeerId(measured), measured, metrics_of(measured, 10**12 - given[measured] * 10**8, tags={}))
        shares.append(given["a"] - before)
    assert all(25 < share < 75 for share in shares[-6:]), "no turn goes to one peer alone"
