"""A store that is not sound refuses to open, and says what to do. Real files, really damaged."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest

from ipfs_cluster.errors import StoreUnusable
from ipfs_cluster.ports import RemovePin
from ipfs_cluster.stores.sqlite import SqliteStore, backup, import_pins, restore, schema
from ipfs_cluster.stores.sqlite.soundness import check_start
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, cid, pin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of 3,000 entries that nobody uses."""
    made = tmp_path / "pinset.sqlite"
    import_pins(made, (pin(n, ALICE, name=f"n{n}") for n in range(3000)), 0.0)
    return made


async def opened(path: Path) -> None:
    """Open and close it; raises StoreUnusable."""
    store = SqliteStore(path, FakeClock())
    await store.open()
    await store.close()


def sql(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return run


def overwrite(page: Callable[[sqlite3.Connection], int]) -> Callable[[Path], None]:
    """Fill one page with rubbish."""

    def run(path: Path) -> None:
        connection = sqlite3.connect(path)
        number, (size,) = page(connection), connection.execute("PRAGMA page_size").fetchone()
        connection.close()
        with open(path, "r+b") as file:
            file.seek((number - 1) * size)
            file.write(b"\xa5" * size)

    return run


def root(table: str) -> Callable[[sqlite3.Connection], int]:
    def find(connection: sqlite3.Connection) -> int:
        (number,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        return int(number)

    return find


def cut(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no database": (lambda path: (path.write_bytes(b"hello" * 1000), None)[1], "not a database.*state restore"),
    "header": (overwrite(lambda _: 1), "not a database.*state restore"),
    "cut off": (cut, "(cut off|malformed).*state restore"),
    "cut off at the end": (
        lambda path: (path.write_bytes(path.read_bytes()[:-4096]), None)[1],
        "(cut off|malformed).*state restore",
    ),
    "root of the entries": (overwrite(root("pins")), "malformed.*state restore"),
    "root of an index": (overwrite(root("pins_text")), "malformed.*state restore"),
    "root of the work": (overwrite(root("work")), "malformed.*state restore"),
    "no state": (sql("DELETE FROM state"), "no state.*state restore"),
    "an index is gone": (sql("DROP INDEX pins_short"), "not as this version makes it: pins_short.*state restore"),
    "a table is gone": (sql("DROP TABLE work"), "not as this version makes it: work"),
    "state of another time": (sql("UPDATE state SET revision = 2"), "entries of revision 3.*state restore"),
    "index of another time": (
        sql("UPDATE sqlite_master SET sql = NULL WHERE name = 'pins_text'", "UPDATE pins SET text = 'x' || text"),
        "pins_text",
    ),
    "newer": (sql("PRAGMA user_version = 99"), "newer version .schema 99.*upgrade, or restore the backup"),
    "another program": (sql("PRAGMA application_id = 7"), "another program: move it away"),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_it_does_not_open_and_says_what_to_do(path: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    await opened(path)
    sql("PRAGMA wal_checkpoint(TRUNCATE)")(path)  # what is still in the log would make good for a part that is missing
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=message):
        await opened(path)
    assert path.read_bytes() == before
    # Refused again, whatever the first try left; and neither copied nor put in a sound one's place.
    with pytest.raises(StoreUnusable, match=message):
        await opened(path)
    with pytest.raises(StoreUnusable):
        backup(path, path.with_name("copy"))
    sound = path.with_name("sound.sqlite")
    import_pins(sound, [pin(1)], 0.0)
    good = sound.read_bytes()
    with pytest.raises(StoreUnusable):
        restore(path, sound, force=True)
    assert sound.read_bytes() == good
    assert {found.name for found in path.parent.iterdir()} & {"copy", "copy.part", "sound.sqlite.restore"} == set()


def test_damage_inside_is_found_by_a_copy(path: Path) -> None:
    """Nothing looks at every page at the start; a copy does."""

    def leaf(connection: sqlite3.Connection) -> int:
        wanted = "SELECT pageno FROM dbstat WHERE name = 'pins' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 7"
        try:
            (number,) = connection.execute(wanted).fetchone()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
        return int(number)

    overwrite(leaf)(path)
    with pytest.raises(StoreUnusable, match="state restore"):
        backup(path, path.with_name("copy"))
    with pytest.raises(StoreUnusable, match="state restore"):
        restore(path, path.with_name("new.sqlite"))
    assert not path.with_name("new.sqlite").exists()


async def test_a_log_that_was_not_copied_yet_is_no_damage(path: Path, tmp_path: Path) -> None:
    """A service that was killed: entries are in the log, the file is behind."""
    store = SqliteStore(path, FakeClock())
    await store.open()
    await store.commit([RemovePin(cid(n)) for n in range(100)])
    folder = tmp_path / "crashed"
    folder.mkdir()
    for name in (path, path.with_name(path.name + "-wal")):
        shutil.copy(name, folder)
    await store.close()
    assert (folder / "pinset.sqlite-wal").stat().st_size > 0
    crashed = SqliteStore(folder / path.name, FakeClock())
    for suffix in ("", "-wal"):
        shutil.copy(folder / f"{path.name}{suffix}", folder / f"cut-{path.name}{suffix}")
    await crashed.open()
    assert await crashed.count() == 2900
    await crashed.close()
    # It is when the file lacks what the log does not have.
    cut(folder / "cut-pinset.sqlite")
    with pytest.raises(StoreUnusable, match=r"(cut off|malformed).*state restore"):
        await opened(folder / "cut-pinset.sqlite")


async def test_who_comes_second_is_refused(path: Path) -> None:
    store = SqliteStore(path, FakeClock())
    await store.open()
    with pytest.raises(StoreUnusable, match=r"in use by another process.*stop that one"):
        await opened(path)
    with pytest.raises(StoreUnusable, match="in use by another process"):
        await asyncio.to_thread(restore, path, path, force=True)
    await store.close()
    await opened(path)


async def test_a_program_that_holds_the_file_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA locking_mode = EXCLUSIVE'); c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); "
        "sys.stdin.read()"
    )
    monkeypatch.setattr(schema, "PATIENCE", 0.0)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path), stdin=PIPE, stdout=PIPE)
    assert other.stdin is not None
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"
    with pytest.raises(StoreUnusable, match="in use by another process"):
        await opened(path)
    other.stdin.close()
    await other.wait()
    await opened(path)


def test_the_check_at_the_start_costs_the_same_for_many(tmp_path: Path) -> None:
    steps: dict[int, int] = {500: 0, 20_000: 0}

    def count_for(size: int) -> Callable[[], None]:
        def step() -> None:
            steps[size] += 1

        return step

    for size in steps:
        path = tmp_path / f"{size}.sqlite"
        import_pins(path, (pin(n, ALICE) for n in range(size)), 0.0)
        connection = schema.open_writer(path)
        connection.set_progress_handler(count_for(size), 10)
        check_start(connection, path)
        connection.close()
    assert 0 < steps[20_000] < 1.5 * steps[500]
