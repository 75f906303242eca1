"""Readers of the SQLite store hold nothing between two pages, however slow they are."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.ports import PinQuery, RecordForeign
from ipfs_cluster.stores.sqlite import SqliteStore, log, schema
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, cid, flat, known, node_pin, pin, put

PAGES = 200
"""Pages of the log before it is copied into the file: less than one commit below writes."""
COUNT = 2500


@pytest.fixture
async def store(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    """A store of 2,500 entries with work and foreign pins, whose log is soon copied."""
    monkeypatch.setattr(schema, "CHECKPOINT_PAGES", PAGES)
    made = SqliteStore(path, clock, names_from=0)
    await made.open()
    await known(made, ALICE)
    await put(made, *(pin(n, name=f"name {n}") for n in range(COUNT)))
    await made.commit([RecordForeign(ALICE, tuple(node_pin(n) for n in range(COUNT, 2 * COUNT)))])
    yield made
    await made.close()


READERS: dict[str, Callable[[SqliteStore], AsyncIterator[Any]]] = {
    "listing": lambda store: store.listing(),
    "listing by text": lambda store: store.listing(by_text=True, foreign_of=ALICE),
    "search": lambda store: store.listing(PinQuery(name="name")),
    "pins": lambda store: store.pins(),
    "foreign": lambda store: store.foreign(),
}


@pytest.mark.parametrize("name", READERS)
async def test_a_listing_held_open_does_not_let_the_log_grow(store: SqliteStore, path: Path, name: str) -> None:
    log = path.with_name(path.name + "-wal")
    pages = READERS[name](store)
    seen = len(await anext(pages))
    sizes = []
    for turn in range(12):
        await put(store, *(pin(n, name=f"turn {turn}, name {n}") for n in range(0, COUNT, 2)))
        sizes.append(log.stat().st_size)
    # A commit is written whole before the log is looked at: some checkpoints' worth, where twelve held back make more.
    assert max(sizes) < 8 * PAGES * 4096
    assert seen + len(await flat(pages)) >= COUNT


async def test_a_transaction_held_open_does(store: SqliteStore, path: Path) -> None:
    """What the others are measured by: the log grows with every commit while somebody reads on."""
    log = path.with_name(path.name + "-wal")
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN")
    held.execute("SELECT * FROM pins LIMIT 1").fetchall()
    sizes = []
    for turn in range(12):
        await put(store, *(pin(n, name=f"turn {turn}, name {n}") for n in range(0, COUNT, 2)))
        sizes.append(log.stat().st_size)
    held.execute("COMMIT")
    held.close()
    assert sizes[-1] > max(8 * PAGES * 4096, 1.5 * sizes[5])
    # It shrinks when nobody holds it any more.
    for turn in range(3):
        await put(store, *(pin(n, name=f"turn {turn}") for n in range(0, COUNT, 2)))
    assert log.stat().st_size < sizes[-1]


async def test_readers_that_follow_upon_each_other_do_not_either(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two transactions is always open; each goes on for some twenty milliseconds after the next began."""
    monkeypatch.setattr(log, "PATIENCE", 2.0)
    ended = threading.Event()

    def read() -> None:
        held: sqlite3.Connection | None = None
        while not ended.wait(0.02):
            following = sqlite3.connect(path, isolation_level=None)
            following.execute("BEGIN")
            following.execute("SELECT * FROM pins LIMIT 1").fetchall()
            if held is not None:
                held.close()
            held = following
        if held is not None:
            held.close()

    reading = asyncio.create_task(asyncio.to_thread(read))  # noqa: TID251 - awaited below
    sizes = []
    for turn in range(24):
        await put(store, *(pin(n, name=f"turn {turn}, name {n}") for n in range(0, COUNT, 2)))
        sizes.append(path.with_name(path.name + "-wal").stat().st_size)
    ended.set()
    await reading
    assert max(sizes) < 8 * PAGES * 4096


async def test_an_abandoned_listing_holds_nothing(store: SqliteStore, path: Path) -> None:
    for _ in range(20):
        pages = store.listing(by_text=True)
        await anext(pages)
        await pages.aclose()  # type: ignore[attr-defined]
    await put(store, pin(1, name="another"))
    with sqlite3.connect(path, isolation_level=None) as other:
        busy, in_log, copied = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, in_log) == (0, copied)
    assert await store.get(cid(1)) is not None
