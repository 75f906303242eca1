"""A pinset imported at once is the same as one that was committed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipfs_cluster.errors import InvalidArgument, StoreUnusable
from ipfs_cluster.model import Pin, PinType
from ipfs_cluster.ports import PinQuery, PutPin
from ipfs_cluster.stores.sqlite import DoublePin, SqliteStore, import_pins
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, BOB, DIRECT, PIN_QUEUED, cid, flat, pin, put


def entries() -> list[Pin]:
    """Of all kinds."""
    return [
        replace(pin(1, ALICE, BOB, name="one"), metadata={"k": "v"}, origins=("/ip4/127.0.0.1",), timestamp=5.0),
        replace(pin(2, BOB, mode=DIRECT), expire_at=100.0, pin_update=cid(9)),
        replace(pin(3, BOB, name="new"), metadata={"k": "w"}),
        replace(pin(4, ALICE), type=PinType.META, reference=cid(5), shard_size=7),
        pin(5, name="everywhere"),
    ]


async def test_it_holds_what_commits_would_have_put_there(path: Path, tmp_path: Path, clock: FakeClock) -> None:
    assert import_pins(path, iter(entries()), clock.time(), queue=(ALICE,)) == 5
    imported, committed = SqliteStore(path, clock), SqliteStore(tmp_path / "other.sqlite", clock)
    await imported.open()
    await committed.open()
    for entry in entries():
        queue = (ALICE,) if entry.wanted_on(ALICE) and entry.type is not PinType.META else ()
        await committed.commit([PutPin(entry, queue=queue, release=())])
    for query in (
        PinQuery(),
        PinQuery(metadata=(("k", "v"),)),
        PinQuery(metadata=(("k", "w"),)),
        PinQuery(expires_before=100.0),
        PinQuery(peer=BOB),
        PinQuery(modes=frozenset({DIRECT})),
    ):
        found, wanted = [
            sorted((replace(entry, revision=0) for entry in await flat(store.pins(query))), key=lambda entry: entry.cid)
            for store in (imported, committed)
        ]
        assert found == wanted
        lines = [await flat(store.listing(query, by_text=True)) for store in (imported, committed)]
        assert lines[0] == lines[1]
    rows = {row.cid: (row.peer, row.status, row.mode, row.next_retry) for row in await flat(imported.works())}
    expected = (ALICE, PIN_QUEUED, pin(1).mode, clock.time())
    assert rows == {cid(1): expected, cid(5): expected}
    # It goes on as any other: revisions, peers' numbers.
    assert await put(imported, pin(6, BOB, ALICE)) == 2
    assert {entry.cid for entry in await flat(imported.pins(PinQuery(peer=BOB)))} == {cid(n) for n in (1, 2, 3, 5, 6)}
    await imported.close()
    await committed.close()


async def test_many_are_spread_over_revisions(path: Path, clock: FakeClock) -> None:
    assert import_pins(path, map(pin, range(2500)), 0.0) == 2500
    store = SqliteStore(path, clock)
    await store.open()
    assert await store.revision() == 3
    assert len(await store.changes(0, 10)) == 1000
    assert len(await flat(store.listing())) == 2500
    await store.close()


def test_a_failure_leaves_nothing(path: Path) -> None:
    with pytest.raises(InvalidArgument):
        import_pins(path, [pin(1), pin(2, name="\udc80")], 0.0)
    assert list(path.parent.iterdir()) == []


def test_a_double_is_named_with_both_places(path: Path) -> None:
    with pytest.raises(DoublePin) as caught:
        import_pins(path, [pin(1), pin(2), pin(3), pin(3), pin(2, name="other")], 0.0)
    assert (caught.value.first, caught.value.second) == (2, 5)
    assert list(path.parent.iterdir()) == []


def test_what_is_there_stays(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(StoreUnusable, match="exists already"):
        import_pins(path, [pin(1)], 0.0)
    assert path.read_bytes() == b"precious"
