"""When a waiting request is answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.core.quorum import Quorum, Verdict, required_peers
from ipfs_cluster.model import PeerId

A, B, C = PeerId("a"), PeerId("b"), PeerId("c")


def test_enough_holders_answer_while_others_still_work() -> None:
    quorum = Quorum(frozenset({A, B, C}), 2)
    quorum.hold(A)
    assert quorum.verdict() is Verdict.WAITING
    quorum.hold(C)
    assert quorum.verdict() is Verdict.REACHED


def test_it_is_lost_when_the_rest_cannot_reach_the_minimum() -> None:
    quorum = Quorum(frozenset({A, B, C}), 2)
    quorum.fail(A, "first", away=False)
    assert quorum.verdict() is Verdict.WAITING
    quorum.fail(B, "second", away=True)
    assert quorum.verdict() is Verdict.LOST
    assert quorum.reason(B) == "second"
    assert quorum.reason(C) == "first"


def test_a_peer_that_leaves_is_not_required_of_a_pin_that_belongs_everywhere() -> None:
    quorum = Quorum(frozenset({A, B}), 2, everywhere=True)
    quorum.fail(B, "node away", away=True)
    assert quorum.verdict() is Verdict.WAITING
    quorum.hold(A)
    assert quorum.verdict() is Verdict.REACHED


def test_the_last_peer_of_an_everywhere_pin_that_leaves_loses_it() -> None:
    quorum = Quorum(frozenset({A}), 1, everywhere=True)
    quorum.fail(A, "node away", away=True)
    assert quorum.verdict() is Verdict.LOST


def test_only_the_first_attempt_counts_but_success_always_does() -> None:
    quorum = Quorum(frozenset({A}), 1)
    quorum.fail(A, "first", away=False)
    quorum.fail(A, "second", away=False)
    assert quorum.reason(A) == "first"
    quorum.hold(A)
    assert quorum.verdict() is Verdict.REACHED


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(["hold", "fail", "away"])), max_size=12))
def test_a_verdict_that_was_reached_stays_and_lost_means_too_few_are_left(events: list[tuple[PeerId, str]]) -> None:
    for everywhere in (False, True):
        quorum = Quorum(frozenset({A, B, C}), 2, everywhere)
        reached = False
        for peer, event in events:
            if event == "hold":
                quorum.hold(peer)
            else:
                quorum.fail(peer, event, away=event == "away")
            reached = reached or quorum.verdict() is Verdict.REACHED
            assert not reached or quorum.verdict() is Verdict.REACHED
            if quorum.verdict() is Verdict.LOST:
                assert len(quorum.allocated) - len(quorum.failed) < quorum.required


def test_required_peers() -> None:
    assert required_peers(2, {A, B, C}, everywhere=False) == 2
    assert required_peers(4, {A, B, C}, everywhere=False) == 3
    assert required_peers(-1, {A, B}, everywhere=True) == 2
