"""Adding through the home node: what it adds becomes pins of the cluster before the client hears of it.

The home node pins each root right after its event. From the event on a claim protects the root, so that no unpin of
ours can cross it; the commit makes it an entry of the pinset in the same write that queues the other peers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import ClaimKind, PeerId, Pin, PinMode, PinOptions
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.planning import Surroundings, plan_pin
from ipfs_cluster.ports import Clock, PutClaim, PutPin, ReleaseClaims, Store, Write

log = logging.getLogger(__name__)

OWNER_PREFIX = "add:"
GUARD_RETRIES = 16


class Ingest:
    """The bookkeeping of adds; the bytes go through the door and the home node."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        home: LocalPeer,
        around: Callable[[], Surroundings],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._home = home
        self._around = around
        self._wake = wake
        self._recheck: set[tuple[str, Cid]] = set()

    async def clean_up(self) -> None:
        """At start: claims of adds that died with the last process are dropped. What they had pinned on the node
        cannot be told from an operator's own pin: reconcile lists it as an orphan, nothing removes it silently.
        """
        owners = {claim.owner for claim in await self._store.claims() if claim.owner.startswith(OWNER_PREFIX)}
        if owners:
            log.warning("%d adds were cut off by the last stop; their pins, if any, are listed as orphans", len(owners))
        for owner in owners:
            await self._store.commit([ReleaseClaims(owner, keep=True)])

    async def claim_root(self, op: str, cid: Cid) -> None:
        """The home node is about to pin this root for the add `op`."""
        await self._store.commit([PutClaim(self._home.id, cid, OWNER_PREFIX + op, ClaimKind.INGEST)])
        if self._home.tracker.unpinning(cid):
            # A removal that was allowed before the claim may cross the node's own pin: have the tracker look again.
            self._recheck.add((op, cid))
            await self._home.tracker.idle(cid)

    async def commit_root(self, op: str, cid: Cid, options: PinOptions) -> Pin:
        """The node has pinned the root: make it an entry, with its allocations, and queue the other peers.

        An entry that exists already wins: it keeps its allocations, and a copy it does not want is released. Raises
        NotEnoughPeers, StoreUnavailable: nothing is written then, and `abandon` releases the node's copy.
        """
        for _ in range(GUARD_RETRIES):
            existing = await self._store.get(cid)
            try:
                pin = await self._commit(op, cid, existing, options)
            except Conflict:
                continue
            self._wake()
            return pin
        raise Conflict("the pin kept changing while it was added; try again")

    async def _commit(self, op: str, cid: Cid, existing: Pin | None, options: PinOptions) -> Pin:
        home = self._home.id
        if existing is None:
            options = replace(options, user_allocations=(home, *options.user_allocations))
        else:
            options = PinOptions(name=options.name or None)
        options = replace(options, mode=PinMode.RECURSIVE)
        pin, writes = plan_pin(existing, Pin(cid), options, (), self._around())
        held = (home,) if pin.wanted_on(home) and (op, cid) not in self._recheck else ()
        ready: list[Write] = [_held_by(write, held) if isinstance(write, PutPin) else write for write in writes]
        ready.append(ReleaseClaims(OWNER_PREFIX + op, cid))
        await self._store.commit(ready)
        self._recheck.discard((op, cid))
        return pin

    async def abandon(self, op: str) -> None:
        """The add failed: release what it had the node pin and did not commit; the tracker removes it there."""
        await self._store.commit([ReleaseClaims(OWNER_PREFIX + op)])
        self._recheck = {item for item in self._recheck if item[0] != op}
        self._wake()


def _held_by(write: PutPin, held: Sequence[PeerId]) -> PutPin:
    return replace(write, queue=tuple(peer for peer in write.queue if peer not in held), held=tuple(held))
