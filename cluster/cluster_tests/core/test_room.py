"""When a node is closed for what is new, and when it opens again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipfs_cluster.core.room import GROWTH, HOLD, HOLD_LIMIT, Room, RoomRule, measured, told_full
from ipfs_cluster.model import RepoStat

GB = 10**9
RULE = RoomRule(reserve=GB)
WORDS = "write /repo/blocks/.temp/temp-1: no space left on device"


def look(free: int, room: Room = Room(), rule: RoomRule = RULE, repo: RepoStat | None = None, now: float = 0.0) -> Room:
    return measured(room, free, repo, rule, now)


def test_what_is_free_above_the_reserve_may_be_taken() -> None:
    room = look(5 * GB)
    assert room.open
    assert room.free == 4 * GB


def test_a_node_below_its_reserve_is_closed_and_says_so() -> None:
    room = look(GB)
    assert not room.open
    assert room.free == 0
    assert room.why == "below its reserve: 1.0 GB free, reserve 1.0 GB"


def test_without_a_reserve_only_a_full_disk_closes() -> None:
    assert look(1, rule=RoomRule()).open
    assert look(0, rule=RoomRule()).why == "its disk is full: nothing is free"


def test_at_the_border_it_does_not_flap() -> None:
    room, opened = look(GB - 1), 0
    for free in [GB + 1, GB - 1] * 20:
        room = look(free, room)
        opened += room.open
    assert opened == 0
    assert look(GB + GB // 10 + 1, room).open


def test_storage_max_counts_only_where_it_is_to_be_honoured() -> None:
    repo = RepoStat(9 * GB, 10 * GB, 0)
    assert look(20 * GB, repo=repo).free == 19 * GB
    honour = RoomRule(GB, honour_storage_max=True)
    assert look(20 * GB, rule=honour, repo=repo).free == GB
    assert look(3 * GB // 2, rule=honour, repo=repo).free == GB // 2, "the disk is the narrower bound"
    full = look(20 * GB, rule=honour, repo=RepoStat(11 * GB, 10 * GB, 0))
    assert full.why == "its repository has reached StorageMax: 11.0 GB of 10.0 GB"
    unknown = look(20 * GB, rule=honour)
    assert not unknown.open
    assert "not known yet" in unknown.why
    assert look(20 * GB, unknown, honour, repo).open


def test_a_node_that_says_its_disk_is_full_is_closed_at_once_with_its_words() -> None:
    room = told_full(look(5 * GB), WORDS, 100.0)
    assert not room.open
    assert room.free == 0
    assert room.why == f"its disk is full: {WORDS}"


def test_it_opens_when_its_free_space_has_clearly_grown() -> None:
    room = look(GB // 2, told_full(look(5 * GB), WORDS, 0.0), now=1.0)
    assert not look(GB + GROWTH, room, now=2.0).open, "still too near to the reserve"
    assert look(2 * GB, room, now=2.0).open


def test_figures_that_show_room_all_the_time_are_not_believed_at_once() -> None:
    room = look(50 * GB, told_full(look(50 * GB), WORDS, 0.0), now=1.0)
    assert not room.open
    assert not look(50 * GB, room, now=HOLD - 1).open
    assert look(50 * GB, room, now=HOLD).open


def test_one_that_says_so_again_and_again_stays_closed_longer_and_longer() -> None:
    room, now, pauses = look(50 * GB), 0.0, []
    for _ in range(10):
        room, began = told_full(room, WORDS, now), now
        while not room.open:
            now += 15.0
            room = look(50 * GB, room, now=now)
        pauses.append(now - began)
    assert pauses == sorted(pauses)
    assert pauses[0] == HOLD
    assert pauses[-1] == HOLD_LIMIT
    again = told_full(room, WORDS, now + 10 * HOLD_LIMIT)
    assert again.strikes == 1, "a long time without trouble is a new beginning"


def test_many_failures_at_once_count_as_one() -> None:
    room = told_full(look(5 * GB), WORDS, 0.0)
    assert told_full(room, "another", 1.0) is room


@given(
    frees=st.lists(st.one_of(st.integers(0, 3 * GB), st.none()), max_size=30),
    reserve=st.sampled_from([0, GB // 2, GB]),
)
def test_an_open_node_is_never_below_its_reserve(frees: list[int | None], reserve: int) -> None:
    room, rule = Room(), RoomRule(reserve)
    for second, free in enumerate(frees):
        now = second * 15.0
        room = told_full(room, WORDS, now) if free is None else look(free, room, rule, now=now)
        assert room.open == (room.free > 0) == (not room.why)
        if free is None:
            assert not room.open
        elif room.open:
            assert room.free == free - reserve
