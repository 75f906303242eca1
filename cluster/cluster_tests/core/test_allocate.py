"""Allocation: ipfs-cluster's rules as examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster_tests.core.peers import BY, NOW, ids, land_of, metrics_of
from ipfs_cluster.core.allocate import Wish, allocate, reallocate
from ipfs_cluster.core.landscape import Landscape
from ipfs_cluster.errors import InvalidArgument, NotEnoughPeers
from ipfs_cluster.model import PeerId


def choose(minimum: int, maximum: int, land: Landscape, preferred: str = "") -> str:
    wish = Wish(minimum, maximum, ids(preferred))
    return "".join(allocate(wish, land, NOW))


def again(
    factors: tuple[int, int],
    before: tuple[int, int],
    current: str,
    land: Landscape,
    *,
    pending: str = "",
    preferred: str = "",
) -> str:
    """Allocations after a re-pin."""
    return "".join(reallocate(Wish(*factors, ids(preferred)), ids(current), before, land, NOW, ids(pending)))


def test_most_free_space_first() -> None:
    assert choose(2, 2, land_of({"a": 1, "b": 3, "c": 2})) == "bc"


def test_replicas_spread_over_tag_values_before_free_space_counts() -> None:
    land = land_of({"a": 9, "b": 8, "c": 1}, groups={"c": "us"})
    assert choose(2, 2, land) == "ac"
    assert choose(3, 3, land) == "acb"


def test_the_tag_value_with_the_most_free_space_comes_first_and_tags_nest() -> None:
    groups = {"a": "eu", "b": "eu", "c": "us", "d": "us", "e": "us"}
    racks = {"a": "1", "b": "2", "c": "1", "d": "1", "e": "2"}
    land = land_of({"a": 9, "b": 8, "c": 7, "d": 6, "e": 5}, groups=groups, racks=racks)
    assert choose(1, 5, land) == "caebd", "us has 18 and its rack 1 has 13; then eu; then us again, from rack 2"


def test_user_allocations_come_first_and_unfit_or_unknown_ones_are_passed_over() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2}, away="c")
    assert choose(1, 2, land, preferred="ca") == "ab"
    assert choose(1, 2, land, preferred="xyz") == "ba"


def test_more_user_allocations_than_copies_go_by_the_balanced_order() -> None:
    assert choose(1, 1, land_of({"a": 1, "b": 3, "c": 2}), preferred="ac") == "c"


def test_everywhere_needs_no_metrics() -> None:
    assert choose(-1, -1, land_of({"a": 1}, away="a")) == ""
    assert again((-1, -1), (1, 1), "a", land_of({"a": 1}, away="a")) == ""


def test_fewer_than_the_maximum_will_do() -> None:
    assert choose(1, 9, land_of({"a": 1, "b": 3})) == "ba"


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 1), (-1, 2), (3, 2), (-2, -2)])
def test_impossible_factors_are_refused(minimum: int, maximum: int) -> None:
    with pytest.raises(InvalidArgument):
        choose(minimum, maximum, land_of({"a": 1}))
    with pytest.raises(InvalidArgument):
        again((minimum, maximum), (1, 1), "a", land_of({"a": 1}))


# --- errors ---


def refusal(wish: Wish, land: Landscape) -> str:
    with pytest.raises(NotEnoughPeers) as caught:
        allocate(wish, land, NOW)
    return str(caught.value)


def test_the_error_says_which_filter_removed_which_peer() -> None:
    land = land_of({"a": 1, "b": 0, "c": 1, "d": 1, "e": 1}, away="c", untagged="d", names=True)
    land.exclude(ids("e")[0], "it is being drained")
    assert refusal(Wish(2, 3), land) == (
        "not enough peers to allocate CID. Needed at least: 2. Wanted at most: 3. Available candidates: 1. "
        "Not candidates: node-d (has no tag:group); node-e (it is being drained); "
        "node-b (no space left above its reserve); node-c (ping metric expired)."
    )


def test_a_size_that_fits_nowhere_is_told_with_figures() -> None:
    land = land_of({"a": 3 * 10**9, "b": 5 * 10**9})
    with land.hold(ids("b"), 4_600_000_000):
        text = refusal(Wish(1, 1, size=3_500_000_000), land)
    assert "a (not enough space: 3.0 GB free, 3.5 GB needed)" in text
    assert "b (not enough space: 5.0 GB free, 4.6 GB taken by adds, 3.5 GB needed)" in text


def test_peers_that_share_a_reason_are_told_together_and_many_are_counted() -> None:
    land = land_of({f"n{number:03}": 1 for number in range(200)}, away="*")
    assert refusal(Wish(1, 1), land).endswith(
        " Not candidates: n000, n001, n002, n003, n004, n005, n006, n007, n008, n009 and 190 more "
        "(ping metric expired)."
    )
    for number in range(100):
        land.exclude(ids([f"n{number:03}"])[0], f"reason {number:02}")
    assert refusal(Wish(1, 1), land).endswith("n008 (reason 08); 91 more for other reasons.")


@pytest.mark.parametrize("by", [BY, ("tag:group",), ("reposize",)])
def test_a_peer_without_room_gets_nothing_new_whatever_allocation_goes_by(by: tuple[str, ...]) -> None:
    land = Landscape(by)
    for peer in "abc":
        metrics = metrics_of(peer, 5, tags={"group": "eu"}, reposize=1)
        if peer == "c":
            metrics["freespace"] = replace(metrics["freespace"], valid=False, reason="its disk is full: no space left")
        land.measure(PeerId(peer), peer, metrics)
    assert set(allocate(Wish(1, 3), land, NOW)) == {"a", "b"}
    assert "Not candidates: c (its disk is full: no space left)." in refusal(Wish(3, 3), land)


# --- re-pins ---


def test_within_the_margin_nothing_moves_and_the_absent_peer_stays_listed() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2}, away="a")
    assert again((1, 2), (1, 2), "ac", land) == "ac"


def test_below_the_minimum_it_is_filled_to_the_maximum_and_the_absent_peer_may_return_with_its_copy() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2, "d": 1}, away="a")
    assert again((2, 3), (2, 3), "ac", land) == "cbda"


def test_too_few_peers_leave_a_pin_where_it_is_unless_more_are_asked_for() -> None:
    land = land_of({"a": 1, "b": 3}, away="a")
    assert again((2, 2), (2, 2), "ab", land) == "ab"
    with pytest.raises(NotEnoughPeers, match=r"Needed at least: 3\. Wanted at most: 3\. Available candidates: 1\. Not"):
        again((3, 3), (2, 2), "ab", land)


def test_a_full_disk_keeps_what_it_has_but_is_not_waited_for() -> None:
    land = land_of({"a": 0, "b": 3})
    assert again((1, 1), (1, 1), "a", land) == "a"
    assert again((1, 1), (1, 1), "a", land, pending="a") == "ba"


def test_an_excluded_peer_keeps_what_it_has() -> None:
    land = land_of({"a": 1, "b": 3})
    land.exclude(ids("a")[0], "it is being drained")
    assert again((1, 1), (1, 1), "a", land) == "a"


def test_a_move_in_progress_is_left_alone() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2, "d": 9})
    assert again((1, 2), (1, 2), "abc", land, pending="b", preferred="d") == "abc"
    assert again((2, 2), (1, 2), "abc", land) == "abc"


def test_a_smaller_maximum_keeps_those_that_hold_it_in_their_order() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2, "d": 1}, away="c")
    assert again((1, 2), (2, 4), "abcd", land) == "ab"
    assert again((1, 2), (2, 4), "abcd", land, pending="a") == "bd"
    assert again((1, 3), (2, 4), "abcd", land, pending="a") == "bcd", "the absent peer holds it, the first does not yet"
    assert again((1, 3), (2, 4), "abcd", land, pending="ac") == "abd"
    assert again((3, 3), (1, 4), "abcd", land, pending="a") == "abd", "three must count, so not the absent one"


def test_a_larger_maximum_is_filled_up_around_those_that_are_there() -> None:
    land = land_of({"a": 1, "b": 3, "c": 2, "d": 1}, away="a")
    assert again((1, 3), (1, 2), "ac", land) == "acb"
    assert again((1, 3), (1, 2), "ac", land, preferred="d") == "acd"
    assert again((1, 9), (1, 2), "ac", land) == "acbd"


def test_new_copies_go_where_none_is_yet() -> None:
    land = land_of({"a": 1, "b": 9, "c": 2}, groups={"c": "us"})
    assert again((2, 2), (1, 1), "a", land) == "ac", "b has more space, but there is a copy in its group"
    assert choose(2, 2, land, preferred="a") == "ac"
