"""Blocks in files: written together, durable together."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipfs_cluster.errors import NodeError
from ipfs_cluster.nodes.embedded.blocks import TOGETHER, UNFINISHED, Blocks

Pair = tuple[bytes, bytes]


def pair(number: int, size: int = 100) -> Pair:
    """A multihash and its data."""
    data = number.to_bytes(size, "big")
    return b"\x12\x20" + hashlib.sha256(data).digest(), data


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[Blocks]:
    opened = Blocks(tmp_path, 0)
    opened.open()
    opened.take_stock()
    yield opened
    opened.close()


def file_of(repo: Path, size: int) -> Path:
    """The only block's file of this size."""
    (found,) = [path for path in repo.glob("blocks/*/*.data") if path.stat().st_size == size]
    return found


def test_any_number_is_put_at_once(blocks: Blocks) -> None:
    pairs = [pair(number, 10 + number) for number in range(2 * TOGETHER + 1)]
    blocks.put([*pairs, pairs[0]])
    assert [blocks.get(key) for key, _ in pairs] == [data for _, data in pairs]
    assert blocks.stock() == (sum(len(data) for _, data in pairs), len(pairs))


def test_files_are_on_the_disk_before_they_have_their_names_and_folders_before_it_returns(
    blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[str] = []

    def recorded(call: Callable[[int], None]) -> Callable[[int], None]:
        def record(descriptor: int) -> None:
            call(descriptor)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            synchronised.append(path)
            if not os.path.isdir(path):
                assert not list(tmp_path.glob("blocks/*/*.data"))

        return record

    monkeypatch.setattr(os, "fdatasync", recorded(os.fdatasync))
    monkeypatch.setattr(os, "fsync", recorded(os.fsync))
    blocks.put([pair(number) for number in range(TOGETHER)])
    folder = str(tmp_path / "blocks")
    assert sum(path.startswith(f"{folder}/{UNFINISHED}/") for path in synchronised) == TOGETHER
    names = {str(path.parent) for path in tmp_path.glob("blocks/*/*.data")}
    assert {folder, *names} == set(synchronised[TOGETHER:])


def test_a_block_that_another_is_still_putting_is_not_acknowledged_before_it_is_durable(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, named, go_on = os.fsync, threading.Event(), threading.Event()
    mine: list[str] = []

    def held(descriptor: int) -> None:
        if threading.current_thread() is threading.main_thread():
            mine.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        else:
            named.set()
            assert go_on.wait(60)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", held)
    key, data = pair(1)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(blocks.put, [(key, data)])
        assert named.wait(60)
        blocks.put([(key, data)])
        assert len(mine) == 2, "the block's folder, and the one that it was made in"
        go_on.set()
        other.result()
    mine.clear()
    blocks.put([(key, data)])
    assert mine == [], "it is durable since"


def test_a_torn_file_is_replaced_by_a_put(blocks: Blocks, tmp_path: Path) -> None:
    (key, data), other = pair(1), pair(2, 7)
    blocks.put([(key, data), other])
    blocks.close()
    os.truncate(file_of(tmp_path, 100), 40)
    again = Blocks(tmp_path, 0)
    again.open()
    again.take_stock()
    assert again.stock() == (47, 2)
    again.put([(key, data)])
    assert again.get(key) == data
    assert again.stock() == (107, 2)


def test_a_full_disk_leaves_nothing_unfinished(blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = os.write, 0

    def filling(descriptor: int, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > TOGETHER * 100 + 150:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", filling)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NodeError, match=r"^write block: no space left on device$"):
        blocks.put([pair(number) for number in range(2 * TOGETHER)])
    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before
    assert not list((tmp_path / "blocks" / UNFINISHED).iterdir())
    assert blocks.stock() == (TOGETHER * 100, TOGETHER)
    blocks.put([pair(number) for number in range(2 * TOGETHER)])
    assert blocks.stock() == (2 * TOGETHER * 100, 2 * TOGETHER)
