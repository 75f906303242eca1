"""The store contract's part about rows of work and when unpinning may begin."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest

from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import ClaimKind, PinType, TrackerStatus, Work
from ipfs_cluster.ports import (
    DropPending,
    FailWork,
    FinishWork,
    ForgetForeign,
    PutClaim,
    PutPending,
    PutPin,
    QueueWork,
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
    PIN_ERROR,
    PIN_QUEUED,
    RECURSIVE,
    UNEXPECTED,
    UNPIN_ERROR,
    UNPIN_QUEUED,
    cid,
    fail,
    flat,
    known,
    node_pin,
    pin,
    put,
    row,
    the_row,
)


class WorkContract:
    """Rows: how they come, change and go; the queue."""

    async def test_a_queued_pin_has_rows(self, store: Store, clock: FakeClock) -> None:
        now = clock.time()
        entry = replace(pin(1, ALICE, BOB, mode=DIRECT, name="n"), pin_update=cid(2), origins=("/dns4/o",))
        revision = await store.commit([PutPin(entry, queue=(ALICE,), held=(BOB,), priority=1)])
        expected = Work(ALICE, cid(1), PIN_QUEUED, DIRECT, revision, 0, "", now, now, 1, "n", cid(2), ("/dns4/o",))
        assert await store.work([cid(1), cid(9)]) == [expected]
        assert await flat(store.works()) == [expected]
        assert await flat(store.works(ALICE)) == [expected]
        assert await flat(store.works(BOB)) == []
        assert await store.work_counts() == {(ALICE, PIN_QUEUED): 1}
        await put(store, replace(entry, name="renamed", origins=()))
        renamed = await the_row(store, ALICE, 1)
        assert renamed == replace(expected, name="renamed", origins=())

    async def test_queueing_again_keeps_what_was_tried(self, store: Store, clock: FakeClock) -> None:
        await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,), priority=2)])
        failed = await fail(store, ALICE, 1, PIN_ERROR, clock.time() + 60)
        clock.advance(5)
        revision = await store.commit([PutPin(pin(1, ALICE, mode=DIRECT), queue=(ALICE,), priority=1)])
        now = clock.time()
        assert await the_row(store, ALICE, 1) == replace(
            failed, status=PIN_QUEUED, mode=DIRECT, generation=revision, since=now, next_retry=now
        )
        clock.advance(5)
        again = await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,), priority=3)])
        work = await the_row(store, ALICE, 1)
        assert (work.since, work.next_retry, work.attempts, work.error) == (now, clock.time(), 2, "because")
        assert (work.generation, work.priority) == (again, 3)

    async def test_queueing_turns_an_unpin_round(self, store: Store, clock: FakeClock) -> None:
        await put(store, pin(1, ALICE, mode=DIRECT))
        await store.commit([RemovePin(cid(1), release=(ALICE,))])
        assert (await the_row(store, ALICE, 1)).mode is DIRECT
        await fail(store, ALICE, 1, UNPIN_ERROR, clock.time() + 60)
        clock.advance(1)
        revision = await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,))])
        now = clock.time()
        assert await the_row(store, ALICE, 1) == Work(ALICE, cid(1), PIN_QUEUED, RECURSIVE, revision, 0, "", now, now)

    async def test_an_unseen_pin_is_one_of_which_nothing_is_there(self, store: Store, clock: FakeClock) -> None:
        unseen = PutPin(pin(1, ALICE, name="new"), 0, queue=(ALICE,), unseen=True)
        await store.commit([unseen])
        first = await the_row(store, ALICE, 1)
        with pytest.raises(Conflict):
            await store.commit([unseen])  # an entry and a row
        await store.commit([FinishWork(ALICE, cid(1), first.generation)])
        with pytest.raises(Conflict):
            await store.commit([unseen])  # an entry
        revision = await store.commit([RemovePin(cid(1), release=(BOB,))])
        with pytest.raises(Conflict):
            await store.commit([unseen])  # the row of another peer
        assert await store.revision() == revision
        assert await store.get(cid(1)) is None
        assert [work.status for work in await store.work([cid(1)])] == [UNPIN_QUEUED]
        await store.commit([FinishWork(BOB, cid(1), revision)])
        with pytest.raises(Conflict):
            await store.commit([unseen, unseen])
        assert await store.work([cid(1)]) == []
        again = await store.commit([unseen])  # what was removed and let go is new again
        assert (await the_row(store, ALICE, 1)).generation == again
        assert await store.get(cid(1)) == replace(unseen.pin, revision=again)

    async def test_held_and_released_peers(self, store: Store, clock: FakeClock) -> None:
        await store.commit([PutPin(pin(1, ALICE, BOB, CAROL), queue=(ALICE, BOB, CAROL))])
        await fail(store, BOB, 1, PIN_ERROR)
        carol = await the_row(store, CAROL, 1)
        clock.advance(3)
        revision = await store.commit(
            [PutPin(pin(1, ALICE, CAROL), held=(ALICE,), release=(BOB,), release_mode=DIRECT, priority=1)]
        )
        now = clock.time()
        assert await row(store, ALICE, 1) is None
        assert await row(store, CAROL, 1) == carol
        bob = Work(BOB, cid(1), UNPIN_QUEUED, DIRECT, revision, 0, "", now, now, 1)
        assert await row(store, BOB, 1) == bob
        await fail(store, BOB, 1, UNPIN_ERROR)
        await store.commit([PutPin(pin(1, ALICE, CAROL), release=(BOB,))])
        work = await the_row(store, BOB, 1)
        assert (work.status, work.attempts, work.error, work.mode) == (UNPIN_QUEUED, 0, "", RECURSIVE)

    async def test_removing_releases(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE, BOB, name="n"), queue=(ALICE, CAROL))])
        await fail(store, CAROL, 1, PIN_ERROR)
        await store.commit([RemovePin(cid(1), release=(ALICE, BOB))])
        for peer in (ALICE, BOB, CAROL):
            work = await the_row(store, peer, 1)
            assert (work.status, work.attempts, work.error, work.name) == (UNPIN_QUEUED, 0, "", "")

    async def test_removing_leaves_other_unpins_alone(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE), release=(BOB,))])
        failed = await fail(store, BOB, 1, UNPIN_ERROR)
        await store.commit([RemovePin(cid(1), release=(ALICE,))])
        assert await row(store, BOB, 1) == failed

    async def test_a_generation_guards_the_trackers_word(self, store: Store, clock: FakeClock) -> None:
        first = await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,))])
        second = await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,))])
        before = await the_row(store, ALICE, 1)
        await store.commit(
            [
                FinishWork(ALICE, cid(1), first),
                FailWork(ALICE, cid(1), first, PIN_ERROR, 1, "late", 0.0),
                FailWork(BOB, cid(1), second, PIN_ERROR, 1, "no row", 0.0),
                FinishWork(ALICE, cid(2), second),
            ]
        )
        assert await flat(store.works()) == [before]
        clock.advance(2)
        await store.commit([FailWork(ALICE, cid(1), second, PIN_ERROR, 1, "why", 77.0)])
        failed = replace(before, status=PIN_ERROR, attempts=1, error="why", next_retry=77.0, since=clock.time())
        assert await row(store, ALICE, 1) == failed
        clock.advance(2)
        await store.commit([FailWork(ALICE, cid(1), second, PIN_ERROR, 2, "again", 78.0)])
        assert await row(store, ALICE, 1) == replace(failed, attempts=2, error="again", next_retry=78.0)
        await store.commit([FinishWork(ALICE, cid(1), second)])
        assert await store.work([cid(1)]) == []
        assert await store.work_counts() == {}

    async def test_asking_for_work(self, store: Store, clock: FakeClock) -> None:
        await put(store, pin(1, ALICE, mode=DIRECT), replace(pin(2), type=PinType.META))
        await store.commit([QueueWork(ALICE, cid(1), UNEXPECTED, "gone", expect_absent=True)])
        work = await the_row(store, ALICE, 1)
        assert (work.status, work.error, work.mode, work.attempts) == (UNEXPECTED, "gone", DIRECT, 0)
        await fail(store, ALICE, 1, PIN_ERROR, clock.time() + 99)
        await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED, expect_absent=True)])
        assert (await the_row(store, ALICE, 1)).status is PIN_ERROR
        revision = await store.commit([QueueWork(ALICE, cid(1), PIN_QUEUED)])
        work = await the_row(store, ALICE, 1)
        assert (work.status, work.attempts, work.error) == (PIN_QUEUED, 0, "")
        assert (work.generation, work.next_retry) == (revision, clock.time())
        await store.commit(
            [
                QueueWork(BOB, cid(1), PIN_QUEUED),  # not allocated to it
                QueueWork(ALICE, cid(2), PIN_QUEUED),  # its parts are entries of their own
                QueueWork(ALICE, cid(3), PIN_QUEUED),  # no entry
                QueueWork(ALICE, cid(1), UNPIN_QUEUED),  # wanted there
            ]
        )
        assert await flat(store.works()) == [work]

    async def test_asking_for_an_unpin(self, store: Store) -> None:
        await put(store, pin(1, ALICE, mode=DIRECT))
        await store.commit([RemovePin(cid(1), release=(ALICE,))])
        await fail(store, ALICE, 1, UNPIN_ERROR)
        await store.commit([QueueWork(ALICE, cid(1), UNPIN_QUEUED), QueueWork(BOB, cid(2), UNPIN_QUEUED)])
        work = await the_row(store, ALICE, 1)
        assert (work.status, work.mode, work.attempts) == (UNPIN_QUEUED, DIRECT, 0)
        assert (await the_row(store, BOB, 2)).mode is RECURSIVE

    async def test_a_status_that_no_row_can_have_is_refused(self, store: Store) -> None:
        await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,))])
        for status in set(TrackerStatus) - {PIN_QUEUED, PIN_ERROR, UNEXPECTED, UNPIN_QUEUED, UNPIN_ERROR}:
            with pytest.raises(ValueError, match="status"):
                await store.commit([QueueWork(ALICE, cid(1), status)])
            with pytest.raises(ValueError, match="status"):
                await store.commit([FailWork(ALICE, cid(1), 1, status, 0, "", 0.0)])
        assert await store.revision() == 1

    async def test_due_is_ordered_and_bounded(self, store: Store, clock: FakeClock) -> None:
        for number, priority in ((1, 0), (2, 0), (3, 5), (4, 0), (5, 1)):
            await store.commit([PutPin(pin(number, ALICE, BOB), queue=(ALICE,), priority=priority)])
            clock.advance(1)
        await store.commit([PutPin(pin(6, BOB), queue=(BOB,))])
        now = clock.time()
        await fail(store, ALICE, 2, PIN_ERROR, now + 10)
        await fail(store, ALICE, 1, PIN_ERROR, now)

        async def due(at: float, limit: int, *skip: int) -> list[bytes]:
            works = await store.due(ALICE, at, limit, frozenset(cid(number) for number in skip))
            return [work.cid for work in works]

        assert await due(now, 10) == [cid(3), cid(5), cid(4), cid(1)]
        assert await due(now, 2) == [cid(3), cid(5)]
        assert await due(now, 2, 3, 4) == [cid(5), cid(1)]
        assert await due(now, 10, 1, 2, 3, 4, 5) == []
        assert await due(now + 10, 10, 3, 5) == [cid(4), cid(1), cid(2)]
        assert await store.next_due(ALICE, now) == now + 10
        assert await store.next_due(ALICE, now + 10) is None
        assert await store.next_due(CAROL, 0.0) is None

    async def test_equally_due_rows_come_as_their_cids_got_known(self, store: Store, clock: FakeClock) -> None:
        """Whatever the order of their rows, and also when the entry is gone or was never there."""
        await put(store, *(pin(number, ALICE) for number in (7, 2, 9, 4)))
        await store.commit([PutClaim(ALICE, cid(5), "add:1", ClaimKind.INGEST)])
        await store.commit([RemovePin(cid(2), release=(ALICE,)), ReleaseClaims("add:1")])
        await store.commit([QueueWork(ALICE, cid(number), PIN_QUEUED) for number in (4, 9, 7)])
        assert [work.cid for work in await store.due(ALICE, clock.time(), 10, frozenset())] == [
            cid(number) for number in (7, 2, 9, 4, 5)
        ]
        (five,) = await store.work([cid(5)])
        await store.commit([FinishWork(ALICE, cid(5), five.generation)])
        await put(store, pin(6, ALICE), pin(5, ALICE))
        await store.commit([QueueWork(ALICE, cid(number), PIN_QUEUED) for number in (5, 6)])
        assert [work.cid for work in await store.due(ALICE, clock.time(), 10, frozenset())][-2:] == [cid(6), cid(5)]

    async def test_due_rows_are_complete(self, store: Store, clock: FakeClock) -> None:
        entry = replace(pin(1, ALICE, name="n"), origins=("/dns4/o",))
        await store.commit([PutPin(entry, queue=(ALICE,)), PutPin(pin(2, ALICE, name="m"), release=(ALICE,))])
        works = await store.due(ALICE, clock.time(), 10, frozenset())
        assert {work.cid: work for work in works} == {w.cid: w for w in await store.work([cid(1), cid(2)])}
        assert {work.name for work in works} == {"n", ""}

    async def test_all_rows_become_due_when_the_node_is_back(self, store: Store, clock: FakeClock) -> None:
        now = clock.time()
        for number, peer in ((1, ALICE), (2, ALICE), (3, ALICE), (4, BOB)):
            await store.commit([PutPin(pin(number, peer), queue=(peer,))])
            await fail(store, peer, number, PIN_ERROR, now + 10 * number)
        before = await the_row(store, ALICE, 2)
        assert await store.retry_now(ALICE, now + 15) == 2
        assert await the_row(store, ALICE, 2) == replace(before, next_retry=now + 15)
        assert len(await store.due(ALICE, now + 15, 10, frozenset())) == 3
        assert await store.next_due(BOB, now) == now + 40
        assert await store.retry_now(CAROL, now) == 0

    async def test_counts_and_pages_of_rows(self, store: Store) -> None:
        await store.commit([PutPin(pin(n), queue=(ALICE, BOB)) for n in range(1100)])
        await fail(store, BOB, 7, PIN_ERROR)
        assert await store.work_counts() == {(ALICE, PIN_QUEUED): 1100, (BOB, PIN_QUEUED): 1099, (BOB, PIN_ERROR): 1}
        works = await flat(store.works())
        assert len({(work.peer, work.cid) for work in works}) == len(works) == 2200
        assert len(list(groupby(works, lambda work: work.cid))) == 1100
        assert {work.cid for work in await flat(store.works(BOB))} == {cid(n) for n in range(1100)}
        assert len(await store.work([cid(n) for n in range(1100)])) == 2200

    async def test_unpinning_begins_only_when_nothing_needs_it(self, store: Store) -> None:
        generation = await store.commit([PutPin(pin(1, BOB), release=(ALICE,))])
        assert await store.begin_unpin(ALICE, cid(1), generation)
        assert await row(store, ALICE, 1) is not None
        assert not await store.begin_unpin(ALICE, cid(1), generation + 1)
        assert not await store.begin_unpin(BOB, cid(1), generation)
        assert not await store.begin_unpin(ALICE, cid(2), generation)
        assert await row(store, ALICE, 1) is not None

    async def test_unpinning_is_refused_for_what_is_needed(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        reasons: dict[str, Write] = {
            "entry": PutPin(pin(1, ALICE)),
            "everywhere": PutPin(pin(1)),
            "pending": PutPending("op", pin(1, ALICE)),
            "claim": PutClaim(ALICE, cid(1), "add:1", ClaimKind.INGEST),
            "foreign": RecordForeign(ALICE, (node_pin(1),)),
        }
        undo: list[Write] = [
            RemovePin(cid(1)),
            DropPending("op"),
            ReleaseClaims("add:1", keep=True),
            ForgetForeign(ALICE, (cid(1),)),
        ]
        for reason in reasons.values():
            await store.commit([QueueWork(ALICE, cid(1), UNPIN_QUEUED)])
            generation = await store.commit([QueueWork(ALICE, cid(1), UNPIN_QUEUED), reason])
            assert not await store.begin_unpin(ALICE, cid(1), generation)
            assert await row(store, ALICE, 1) is None
            assert await store.revision() == generation + 1
            await store.commit(undo)
        harmless: list[Write] = [
            PutPin(replace(pin(1), type=PinType.META)),
            PutPending("op", pin(1, BOB)),
            PutClaim(BOB, cid(1), "add:1", ClaimKind.INGEST),
            PutClaim(ALICE, cid(2), "add:1", ClaimKind.INGEST),
            RecordForeign(BOB, (node_pin(1),)),
        ]
        generation = await store.commit([*harmless, QueueWork(ALICE, cid(1), UNPIN_QUEUED)])
        assert await store.begin_unpin(ALICE, cid(1), generation)

    async def test_beginning_to_unpin_leaves_a_row_that_wants_a_pin(self, store: Store) -> None:
        generation = await store.commit([PutPin(pin(1, ALICE), queue=(ALICE,))])
        assert not await store.begin_unpin(ALICE, cid(1), generation)
        assert await row(store, ALICE, 1) is not None
