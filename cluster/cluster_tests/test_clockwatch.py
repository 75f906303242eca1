"""Jumps of the wall clock are noticed and told once; ahead they hold what expires for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from ipfs_cluster.clockwatch import AHEAD, HOLD, INTERVAL, SLEW, ClockWatch
from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.testing.fake_clock import FakeClock


@dataclass
class Scene:
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[float] = field(default_factory=list)
    refuse: bool = False

    def __post_init__(self) -> None:
        self.watch = ClockWatch(self.clock, self.jumped)

    async def jumped(self, seconds: float) -> None:
        if self.refuse:
            raise StoreUnavailable("disk full")
        self.told.append(round(seconds, 3))

    async def pass_by(self, seconds: float = INTERVAL) -> None:
        self.clock.advance(seconds)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made, tasks = Scene(), TaskSet()
    tasks.start("watch", made.watch.run())
    await asyncio.sleep(0)
    yield made
    await tasks.close()


async def test_clocks_that_drift_apart_do_not_jump(scene: Scene) -> None:
    for _ in range(100):
        scene.clock.jump(SLEW * 0.9)
        await scene.pass_by()
    assert (scene.told, scene.watch.held()) == ([], 0.0)


async def test_jumps_are_told_with_their_size(scene: Scene) -> None:
    scene.clock.jump(-3600)
    await scene.pass_by()
    scene.clock.jump(30)
    await scene.pass_by()
    await scene.pass_by()
    assert scene.told == [-3600, 30]


async def test_only_a_far_jump_ahead_holds_and_at_once(scene: Scene) -> None:
    scene.clock.jump(AHEAD)
    assert scene.watch.held() == 0
    scene.clock.jump(AHEAD + 1)
    assert scene.watch.held() == HOLD
    await scene.pass_by(HOLD - 1)
    assert scene.watch.held() == pytest.approx(1)
    await scene.pass_by(1)
    assert scene.watch.held() == 0


async def test_a_clock_that_is_set_right_again_holds_no_longer(scene: Scene) -> None:
    scene.clock.jump(86400)
    assert scene.watch.held() > 0
    scene.clock.jump(-86400)
    assert scene.watch.held() == 0
    await scene.pass_by()
    assert scene.told == []


async def test_what_could_not_be_done_is_told_again(scene: Scene) -> None:
    scene.refuse = True
    scene.clock.jump(-100)
    await scene.pass_by()
    scene.clock.jump(-20)
    await scene.pass_by()
    scene.refuse = False
    await scene.pass_by()
    assert scene.told == [-120]
