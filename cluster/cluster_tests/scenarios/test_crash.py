"""The process may die between any two steps: from what is durable then, the next one reaches what was asked for.

Every scenario is played again for each change that it makes to its store and its nodes, up to just before that change.
There the process is killed, and the next one has to come to rest with nothing wrong: with the faults that were there,
and once more when everything was healed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_tests.scenarios.play import Play
from cluster_tests.scenarios.run import driven
from cluster_tests.scenarios.script import parse, scenarios
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.testing.simulation import Killed

SQLITE_STRIDE = 61
"""On SQLite one kill in so many in the fast tier, spread over the courses of all scenarios."""


def commands_of(path: Path) -> list[str]:
    """What a scenario does."""
    return [line for block in parse(path.read_text(encoding="utf-8")) for line in block.commands]


async def dies(play: Play, commands: list[str], at: int) -> bool:
    """Play on until the process is about to make its change number `at`; False when it never is."""
    play.sim.kill_at = at
    try:
        for command in commands:
            await play.do(command)
    except Killed:
        return True
    return False


async def next_process(play: Play, *, carried_out: bool) -> list[str]:
    """What is wrong after the next process has started, and after it was healed."""
    await play.kill(carried_out=carried_out)
    await play.start()
    await play.sim.settle()
    found = await play.problems(healed=False)
    await play.heal()
    await play.rest()
    return found + await play.problems(healed=True)


def kill(make_store: Callable[[Clock], Store], commands: list[str], at: int, *, carried_out: bool) -> list[str] | None:
    """One run with a kill; None when the scenario has no change `at`.

    carried_out: the store and the nodes still do all that they were asked for.
    """

    async def act(play: Play) -> list[str] | None:
        if not await dies(play, commands, at):
            return None
        return await next_process(play, carried_out=carried_out)

    with driven(make_store) as run:
        return run(act)


def wrong_after_kills(
    make_store: Callable[[Clock], Store], path: Path, first: int, stride: int, carried_out: Callable[[int], bool]
) -> dict[int, list[str]]:
    """What goes wrong, by the number of the change before which the process was killed."""
    commands = commands_of(path)
    wrong: dict[int, list[str]] = {}
    at = first
    while (found := kill(make_store, commands, at, carried_out=carried_out(at))) is not None:
        if found:
            wrong[at] = found
        at += stride
    assert at > 2  # a scenario without changes shows nothing
    return wrong


class NewFiles:
    """SQLite stores, each in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def __call__(self, clock: Clock) -> Store:
        self._number += 1
        return SqliteStore(self._folder / f"{self._number}.sqlite", clock)


each_scenario = pytest.mark.parametrize("path", scenarios(), ids=lambda path: path.stem)


@each_scenario
def test_the_next_process_goes_on(path: Path) -> None:
    """Killed before every change; what was under way is dropped and carried out in turns."""
    assert wrong_after_kills(MemoryStore, path, 0, 1, lambda at: at % 2 == 1) == {}


@each_scenario
def test_on_sqlite(path: Path, tmp_path: Path) -> None:
    first = scenarios().index(path) % SQLITE_STRIDE
    assert wrong_after_kills(NewFiles(tmp_path), path, first, SQLITE_STRIDE, lambda _: False) == {}


@pytest.mark.long
@each_scenario
@pytest.mark.parametrize("carried_out", [False, True], ids=["dropped", "carried-out"])
def test_everywhere_on_sqlite(path: Path, carried_out: bool, tmp_path: Path) -> None:
    assert wrong_after_kills(NewFiles(tmp_path), path, 0, 1, lambda _: carried_out) == {}
