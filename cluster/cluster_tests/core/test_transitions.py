"""The table is complete and closed, and the times of retries stay within their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.core.transitions import TABLE, Backoff, Event, after
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, TrackerStatus

STORED = sorted(WANTS_PIN | WANTS_UNPIN)


def test_every_stored_status_has_a_following_for_every_event_and_no_other_has() -> None:
    assert set(TABLE) == {(status, event) for status in STORED for event in Event}


@pytest.mark.parametrize("status", STORED)
def test_a_pin_never_turns_into_an_unpin_and_the_row_goes_only_when_done(status: TrackerStatus) -> None:
    family = WANTS_PIN if status in WANTS_PIN else WANTS_UNPIN
    for event in Event:
        following = TABLE[status, event]
        assert (following is None) == (event is Event.DONE)
        assert following is None or following in family


def test_an_unreachable_node_costs_no_attempt_and_is_due_at_once() -> None:
    result = after(TrackerStatus.PIN_QUEUED, Event.UNREACHABLE, 3, 100.0, Backoff(), 0.5)
    assert (result.status, result.attempts, result.next_retry) == (TrackerStatus.PIN_QUEUED, 3, 100.0)


@given(attempts=st.integers(0, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_retries_are_later_but_never_later_than_the_cap(attempts: int, jitter: float) -> None:
    backoff = Backoff(base=5, cap=720)
    result = after(TrackerStatus.PIN_QUEUED, Event.REFUSED, attempts, 0.0, backoff, jitter)
    assert result.attempts == attempts + 1
    assert 2.5 <= result.next_retry <= 720
