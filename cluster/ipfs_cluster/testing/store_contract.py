"""The contract of `ipfs_cluster.ports.Store` as tests: every store derives a class from `StoreContract` and runs it.

    class TestMyStore(StoreContract):
        @pytest.fixture
        async def store(self, clock, tmp_path):
            ...                                  # an open, empty store with this clock; closed afterwards

Needs pytest and pytest-asyncio in auto mode (the extra `test`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace

import pytest

from ipfs_cluster.errors import Conflict, InvalidArgument, StoreUnavailable
from ipfs_cluster.model import Pin, PinType
from ipfs_cluster.ports import Change, PinQuery, PutPin, RecordForeign, RemovePin, Store
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_contract_claims import ClaimContract, ForeignContract, PendingContract
from ipfs_cluster.testing.store_contract_figures import FiguresContract
from ipfs_cluster.testing.store_contract_query import ListingContract
from ipfs_cluster.testing.store_contract_queue import QueueContract
from ipfs_cluster.testing.store_contract_scan import ScanContract
from ipfs_cluster.testing.store_contract_work import WorkContract
from ipfs_cluster.testing.store_values import (
    ALICE,
    BOB,
    DIRECT,
    cid,
    flat,
    node_pin,
    pin,
    put,
)


class EntryContract:
    """Entries, revisions, guards, atomicity."""

    async def test_a_new_store_is_empty(self, store: Store) -> None:
        assert await store.revision() == 0
        assert await store.get(cid(1)) is None
        assert await store.get_many([]) == {}
        assert await flat(store.pins(PinQuery())) == []
        assert await flat(store.listing(PinQuery(), foreign_of=ALICE)) == []
        assert await store.count(PinQuery()) == 0
        assert await store.next_expiry() is None
        assert await store.changes(0, 10) == []
        assert await store.peers() == []

    async def test_an_entry_comes_back_as_it_was_put(self, store: Store) -> None:
        full = Pin(
            cid(1),
            mode=DIRECT,
            type=PinType.SHARD,
            name='a "name"\0 with ünicode \U0001f980',
            allocations=(BOB, ALICE),
            replication_min=2,
            replication_max=3,
            metadata={"key": "value", "": "é\n"},
            origins=("/ip4/127.0.0.1/tcp/4001/p2p/x", "/dns4/example.net"),
            expire_at=1_800_000_000.123456,
            pin_update=cid(2),
            reference=cid(3),
            shard_size=2**40,
            timestamp=1_700_000_000.654321,
        )
        revision = await put(store, full)
        assert await store.get(full.cid) == replace(full, revision=revision)
        plain = Pin(cid(4))
        revision = await put(store, plain)
        assert await store.get(plain.cid) == replace(plain, revision=revision)

    async def test_the_spellings_of_one_digest_are_different_pins(self, store: Store) -> None:
        v0 = Pin(cid(0), name="v0")
        v1 = Pin(type(v0.cid)(b"\x01\x70" + v0.cid), name="v1")
        raw = Pin(type(v0.cid)(b"\x01\x55" + v0.cid), name="raw")
        await put(store, v0, v1, raw)
        found = await store.get_many([v0.cid, v1.cid, raw.cid])
        assert {entry.name for entry in found.values()} == {"v0", "v1", "raw"}

    async def test_every_commit_gets_the_next_revision(self, store: Store) -> None:
        assert await put(store, pin(1, ALICE), pin(2, ALICE)) == 1
        assert await put(store, pin(1, BOB)) == 2
        assert await store.commit([]) == 3
        assert await store.revision() == 3
        found = await store.get_many([cid(1), cid(2), cid(3), cid(1)])
        assert {key: entry.revision for key, entry in found.items()} == {cid(1): 2, cid(2): 1}

    async def test_a_guard_compares_the_revision_of_the_entry(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE), expect=0)])
        with pytest.raises(Conflict):
            await store.commit([PutPin(pin(1, BOB), expect=0)])
        await put(store, pin(2, ALICE))
        second = await store.commit([PutPin(pin(1, BOB), expect=1)])
        with pytest.raises(Conflict):
            await store.commit([RemovePin(cid(1), expect=1)])
        await store.commit([RemovePin(cid(1), expect=second)])
        with pytest.raises(Conflict):
            await store.commit([RemovePin(cid(1), expect=second)])
        with pytest.raises(Conflict):
            await store.commit([PutPin(pin(1, BOB), expect=second)])
        await store.commit([PutPin(pin(1, BOB), expect=0)])

    async def test_removing_what_is_not_there_changes_nothing(self, store: Store) -> None:
        await store.commit([RemovePin(cid(1), release=(ALICE,)), RemovePin(cid(1), expect=0, release=(ALICE,))])
        assert await store.work([cid(1)]) == []
        assert await store.changes(0, 10) == []

    async def test_a_commit_that_fails_changes_nothing_at_all(self, store: Store) -> None:
        await put(store, pin(1, ALICE))
        with pytest.raises(Conflict):
            await store.commit(
                [
                    PutPin(pin(2, ALICE), queue=(ALICE,)),
                    RemovePin(cid(1), release=(ALICE,)),
                    RecordForeign(ALICE, (node_pin(5),)),
                    PutPin(pin(3), expect=9),
                ]
            )
        assert await store.revision() == 1
        assert [entry.cid for entry in await flat(store.pins(PinQuery()))] == [cid(1)]
        assert await store.work([cid(1), cid(2)]) == []
        assert await store.is_foreign(ALICE, cid(5)) is None
        assert [change.pin is None for change in await store.changes(0, 10)] == [False]

    async def test_a_write_sees_those_before_it_in_the_commit(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE), expect=0), RemovePin(cid(1)), PutPin(pin(1, BOB), expect=0)])
        entry = await store.get(cid(1))
        assert entry is not None
        assert entry.allocations == (BOB,)
        with pytest.raises(Conflict):
            await store.commit([RemovePin(cid(1)), PutPin(pin(1, BOB), expect=1)])

    async def test_a_conflict_does_not_touch_commits_beside_it(self, store: Store) -> None:
        await put(store, pin(0, ALICE))
        commits = [
            store.commit([PutPin(pin(number, ALICE), queue=(ALICE,)), PutPin(pin(0, ALICE), expect=number % 2 or 99)])
            for number in range(1, 40)
        ]
        results = await asyncio.gather(*commits, return_exceptions=True)
        # The first odd one finds revision 1 and moves it on; all others conflict.
        done = [number for number, result in enumerate(results, 1) if isinstance(result, int)]
        assert len(done) == 1
        assert done[0] % 2 == 1
        assert all(isinstance(result, int | Conflict) for result in results)
        assert await store.count(PinQuery()) == 2
        assert {work.cid for work in await flat(store.works())} == {cid(done[0])}

    async def test_a_commit_is_carried_out_though_its_caller_is_gone(self, store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            call = group.create_task(store.commit([PutPin(pin(1, ALICE)), PutPin(pin(2, ALICE))]))
            await asyncio.sleep(0)
            call.cancel()
        await put(store, pin(3, ALICE))
        assert await store.count(PinQuery()) == 3

    async def test_text_that_is_no_unicode_is_refused(self, store: Store) -> None:
        for bad in (
            Pin(cid(1), name="\udc80"),
            Pin(cid(1), metadata={"\udc80": ""}),
            Pin(cid(1), metadata={"": "\udc80"}),
            Pin(cid(1), origins=("\udc80",)),
        ):
            with pytest.raises(InvalidArgument, match="not valid Unicode"):
                await store.commit([PutPin(bad)])
        with pytest.raises(InvalidArgument, match="not valid Unicode"):
            await store.commit([RecordForeign(ALICE, (node_pin(1, name="\udc80"),))])
        assert await store.revision() == 0

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.commit([])
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.get(cid(1))
        with pytest.raises(StoreUnavailable, match="closed"):
            await flat(store.pins(PinQuery()))
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.revision()


class FeedContract:
    """The change feed."""

    async def test_changes_come_in_order_each_cid_once(self, store: Store) -> None:
        await put(store, pin(1), pin(2))
        await put(store, pin(3))
        await store.commit([RemovePin(cid(2))])
        await put(store, pin(1, name="new"))
        changes = await store.changes(0, 10)
        assert changes == [
            Change(2, cid(3), await store.get(cid(3))),
            Change(3, cid(2), None),
            Change(4, cid(1), await store.get(cid(1))),
        ]
        assert await store.changes(2, 1) == changes[1:2]
        assert await store.changes(3, 10) == changes[2:]
        assert await store.changes(4, 10) == []
        await put(store, pin(2, name="back"))
        assert [change.pin and change.pin.name for change in await store.changes(2, 10)] == ["new", "back"]

    async def test_a_revision_is_never_cut_in_two(self, store: Store) -> None:
        await put(store, pin(1))
        await store.commit([*(PutPin(pin(n)) for n in range(2, 12)), RemovePin(cid(1))])
        await put(store, pin(20))
        assert len(await store.changes(0, 3)) == 11
        assert [change.cid for change in await store.changes(2, 3)] == [cid(20)]

    async def test_a_history_has_a_name_of_its_own(self, store: Store) -> None:
        history = await store.history()
        await put(store, pin(1))
        assert await store.history() == history
        assert history.isalnum()

    async def test_who_waits_hears_of_changed_entries(self, store: Store) -> None:
        await put(store, pin(1))
        await asyncio.wait_for(store.wait_change(0), 10)
        async with asyncio.TaskGroup() as group:
            for change in (PutPin(pin(2)), RemovePin(cid(2))):
                waiters = [group.create_task(store.wait_change(await store.revision())) for _ in range(3)]
                await store.commit([RecordForeign(ALICE, (node_pin(5),)), RemovePin(cid(9))])
                waiters[0].cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert [waiter.done() for waiter in waiters] == [True, False, False]
                revision = await store.commit([change])
                await asyncio.wait(waiters)
                assert not waiters[1].cancelled()
                await store.wait_change(revision - 1)

    async def test_who_waits_hears_of_the_end(self, store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(asyncio.wait_for(_closed(store.wait_change(99)), 10))
            for _ in range(5):
                await asyncio.sleep(0)
            await store.close()
            assert "closed" in await waiter


async def _closed(wait: Coroutine[object, object, None]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await wait
    return str(caught.value)


class StoreContract(
    EntryContract,
    FiguresContract,
    ListingContract,
    FeedContract,
    WorkContract,
    QueueContract,
    PendingContract,
    ClaimContract,
    ForeignContract,
    ScanContract,
):
    """All of it. Derive and provide `store`."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("derive from StoreContract and provide the fixture `store`")
