"""The store contract's part about queries, listings and expiry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from ipfs_cluster.cid import Cid, parse
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.model import PeerId, PinType
from ipfs_cluster.ports import PinQuery, PutPin, RecordForeign, RemovePin, Store
from ipfs_cluster.testing.store_values import (
    ALICE,
    BOB,
    CAROL,
    DIRECT,
    PIN_ERROR,
    PIN_QUEUED,
    RECURSIVE,
    UNPIN_ERROR,
    cid,
    fail,
    flat,
    known,
    node_pin,
    pin,
    put,
)


class ListingContract:
    """Queries, listings, expiry."""

    async def test_queries_filter(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(
            store,
            pin(1, ALICE, name="Holiday photos"),
            pin(2, BOB, mode=DIRECT, name="holiday"),
            pin(3, name="100%_x"),
            replace(pin(4), type=PinType.META, name="sharded"),
            replace(pin(5, ALICE), type=PinType.SHARD),
        )
        expected = {
            PinQuery(): {1, 2, 3, 4, 5},
            PinQuery(modes=frozenset({DIRECT})): {2},
            PinQuery(modes=frozenset({DIRECT, RECURSIVE})): {1, 2, 3, 4, 5},
            PinQuery(modes=frozenset()): set(),
            PinQuery(types=frozenset({PinType.META, PinType.SHARD})): {4, 5},
            PinQuery(types=frozenset()): set(),
            PinQuery(name="oliday"): {1, 2},
            PinQuery(name="Holi"): {1},
            PinQuery(name="%_"): {3},
            PinQuery(name="*"): set(),
            PinQuery(peer=ALICE): {1, 3, 5},
            PinQuery(peer=BOB): {2, 3},
            PinQuery(peer=BOB, modes=frozenset({RECURSIVE})): {3},
            PinQuery(name="h", types=frozenset({PinType.META}), modes=frozenset({RECURSIVE})): {4},
        }
        for query, numbers in expected.items():
            await self.finds(store, query, numbers)

    async def test_queries_compare_allocations_with_what_is_asked_for(self, store: Store) -> None:
        await known(store, ALICE, BOB, CAROL)
        short = replace(pin(1, ALICE), replication_max=2)
        surplus = replace(pin(2, ALICE, BOB, CAROL), replication_min=1, replication_max=2)
        await put(
            store,
            short,
            surplus,
            pin(3, ALICE, BOB),
            pin(4),
            replace(pin(5, ALICE, BOB), replication_min=-1, replication_max=-1),
            replace(pin(6), replication_min=1, replication_max=3),
            replace(pin(7, ALICE), type=PinType.META, replication_max=2),
            replace(pin(8, ALICE, BOB), type=PinType.META, replication_max=1),
            replace(pin(9, BOB, mode=DIRECT, name="n"), replication_max=9),
            replace(pin(10, BOB), replication_max=9),
        )
        await store.commit([RemovePin(cid(10))])
        expected = {
            PinQuery(short=True): {1, 9},
            PinQuery(surplus=True): {2},
            PinQuery(short=True, surplus=True): set(),
            PinQuery(short=True, modes=frozenset({DIRECT}), name="n"): {9},
            PinQuery(short=True, peer=ALICE): {1},
            PinQuery(allocated=BOB): {2, 3, 5, 8, 9},
            PinQuery(allocated=CAROL): {2},
            PinQuery(allocated=PeerId("12D3KooWNobody")): set(),
            PinQuery(allocated=BOB, surplus=True): {2},
        }
        for query, numbers in expected.items():
            await self.finds(store, query, numbers)
        await put(store, replace(short, allocations=(ALICE, BOB)), replace(surplus, allocations=(BOB, CAROL)))
        assert await store.count(PinQuery(short=True)) == 1
        assert await store.count(PinQuery(surplus=True)) == 0

    async def test_queries_by_prefix_metadata_status_and_expiry(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(
            store,
            replace(pin(1, ALICE, name="photos/1"), metadata={"owner": "ann", "year": "2020"}),
            replace(pin(2, BOB, name="my photos/2"), metadata={"owner": "ann"}, expire_at=100.0),
            replace(pin(3, name="photo"), metadata={"owner": "an", "": "n\0é"}, expire_at=100.5),
            replace(pin(4, ALICE, mode=DIRECT, name="x"), metadata={"year": "ann"}, expire_at=200.0),
            replace(pin(5, ALICE), metadata={"owner": "ann"}),
        )
        await store.commit([RemovePin(cid(5))])
        await store.commit([PutPin(replace(pin(6, ALICE, BOB), timestamp=1.0), queue=(ALICE, BOB))])
        await store.commit([PutPin(pin(7, ALICE), queue=(ALICE,), release=(BOB,))])
        await fail(store, ALICE, 6, PIN_ERROR)
        await fail(store, BOB, 7, UNPIN_ERROR)
        expected = {
            PinQuery(prefix="photo"): {1, 3},
            PinQuery(prefix="photos"): {1},
            PinQuery(prefix="Photo"): set(),
            PinQuery(prefix="p", name="1"): {1},
            PinQuery(metadata=(("owner", "ann"),)): {1, 2},
            PinQuery(metadata=(("owner", "ann"), ("year", "2020"))): {1},
            PinQuery(metadata=(("ownera", "nn"),)): set(),
            PinQuery(metadata=(("", "n\0é"),)): {3},
            PinQuery(metadata=(("owner", "ann"),), prefix="my"): {2},
            PinQuery(statuses=frozenset({PIN_ERROR})): {6},
            PinQuery(statuses=frozenset({PIN_ERROR}), peer=BOB): set(),
            PinQuery(statuses=frozenset({PIN_QUEUED})): {6, 7},
            PinQuery(statuses=frozenset({PIN_ERROR, UNPIN_ERROR})): {6, 7},
            PinQuery(statuses=frozenset({PIN_QUEUED}), peer=ALICE): {7},
            PinQuery(statuses=frozenset({UNPIN_ERROR}), peer=BOB): set(),
            PinQuery(statuses=frozenset()): set(),
            PinQuery(expires_before=100.0): {2},
            PinQuery(expires_before=150.0): {2, 3},
            PinQuery(expires_before=150.0, peer=ALICE): {3},
            PinQuery(expires_before=1000.0, modes=frozenset({DIRECT})): {4},
        }
        for query, numbers in expected.items():
            await self.finds(store, query, numbers)
        await put(store, replace(pin(1, ALICE), metadata={"owner": "bob"}), replace(pin(2, BOB), metadata={}))
        await self.finds(store, PinQuery(metadata=(("owner", "ann"),)), set())
        await self.finds(store, PinQuery(metadata=(("owner", "bob"),)), {1})
        await store.commit([RemovePin(cid(1))])
        await put(store, replace(pin(1, ALICE), metadata={"owner": "bob"}))
        await self.finds(store, PinQuery(metadata=(("owner", "bob"),)), {1})
        await self.finds(store, PinQuery(prefix="photos"), set())

    async def finds(self, store: Store, query: PinQuery, numbers: set[int]) -> None:
        """Every way of asking finds these."""
        cids = {cid(number) for number in numbers}
        assert {entry.cid for entry in await flat(store.pins(query))} == cids, query
        assert {parse(line[0]) for line in await flat(store.listing(query))} == cids, query
        assert [line[0] for line in await flat(store.listing(query, by_text=True))] == sorted(map(cid_text, cids))
        assert await store.count(query) == len(cids), query

    async def test_what_is_read_may_be_rewritten_page_by_page(self, store: Store) -> None:
        short = [replace(pin(n, ALICE), replication_max=2) for n in range(3500)]
        await put(store, *short)
        seen: list[Cid] = []
        async for page in store.pins(PinQuery(short=True)):
            seen += [entry.cid for entry in page]
            # Every other one no longer matches.
            await put(store, *(replace(entry, allocations=(ALICE, BOB)) for entry in page[::2]), *page[1::2])
        assert len(seen) == 3500
        assert set(seen) == {entry.cid for entry in short}
        assert await store.count(PinQuery(short=True)) == 1750

    async def test_an_unknown_peer_wants_the_everywhere_pins(self, store: Store) -> None:
        await put(store, pin(1), pin(2, ALICE))
        assert [entry.cid for entry in await flat(store.pins(PinQuery(peer=BOB)))] == [cid(1)]

    async def test_pins_after_a_revision(self, store: Store) -> None:
        await put(store, pin(1), pin(2))
        await put(store, pin(3))
        await put(store, pin(1, name="new"))
        assert {entry.cid for entry in await flat(store.pins(PinQuery(), 1))} == {cid(1), cid(3)}
        assert {entry.cid for entry in await flat(store.pins(PinQuery(name="new"), 2))} == {cid(1)}
        assert await flat(store.pins(PinQuery(), 3)) == []

    async def test_pages_cover_everything_once(self, store: Store) -> None:
        numbers = range(2345)
        await put(store, *(pin(n, ALICE, mode=DIRECT if n % 7 == 0 else RECURSIVE, name=f"n{n}") for n in numbers))
        pins = await flat(store.pins(PinQuery()))
        assert sorted(entry.cid for entry in pins) == sorted(cid(n) for n in numbers)
        lines = await flat(store.listing(PinQuery()))
        assert sorted(parse(line[0]) for line in lines) == sorted(cid(n) for n in numbers)
        modes = [line[1] is DIRECT for line in lines]
        assert modes == sorted(modes)
        lines = await flat(store.listing(PinQuery(), by_text=True))
        assert [line[0] for line in lines] == sorted(cid_text(cid(n)) for n in numbers)
        assert lines[0] == next(
            (cid_text(entry.cid), entry.mode, entry.type, entry.name)
            for entry in pins
            if entry.cid == parse(lines[0][0])
        )

    async def test_pages_go_on_while_entries_change(self, store: Store) -> None:
        await put(store, *(pin(n, ALICE, name="old") for n in range(1500)))

        async def listed(*, by_text: bool) -> AsyncIterator[list[Cid]]:
            async for page in store.listing(PinQuery(), by_text=by_text):
                yield [parse(line[0]) for line in page]

        async def whole() -> AsyncIterator[list[Cid]]:
            async for page in store.pins(PinQuery()):
                yield [entry.cid for entry in page]

        for pages in (whole(), listed(by_text=False), listed(by_text=True)):
            seen = list(await anext(pages))
            rest = {cid(n) for n in range(1500)} - set(seen)
            gone = rest.pop()
            await store.commit([RemovePin(gone), PutPin(pin(0, ALICE, name="new"))])
            async for page in pages:
                seen.extend(page)
            # A page may have been read before the removal; what was there all the time comes exactly once.
            assert len(seen) == len(set(seen))
            assert set(seen) - {gone} == {cid(n) for n in range(1500)} - {gone}
            await put(store, *(pin(n, ALICE) for n in range(1500) if cid(n) == gone))

    async def test_foreign_pins_are_listed_beside_entries(self, store: Store) -> None:
        await known(store, ALICE, BOB)
        await put(store, pin(1, ALICE, name="mine"), pin(2, ALICE, mode=DIRECT))
        foreign = (node_pin(1, DIRECT, "theirs"), node_pin(3, RECURSIVE, "a"), node_pin(4, DIRECT, "b"))
        await store.commit([RecordForeign(ALICE, foreign)])
        await store.commit([RecordForeign(ALICE, (node_pin(5),), orphan=True), RecordForeign(BOB, (node_pin(6),))])

        async def listed(query: PinQuery, *, by_text: bool = False) -> list[tuple[bytes, str]]:
            lines = await flat(store.listing(query, by_text=by_text, foreign_of=ALICE))
            assert all(line[2] is PinType.PIN for line in lines)
            assert all(line[0] == cid_text(parse(line[0])) for line in lines)
            return [(parse(line[0]), f"{line[1].value}:{line[3]}") for line in lines]

        everything = {
            (cid(1), "recursive:mine"),
            (cid(2), "direct:"),
            (cid(3), "recursive:a"),
            (cid(4), "direct:b"),
        }
        by_mode = await listed(PinQuery())
        assert set(by_mode) == everything
        assert len(by_mode) == 4
        assert [text.split(":")[0] for _, text in by_mode] == ["recursive", "recursive", "direct", "direct"]
        by_text = await listed(PinQuery(), by_text=True)
        assert by_text == sorted(everything, key=lambda line: cid_text(type(cid(1))(line[0])))
        assert set(await listed(PinQuery(modes=frozenset({DIRECT})))) == {(cid(2), "direct:"), (cid(4), "direct:b")}
        assert await listed(PinQuery(name="a")) == [(cid(3), "recursive:a")]
        assert await listed(PinQuery(types=frozenset({PinType.META}))) == []
        assert await listed(PinQuery(peer=BOB)) == []
        assert await listed(PinQuery(prefix="th")) == []
        assert await listed(PinQuery(prefix="b")) == [(cid(4), "direct:b")]
        assert set(await listed(PinQuery(allocated=ALICE))) == {(cid(1), "recursive:mine"), (cid(2), "direct:")}
        assert len(await listed(PinQuery(peer=ALICE), by_text=True)) == 4
        await store.commit([RemovePin(cid(1))])
        assert (cid(1), "direct:theirs") in await listed(PinQuery())

    async def test_many_foreign_pins_are_merged_in_order(self, store: Store) -> None:
        await put(store, *(pin(n, ALICE, mode=DIRECT if n % 5 else RECURSIVE) for n in range(0, 4200, 3)))
        held = tuple(node_pin(n, DIRECT if n % 2 else RECURSIVE) for n in range(0, 4200, 2))
        await store.commit([RecordForeign(ALICE, held)])
        numbers = set(range(0, 4200, 3)) | set(range(0, 4200, 2))
        lines = await flat(store.listing(PinQuery(), by_text=True, foreign_of=ALICE))
        assert [line[0] for line in lines] == sorted(cid_text(cid(n)) for n in numbers)
        lines = await flat(store.listing(PinQuery(), foreign_of=ALICE))
        assert sorted(line[0] for line in lines) == sorted(cid_text(cid(n)) for n in numbers)
        modes = [line[1] is DIRECT for line in lines]
        assert modes == sorted(modes)

    async def test_expiry_is_ordered_by_time(self, store: Store) -> None:
        times = {1: 300.0, 2: 100.0, 3: 0.0, 4: 200.5}
        await put(store, *(replace(pin(number), expire_at=time) for number, time in times.items()))
        assert await store.next_expiry() == 100.0
        assert [entry.cid for entry in await store.expiring(200.5, 10)] == [cid(2), cid(4)]
        assert [entry.cid for entry in await store.expiring(1000.0, 2)] == [cid(2), cid(4)]
        assert await store.expiring(99.9, 10) == []
        await put(store, replace(pin(2), expire_at=0.0))
        await store.commit([RemovePin(cid(4))])
        assert await store.next_expiry() == 300.0
