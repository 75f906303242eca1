"""The store contract's part about pending entries, claims, peers and foreign pins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import ClaimKind, Pin, PinType, Work
from ipfs_cluster.ports import (
    CommitPending,
    DropPending,
    FinishWork,
    ForeignPin,
    ForgetForeign,
    ForgetPeer,
    PeerRecord,
    PinQuery,
    PutClaim,
    PutPeer,
    PutPending,
    PutPin,
    RecordForeign,
    ReleaseClaims,
    RemovePin,
    Store,
    Write,
)
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import (
    ALICE,
    BOB,
    CAROL,
    DIRECT,
    PIN_QUEUED,
    RECURSIVE,
    UNPIN_ERROR,
    UNPIN_QUEUED,
    cid,
    fail,
    flat,
    known,
    node_pin,
    pin,
    put,
    the_row,
)


class PendingContract:
    """Entries that become visible together."""

    async def test_pending_entries_become_visible_at_once(self, store: Store, clock: FakeClock) -> None:
        await store.commit([PutPending("op", pin(1, ALICE, name="one"), queue=(ALICE,))])
        await store.commit([PutPending("op", pin(2, ALICE, BOB), queue=(BOB,), held=(ALICE,))])
        await store.commit([PutPending("other", pin(3, ALICE))])
        assert await store.get(cid(1)) is None
        assert await flat(store.works()) == []
        assert await store.changes(0, 10) == []
        assert await store.pending_ops() == ["op", "other"]
        revision = await store.commit([CommitPending("op")])
        found = await store.get_many([cid(1), cid(2), cid(3)])
        assert found == {
            cid(1): replace(pin(1, ALICE, name="one"), revision=revision),
            cid(2): replace(pin(2, ALICE, BOB), revision=revision),
        }
        assert {(work.peer, work.cid) for work in await flat(store.works())} == {(ALICE, cid(1)), (BOB, cid(2))}
        assert await store.pending_ops() == ["other"]
        assert len(await store.changes(0, 10)) == 2

    async def test_a_visible_entry_wins_over_a_pending_one(self, store: Store) -> None:
        await store.commit([PutPending("op", pin(1, ALICE, name="pending"), queue=(ALICE,))])
        first = await put(store, pin(1, BOB, name="first"))
        await store.commit([CommitPending("op")])
        assert await store.get(cid(1)) == replace(pin(1, BOB, name="first"), revision=first)
        assert await flat(store.works()) == []

    async def test_a_pending_entry_is_replaced_within_its_operation(self, store: Store) -> None:
        await store.commit([PutPending("op", pin(1, name="old")), PutPending("op2", pin(1, name="else"))])
        await store.commit([PutPending("op", pin(1, name="new"))])
        await store.commit([CommitPending("op")])
        entry = await store.get(cid(1))
        assert entry is not None
        assert entry.name == "new"
        assert await store.pending_ops() == ["op2"]

    async def test_an_operation_without_entries_conflicts(self, store: Store) -> None:
        with pytest.raises(Conflict):
            await store.commit([CommitPending("op")])
        await store.commit([PutPending("op", pin(1)), DropPending("op")])
        with pytest.raises(Conflict):
            await store.commit([CommitPending("op")])
        assert await store.get(cid(1)) is None

    async def test_a_large_operation_is_one_revision(self, store: Store) -> None:
        await store.commit([PutPending("op", pin(n, ALICE), queue=(ALICE,)) for n in range(1500)])
        revision = await store.commit([CommitPending("op")])
        assert await store.count(PinQuery()) == 1500
        assert {entry.revision for entry in await flat(store.pins(PinQuery()))} == {revision}
        assert await store.work_counts() == {(ALICE, PIN_QUEUED): 1500}


class ClaimContract:
    """Claims and what their release leaves."""

    async def test_claims_are_listed(self, store: Store) -> None:
        one = PutClaim(ALICE, cid(1), "add:1", ClaimKind.INGEST)
        two = PutClaim(ALICE, cid(1), "system", ClaimKind.SYSTEM)
        three = PutClaim(BOB, cid(2), "add:1", ClaimKind.LIST)
        await store.commit([one, two, three, one])
        assert {(c.peer, c.cid, c.owner, c.kind) for c in await store.claims()} == {
            (c.peer, c.cid, c.owner, c.kind) for c in (one, two, three)
        }
        assert await store.claims("system") == [two]
        assert await store.claims("nobody") == []
        await store.commit([replace(one, kind=ClaimKind.LIST)])
        assert {c.kind for c in await store.claims("add:1")} == {ClaimKind.LIST}

    async def test_releasing_unpins_what_nothing_needs(self, store: Store, clock: FakeClock) -> None:
        await known(store, ALICE)
        claims = [PutClaim(ALICE, cid(n), "add:1", ClaimKind.INGEST) for n in range(1, 7)]
        others: list[Write] = [
            PutClaim(ALICE, cid(2), "add:2", ClaimKind.INGEST),
            PutPin(pin(3)),
            PutPending("op", pin(4, ALICE)),
            RecordForeign(ALICE, (node_pin(5),)),
            PutPin(pin(6, BOB)),
        ]
        await store.commit([*claims, *others])
        revision = await store.commit([ReleaseClaims("add:1")])
        now = clock.time()
        expected = {Work(ALICE, cid(n), UNPIN_QUEUED, RECURSIVE, revision, 0, "", now, now) for n in (1, 6)}
        assert set(await flat(store.works())) == expected
        assert [claim.owner for claim in await store.claims()] == ["add:2"]

    async def test_releasing_one_cid_or_keeping_the_pins(self, store: Store) -> None:
        await store.commit([PutClaim(ALICE, cid(n), "add:1", ClaimKind.INGEST) for n in (1, 2)])
        await store.commit([ReleaseClaims("add:1", cid(1))])
        assert [work.cid for work in await flat(store.works())] == [cid(1)]
        assert [claim.cid for claim in await store.claims()] == [cid(2)]
        await store.commit([ReleaseClaims("add:1", keep=True)])
        assert [work.cid for work in await flat(store.works())] == [cid(1)]
        assert await store.claims() == []

    async def test_an_add_becomes_a_pin_in_one_commit(self, store: Store) -> None:
        await store.commit([PutClaim(ALICE, cid(1), "add:1", ClaimKind.INGEST)])
        await store.commit([PutPin(pin(1, ALICE, BOB), 0, queue=(BOB,), held=(ALICE,)), ReleaseClaims("add:1", cid(1))])
        assert [(work.peer, work.status) for work in await flat(store.works())] == [(BOB, PIN_QUEUED)]

    async def test_a_released_claim_replaces_the_row(self, store: Store) -> None:
        await put(store, pin(1, ALICE, mode=DIRECT))
        await store.commit([RemovePin(cid(1), release=(ALICE,))])
        await fail(store, ALICE, 1, UNPIN_ERROR)
        await store.commit([PutClaim(ALICE, cid(1), "add:1", ClaimKind.INGEST)])
        await store.commit([ReleaseClaims("add:1")])
        work = await the_row(store, ALICE, 1)
        assert (work.status, work.mode, work.attempts) == (UNPIN_QUEUED, RECURSIVE, 0)


class ForeignContract:
    """Peers, and pins that are none of ours."""

    async def test_peers_are_remembered(self, store: Store) -> None:
        await put(store, pin(1, CAROL))
        first = PeerRecord(BOB, "bob")
        second = PeerRecord(ALICE, "alice", "12D3KooWNode", surveyed=True, adopted=True, draining=True)
        await store.commit([PutPeer(first), PutPeer(second)])
        assert await store.peers() == [first, second]
        await store.commit([PutPeer(replace(first, name="Robert", node_id="x", surveyed=True))])
        assert [record.name for record in await store.peers()] == ["Robert", "alice"]

    async def test_a_new_peer_gets_the_everywhere_pins(self, store: Store) -> None:
        await known(store, BOB)
        await put(store, pin(1, mode=DIRECT), pin(2, BOB), pin(4))
        await put(store, Pin(cid(3), type=PinType.META))
        await store.commit([PutPin(pin(5), release=(ALICE,)), RemovePin(cid(4))])
        revision = await store.commit([PutPeer(PeerRecord(ALICE, "alice"))])
        works = {work.cid: work for work in await flat(store.works())}
        assert {key: (w.peer, w.status, w.mode, w.generation) for key, w in works.items()} == {
            cid(1): (ALICE, PIN_QUEUED, DIRECT, revision),
            cid(5): (ALICE, PIN_QUEUED, RECURSIVE, revision),
        }
        await store.commit([FinishWork(ALICE, cid(1), revision), PutPeer(PeerRecord(ALICE, "again"))])
        assert [work.cid for work in await flat(store.works())] == [cid(5)]

    async def test_a_peer_is_forgotten_with_all_that_hangs_on_it(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(store, pin(1, BOB), pin(2))
        await store.commit(
            [PutPin(pin(3, BOB), queue=(BOB,), release=(ALICE,)), RemovePin(cid(2), release=(ALICE, BOB))]
        )
        await store.commit(
            [PutClaim(ALICE, cid(4), "add:1", ClaimKind.INGEST), PutClaim(BOB, cid(4), "x", ClaimKind.LIST)]
        )
        await store.commit([ReleaseClaims("add:1"), PutClaim(ALICE, cid(5), "x", ClaimKind.LIST)])
        await store.commit([RecordForeign(ALICE, (node_pin(7),)), RecordForeign(BOB, (node_pin(7),))])
        assert {work.cid for work in await flat(store.works(ALICE))} == {cid(2), cid(3), cid(4)}
        await store.commit([ForgetPeer(ALICE)])
        assert [record.id for record in await store.peers()] == [BOB]
        assert await flat(store.works(ALICE)) == []
        assert {work.cid for work in await flat(store.works())} == {cid(2), cid(3)}
        assert [claim.peer for claim in await store.claims()] == [BOB]
        assert [found.peer for found in await flat(store.foreign())] == [BOB]
        assert {entry.cid for entry in await flat(store.pins())} == {cid(1), cid(3)}
        await put(store, pin(6))
        await known(store, ALICE)
        assert [record.id for record in await store.peers()] == [BOB, ALICE]
        assert [work.cid for work in await flat(store.works(ALICE))] == [cid(6)]
        await store.commit([ForgetPeer(CAROL)])

    async def test_foreign_pins_are_recorded_and_forgotten(self, store: Store) -> None:
        await store.commit([RecordForeign(ALICE, (node_pin(1, DIRECT, "n"), node_pin(2)))])
        await store.commit([RecordForeign(ALICE, (node_pin(3),), orphan=True), RecordForeign(BOB, (node_pin(1),))])
        assert await store.is_foreign(ALICE, cid(1)) == node_pin(1, DIRECT, "n")
        assert await store.is_foreign(ALICE, cid(3)) == node_pin(3)
        assert await store.is_foreign(BOB, cid(2)) is None
        assert set(await flat(store.foreign(ALICE))) == {
            ForeignPin(ALICE, node_pin(1, DIRECT, "n"), False),
            ForeignPin(ALICE, node_pin(2), False),
            ForeignPin(ALICE, node_pin(3), True),
        }
        assert len(await flat(store.foreign())) == 4
        await store.commit([RecordForeign(ALICE, (node_pin(3, DIRECT), node_pin(1, name="m")))])
        await store.commit([ForgetForeign(ALICE, (cid(2), cid(9)))])
        assert set(await flat(store.foreign(ALICE))) == {
            ForeignPin(ALICE, node_pin(1, name="m"), False),
            ForeignPin(ALICE, node_pin(3, DIRECT), True),
        }

    async def test_a_foreign_pin_that_is_given_up_is_removed_unless_something_needs_it(self, store: Store) -> None:
        foreign = tuple(node_pin(number) for number in (1, 2, 3, 4))
        await store.commit([RecordForeign(ALICE, foreign), RecordForeign(BOB, (node_pin(1),))])
        await put(store, pin(2, ALICE))
        await store.commit([PutClaim(ALICE, cid(3), "add:1", ClaimKind.INGEST)])
        given_up = (cid(1), cid(2), cid(3), cid(9))
        revision = await store.commit([ForgetForeign(ALICE, given_up, release=True, priority=7)])
        (row,) = await flat(store.works(ALICE))
        assert (row.cid, row.status, row.mode) == (cid(1), UNPIN_QUEUED, RECURSIVE)
        assert (row.priority, row.generation) == (7, revision)
        assert await store.begin_unpin(ALICE, cid(1), revision)
        assert [found.pin.cid for found in await flat(store.foreign(ALICE))] == [cid(4)]
        assert [found.pin.cid for found in await flat(store.foreign(BOB))] == [cid(1)]
        await store.commit([RecordForeign(BOB, (node_pin(5),)), ForgetForeign(BOB, (cid(5),))])
        assert await flat(store.works(BOB)) == []

    async def test_foreign_pins_may_be_forgotten_while_they_are_read(self, store: Store) -> None:
        await store.commit([RecordForeign(ALICE, tuple(node_pin(n) for n in range(2100)))])
        seen = []
        async for page in store.foreign(ALICE):
            seen += [foreign.pin.cid for foreign in page]
            await store.commit([ForgetForeign(ALICE, tuple(foreign.pin.cid for foreign in page))])
        assert len(seen) == len(set(seen)) == 2100
        assert await flat(store.foreign()) == []
