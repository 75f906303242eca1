"""From roots that nodes have pinned to entries of the pinset: claims first, then one guarded write."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import WANTS_PIN, ClaimKind, PeerId, Pin, PinMode, PinOptions
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pinning import PinCall, Ticket, Wait
from ipfs_cluster.pins import Pins, by_cid
from ipfs_cluster.planning import GUARD_RETRIES, plan_pin
from ipfs_cluster.ports import ForgetForeign, PutClaim, PutPin, ReleaseClaims, Store, Write
from ipfs_cluster.strangers import Meanwhile

OWNER_PREFIX = "add:"


class RootCommit:
    """The bookkeeping of one add. meanwhile: the peers that were chosen for it, in order of preference, and what
    happened there since it began.
    """

    def __init__(
        self,
        op: str,
        store: Store,
        pins: Pins,
        meanwhile: Mapping[PeerId, Meanwhile],
        options: PinOptions,
        wait: Wait | None,
    ) -> None:
        self._owner = OWNER_PREFIX + op
        self._store = store
        self._pins = pins
        self._options = replace(options, mode=PinMode.RECURSIVE)
        self._new = replace(self._options, user_allocations=(*meanwhile, *options.user_allocations))
        self._meanwhile = meanwhile
        self._wait = wait
        self._unsure: set[tuple[PeerId, Cid]] = set()
        self._claimed: set[Cid] = set()
        self._adding: set[tuple[LocalPeer, Cid]] = set()
        self._call: PinCall | None = None

    async def claim(self, roots: Sequence[Cid], peers: Sequence[LocalPeer]) -> None:
        """These peers' nodes have pinned these roots, or are about to: nothing of ours may unpin them there now."""
        claims: list[Write] = [
            PutClaim(peer.id, cid, self._owner, ClaimKind.INGEST) for cid in dict.fromkeys(roots) for peer in peers
        ]
        self._claimed.update(roots)
        for pair in {(peer, cid) for peer in peers for cid in roots} - self._adding:
            self._adding.add(pair)
            pair[0].tracker.strangers.claim(pair[1])
        # What was found on a node since the upload began may be this upload's work.
        ours = {peer.id: tuple(self._on(peer).found.intersection(roots)) for peer in peers}
        claims += [ForgetForeign(peer, cids) for peer, cids in ours.items() if cids]
        await self._store.commit(claims)
        self._unsure |= {(peer.id, cid) for peer in peers for cid in roots if self._crossed(peer, cid)}

    def _crossed(self, peer: LocalPeer, cid: Cid) -> bool:
        """May a removal that was allowed before the claim have come after the node's own pin? It may be over, too: the
        node pins before this service reads and claims what it says. The tracker then looks again.
        """
        return peer.tracker.unpinning(cid) or self._on(peer).may_have_removed(cid)

    def _on(self, peer: LocalPeer) -> Meanwhile:
        return self._meanwhile.get(peer.id) or Meanwhile()

    async def commit(self, held: Mapping[Cid, frozenset[PeerId]]) -> None:
        """Make the roots entries and wait until as many peers hold them as the request asks for. held: who does now.

        An entry that exists already wins: it keeps its allocations and what the request does not name, and copies that
        it does not want are released.
        Raises NotEnoughPeers, PinFailed, StoreUnavailable; what was committed and cannot be reached is withdrawn.
        """
        call = self._pins.call(tuple(held))
        for _ in range(GUARD_RETRIES):
            try:
                tickets = await self._write(held)
            except Conflict:
                continue
            self._call = call
            self._pins.counters.added += len(held)
            self._pins.wake()
            call.begin(tickets)
            await call.wait()
            self._call = None
            return
        raise Conflict("the pins kept changing while they were added; try again")

    async def _write(self, held: Mapping[Cid, frozenset[PeerId]]) -> dict[Cid, Ticket]:
        around = self._pins.around()
        cids = list(held)
        await self._pins.settled(cids)
        existing = await self._store.get_many(cids)
        works = by_cid(await self._store.work(cids))
        writes: list[Write] = []
        planned: dict[Cid, tuple[Pin, frozenset[PeerId]]] = {}
        for cid in cids:
            before = existing.get(cid)
            options = self._new if before is None else self._options
            pin, changes = plan_pin(before, cid, options, works.get(cid, ()), around, held[cid])
            sure = frozenset(peer for peer in held[cid] if pin.wanted_on(peer) and (peer, cid) not in self._unsure)
            put = next((write for write in changes if isinstance(write, PutPin)), None)
            if put is None and before is not None and any(work.peer in sure for work in works.get(cid, ())):
                put = PutPin(before, before.revision)
            if put is not None:
                queue = tuple(peer for peer in put.queue if peer not in sure)
                writes.append(replace(put, queue=queue, held=tuple(sorted(sure))))
            writes.append(ReleaseClaims(self._owner, cid))
            planned[cid] = pin, sure
        revision = await self._store.commit(writes)
        self._claimed.difference_update(cids)
        self._added(set(cids))
        self._unsure -= {(peer, cid) for peer, cid in self._unsure if cid in held}
        written = {write.pin.cid for write in writes if isinstance(write, PutPin)}
        rows = by_cid(await self._store.work(cids))
        tickets = {}
        for cid, (pin, sure) in planned.items():
            if cid in written:
                pin = replace(pin, revision=revision)
                if cid in existing:
                    self._pins.held(cid, sure)
            wanting = frozenset(work.peer for work in rows.get(cid, ()) if work.status in WANTS_PIN) - sure
            quorum = self._pins.quorum(pin, wanting, self._wait)
            tickets[cid] = Ticket(pin, quorum, created=cid not in existing)
        return tickets

    def _added(self, cids: Container[Cid]) -> None:
        for pair in [pair for pair in self._adding if pair[1] in cids]:
            self._adding.discard(pair)
            pair[0].tracker.strangers.release(pair[1])

    async def withdraw(self) -> None:
        """Give up what was committed and is still waited for."""
        if self._call is not None:
            await self._call.withdraw()

    async def abandon(self) -> None:
        """Release what this add had the nodes pin and did not commit; the trackers remove it there."""
        try:
            if self._claimed:
                await self._store.commit([ReleaseClaims(self._owner)])
                self._pins.wake()
        finally:
            self._added({cid for _, cid in self._adding})
