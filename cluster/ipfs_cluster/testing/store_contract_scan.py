"""The store contract's part about scans and distinct sets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import ClaimKind, NodePin, PinType
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
    Scan,
    Store,
)
from ipfs_cluster.testing.store_values import (
    ALICE,
    BOB,
    DIRECT,
    PIN_ERROR,
    RECURSIVE,
    UNEXPECTED,
    cid,
    flat,
    known,
    node_pin,
    pin,
    put,
    the_row,
)


async def findings(scan: Scan) -> dict[str, set[Cid]]:
    """The CIDs of each kind of finding."""
    return {
        "missing": {entry.cid for entry in await flat(scan.missing())},
        "settled": {work.cid for work in await flat(scan.settled())},
        "extra": {held.cid for held in await flat(scan.extra())},
        "vanished": set(await flat(scan.vanished())),
    }


def cids(**numbers: set[int]) -> dict[str, set[Cid]]:
    """The same from numbers; kinds that are not named are empty."""
    kinds = ("missing", "settled", "extra", "vanished")
    return {kind: {cid(number) for number in numbers.get(kind, set())} for kind in kinds}


class ScanContract:
    """What a comparison finds, and what it must not report."""

    async def test_missing(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(
            store,
            pin(1, ALICE),  # not held
            pin(2),  # not held
            pin(3, ALICE),  # held
            pin(4, BOB),  # not wanted here
            pin(5, ALICE, mode=DIRECT),  # held recursively, which is more
            pin(6, ALICE),  # held, but only directly
            replace(pin(7), type=PinType.META),  # its parts are entries of their own
        )
        await store.commit([PutPin(pin(8, ALICE), queue=(ALICE,))])  # work in progress
        async with store.scan(ALICE) as scan:
            await scan.feed([node_pin(3), node_pin(5)])
            await scan.feed([node_pin(6, DIRECT)])
            await scan.seal()
            assert await findings(scan) == cids(missing={1, 2, 6})
            found = {entry.cid: entry for entry in await flat(scan.missing())}
            assert found[cid(6)] == await store.get(cid(6))

    async def test_settled(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await store.commit([PutPin(pin(n, ALICE, BOB), queue=(ALICE, BOB)) for n in (1, 2, 3)])
        await store.commit([PutPin(pin(n, ALICE, mode=DIRECT), queue=(ALICE,)) for n in (4, 5)])
        await store.commit([PutPin(pin(n, BOB), release=(ALICE,)) for n in (6, 7, 8)])
        async with store.scan(ALICE) as scan:
            await scan.feed([node_pin(1), node_pin(2, DIRECT), node_pin(4), node_pin(5, DIRECT)])
            await scan.feed([node_pin(6), node_pin(7, DIRECT)])
            await scan.seal()
            assert await findings(scan) == cids(settled={1, 4, 5, 8})
            works = {work.cid: work for work in await flat(scan.settled())}
            assert all(work.peer == ALICE for work in works.values())
            assert works[cid(1)] == await the_row(store, ALICE, 1)

    async def test_extra_and_vanished(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        held = [node_pin(n, DIRECT if n % 2 else RECURSIVE, f"n{n}") for n in range(1, 10)]
        await store.commit(
            [
                PutPin(pin(1, ALICE, mode=DIRECT)),
                PutPin(pin(2, BOB)),  # wanted elsewhere: does not explain it here
                PutPending("op", pin(3, ALICE)),
                PutClaim(ALICE, cid(4), "add:1", ClaimKind.INGEST),
                PutClaim(BOB, cid(5), "add:1", ClaimKind.INGEST),
                RecordForeign(ALICE, (held[5], node_pin(7, RECURSIVE), node_pin(20), node_pin(21))),
                RecordForeign(BOB, (held[7], node_pin(22))),
                PutPin(pin(9, BOB), release=(ALICE,)),
            ]
        )
        async with store.scan(ALICE) as scan:
            await scan.feed(held)
            await scan.seal()
            # 7 is a foreign record of another mode: found again, so that the record can follow.
            assert await findings(scan) == cids(extra={2, 5, 7, 8}, vanished={20, 21})
            extra = {pin_.cid: pin_ for pin_ in await flat(scan.extra())}
            assert extra[cid(7)] == node_pin(7, DIRECT, "n7")

    async def test_a_cid_fed_in_both_modes_is_recursive(self, store: Store) -> None:
        await put(store, pin(1, ALICE), pin(2, ALICE))
        async with store.scan(ALICE) as scan:
            await scan.feed([node_pin(1), node_pin(2, DIRECT)])
            await scan.feed([node_pin(1, DIRECT), node_pin(2), node_pin(3, DIRECT), node_pin(3)])
            await scan.seal()
            assert await findings(scan) == cids(extra={3})
            assert await flat(scan.extra()) == [NodePin(cid(3), RECURSIVE)]

    async def test_nothing_that_changed_since_the_opening_is_reported(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(store, *(pin(n, ALICE) for n in (1, 2, 3)))
        await store.commit([PutPin(pin(n, ALICE), queue=(ALICE,)) for n in (11, 12, 13)])
        await store.commit(
            [
                PutClaim(ALICE, cid(21), "add:1", ClaimKind.INGEST),
                PutPending("op", pin(22, ALICE)),
                RecordForeign(ALICE, (node_pin(23), node_pin(41), node_pin(42))),
                PutPin(pin(24, BOB), release=(ALICE,)),
                PutPin(pin(25, ALICE)),
            ]
        )
        unpin = await the_row(store, ALICE, 24)
        works = {n: await the_row(store, ALICE, n) for n in (11, 12)}
        async with store.scan(ALICE) as scan:
            await scan.feed([node_pin(n) for n in (11, 12, 13, 21, 22, 23, 24, 25, 26, 27)])
            await put(store, pin(2, ALICE, name="renamed"), pin(4, ALICE))
            await store.commit(
                [
                    QueueWork(ALICE, cid(3), UNEXPECTED),
                    FinishWork(ALICE, cid(11), works[11].generation),
                    FailWork(ALICE, cid(12), works[12].generation, PIN_ERROR, 1, "", 0.0),
                    ReleaseClaims("add:1", keep=True),
                    DropPending("op"),
                    ForgetForeign(ALICE, (cid(23), cid(42))),
                    FinishWork(ALICE, cid(24), unpin.generation),
                    RemovePin(cid(25)),
                    PutClaim(ALICE, cid(27), "add:2", ClaimKind.INGEST),
                ]
            )
            await store.commit([ReleaseClaims("add:2", keep=True), RecordForeign(ALICE, (node_pin(43),))])
            await store.commit([RecordForeign(ALICE, (node_pin(42),)), QueueWork(ALICE, cid(3), UNEXPECTED)])
            await scan.seal()
            assert await findings(scan) == cids(missing={1}, settled={13}, extra={26}, vanished={41})
            await put(store, pin(1, ALICE, name="renamed too"))
            await store.commit([FinishWork(ALICE, cid(13), (await the_row(store, ALICE, 13)).generation)])
            assert await findings(scan) == cids(extra={26}, vanished={41})
        async with store.scan(ALICE) as scan:
            await scan.seal()
            assert cid(1) in (await findings(scan))["missing"]

    async def test_other_peers_changes_do_not_hide_findings(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(store, pin(1, ALICE, BOB))
        async with store.scan(ALICE) as alice, store.scan(BOB) as bob:
            await store.commit([QueueWork(BOB, cid(1), UNEXPECTED)])
            await alice.seal()
            await bob.seal()
            assert await findings(alice) == cids(missing={1})
            assert await findings(bob) == cids()

    async def test_a_refused_unpin_counts_as_a_change(self, store: Store) -> None:
        generation = await store.commit([PutPin(pin(1, BOB), release=(ALICE,))])
        await put(store, pin(1, ALICE, BOB))
        async with store.scan(ALICE) as scan:
            assert not await store.begin_unpin(ALICE, cid(1), generation)
            await scan.seal()
            assert await findings(scan) == cids()
        async with store.scan(ALICE) as scan:
            await scan.seal()
            assert await findings(scan) == cids(missing={1})

    async def test_a_failed_commit_is_no_change(self, store: Store) -> None:
        await put(store, pin(1, ALICE))
        async with store.scan(ALICE) as scan:
            with pytest.raises(Conflict):
                await store.commit([QueueWork(ALICE, cid(1), UNEXPECTED), RemovePin(cid(1), expect=99)])
            await scan.seal()
            assert await findings(scan) == cids(missing={1})

    async def test_findings_of_many_pages(self, store: Store) -> None:
        await known(store, ALICE)
        await put(store, *(pin(n, ALICE) for n in range(2500)))
        await store.commit([RecordForeign(ALICE, tuple(node_pin(n) for n in range(10_000, 11_500)))])
        await store.commit([PutPin(pin(n, ALICE), queue=(ALICE,)) for n in range(20_000, 21_500)])
        held = [node_pin(n) for n in (*range(30_000, 31_500), *range(20_000, 21_500))]
        async with store.scan(ALICE) as scan:
            for start in range(0, len(held), 700):
                await scan.feed(held[start : start + 700])
            await scan.seal()
            assert await findings(scan) == cids(
                missing=set(range(2500)),
                settled=set(range(20_000, 21_500)),
                extra=set(range(30_000, 31_500)),
                vanished=set(range(10_000, 11_500)),
            )

    async def test_findings_may_be_committed_while_they_are_read(self, store: Store) -> None:
        await put(store, *(pin(n, ALICE) for n in range(2500)))
        async with store.scan(ALICE) as scan:
            await scan.seal()
            found = []
            async for page in scan.missing():
                found += [entry.cid for entry in page]
                await store.commit([QueueWork(ALICE, entry.cid, UNEXPECTED) for entry in page])
            assert len(found) == len(set(found)) == 2500
            assert await flat(scan.missing()) == []

    async def test_a_scan_is_sealed_before_it_is_read(self, store: Store) -> None:
        async with store.scan(ALICE) as scan:
            with pytest.raises(RuntimeError, match="not sealed"):
                await flat(scan.missing())
            await scan.seal()
            with pytest.raises(RuntimeError, match="sealed"):
                await scan.feed([node_pin(1)])

    async def test_a_distinct_set_tells_what_is_new(self, store: Store) -> None:
        async with store.distinct() as seen, store.distinct() as other:
            assert await seen.add([cid(1), cid(2), cid(1)]) == [cid(1), cid(2)]
            assert await seen.add([cid(3), cid(2), cid(0)]) == [cid(3), cid(0)]
            assert await seen.add([]) == []
            assert await other.add([cid(1)]) == [cid(1)]
            assert await flat(seen.sorted()) == sorted((cid_text(cid(n)), cid(n)) for n in range(4))

    async def test_a_large_distinct_set_is_sorted(self, store: Store) -> None:
        async with store.distinct() as seen:
            fresh = 0
            for start in range(0, 6000, 500):
                fresh += len(await seen.add([cid(n % 4000) for n in range(start, start + 500)]))
            assert fresh == 4000
            assert await flat(seen.sorted()) == sorted((cid_text(cid(n)), cid(n)) for n in range(4000))
