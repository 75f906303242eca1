"""A copy made while the store is in use is the pinset of one moment, and comes back as it was."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from ipfs_cluster.errors import StoreUnusable
from ipfs_cluster.feed import watch
from ipfs_cluster.ports import PeerRecord, PutPeer, PutPin, QueueWork, RecordForeign, RemovePin
from ipfs_cluster.stores.sqlite import SqliteStore, backup, restore
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, PIN_QUEUED, UNPIN_QUEUED, cid, flat, node_pin, pin, put


async def reopened(path: Path, clock: FakeClock) -> SqliteStore:
    store = SqliteStore(path, clock)
    await store.open()
    return store


async def test_a_copy_of_a_busy_store_is_of_one_moment(sqlite_store: SqliteStore, path: Path, clock: FakeClock) -> None:
    """Commits move one pin from place to place, and always two at once: a copy sees both or neither."""
    await put(sqlite_store, *(pin(n) for n in range(3000)), *(pin(n) for n in range(10_000, 10_002)))
    done = asyncio.Event()

    async def write() -> None:
        number = 10_000
        while not done.is_set():
            await sqlite_store.commit(
                [RemovePin(cid(number)), RemovePin(cid(number + 1)), PutPin(pin(number + 2)), PutPin(pin(number + 3))]
            )
            number += 2

    copies = [path.with_name(f"copy{n}") for n in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for copy in copies:
            assert await asyncio.to_thread(backup, path, copy) == 3002
        done.set()
    for number, copy in enumerate(copies):
        target = path.with_name(f"restored{number}.sqlite")
        assert restore(copy, target).pins == 3002
        store = await reopened(target, clock)
        extra = {entry.cid for entry in await flat(store.pins())} - {cid(n) for n in range(3000)}
        assert len(extra) == 2
        await store.close()
    assert {found.name for found in path.parent.iterdir() if "copy" in found.name} == {copy.name for copy in copies}


async def test_what_was_pinned_since_is_somebody_elses_and_old_orders_are_void(path: Path, clock: FakeClock) -> None:
    store = await reopened(path, clock)
    await store.commit([PutPeer(PeerRecord(ALICE, "alice", "node", surveyed=True, adopted=True, draining=True))])
    await put(store, pin(1, ALICE), pin(2, ALICE), pin(3, ALICE), pin(4, ALICE))
    await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED), RemovePin(cid(2), release=(ALICE,))])
    await store.commit([QueueWork(ALICE, cid(9), UNPIN_QUEUED), RecordForeign(ALICE, (node_pin(7),))])
    before = await flat(store.pins())
    revision, history = await store.revision(), await store.history()
    copy = path.with_name("copy")
    assert backup(path, copy) == 3
    await put(store, pin(5, ALICE))
    await store.close()

    restored = restore(copy, path, force=True)
    assert (restored.pins, restored.kept) == (3, path.with_name("pinset.sqlite.old.1"))
    store = await reopened(path, clock)
    assert await flat(store.pins()) == before
    assert [(row.cid, row.status) for row in await flat(store.works())] == [(cid(1), PIN_QUEUED)]
    assert await store.peers() == [PeerRecord(ALICE, "alice", "node", surveyed=False, adopted=True, draining=True)]
    assert await store.is_foreign(ALICE, cid(7)) is not None
    # Who followed the pinset before is told to begin anew, though the revision has been there.
    assert await store.revision() == revision
    assert await store.history() != history
    assert (await anext(watch(store, clock, f"{history}.{revision}"))).reset
    await store.close()

    kept = await reopened(path.with_name("pinset.sqlite.old.1"), clock)
    assert await kept.count() == 4
    await kept.close()
    again = restore(copy, path, force=True)
    assert again.kept == path.with_name("pinset.sqlite.old.2")


async def test_a_pinset_is_not_replaced_without_force(sqlite_store: SqliteStore, path: Path) -> None:
    await put(sqlite_store, pin(1))
    copy = path.with_name("copy")
    backup(path, copy)
    await sqlite_store.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=r"there is a pinset already.*--force"):
        restore(copy, path)
    assert path.read_bytes() == before


async def test_files_of_a_stopped_service_are_a_copy_too(path: Path, clock: FakeClock) -> None:
    """With the log beside it, which stays what it was."""
    store = await reopened(path, clock)
    await put(store, *(pin(n) for n in range(50)))
    folder = path.parent / "kept"
    folder.mkdir()
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        (folder / source.name).write_bytes(source.read_bytes())
    await store.close()
    before = {found.name: found.read_bytes() for found in folder.iterdir()}
    target = path.with_name("target.sqlite")
    assert restore(folder / path.name, target).pins == 50
    assert {found.name: found.read_bytes() for found in folder.iterdir()} == before


async def test_what_cannot_be_copied(path: Path, sqlite_store: SqliteStore) -> None:
    with pytest.raises(StoreUnusable, match="no pinset"):
        backup(path.with_name("absent"), path.with_name("copy"))
    path.with_name("copy").write_text("precious")
    with pytest.raises(StoreUnusable, match="exists already"):
        backup(path, path.with_name("copy"))
    assert path.with_name("copy").read_text() == "precious"
    with pytest.raises(StoreUnusable, match="no such file"):
        restore(path.with_name("absent"), path.with_name("target"))
    path.with_name("empty").touch()
    with pytest.raises(StoreUnusable, match="is empty"):
        restore(path.with_name("empty"), path.with_name("target"))
    assert not path.with_name("target").exists()
    assert not [name for name in os.listdir(path.parent) if name.endswith((".part", ".restore"))]
