"""The pinset as plain dictionaries, and what each write does to them: the reference for every other store.

Written to be read against the contract in `ipfs_cluster.ports`, not to be fast.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import WANTS_PIN, WANTS_UNPIN, PeerId, Pin, PinMode, PinType, TrackerStatus, Work
from ipfs_cluster.ports import (
    CommitPending,
    DropPending,
    FailWork,
    FinishWork,
    ForeignPin,
    ForgetForeign,
    ForgetPeer,
    PeerRecord,
    PutClaim,
    PutPeer,
    PutPending,
    PutPin,
    QueueWork,
    RecordForeign,
    ReleaseClaims,
    RemovePin,
    Write,
)


def wants(pin: Pin, peer: PeerId) -> bool:
    """True when the entry wants its CID on the peer (ports: words)."""
    return pin.type is not PinType.META and pin.wanted_on(peer)


@dataclass(slots=True)
class State:
    """All that a store remembers. touched: what the running commit wrote about; peer None: about all peers.
    changed: the last revision that changed an entry. known: the CIDs of all this, numbered as they came.
    """

    revision: int = 0
    entries: dict[Cid, Pin] = field(default_factory=dict)
    pending: dict[tuple[str, Cid], PutPending] = field(default_factory=dict)
    rows: dict[tuple[PeerId, Cid], Work] = field(default_factory=dict)
    claims: dict[tuple[PeerId, Cid, str], PutClaim] = field(default_factory=dict)
    peers: dict[PeerId, PeerRecord] = field(default_factory=dict)
    foreign: dict[tuple[PeerId, Cid], ForeignPin] = field(default_factory=dict)
    removed: dict[Cid, int] = field(default_factory=dict)
    forgotten: int = 0
    changed: int = 0
    known: dict[Cid, int] = field(default_factory=dict)
    last_known: int = 0
    touched: list[tuple[PeerId | None, Cid]] = field(default_factory=list)

    def copy(self) -> State:
        """Independent of this one; the values in the dictionaries are immutable and shared."""
        return State(*(copy.copy(getattr(self, name)) for name in self.__slots__))

    def _know(self, cid: Cid) -> None:
        if cid not in self.known:
            self.last_known += 1
            self.known[cid] = self.last_known

    def _forget(self, cid: Cid) -> None:
        """Unless anything is left of it."""
        if cid not in self.entries and cid not in self.removed and not any(at == cid for _, at in self.rows):
            self.known.pop(cid, None)

    def needed(self, peer: PeerId, cid: Cid) -> bool:
        """Anything that forbids to unpin, other than a foreign record (ports: words)."""
        entry = self.entries.get(cid)
        return (
            (entry is not None and wants(entry, peer))
            or any(at == cid and wants(pending.pin, peer) for (_, at), pending in self.pending.items())
            or any((claim.peer, claim.cid) == (peer, cid) for claim in self.claims.values())
        )

    def forget_removals(self, keep: int) -> None:
        """Drop the oldest removals beyond `keep`, whole revisions at a time."""
        excess = len(self.removed) - keep
        if excess > 0:
            self.forgotten = sorted(self.removed.values())[excess - 1]
            old = [cid for cid, revision in self.removed.items() if revision <= self.forgotten]
            self.removed = {cid: revision for cid, revision in self.removed.items() if revision > self.forgotten}
            for cid in old:
                self._forget(cid)

    def apply(self, writes: Sequence[Write], now: float) -> None:
        """One commit. Raises Conflict, with the state spoilt."""
        self.revision += 1
        self.touched = []
        for write in writes:
            self._apply(write, now)

    def _apply(self, write: Write, now: float) -> None:
        match write:
            case PutPin():
                self._guard(write.pin.cid, write.expect)
                self._guard_unseen(write)
                self._put_pin(write, now)
            case RemovePin():
                self._remove_pin(write, now)
            case PutPending(op=op, pin=pin):
                self.pending[op, pin.cid] = write
                self.touched.append((None, pin.cid))
            case CommitPending(op=op):
                self._commit_pending(op, now)
            case DropPending(op=op):
                self._take_pending(op)
            case PutClaim(peer=peer, cid=cid, owner=owner):
                self.claims[peer, cid, owner] = write
                self.touched.append((peer, cid))
            case ReleaseClaims():
                self._release_claims(write, now)
            case FinishWork(peer=peer, cid=cid, generation=generation):
                row = self.rows.get((peer, cid))
                if row is not None and row.generation == generation:
                    self.delete_row(peer, cid)
            case FailWork():
                self._fail_work(write, now)
            case QueueWork():
                self._queue_work(write, now)
            case PutPeer(peer=record):
                self._put_peer(record, now)
            case ForgetPeer(peer=peer):
                self._forget_peer(peer)
            case RecordForeign(peer=peer, pins=pins, orphan=orphan):
                for pin_ in pins:
                    known = self.foreign.get((peer, pin_.cid))
                    self.foreign[peer, pin_.cid] = ForeignPin(peer, pin_, orphan if known is None else known.orphan)
                    self.touched.append((peer, pin_.cid))
            case ForgetForeign(peer=peer, cids=cids):
                for cid in cids:
                    if self.foreign.pop((peer, cid), None) is not None:
                        self.touched.append((peer, cid))
                        if write.release and not self.needed(peer, cid):
                            self._release(peer, cid, PinMode.RECURSIVE, now, write.priority)

    # --- entries ---

    def _guard(self, cid: Cid, expect: int | None) -> None:
        entry = self.entries.get(cid)
        have = 0 if entry is None else entry.revision
        if expect is not None and expect != have:
            raise Conflict(f"the pin has revision {have}, not {expect}")

    def _guard_unseen(self, write: PutPin) -> None:
        if write.unseen and (write.pin.cid in self.entries or any(cid == write.pin.cid for _, cid in self.rows)):
            raise Conflict("the pin has an entry or work already")

    def _put_pin(self, write: PutPin, now: float) -> None:
        pin = replace(write.pin, revision=self.revision)
        self.entries[pin.cid] = pin
        self._know(pin.cid)
        self.removed.pop(pin.cid, None)
        self.changed = self.revision
        self.touched.append((None, pin.cid))
        for peer in write.queue:
            self._queue(peer, pin, now, write.priority)
        for peer in write.held:
            self.delete_row(peer, pin.cid)
        for peer in write.release:
            self._release(peer, pin.cid, write.release_mode, now, write.priority)

    def _remove_pin(self, write: RemovePin, now: float) -> None:
        self._guard(write.cid, write.expect)
        entry = self.entries.pop(write.cid, None)
        if entry is None:
            return
        self.removed[write.cid] = self.changed = self.revision
        self.touched.append((None, write.cid))
        wanting = [peer for (peer, cid), row in self.rows.items() if cid == write.cid and row.status in WANTS_PIN]
        for peer in dict.fromkeys([*write.release, *wanting]):
            self._release(peer, write.cid, entry.mode, now, write.priority)

    def _take_pending(self, op: str) -> list[PutPending]:
        taken = [pending for (at, _), pending in self.pending.items() if at == op]
        for pending in taken:
            del self.pending[op, pending.pin.cid]
            self.touched.append((None, pending.pin.cid))
        return taken

    def _commit_pending(self, op: str, now: float) -> None:
        taken = self._take_pending(op)
        if not taken:
            raise Conflict(f"operation {op} has no pending entries")
        for pending in taken:
            if pending.pin.cid not in self.entries:
                self._put_pin(PutPin(pending.pin, queue=pending.queue, held=pending.held), now)

    def _put_peer(self, record: PeerRecord, now: float) -> None:
        new = record.id not in self.peers
        self.peers[record.id] = record
        if new:
            for pin in self.entries.values():
                if not pin.allocations and pin.type is not PinType.META:
                    self._queue(record.id, pin, now, 0)

    def _forget_peer(self, peer: PeerId) -> None:
        self.peers.pop(peer, None)
        self.claims = {key: claim for key, claim in self.claims.items() if claim.peer != peer}
        self.foreign = {key: found for key, found in self.foreign.items() if found.peer != peer}
        for at, cid in [key for key in self.rows if key[0] == peer]:
            self.delete_row(at, cid)

    def _release_claims(self, write: ReleaseClaims, now: float) -> None:
        for key in [key for key in self.claims if key[2] == write.owner and write.cid in (None, key[1])]:
            peer, cid, _ = key
            del self.claims[key]
            self.touched.append((peer, cid))
            if not write.keep and not self.needed(peer, cid) and (peer, cid) not in self.foreign:
                self._release(peer, cid, PinMode.RECURSIVE, now)

    # --- rows ---

    def _put_row(self, row: Work) -> None:
        """Rows remember neither name, pin_update nor origins: those are the entry's, as it is when the row is read."""
        before = self.rows.get((row.peer, row.cid))
        if before is not None and before.status is row.status:
            row = replace(row, since=before.since)
        self.rows[row.peer, row.cid] = row
        self._know(row.cid)
        self.touched.append((row.peer, row.cid))

    def delete_row(self, peer: PeerId, cid: Cid) -> None:
        """The row goes, if there is one."""
        if self.rows.pop((peer, cid), None) is not None:
            self._forget(cid)
            self.touched.append((peer, cid))

    def _queue(self, peer: PeerId, pin: Pin, now: float, priority: int) -> None:
        before = self.rows.get((peer, pin.cid))
        row = Work(peer, pin.cid, TrackerStatus.PIN_QUEUED, pin.mode, self.revision, 0, "", now, now, priority)
        if before is not None:
            row = replace(row, priority=max(priority, before.priority))
            if before.status in WANTS_PIN:
                row = replace(row, attempts=before.attempts, error=before.error)
        self._put_row(row)

    def _release(self, peer: PeerId, cid: Cid, mode: PinMode, now: float, priority: int = 0) -> None:
        before = self.rows.get((peer, cid))
        if before is not None:
            priority = max(priority, before.priority)
        self._put_row(Work(peer, cid, TrackerStatus.UNPIN_QUEUED, mode, self.revision, 0, "", now, now, priority))

    def _fail_work(self, write: FailWork, now: float) -> None:
        row = self.rows.get((write.peer, write.cid))
        if row is None or row.generation != write.generation:
            return
        self._put_row(
            replace(
                row,
                status=write.status,
                attempts=write.attempts,
                error=write.error,
                next_retry=write.next_retry,
                priority=row.priority if write.priority is None else write.priority,
                since=now,
            )
        )

    def _queue_work(self, write: QueueWork, now: float) -> None:
        entry = self.entries.get(write.cid)
        row = self.rows.get((write.peer, write.cid))
        if write.expect_absent and row is not None:
            return
        wanted = entry is not None and wants(entry, write.peer)
        if wanted is (write.status in WANTS_UNPIN):
            return
        mode = row.mode if row is not None else PinMode.RECURSIVE
        if entry is not None and wanted:
            mode = entry.mode
        priority = write.priority if row is None else max(row.priority, write.priority)
        self._put_row(
            Work(write.peer, write.cid, write.status, mode, self.revision, 0, write.error, now, now, priority)
        )
