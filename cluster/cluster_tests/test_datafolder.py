"""One process per data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipfs_cluster.datafolder import LOCK, FolderInUse, FolderLock


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}: one process per folder"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_a_file_left_by_a_crash_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("1234567\n")
    lock = FolderLock(tmp_path)
    assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    lock.release()
