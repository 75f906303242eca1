"""The judge of the soak, judged: what it lets pass and what it must not. No daemon, no service."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest

from compat_tests.harness.http import Answer
from compat_tests.harness.service import Service
from compat_tests.soak.client import Verdict, judge
from compat_tests.soak.model import ABSENT, DIRECT, RECURSIVE, Effect, Fate, History, Sight
from compat_tests.soak.plan import Content, Plan, Pool, Step
from compat_tests.soak.storm import Storm
from compat_tests.soak.verify import State, check_log, complaints

A, B, NOBODY, SHORT = "bafA", "bafB", "bafNobody", "bafShort"
POOL = Pool((Content((), (("a", A),)),), (), (Content((), (("b", B),)),), (NOBODY,), (Content((), (("s", SHORT),)),))
PIN = Step("pin/add", (("arg", A),), changes=((A, RECURSIVE),))
REMOVE = Step("pin/rm", (("arg", A),), changes=((A, ABSENT),))
LOOK = Step("pin/ls", (("arg", A), ("type", RECURSIVE)))
LIST = Step("pin/ls", (("type", RECURSIVE), ("stream", "true")))
ADD = Step("add", roots=(("a", A),), changes=((A, RECURSIVE),))


# --- what an answer says ---


def answer(status: int, text: str, *, cut: bool = False, **trailers: str) -> Answer:
    return Answer(status, {}, text.encode(), {name.replace("_", "-"): value for name, value in trailers.items()}, cut)


OK = answer(200, json.dumps({"Pins": [A]}))
SURE, LOST, UNSURE, UNDONE = (Verdict((fate,)) for fate in (Fate.SURE, Fate.LOST, Fate.UNSURE, Fate.UNDONE))
OTHERS = frozenset({DIRECT, ABSENT})


@pytest.mark.parametrize(
    ("step", "got", "says"),
    [
        (PIN, OK, SURE),
        (PIN, None, LOST),
        (PIN, answer(500, "deadline exceeded"), UNSURE),
        (PIN, answer(200, OK.text, x_stream_error="deadline exceeded"), UNSURE),
        (PIN, answer(500, "already pinned recursively"), Verdict((Fate.UNDONE,), ((A, frozenset({RECURSIVE})),))),
        (REMOVE, OK, SURE),
        (REMOVE, answer(500, "not pinned or pinned indirectly"), Verdict((Fate.UNDONE,), ((A, frozenset({ABSENT})),))),
        (Step("pin/add", (("arg", NOBODY),), changes=((NOBODY, RECURSIVE),)), answer(500, "deadline"), UNDONE),
        (ADD, answer(200, json.dumps({"Name": "a", "Hash": A})), SURE),
        (ADD, answer(200, json.dumps({"Name": "a", "Hash": A})[:-3], cut=True), LOST),
        (ADD, answer(500, json.dumps({"Message": "no space left on device"})), UNSURE),
        (LOOK, answer(200, "{}"), Verdict((), ((A, frozenset({RECURSIVE})),))),
        (LOOK, answer(500, f"path '{A}' is not pinned"), Verdict((), ((A, OTHERS),))),
        (LIST, answer(200, json.dumps({"Cid": A})), Verdict((), ((A, frozenset({RECURSIVE})), (B, OTHERS)))),
        (Step("status", (("arg", A),)), answer(200, "{}"), Verdict(())),
    ],
)
def test_what_an_answer_says(step: Step, got: Answer | None, says: Verdict) -> None:
    said = judge(step, got, frozenset({A, B}), frozenset({NOBODY}))
    assert (said.fates, set(said.told)) == (says.fates, set(says.told))


@pytest.mark.parametrize(
    ("step", "got"),
    [
        (PIN, answer(200, json.dumps({"Pins": []}))),
        (ADD, answer(200, json.dumps({"Name": "a", "Hash": B}))),
        (ADD, answer(200, "")),
        (LOOK, answer(500, "internal error")),
        (LIST, answer(200, json.dumps({"Cid": "bafOther"}))),
        (LIST, answer(500, "internal error")),
        (Step("status", (("arg", A),)), answer(500, "internal error")),
    ],
)
def test_answers_that_nobody_may_get(step: Step, got: Answer) -> None:
    with pytest.raises(AssertionError):
        judge(step, got, frozenset({A, B}), frozenset({NOBODY}))


# --- what the pinset may be ---


@dataclass
class Told:
    """Effects one after the other, each a second long."""

    history: History
    now: float = 0.0

    def __call__(self, value: str, fate: Fate = Fate.SURE, *, lasting: float = 1.0, command: str = "pin") -> Told:
        self.history.add(Effect(A, value, self.now, self.now + lasting, fate, command))
        self.now += 2.0
        return self

    @property
    def after(self) -> set[str]:
        return set(self.history.possible(A, self.now, self.now))


@pytest.fixture
def told() -> Told:
    return Told(History())


def test_what_was_acknowledged_last_holds(told: Told) -> None:
    assert told.after == {ABSENT}
    assert told(RECURSIVE).after == {RECURSIVE}
    assert told(ABSENT).after == {ABSENT}
    assert told(RECURSIVE, Fate.UNDONE).after == {ABSENT}
    assert told(RECURSIVE, Fate.UNSURE).after == {ABSENT, RECURSIVE}
    assert told(ABSENT).after == {ABSENT}


def test_what_got_no_answer_may_come_until_the_service_died(told: Told) -> None:
    told(RECURSIVE, Fate.LOST, lasting=5.0)(ABSENT)
    assert told.after == {ABSENT, RECURSIVE}
    told.now = 6.0
    assert told(ABSENT).after == {ABSENT}


def test_a_refused_pin_may_have_changed_the_mode(told: Told) -> None:
    assert told(DIRECT)(RECURSIVE, Fate.UNDONE).after == {DIRECT, RECURSIVE}


def test_requests_at_once_have_any_order(told: Told) -> None:
    told(RECURSIVE, lasting=5.0)(ABSENT)
    told.now = 7.0
    assert told.after == {ABSENT, RECURSIVE}


def test_a_pin_expires_unless_it_was_put_off(told: Told) -> None:
    first = Effect(A, RECURSIVE, 0.0, 1.0, Fate.SURE, "pin")
    told.history.add(first)
    told.history.expires(first, 3.0)
    assert told.history.possible(A, 2.0, 2.0) == {RECURSIVE}
    assert told.history.possible(A, 9.0, 9.0) == {RECURSIVE, ABSENT}
    again = Effect(A, RECURSIVE, 2.0, 2.5, Fate.SURE, "pin")
    told.history.add(again)
    told.history.expires(again, 10.0)
    assert told.history.possible(A, 9.0, 9.0) == {RECURSIVE}


@pytest.mark.parametrize(("value", "wrong"), [(RECURSIVE, 0), (ABSENT, 1), (DIRECT, 1)])
def test_an_answer_that_cannot_have_been_true_is_found(told: Told, value: str, wrong: int) -> None:
    told(RECURSIVE).history.saw(Sight(A, frozenset({value}), told.now, told.now + 1, "pin/ls"))
    assert len(told.history.contradictions()) == wrong


# --- what the service says in the end ---


def storm(log: str = "", taken: int = 0) -> Storm:
    """A was pinned and B was pinned and removed, both acknowledged; nobody has what was asked for with NOBODY."""

    class Spoken:
        class Child:
            @staticmethod
            def output() -> str:
                return log

        child = Child

    made = Storm(Plan(0, POOL), cast("Service", Spoken()), [], 1, taken=taken)
    for cid, value in ((A, RECURSIVE), (B, RECURSIVE), (B, ABSENT), (NOBODY, RECURSIVE)):
        begin = len(made.history.effects[cid])
        made.history.add(Effect(cid, value, begin - 9.0, begin - 8.5, Fate.SURE, "request"))
    return made


def sound() -> State:
    """As it must be, with a minimum of one copy: A on the first of two nodes."""
    entries = {cid: {"cid": cid, "mode": RECURSIVE, "allocations": ["p0"]} for cid in (A, NOBODY)}
    statuses = {
        A: {"p0": "pinned", "p1": "remote"},
        B: {"p0": "unpinned", "p1": "unpinned"},
        NOBODY: {"p0": "pin_error: no new block", "p1": "remote"},
        SHORT: {"p0": "unpinned", "p1": "unpinned"},
    }
    return State(entries, statuses, ["p0", "p1"], dict.fromkeys((A, NOBODY), RECURSIVE), [{A: RECURSIVE}, {}])


def lost(state: State) -> None:
    del state.entries[A], state.listed[A]
    state.statuses[A] = {"p0": "unpinned", "p1": "unpinned"}
    state.holds[0] = {}


def back(state: State) -> None:
    state.entries[B] = {"cid": B, "mode": RECURSIVE, "allocations": ["p0"]}
    state.listed[B] = RECURSIVE
    state.statuses[B] = {"p0": "pinned", "p1": "remote"}
    state.holds[0] = {A: RECURSIVE, B: RECURSIVE}


def other_mode(state: State) -> None:
    state.entries[A]["mode"] = state.listed[A] = DIRECT


def expired(state: State) -> None:
    state.entries[SHORT] = {"cid": SHORT, "mode": RECURSIVE, "allocations": ["p0"]}
    state.listed[SHORT] = RECURSIVE


WRONG: list[tuple[Callable[[State], object], str]] = [
    (lost, "absent in the pinset, can only be recursive"),
    (back, "recursive in the pinset, can only be absent"),
    (other_mode, "direct in the pinset, can only be recursive"),
    (expired, "has not expired"),
    (lambda state: state.holds.__setitem__(0, {}), "says pinned, and the node holds ''"),
    (lambda state: state.holds.__setitem__(0, {A: DIRECT}), "holds 'direct' instead of recursive"),
    (lambda state: state.holds.__setitem__(1, {B: RECURSIVE}), "says unpinned, and the node holds it"),
    (lambda state: state.holds.__setitem__(1, {"bafOther": RECURSIVE}), "never asked for"),
    (lambda state: state.statuses[A].__setitem__("p0", "pin_queued"), "says pin_queued, should be pinned"),
    (lambda state: state.statuses[A].__setitem__("p1", "pinned"), "says pinned, is not wanted there"),
    (lambda state: state.statuses[B].__setitem__("p1", "unpin_error: x"), "is not wanted there"),
    (lambda state: state.statuses[A].pop("p0"), "says not told"),
    (lambda state: state.statuses[NOBODY].__setitem__("p0", "pinned"), "of what nobody has"),
    (lambda state: state.listed.pop(A), "pin/ls and /allocations differ"),
]


def test_a_sound_state_passes() -> None:
    assert complaints(storm(), sound()) == []


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_a_state_that_must_not_be_is_found(spoil: Callable[[State], object], words: str) -> None:
    state = sound()
    spoil(state)
    assert any(words in text for text in complaints(storm(), state))


LOG = (
    "WARNING peer n1: 1 pins were missing on the node and are queued again: bafkone\n"
    "WARNING peer n2: 2 pins were missing on the node and are queued again: bafktwo, bafkthree\n"
)


@pytest.mark.parametrize(("taken", "wrong"), [(3, 0), (2, 1), (0, 1)])
def test_only_what_was_taken_away_may_ever_be_missing(taken: int, wrong: int) -> None:
    assert len(check_log(storm(LOG, taken))) == wrong
    assert check_log(storm("", taken)) == []


@pytest.mark.parametrize(
    ("command", "fate", "wrong"), [("add", Fate.LOST, 0), ("add", Fate.SURE, 1), ("pin/add", Fate.LOST, 1)]
)
def test_what_a_cut_add_took_from_a_node_is_no_lie(command: str, fate: Fate, wrong: int) -> None:
    one = storm(f"peer n1: 1 pins were missing on the node and are queued again: {A}\n", 0)
    one.history.add(Effect(A, RECURSIVE, 0.0, 1.0, fate, command))
    assert len(check_log(one)) == wrong
