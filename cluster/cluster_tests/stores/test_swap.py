"""A store that is replaced or put away by a process that is killed at any step: it is the old one or the new one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import Pin
from ipfs_cluster.ports import PeerRecord, PinQuery, PutPin
from ipfs_cluster.stores.sqlite import SqliteStore, all_pins, backup, put_away, replace_pins, restore, there
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, cid, flat, pin

STEPS = ("os.rename", "os.remove", "open")
OLD, NEW = [cid(1), cid(2)], [cid(7)]


@pytest.fixture
async def killed(tmp_path: Path, clock: FakeClock) -> Path:
    """A folder as a killed service leaves it: its second entry is in the log only. Beside it a copy of another."""
    folder, live = tmp_path / "killed", tmp_path / "live"
    folder.mkdir()
    live.mkdir()
    store = SqliteStore(live / "pinset.sqlite", clock)
    await store.open()
    await store.commit([PutPin(pin(1))])
    await store.close()
    await store.open()
    await store.commit([PutPin(pin(2))])
    for name in ("pinset.sqlite", "pinset.sqlite-wal"):
        shutil.copyfile(live / name, folder / name)
    await store.close()
    other = SqliteStore(tmp_path / "other.sqlite", clock)
    await other.open()
    await other.commit([PutPin(pin(7))])
    await other.close()
    backup(tmp_path / "other.sqlite", tmp_path / "copy")
    return folder


def dies(step: int, act: Callable[[], object]) -> bool:
    """Do it in a process that is killed before its so many-th change of the folder; False when there are fewer."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in STEPS and (event != "open" or arguments[1] is None):
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(count)
        code = 3
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


def replaced(path: Path) -> None:
    replace_pins(path, [pin(7)], 0.0, [PeerRecord(ALICE, "alice")])


def restored(path: Path) -> None:
    restore(path.parent.parent / "copy", path, force=True)


def pins(path: Path) -> list[Cid]:
    """What is there, for a process that only reads; empty when nothing is."""
    return [one.cid for one in all_pins(path)] if there(path) else []


async def opened(path: Path, clock: FakeClock) -> list[Pin]:
    """What the service starts with."""
    store = SqliteStore(path, clock)
    await store.open()
    try:
        return await flat(store.pins(PinQuery()))
    finally:
        await store.close()


@pytest.mark.parametrize(("act", "after"), [(replaced, NEW), (restored, NEW), (put_away, [])])
async def test_a_kill_at_any_step_leaves_the_old_or_the_new_one(
    killed: Path, tmp_path: Path, clock: FakeClock, act: Callable[[Path], object], after: list[Cid]
) -> None:
    seen: list[list[Cid]] = []
    for step in range(100):
        folder = tmp_path / str(step)
        shutil.copytree(killed, folder)
        path = folder / "pinset.sqlite"
        more = dies(step, lambda: act(path))  # noqa: B023 - called here
        for again in range(100):  # and the one who finishes it is killed, too
            twice = tmp_path / f"{step}.{again}"
            shutil.copytree(folder, twice)
            if not dies(again, lambda: there(twice / path.name)):  # noqa: B023 - called here
                break
            assert pins(twice / path.name) in (OLD, after)
        found = [one.cid for one in await opened(path, clock)]
        seen.append(found)
        assert found in (OLD, after)
        if found == after:
            assert pins(folder / "pinset.sqlite.old.1") == OLD
        assert not [one.name for one in folder.iterdir() if ".tmp-" in one.name or ".next." in one.name]
        if not more:
            break
    assert seen[0] == OLD
    assert seen == sorted(seen, key=lambda found: found == after)
    assert len(seen) > 4
