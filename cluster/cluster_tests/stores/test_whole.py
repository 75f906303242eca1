"""A pinset read, replaced and put away as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipfs_cluster.errors import StoreUnusable
from ipfs_cluster.ports import PeerRecord, PinQuery, PutPeer, PutPin, RecordForeign, RemovePin
from ipfs_cluster.stores.sqlite import SqliteStore, all_pins, count_pins, put_away, replace_pins
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, BOB, PIN_QUEUED, cid, flat, node_pin, pin

PEERS = [PeerRecord(ALICE, "alice"), PeerRecord(BOB, "bob")]


@pytest.fixture
async def used(path: Path, clock: FakeClock) -> Path:
    """A store with a past."""
    store = SqliteStore(path, clock)
    await store.open()
    await store.commit([PutPeer(PeerRecord(ALICE, "alice", "Q", surveyed=True, adopted=True, draining=True))])
    await store.commit([PutPin(pin(1, ALICE)), PutPin(pin(2)), PutPin(pin(3)), RemovePin(cid(3))])
    await store.commit([RecordForeign(ALICE, (node_pin(9),))])
    await store.close()
    return path


def test_all_pins_are_the_visible_ones(used: Path) -> None:
    assert count_pins(used) == 2
    assert [entry.cid for entry in all_pins(used)] == [cid(1), cid(2)]
    assert [entry.allocations for entry in all_pins(used)] == [(ALICE,), ()]


async def test_replacing_keeps_peers_and_the_old_file_and_queues_everything(used: Path, clock: FakeClock) -> None:
    restored = replace_pins(used, [pin(1, BOB), pin(4), pin(5, ALICE)], clock.time(), PEERS)
    assert restored.pins == 3
    assert restored.kept is not None
    assert [entry.cid for entry in all_pins(restored.kept)] == [cid(1), cid(2)]
    store = SqliteStore(used, clock)
    await store.open()
    assert await store.peers() == [
        PeerRecord(ALICE, "alice", "Q", adopted=True, draining=True),  # surveyed anew, the rest is as it was
        PeerRecord(BOB, "bob"),
    ]
    rows = {(row.peer, row.cid) for row in await flat(store.works()) if row.status is PIN_QUEUED}
    assert rows == {(BOB, cid(1)), (ALICE, cid(4)), (BOB, cid(4)), (ALICE, cid(5))}
    # A peer's first record after that makes no further rows, and a new one's does.
    await store.commit([PutPeer(replace(PEERS[1], surveyed=True))])
    assert len(await flat(store.works())) == 4
    assert len(await flat(store.pins(PinQuery()))) == 3
    await store.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_source_that_fails_changes_nothing(path: Path, used: Path, there: bool) -> None:
    if not there:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    def source() -> object:
        yield pin(7)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace_pins(path, source(), 0.0, PEERS)  # type: ignore[arg-type]
    assert [entry.cid for entry in all_pins(path)] == [cid(1), cid(2)] if there else not path.exists()
    assert not [file.name for file in path.parent.iterdir() if ".new" in file.name or ".old" in file.name]


async def test_nobody_replaces_what_is_in_use(used: Path, clock: FakeClock) -> None:
    store = SqliteStore(used, clock)
    await store.open()
    for attempt in (lambda: replace_pins(used, [pin(7)], 0.0, PEERS), lambda: put_away(used)):
        with pytest.raises(StoreUnusable, match="in use"):
            attempt()
    await store.close()
    assert count_pins(used) == 2


def test_put_away(used: Path) -> None:
    kept = put_away(used)
    assert count_pins(kept) == 2
    assert count_pins(used) == 0
    with pytest.raises(StoreUnusable, match="there is no pinset"):
        put_away(used)
    with pytest.raises(StoreUnusable, match="there is no pinset"):
        list(all_pins(used))
