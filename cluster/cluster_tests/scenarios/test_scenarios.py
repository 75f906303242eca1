"""Every scenario takes the course that its file says, on the store in memory and on SQLite.

`SCENARIOS=rewrite python -m pytest cluster/cluster_tests/scenarios/test_scenarios.py` writes what happens now into the
files. The rewritten files may be committed when every line of the diff is a change of behaviour that the commit means
to make; a line that nobody can explain is a bug.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_tests.scenarios.play import Play
from cluster_tests.scenarios.run import driven
from cluster_tests.scenarios.script import Block, parse, scenarios, text
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.stores.sqlite import SqliteStore

REWRITE = os.environ.get("SCENARIOS") == "rewrite"


async def perform(play: Play, blocks: list[Block]) -> list[Block]:
    """The blocks with what really happens; at the end nothing is wrong, then and after everything was healed."""
    done = []
    for block in blocks:
        seen: list[str] = []
        for command in block.commands:
            seen += await play.do(command)
        done.append(replace(block, expected=tuple(seen)))
    assert await play.problems(healed=False) == []
    await play.heal()
    await play.rest()
    assert await play.problems(healed=True) == []
    return done


@pytest.mark.parametrize("path", scenarios(), ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_scenario(path: Path, kind: str, tmp_path: Path) -> None:
    def make_store(clock: Clock) -> Store:
        return MemoryStore(clock) if kind == "memory" else SqliteStore(tmp_path / "pinset.sqlite", clock)

    script = path.read_text(encoding="utf-8")
    blocks = parse(script)
    with driven(make_store) as run:
        done = run(lambda play: perform(play, blocks))
    if REWRITE and kind == "memory":
        path.write_text(text(done), encoding="utf-8")
        return
    assert text(done).splitlines() == script.splitlines()


def test_there_is_a_scenario_for_every_promise() -> None:
    assert len(scenarios()) >= 25
