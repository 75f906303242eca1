"""An hourly allowance is spent evenly."""

from __future__ import annotations

import pytest

from ipfs_cluster.core.budget import Budget


def spent_within(budget: Budget, seconds: float, *, since: float = 0.0) -> int:
    """How many can be spent by somebody who always spends as soon as it may be."""
    now, count = since, 0
    while True:
        now += budget.wait(now) + 1e-6
        if now > since + seconds:
            return count
        budget.spend(now)
        count += 1


def test_without_a_limit_nothing_waits() -> None:
    budget = Budget(0)
    for _ in range(1000):
        assert budget.wait(5.0) == 0.0
        budget.spend(5.0)


@pytest.mark.parametrize("per_hour", [1, 60, 3600, 100_000])
def test_an_hour_spends_the_allowance_and_not_much_more(per_hour: int) -> None:
    spent = spent_within(Budget(per_hour), 3600.0)
    assert per_hour <= spent <= per_hour + max(per_hour / 60, 1) + 1


def test_what_was_not_spent_is_not_saved_for_long() -> None:
    budget = Budget(3600)
    budget.wait(100_000.0)
    assert spent_within(budget, 1.0, since=100_000.0) <= 62
