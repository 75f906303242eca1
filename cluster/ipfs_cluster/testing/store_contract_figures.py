"""The contract of what a store says about itself: figures and counters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.ports import FinishWork, PutPending, PutPin, QueueFigures, RecordForeign, RemovePin, Store
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_cluster.testing.store_values import ALICE, BOB, CAROL, cid, fail, node_pin, pin, put, the_row

PIN_QUEUED = TrackerStatus.PIN_QUEUED
PIN_ERROR = TrackerStatus.PIN_ERROR
UNPIN_QUEUED = TrackerStatus.UNPIN_QUEUED


class FiguresContract:
    """How much there is, and what was written."""

    async def test_the_figures_of_a_new_store_are_zeros(self, store: Store) -> None:
        figures = await store.figures()
        assert (figures.pins, figures.revision) == (0, 0)
        assert (figures.queues, figures.foreign, figures.orphans) == ({}, {}, {})

    async def test_pins_are_the_visible_entries(self, store: Store) -> None:
        await put(store, pin(1), pin(2), pin(3))
        await store.commit([PutPending("op", pin(4))])
        assert (await store.figures()).pins == 3
        revision = await store.commit([RemovePin(cid(1), release=(ALICE,))])
        figures = await store.figures()
        assert (figures.pins, figures.revision) == (2, revision)

    async def test_queues_are_counted_by_peer_and_status_with_their_oldest_row(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = clock.time()
        await store.commit([PutPin(pin(1), queue=(ALICE, BOB))])
        clock.advance(10)
        await store.commit([PutPin(pin(2), queue=(ALICE, BOB)), PutPin(pin(3), release=(BOB,))])
        clock.advance(10)
        await fail(store, BOB, 1, PIN_ERROR)
        assert (await store.figures()).queues == {
            (ALICE, PIN_QUEUED): QueueFigures(2, first),
            (BOB, PIN_QUEUED): QueueFigures(1, first + 10),
            (BOB, PIN_ERROR): QueueFigures(1, first + 20),
            (BOB, UNPIN_QUEUED): QueueFigures(1, first + 10),
        }
        done = await the_row(store, ALICE, 1)
        await store.commit([FinishWork(ALICE, done.cid, done.generation)])
        assert (await store.figures()).queues[ALICE, PIN_QUEUED] == QueueFigures(1, first + 10)

    async def test_pins_with_too_few_and_too_many_copies_are_counted(self, store: Store) -> None:
        two = replace(pin(1, ALICE, BOB), replication_min=1)
        short = replace(two, cid=cid(2), allocations=(ALICE,))
        surplus = [replace(two, cid=cid(number), allocations=(ALICE, BOB, CAROL)) for number in (3, 4)]
        await put(store, two, short, *surplus, pin(5))
        figures = await store.figures()
        assert (figures.short, figures.surplus) == (1, 2)

    async def test_foreign_pins_and_orphans_are_told_apart(self, store: Store) -> None:
        await store.commit([RecordForeign(ALICE, (node_pin(1), node_pin(2)))])
        await store.commit([RecordForeign(ALICE, (node_pin(3),), orphan=True)])
        await store.commit([RecordForeign(BOB, (node_pin(1),), orphan=True)])
        figures = await store.figures()
        assert (figures.foreign, figures.orphans) == ({ALICE: 2}, {ALICE: 1, BOB: 1})

    async def test_writes_and_conflicts_are_counted(self, store: Store) -> None:
        await put(store, pin(1))
        await put(store, pin(2))
        with pytest.raises(Conflict):
            await store.commit([PutPin(pin(1), expect=0)])
        counters = store.counters
        assert (counters.durable.count, counters.conflicts, counters.refused) == (2, 1, 0)
        assert counters.groups.sum == 2
