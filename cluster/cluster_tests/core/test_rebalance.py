"""Plans after which nodes are filled evenly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.core.rebalance import Load, plan
from ipfs_cluster.model import PeerId

GB = 10**9


def load(name: str, used: int, free: int, pins: int = 1000, group: str = "") -> Load:
    return Load(PeerId(name), used, free, pins, (group,) if group else ())


def after(loads: list[Load]) -> dict[str, float]:
    """How full each peer is when the plan was carried out."""
    used = {one.peer: one.used for one in loads}
    for move in plan(loads):
        used[move.source] -= move.bytes
        used[move.target] += move.bytes
    return {one.peer: used[one.peer] / one.capacity for one in loads if one.capacity}


def test_an_empty_peer_is_filled_from_the_others() -> None:
    levels = after([load("A", 80 * GB, 20 * GB), load("B", 70 * GB, 30 * GB), load("C", 0, 100 * GB, pins=0)])
    assert all(abs(level - 0.5) < 0.01 for level in levels.values())


def test_sizes_of_disks_count() -> None:
    levels = after([load("A", 90 * GB, 10 * GB), load("B", 0, 900 * GB, pins=0)])
    assert all(abs(level - 0.09) < 0.01 for level in levels.values())


def test_nearly_even_is_even() -> None:
    assert plan([load("A", 52 * GB, 48 * GB), load("B", 48 * GB, 52 * GB)]) == ()


def test_nothing_leaves_its_group() -> None:
    loads = [load("A", 90 * GB, GB, group="x"), load("B", 80 * GB, GB, group="x"), load("C", 0, 99 * GB, group="y")]
    assert plan(loads) == ()


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**6)), max_size=8))
def test_no_peer_gives_and_takes_nor_more_than_it_has_or_can(figures: list[tuple[int, int, int]]) -> None:
    loads = [load(f"P{number}", *figure) for number, figure in enumerate(figures)]
    by_peer = {one.peer: one for one in loads}
    moves = plan(loads)

    assert not {move.source for move in moves} & {move.target for move in moves}
    for peer, one in by_peer.items():
        assert sum(move.pins for move in moves if move.source == peer) <= one.pins
        assert sum(move.bytes for move in moves if move.target == peer) <= one.free
    if moves:
        levels = [one.used / one.capacity for one in loads if one.capacity]
        assert max(after(loads).values()) <= max(levels)
