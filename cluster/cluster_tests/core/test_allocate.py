"""Allocation: ipfs-cluster's rules as examples, and properties that no metric set may break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.core.allocate import Metrics, allocate
from ipfs_cluster.errors import InvalidArgument, NotEnoughPeers
from ipfs_cluster.model import Metric, PeerId

NOW = 1000.0
BY = ("tag:group", "freespace")


def metrics_of(free: dict[str, int], groups: dict[str, str] | None = None, away: tuple[str, ...] = ()) -> Metrics:
    ping = {PeerId(p): Metric("ping", PeerId(p), "{}", NOW - 1 if p in away else NOW + 30, NOW) for p in free}
    space = {
        PeerId(p): Metric("freespace", PeerId(p), str(n), NOW + 30, NOW, weight=n, valid=n > 0) for p, n in free.items()
    }
    tags = {
        PeerId(p): Metric("tag:group", PeerId(p), (groups or {}).get(p, "default"), NOW + 30, NOW, partitionable=True)
        for p in free
    }
    return {"ping": ping, "freespace": space, "tag:group": tags}


def choose(minimum: int, maximum: int, metrics: Metrics, **more: object) -> tuple[str, ...]:
    peers = [PeerId(p) for p in metrics["ping"]]
    return allocate(minimum, maximum, peers=peers, metrics=metrics, now=NOW, allocate_by=BY, **more).peers  # type: ignore[arg-type]


def test_most_free_space_first() -> None:
    assert choose(2, 2, metrics_of({"a": 1, "b": 3, "c": 2})) == ("b", "c")


def test_replicas_spread_over_tag_values_before_free_space_counts() -> None:
    metrics = metrics_of({"a": 9, "b": 8, "c": 1}, {"a": "eu", "b": "eu", "c": "us"})
    assert set(choose(2, 2, metrics)) == {"a", "c"}


def test_everywhere_needs_no_metrics() -> None:
    assert choose(-1, -1, metrics_of({"a": 1}, away=("a",))) == ()


def test_preferred_peers_come_first_and_unfit_ones_are_passed_over() -> None:
    metrics = metrics_of({"a": 1, "b": 3, "c": 2}, away=("c",))
    assert choose(1, 2, metrics, preferred=[PeerId("c"), PeerId("a")]) == ("a", "b")


def test_within_the_margin_nothing_moves_and_the_absent_peer_stays_listed() -> None:
    metrics = metrics_of({"a": 1, "b": 3, "c": 2}, away=("a",))
    assert choose(1, 2, metrics, current=[PeerId("a"), PeerId("c")]) == ("a", "c")


def test_below_the_minimum_it_is_filled_to_the_maximum() -> None:
    metrics = metrics_of({"a": 1, "b": 3, "c": 2}, away=("a",))
    assert choose(2, 2, metrics, current=[PeerId("a"), PeerId("c")]) == ("c", "b")


def test_a_smaller_maximum_drops_peers() -> None:
    assert choose(1, 1, metrics_of({"a": 1, "b": 3}), current=[PeerId("a"), PeerId("b")]) == ("a",)


def test_the_error_names_each_peer_and_what_removed_it() -> None:
    metrics = metrics_of({"a": 1, "b": 0, "c": 1}, away=("c",))
    with pytest.raises(NotEnoughPeers) as caught:
        choose(2, 3, metrics)
    text = str(caught.value)
    assert text.startswith("not enough peers to allocate CID. Needed at least: 2. Wanted at most: 3. Available ")
    assert "b (freespace metric invalid)" in text
    assert "c (ping metric expired)" in text


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 1), (-1, 2), (3, 2), (-2, -2)])
def test_impossible_factors_are_refused(minimum: int, maximum: int) -> None:
    with pytest.raises(InvalidArgument):
        choose(minimum, maximum, metrics_of({"a": 1}))


@given(
    free=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=1),
    groups=st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z"])),
    away=st.sets(st.sampled_from("abcdefgh")),
    current=st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4),
    preferred=st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4),
    minimum=st.integers(1, 4),
    extra=st.integers(0, 3),
)
def test_the_promises_hold_for_any_metrics(
    free: dict[str, int],
    groups: dict[str, str],
    away: set[str],
    current: list[str],
    preferred: list[str],
    minimum: int,
    extra: int,
) -> None:
    metrics = metrics_of(free, groups, tuple(away))
    fit = {p for p, n in free.items() if n > 0 and p not in away}
    kept = [p for p in current if p in fit]
    arguments = {"current": current, "preferred": preferred}
    if len(kept) < minimum and len(fit) < minimum:
        with pytest.raises(NotEnoughPeers):
            choose(minimum, minimum + extra, metrics, **arguments)
        return
    chosen = choose(minimum, minimum + extra, metrics, **arguments)
    assert len(chosen) == len(set(chosen)) <= minimum + extra
    assert len([p for p in chosen if p in fit]) >= minimum
    assert set(chosen) - fit <= set(current), "only peers that already hold it may be unfit"
    if len(kept) < minimum:
        wanted = [p for p in preferred if p in fit and p not in kept]
        assert set(wanted[: minimum - len(kept)]) <= set(chosen) or len(wanted) > len(chosen) - len(kept)
