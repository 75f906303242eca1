"""What the end of a process means, and when it is started again."""

from __future__ import annotations

import signal

import pytest

from ipfs_proxy.supervise.plan import Ending, Restarts, ending


@pytest.mark.parametrize(
    ("status", "reason", "words", "told"),
    [
        (0, "", "ended as it was told to", True),
        (1, "", "failed with exit status 1", False),
        (1, "cannot listen", "failed: cannot listen", False),
        (-signal.SIGKILL, "", "was ended by SIGKILL", True),
        (-signal.SIGTERM, "", "was ended by SIGTERM", True),
        (-signal.SIGSEGV, "", "crashed (SIGSEGV)", False),
        (-signal.SIGABRT, "", "crashed (SIGABRT)", False),
        (-250, "", "was ended by signal 250", True),
    ],
)
def test_how_a_process_ended(status: int, reason: str, words: str, told: bool) -> None:
    assert ending(status, reason) == Ending(words, told)


FAILED = Ending("failed", told=False)
KILLED = Ending("was ended by SIGKILL", told=True)


def test_failures_in_a_row_wait_longer_each_and_never_longer_than_a_minute() -> None:
    restarts = Restarts(20.0)
    assert [restarts.after(FAILED, 0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_that_ran_for_a_minute_begins_anew() -> None:
    restarts = Restarts(20.0)
    assert [restarts.after(FAILED, lasted) for lasted in (1, 1, 59.9, 60, 1)] == [1, 2, 4, 1, 2]


def test_one_that_somebody_ended_waits_for_the_pause_and_counts_as_no_failure() -> None:
    restarts = Restarts(20.0)
    assert [restarts.after(end, 1) for end in (FAILED, KILLED, FAILED, KILLED)] == [1, 20, 2, 20]
    restarts.pause = 5.0
    assert restarts.after(KILLED, 1) == 5
