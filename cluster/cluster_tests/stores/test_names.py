"""Search by an index of names finds what reading all of them finds."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipfs_cluster.ports import PinQuery, PutPin, RemovePin
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.stores.sqlite import SqliteStore, queries
from ipfs_cluster.stores.sqlite import names as names_module
from ipfs_cluster.stores.sqlite.scan import TemporaryFile
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_contract import StoreContract
from ipfs_cluster.testing.store_values import cid, flat, pin, put

_pieces = st.sampled_from(["abc", "bcd", '"', "\0", "é\U0001f980'", "\x02", "*", " "])
_texts = st.lists(_pieces, max_size=4).map("".join)
_changes = st.lists(st.tuples(st.integers(0, 5), st.none() | _texts), max_size=4)


async def indexed(store: SqliteStore) -> None:
    """Return when there is an index that knows all names."""
    await store.count(PinQuery(name="abc"))
    await made(store)
    assert store._open is not None
    assert store._open.names.index.covered == await store.revision()


async def made(store: SqliteStore) -> None:
    """Return when nothing is done to the index."""
    assert store._open is not None
    await asyncio.gather(*store._open.names._tasks._tasks)


class TestContractWithAnIndexOfNames(StoreContract):
    """Made at the first search, however few names there are, and whatever the search finds."""

    @pytest.fixture
    async def store(self, clock: FakeClock, path: Path) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(path, clock, names_from=0)
        await store.open()
        yield store
        await store.close()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_changes, _changes, _texts), min_size=1, max_size=3))
def test_the_index_finds_what_reading_all_names_finds(
    rounds: list[tuple[list[tuple[int, str | None]], list[tuple[int, str | None]], str]],
) -> None:
    async def run(folder: Path) -> None:
        store, oracle = SqliteStore(folder / "pinset.sqlite", FakeClock(), names_from=0), MemoryStore(FakeClock())
        await store.open()
        await oracle.open()

        async def change(changes: list[tuple[int, str | None]]) -> None:
            for number, text in changes:
                write = RemovePin(cid(number)) if text is None else PutPin(pin(number, name=text))
                await store.commit([write])
                await oracle.commit([write])

        try:
            for known, young, asked in rounds:
                await change(known)
                await indexed(store)
                await change(young)
                names = {asked, *(text for _, text in [*known, *young] if text)}
                for text in {part for name in names for part in (name, name[1:], name[-3:], name[:4])}:
                    for query in (PinQuery(name=text), PinQuery(prefix=text), PinQuery(name=text[-3:], prefix=text)):
                        wanted = sorted(text for text, *_ in await flat(oracle.listing(query)))
                        assert [text for text, *_ in await flat(store.listing(query, by_text=True))] == wanted
                        # The search has begun to bring the index up to date.
                        assert await store.count(query) == len(wanted)
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_what_the_index_does_not_know_yet_is_found(searched: SqliteStore) -> None:
    await put(searched, pin(70, name="a young name"), pin(0, name="renamed"))
    assert searched._open is not None
    names = searched._open.names.index
    for query, found in (
        (PinQuery(name="young"), 1),
        (PinQuery(prefix="renamed"), 1),
        (PinQuery(name="backup-000"), 0),
    ):
        number = await searched._open.names._workers.call(queries.count, searched._open.peers, query, names)  # type: ignore[union-attr]
        assert number == found


@pytest.fixture
async def searched(clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    """A store with 60 names and an index of them, made in slices of 7."""
    monkeypatch.setattr(names_module, "SLICE", 7)
    store = SqliteStore(path, clock, names_from=10)
    await store.open()
    await put(store, *(pin(n, name=f"backup-{n:03}") for n in range(50)))
    for n in range(50, 60):
        await put(store, pin(n, name=f"backup-{n:03}"))
    await indexed(store)
    yield store
    await store.close()


async def test_few_are_found_by_the_index(searched: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert searched._open is not None
    clause = searched._open.names.index.candidates(PinQuery(name="up-05"))
    assert clause is not None
    workers, names = searched._open.asked(PinQuery(name="up-05"))
    assert names is searched._open.names.index
    found = await workers.call(lambda connection: connection.execute(clause.sql, clause.values).fetchall())
    assert len(found) == 10
    assert await searched.count(PinQuery(name="up-05")) == 10
    # Many are met by reading: the index that has too many candidates is not asked again.
    monkeypatch.setattr(queries, "FEW", 9)
    assert await searched.count(PinQuery(name="up-05")) == 10


async def test_a_slice_costs_the_same_wherever_it_is_in_one_large_commit(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path, clock)
    await store.open()
    await put(store, *(pin(n, name=f"backup-{n:04}") for n in range(3000)))
    await store.close()
    monkeypatch.setattr(names_module, "SLICE", 100)
    connection = TemporaryFile(path).attached()
    index, steps = names_module.NameIndex(), [0]
    index.advance(connection)

    def step() -> None:
        steps[-1] += 1

    connection.set_progress_handler(step, 10)
    while index.advance(connection):
        steps.append(0)
    connection.close()
    assert len(steps) > 20
    assert 0 < max(steps[-5:-1]) < 1.5 * min(steps[1:5])


async def test_no_index_of_few_names(path: Path, clock: FakeClock) -> None:
    store = SqliteStore(path, clock)
    await store.open()
    await put(store, pin(1, name="abcd"))
    assert await store.count(PinQuery(name="bcd")) == 1
    assert not list(path.parent.glob("*.tmp-*"))
    await store.close()


async def test_no_index_where_commits_may_need_the_room(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path, clock, names_from=0)
    await store.open()
    await put(store, *(pin(n, name=f"backup-{n:04}") for n in range(1000)))
    size = path.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size))
    assert await store.count(PinQuery(name="backup")) == 1000
    await made(store)
    assert not list(path.parent.glob("*.tmp-*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10 * size + 10**9))
    await indexed(store)
    await store.close()


async def test_nothing_is_left_of_it(searched: SqliteStore, path: Path) -> None:
    assert list(path.parent.glob("*.tmp-*"))
    await searched.close()
    assert not list(path.parent.glob("*.tmp-*"))


async def test_without_an_index_all_names_are_read(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(names_module, "_CREATE", "CREATE VIRTUAL TABLE tmp.names USING fts99(name)")
    store = SqliteStore(path, clock, names_from=0)
    await store.open()
    await put(store, pin(1, name="abcd"))
    assert await store.count(PinQuery(name="bcd")) == 1
    await made(store)
    assert "no such module" in caplog.text
    assert not list(path.parent.glob("*.tmp-*"))
    assert await store.count(PinQuery(name="bcd")) == 1
    await store.close()
