"""Whom to ask for a block, and when again."""

from __future__ import annotations

from math import inf

from ipfs_cluster.nodes.embedded.asking import AGAIN, AGAIN_PUBLIC, REST, Question, Source

NEAR, OTHER, PUBLIC = "http://near", "http://other", "http://public"


def test_the_cluster_comes_first_then_who_answered_last() -> None:
    near, other, public = Source(NEAR, "a"), Source(OTHER, "b"), Source(PUBLIC)
    question = Question()
    assert question.next([public, near, other], [], 0.0) == (near, 0.0)
    other.gave(1.0)
    assert question.next([public, near, other], [], 2.0) == (other, 0.0)
    assert question.next([public, near, other], [other], 2.0) == (near, 0.0)
    assert question.next([public, near, other], [other, near], 2.0) == (public, 0.0)
    assert question.next([], [], 2.0) == (None, inf)


def test_who_lacks_it_is_asked_again_later_and_later() -> None:
    near, public = Source(NEAR, "a"), Source(PUBLIC)
    for source, (first, most) in ((near, AGAIN), (public, AGAIN_PUBLIC)):
        question, now, waits = Question(), 0.0, []
        for _ in range(12):
            assert question.next([source], [], now) == (source, 0.0)
            question.ask(source, now)
            nobody, wait = question.next([source], [], now)
            assert nobody is None
            waits.append(wait)
            now += wait + 1e-9
        assert (round(waits[0], 6), round(waits[-1], 6)) == (first, most)
        assert [round(wait, 6) for wait in waits] == sorted(round(wait, 6) for wait in waits)


def test_who_fails_rests_for_every_question() -> None:
    source = Source(NEAR, "a")
    source.failed("refused", 9.0, 10.0)
    assert Question().next([source], [], 10.0) == (None, REST[0])
    for now in range(11, 31):
        source.failed("refused", now - 0.5, now)
    assert Question().next([source], [], 30.0) == (None, REST[1])
    source.gave(40.0)
    assert (source.error, Question().next([source], [], 40.0)) == ("", (source, 0.0))


def test_requests_that_fail_together_are_one_failure() -> None:
    source = Source(NEAR, "a")
    for now in (10.0, 10.1, 10.2):
        source.failed("refused", 9.0, now)
    assert (source.failures, source.rests_until) == (1, 10.0 + REST[0])
    source.failed("refused again", 11.0, 12.0)
    assert (source.failures, source.rests_until, source.error) == (2, 12.0 + 2 * REST[0], "refused again")
    source.lacks()
    assert source.error == ""
    source.failed("broken", 11.5, 13.0)
    assert (source.failures, source.rests_until) == (1, 13.0 + REST[0])
