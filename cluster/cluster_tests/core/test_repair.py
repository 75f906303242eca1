"""What is done about a pin whose copies are not where they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_tests.engine.conftest import cid
from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.repair import DENIED, Change, copies_missing, decide, moved
from ipfs_cluster.model import PeerId, Pin, PinMode, PinType, TrackerStatus, Work

NAMES = "ABCDEF"
UP, AWAY, GONE, DRAINING = PeerStanding.UP, PeerStanding.AWAY, PeerStanding.GONE, PeerStanding.DRAINING


def peers(text: str) -> tuple[PeerId, ...]:
    return tuple(PeerId(letter) for letter in text)


def pin(on: str, low: int = 2, high: int = 3, kind: PinType = PinType.PIN) -> Pin:
    return Pin(cid(1), allocations=peers(on), replication_min=low, replication_max=high, type=kind)


FULL, BLOCKED = "write: no space left on device", "bafk is blocked and cannot be provided"
"""What makes a node unable."""


def work(on: str, attempts: int = 0, error: str = "no new block for 120s") -> list[Work]:
    status = TrackerStatus.PIN_ERROR if attempts else TrackerStatus.PIN_QUEUED
    text = error if attempts else ""
    return [Work(peer, cid(1), status, PinMode.RECURSIVE, 1, attempts, text) for peer in peers(on)]


def standing(**named: PeerStanding) -> dict[PeerId, PeerStanding]:
    return {PeerId(name): named.get(name, UP) for name in NAMES}


def first(stay: Sequence[PeerId], leaving: Sequence[PeerId], number: int) -> Sequence[PeerId]:
    """The first peers by name that are none of these."""
    return [peer for peer in peers(NAMES) if peer not in {*stay, *leaving}][:number]


def nobody(_stay: Sequence[PeerId], _leaving: Sequence[PeerId], _number: int) -> Sequence[PeerId]:
    return ()


@pytest.mark.parametrize(
    ("what", "entry", "rows", "now", "change"),
    [
        ("all is well", pin("ABC"), [], standing(), None),
        ("away for a while", pin("ABC"), [], standing(B=AWAY, C=AWAY), None),
        ("gone within the margin", pin("ABC"), [], standing(C=GONE), None),
        (
            "gone below the minimum",
            pin("ABC"),
            [],
            standing(B=GONE, C=GONE),
            Change(peers("ADEBC"), queue=peers("DE"), below_min=True),
        ),
        ("new copies in the making", pin("ADEBC"), work("DE"), standing(B=GONE, C=GONE), None),
        ("one has landed", pin("ADEBC"), work("E"), standing(B=GONE, C=GONE), None),
        ("all have landed", pin("ADEBC"), [], standing(B=GONE, C=GONE), Change(peers("ADE"), release=peers("BC"))),
        ("one of them fails", pin("ADEBC"), work("E", attempts=1), standing(B=GONE, C=GONE), None),
        ("it came back meanwhile", pin("ADEBC"), work("DE"), standing(), None),
        ("back, and all landed", pin("ADEBC"), [], standing(), Change(peers("ADE"), release=peers("BC"))),
        ("back, and one failed", pin("ADBC"), work("D", 1), standing(), Change(peers("ABC"), release=peers("D"))),
        ("drained within the margin", pin("ABC"), [], standing(C=DRAINING), Change(peers("ABDC"), queue=peers("D"))),
        ("drained, landed", pin("ABDC"), [], standing(C=DRAINING), Change(peers("ABD"), release=peers("C"))),
        ("drained, not landed", pin("ABDC"), work("D"), standing(C=DRAINING), None),
        (
            "one cannot, below the minimum",
            pin("AB", high=2),
            work("B", 1, FULL),
            standing(),
            Change(peers("ACB"), queue=peers("C"), below_min=True),
        ),
        ("the new copy is in the making", pin("ACB", high=2), [*work("B", 1, FULL), *work("C")], standing(), None),
        (
            "the new copy has landed",
            pin("ACB", high=2),
            work("B", 1, FULL),
            standing(),
            Change(peers("AC"), release=peers("B")),
        ),
        (
            "the next one cannot either",
            pin("ACB", high=2),
            [*work("B", 1, FULL), *work("C", 2, BLOCKED)],
            standing(),
            Change(peers("ADCB"), queue=peers("D"), below_min=True),
        ),
        ("one cannot, within the margin", pin("ABC"), work("C", 1, FULL), standing(), None),
        ("content that nobody has", pin("AB", high=2), work("B", 9), standing(), None),
        ("asked to try again", pin("AB", high=2), work("B"), standing(), None),
        (
            "it could in the end, and another one as well",
            pin("ACB", high=2),
            [],
            standing(),
            Change(peers("AC"), release=peers("B")),
        ),
        (
            "one cannot, another is drained",
            pin("ABC"),
            work("B", 1, BLOCKED),
            standing(C=DRAINING),
            Change(peers("ADEBC"), queue=peers("DE"), below_min=True),
        ),
        ("everywhere", pin(""), [], standing(C=GONE), None),
        ("everywhere, and one cannot", pin(""), work("C", 1, FULL), standing(), None),
        ("stands for shards", pin("ABC", kind=PinType.META), [], standing(B=GONE, C=GONE), None),
    ],
)
def test_the_next_step(
    what: str, entry: Pin, rows: list[Work], now: dict[PeerId, PeerStanding], change: Change | None
) -> None:
    assert decide(entry, rows, now, first) == change, what


def test_a_short_pin_is_topped_up_only_when_asked() -> None:
    entry = pin("AB")

    assert decide(entry, [], standing(), first) is None
    assert decide(entry, [], standing(), first, top_up=True) == Change(peers("ABC"), queue=peers("C"))


def test_a_drained_peer_lets_go_when_there_is_nobody_else_and_the_minimum_is_held() -> None:
    now = standing(C=DRAINING)

    assert decide(pin("ABC"), [], now, nobody) == Change(peers("AB"), release=peers("C"))
    assert decide(pin("ABC", low=3), [], now, nobody) is None
    assert decide(pin("ABC"), work("B"), now, nobody) is None


def test_a_copy_that_its_node_cannot_make_is_made_elsewhere_within_the_margin_when_asked() -> None:
    rows = work("C", 1, BLOCKED)

    assert decide(pin("ABC"), rows, standing(), first, top_up=True) == Change(peers("ABDC"), queue=peers("D"))
    assert decide(pin("ABC"), rows, standing(), nobody, top_up=True) is None
    assert decide(pin("ABDC"), rows, standing(), first, top_up=True) == Change(peers("ABD"), release=peers("C"))


def test_a_node_that_was_asked_anew_gets_its_chance() -> None:
    """A re-pin queues the row again, which keeps its attempts and its error."""
    (row,) = work("B", 1, FULL)
    again = replace(row, status=TrackerStatus.PIN_QUEUED)

    assert decide(pin("AB", high=2), [again], standing(), first) is None
    assert decide(pin("AB", high=2), [row], standing(), first) is not None


def test_denylists_that_agree_are_not_asked_for_ever() -> None:
    def step(on: str) -> Change | None:
        return decide(pin(on, 1, 1), work(on, 1, BLOCKED), standing(), first)

    assert step("ABCD") == Change(peers("EABCD"), queue=peers("E"), below_min=True)
    assert step("ABCDE") is None
    full = decide(pin("ABCDE", 1, 1), work("ABCDE", 1, FULL), standing(), first)
    assert full == Change(peers("FABCDE"), queue=peers("F"), below_min=True)


def test_nothing_grows_when_it_may_not() -> None:
    assert decide(pin("ABC"), [], standing(B=GONE, C=GONE), first, grow=False) is None


def test_a_pin_that_is_moved_gets_its_new_copy_first() -> None:
    change = moved(pin("ABC"), [], PeerId("B"), PeerId("D"))
    assert change == Change(peers("ACDB"), queue=peers("D"))

    there = replace(pin("ABC"), allocations=change.allocations)
    assert decide(there, work("D"), standing(), first) is None
    assert decide(there, [], standing(), first) == Change(peers("ACD"), release=peers("B"))
    assert decide(there, work("D", attempts=1), standing(), first) == Change(peers("ACB"), release=peers("D"))


@pytest.mark.parametrize(
    "entry", [pin("AC", high=2), pin("ABD"), pin("ABCE"), pin("AB"), pin("ABC", kind=PinType.META)]
)
def test_what_is_not_on_the_source_or_is_on_the_target_or_moves_or_will_be_topped_up_is_not_moved(entry: Pin) -> None:
    assert moved(entry, [], PeerId("B"), PeerId("D")) is None


def test_a_copy_that_is_not_made_yet_is_not_moved() -> None:
    assert moved(pin("ABC"), work("B"), PeerId("B"), PeerId("D")) is None
    assert moved(pin("ABC"), work("C"), PeerId("B"), PeerId("D")) is not None


def test_missing_copies_are_those_that_do_not_count() -> None:
    assert copies_missing(pin("ABC"), [], standing(B=GONE, C=DRAINING)) == 2
    assert copies_missing(pin("ABCD"), [], standing(A=AWAY)) == 0
    assert copies_missing(pin(""), [], standing(A=GONE)) == 0
    assert copies_missing(pin("ABC"), [*work("B", 1, FULL), *work("C", 1)], standing()) == 1


@st.composite
def situations(draw: st.DrawFn) -> tuple[Pin, list[Work], dict[PeerId, PeerStanding]]:
    high = draw(st.integers(1, 4))
    low = draw(st.integers(1, high))
    on = draw(st.permutations(NAMES))[: draw(st.integers(1, 6))]
    errors = st.sampled_from([FULL, BLOCKED, "no new block for 120s"])
    attempts = st.integers(0, 1)
    rows = [row for letter in on if draw(st.booleans()) for row in work(letter, draw(attempts), draw(errors))]
    now = {peer: draw(st.sampled_from(PeerStanding)) for peer in peers(NAMES)}
    return pin("".join(on), low, high), rows, now


@given(situations(), st.booleans(), st.booleans(), st.booleans())
def test_no_step_ever_takes_the_minimum_away(
    situation: tuple[Pin, list[Work], dict[PeerId, PeerStanding]], grow: bool, top_up: bool, somebody: bool
) -> None:
    """Against the rule itself: whoever holds a pin and is up may go only if enough such peers stay."""
    entry, rows, now = situation
    at_work = {row.peer for row in rows}

    def good(on: Sequence[PeerId]) -> int:
        return sum(now[peer] is UP and peer not in at_work for peer in on)

    change = decide(entry, rows, now, first if somebody else nobody, grow=grow, top_up=top_up)

    if change is None:
        return
    assert len(set(change.allocations)) == len(change.allocations)
    assert set(change.queue) == set(change.allocations) - set(entry.allocations)
    assert set(change.release) == set(entry.allocations) - set(change.allocations)
    assert not (change.queue and change.release)
    if change.release:
        assert good(change.allocations) >= min(entry.replication_min, good(entry.allocations))
        assert good(change.allocations) >= entry.replication_min
    if change.queue:
        assert grow
        unable = {row.peer for row in rows if row.attempts and row.error in (FULL, BLOCKED)}
        counted = [peer for peer in change.allocations if now[peer] in (UP, AWAY) and peer not in unable]
        assert len(counted) <= max(entry.replication_max, len(entry.allocations))


@given(situations())
def test_repair_comes_to_an_end(situation: tuple[Pin, list[Work], dict[PeerId, PeerStanding]]) -> None:
    """Each step is carried out at once: then only so many are needed, and the last leaves nothing to do."""
    entry, _, now = situation

    def one_that_is_up(stay: Sequence[PeerId], leaving: Sequence[PeerId], number: int) -> Sequence[PeerId]:
        return [peer for peer in first(stay, leaving, len(NAMES)) if now[peer] is UP][:number]

    for _step in range(4):
        change = decide(entry, [], now, one_that_is_up)
        if change is None:
            return
        entry = replace(entry, allocations=change.allocations)
    raise AssertionError("it goes on and on")


@given(situations(), st.fixed_dictionaries(dict.fromkeys(NAMES, st.sampled_from(["", "", FULL, BLOCKED]))))
def test_repair_asks_each_node_once_and_ends_with_all_who_can(
    situation: tuple[Pin, list[Work], dict[PeerId, PeerStanding]], faults: dict[str, str]
) -> None:
    """A dumb model: nodes that can make the copy make it at once, the others fail, each with its own words."""
    entry, rows, now = situation
    works = {row.peer: row for row in rows}
    asked: list[PeerId] = []

    def one_that_is_up(stay: Sequence[PeerId], leaving: Sequence[PeerId], number: int) -> Sequence[PeerId]:
        return [peer for peer in first(stay, leaving, len(NAMES)) if now[peer] is UP][:number]

    def attempt(peer: PeerId) -> None:
        works.pop(peer, None)
        if faults[peer]:
            works[peer] = work(peer, 1, faults[peer])[0]

    for peer in [peer for peer in works if now[peer] is UP]:
        attempt(peer)
    for _step in range(2 * len(NAMES)):
        change = decide(entry, list(works.values()), now, one_that_is_up, top_up=True)
        if change is None:
            break
        entry = replace(entry, allocations=change.allocations)
        for peer in change.release:
            works.pop(peer, None)
        asked += change.queue
        for peer in change.queue:
            attempt(peer)
    else:
        raise AssertionError("it goes on and on")

    assert len(set(asked)) == len(asked), "a node that failed is not asked again"
    able = {peer for peer in peers(NAMES) if now[peer] is UP and not faults[peer]}
    held = {peer for peer in entry.allocations if now[peer] is UP and peer not in works}
    refused = sum(row.error == BLOCKED for row in works.values())
    counted = held | {peer for peer in entry.allocations if now[peer] is AWAY}
    if refused < DENIED:
        assert len(counted) >= min(entry.replication_max, len(able))
    if len(held) >= entry.replication_max:
        assert len(entry.allocations) <= max(entry.replication_max, len(situation[0].allocations))
