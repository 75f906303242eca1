"""Reading: listings, lookups and statuses as the doors show them. Pages, never the whole pinset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set

from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.core.membership import NOT_COMPARED
from ipfs_cluster.errors import NodeError, NodeUnreachable
from ipfs_cluster.model import (
    WANTS_PIN,
    WANTS_UNPIN,
    PeerId,
    PeerInfo,
    Pin,
    PinMode,
    PinStatus,
    PinType,
    RepoStat,
    TrackerStatus,
    VerifiedPin,
    Work,
)
from ipfs_cluster.patience import pages_while_up, while_up
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import ForeignPin, ListedPin, PinQuery, Store
from ipfs_cluster.verification import verify

NO_LIMIT = 2**64 - 1
"""What Kubo reports as StorageMax when there is none."""

UNASKED = (
    "the node holds this pin and the pinset does not: an operator's own, or left behind by an add that was cut off"
)


class Views:
    """Read-only verbs over the store, the trackers' progress and the nodes."""

    def __init__(self, store: Store, peers: Mapping[PeerId, LocalPeer], home: LocalPeer) -> None:
        self._store = store
        self._peers = peers
        self._home = home

    # --- peers ---

    def peers(self) -> list[PeerInfo]:
        """All peers of the cluster."""
        return [peer.info() for peer in self._peers.values()]

    async def repo_stat(self, *, size_only: bool) -> RepoStat:
        """Sums over the nodes that answer; path and version of the home node, or else of the first that answers."""
        peers = self._asked()
        answers = await asyncio.gather(
            *(_repo_stat(peer, size_only=size_only) for peer in peers), return_exceptions=True
        )
        found = []
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, RepoStat):
                found.append((not peer.home, answer))
            elif not isinstance(answer, NodeError):
                raise answer
        if not found:
            raise next(answer for answer in answers if isinstance(answer, NodeError))
        first = min(found, key=lambda item: item[0])[1]
        stats = [stat for _, stat in found]
        return RepoStat(
            sum(stat.repo_size for stat in stats),
            min(sum(stat.storage_max for stat in stats), NO_LIMIT),
            sum(stat.num_objects for stat in stats),
            first.repo_path,
            first.version,
        )

    # --- pins ---

    async def get(self, cid: Cid) -> Pin | None:
        """The entry of a CID."""
        return await self._store.get(cid)

    def pins(self, query: PinQuery, *, most: int = 1000) -> AsyncIterator[list[Pin]]:
        """All matching entries in pages of at most `most`, in no promised order."""
        return self._store.pins(query, most=most)

    def listing(self, query: PinQuery, *, by_text: bool = False) -> AsyncIterator[list[ListedPin]]:
        """Light lines: recursive before direct, or byte-sorted by text; with the home node's foreign pins."""
        return self._store.listing(query, by_text=by_text, foreign_of=self._home.id)

    async def indirect(self) -> AsyncIterator[list[Cid]]:
        """What the nodes hold through recursive pins only, each CID once, pins themselves excluded.

        A node that is away is left out; one that breaks off in mid-stream raises NodeUnreachable.
        """
        async with self._store.distinct() as seen:
            for peer in self._asked():
                async for cids in pages_while_up(peer, peer.node.indirect()):
                    fresh = await seen.add(cids)
                    pinned = await self._store.get_many(fresh)
                    if page := [cid for cid in fresh if cid not in pinned]:
                        yield page

    async def listing_with_indirect(self, query: PinQuery) -> AsyncIterator[list[tuple[str, str, str]]]:
        """(text, type, name) byte-sorted by text: the pins, and the indirect ones merged in."""
        async with self._store.distinct() as seen:
            for peer in self._asked():
                async for cids in pages_while_up(peer, peer.node.indirect()):
                    await seen.add(cids)
            indirect = _texts(seen.sorted())
            behind = await anext(indirect, None)
            async for page in self.listing(query, by_text=True):
                lines: list[tuple[str, str, str]] = []
                for text, mode, _, name in page:
                    while behind is not None and behind < text:
                        lines.append((behind, "indirect", ""))
                        behind = await anext(indirect, None)
                    if behind is not None and behind == text:
                        behind = await anext(indirect, None)
                    lines.append((text, mode.value, name))
                yield lines
            while behind is not None:
                lines = []
                while behind is not None and len(lines) < 1000:
                    lines.append((behind, "indirect", ""))
                    behind = await anext(indirect, None)
                yield lines

    def verify(self, *, well: bool) -> AsyncIterator[list[VerifiedPin]]:
        """See `verification.verify`."""
        return verify(self._store, list(self._peers.values()), well=well)

    def _asked(self) -> Sequence[LocalPeer]:
        up = [peer for peer in self._peers.values() if peer.up]
        if not up:
            raise NodeUnreachable("no node of the cluster can be reached")
        return up

    async def lookup(self, cid: Cid, kind: str) -> tuple[str, str] | None:
        """How a CID is pinned: (type, name), or None when it is not, as asked for.

        kind: "all", "recursive", "direct" or "indirect"; the type of an indirect one is "indirect through <root>".
        """
        mode, name = await self._own_mode(cid)
        if mode is not None and kind in ("all", mode.value):
            return mode.value, name
        if kind in ("all", "indirect") and mode is not PinMode.RECURSIVE:
            for peer in self._asked():
                async with while_up(peer):
                    root = await peer.node.indirect_root(cid)
                if root is not None:
                    return f"indirect through {cid_text(root)}", ""
        return None

    async def _own_mode(self, cid: Cid) -> tuple[PinMode | None, str]:
        pin = await self._store.get(cid)
        if pin is not None:
            return pin.mode, pin.name
        foreign = await self._store.is_foreign(self._home.id, cid)
        return (foreign.mode, foreign.name) if foreign is not None else (None, "")

    # --- statuses ---

    async def status(self, cid: Cid) -> tuple[Pin | None, list[PinStatus]]:
        """One CID on every peer; without an entry every peer says `unpinned`, or how far its removal is."""
        pin, statuses, _ = await self.status_and_rows(cid)
        return pin, statuses

    async def status_and_rows(self, cid: Cid) -> tuple[Pin | None, list[PinStatus], list[Work]]:
        """The same, with the rows of work that it was made of."""
        pin = await self._store.get(cid)
        works = await self._store.work([cid])
        strangers = await self._holding_unasked(cid) if pin is None else frozenset()
        return pin, self._statuses(cid, pin, works, strangers), works

    async def _holding_unasked(self, cid: Cid) -> frozenset[PeerId]:
        """The peers whose nodes hold the CID although the pinset does not have it, as last compared."""
        found = [peer for peer in self._peers if await self._store.is_foreign(peer, cid) is not None]
        return frozenset(found)

    async def orphans(self) -> AsyncIterator[list[tuple[Cid, list[PinStatus]]]]:
        """Pins that nodes hold and nobody asked for, found after the nodes joined; each CID once, in pages."""
        async for page in self._store.foreign():
            lines: list[tuple[Cid, list[PinStatus]]] = []
            for foreign in page:
                if not foreign.orphan:
                    continue
                pin, statuses = await self.status(foreign.pin.cid)
                first = next((status.peer for status in statuses if status.error == UNASKED), None)
                if pin is None and first == foreign.peer:
                    lines.append((foreign.pin.cid, statuses))
            if lines:
                yield lines

    def foreign(self, peer: PeerId | None = None) -> AsyncIterator[list[ForeignPin]]:
        """Pins that nodes hold and that are none of the pinset's, as the last comparison found them, in pages: those
        that were there before the node joined, and orphans, which came later. peer: only on its node.
        """
        return self._store.foreign(peer)

    async def statuses(
        self, wanted: Set[TrackerStatus] | None = None, *, most: int = 1000
    ) -> AsyncIterator[list[tuple[Pin, list[PinStatus]]]]:
        """Entries with their statuses on every peer, in pages of at most `most`: all, or those that have one of
        `wanted` somewhere. What only rows of work can say (errors, queues) is found by these.
        """
        async for page in self._store.pins(PinQuery(statuses=self._rows_of(wanted)), most=most):
            works: dict[Cid, list[Work]] = {}
            for work in await self._store.work([pin.cid for pin in page]):
                works.setdefault(work.cid, []).append(work)
            lines = [(pin, self._statuses(pin.cid, pin, works.get(pin.cid, ()))) for pin in page]
            yield [
                (pin, statuses)
                for pin, statuses in lines
                if wanted is None or any(status.status in wanted for status in statuses)
            ]

    def _rows_of(self, wanted: Set[TrackerStatus] | None) -> frozenset[TrackerStatus] | None:
        """What rows an entry with one of these statuses must have one of; None when it may have none."""
        if wanted is None:
            return None
        found: set[TrackerStatus] = set()
        for status in wanted:
            if status in WANTS_PIN | WANTS_UNPIN:
                found.add(status)
            elif status is TrackerStatus.PINNING:
                found |= WANTS_PIN
            elif status is TrackerStatus.UNPINNING:
                found |= WANTS_UNPIN
            elif status is not TrackerStatus.CLUSTER_ERROR or not all(
                peer.up and peer.known for peer in self._peers.values()
            ):
                return None
        return frozenset(found)

    def _statuses(
        self, cid: Cid, pin: Pin | None, works: Sequence[Work], strangers: Set[PeerId] = frozenset()
    ) -> list[PinStatus]:
        rows = {work.peer: work for work in works}
        return [
            self._one(peer, cid, pin, rows.get(peer.id), stranger=peer.id in strangers) for peer in self._peers.values()
        ]

    def _one(self, peer: LocalPeer, cid: Cid, pin: Pin | None, work: Work | None, *, stranger: bool) -> PinStatus:
        if work is not None:
            return self._working(peer, cid, work)
        node = peer.record.node_id
        if pin is None:
            reason = UNASKED if stranger else "" if peer.known else NOT_COMPARED
            return PinStatus(peer.id, peer.name, node, TrackerStatus.UNPINNED, error=reason)
        if pin.type is PinType.META:
            return PinStatus(peer.id, peer.name, node, TrackerStatus.SHARDED, pin.timestamp)
        if not pin.wanted_on(peer.id):
            return PinStatus(peer.id, peer.name, node, TrackerStatus.REMOTE, pin.timestamp)
        if not peer.up:
            reason = f"pinned when last seen; node unreachable: {peer.state.error}"
            if not peer.known:
                reason = f"{NOT_COMPARED}; node unreachable: {peer.state.error}"
            return PinStatus(peer.id, peer.name, node, TrackerStatus.CLUSTER_ERROR, peer.state.since, reason)
        if not peer.known:
            return PinStatus(peer.id, peer.name, node, TrackerStatus.CLUSTER_ERROR, peer.state.since, NOT_COMPARED)
        return PinStatus(peer.id, peer.name, node, TrackerStatus.PINNED, pin.timestamp)

    def _working(self, peer: LocalPeer, cid: Cid, work: Work) -> PinStatus:
        phase = peer.tracker.phase(cid)
        status, since = phase if phase is not None else (work.status, work.since)
        error = work.error
        if not peer.up and work.status not in WANTS_UNPIN:
            error = f"node unreachable: {peer.state.error}"
        return PinStatus(
            peer.id,
            peer.name,
            peer.record.node_id,
            status,
            since,
            error,
            work.attempts,
            work.priority > 0,
            0.0 if phase is not None else work.next_retry,
            peer.tracker.progress(cid),
        )


async def _repo_stat(peer: LocalPeer, *, size_only: bool) -> RepoStat:
    async with while_up(peer):
        return await peer.node.repo_stat(size_only=size_only)


async def _texts(pages: AsyncIterator[list[tuple[str, Cid]]]) -> AsyncIterator[str]:
    async for page in pages:
        for text, _ in page:
            yield text
