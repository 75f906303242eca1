"""What each write does to the file. Runs on the writing thread, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from ipfs_cluster.cid import Cid, parse
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import Conflict
from ipfs_cluster.model import WANTS_UNPIN, PeerId
from ipfs_cluster.ports import (
    CommitPending,
    DropPending,
    FailWork,
    FinishWork,
    ForgetForeign,
    ForgetPeer,
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
from ipfs_cluster.stores.sqlite.codec import (
    LAST_WANTING_PIN,
    MODE_NUMBERS,
    STATUS_NUMBERS,
    TYPE_NUMBERS,
    PeerNumbers,
    characters,
    dump_pending,
    load_pending,
    metadata_of,
    pin_values,
)
from ipfs_cluster.stores.sqlite.rows import Found, Rows

_PAGE = 500
_RECURSIVE = 0

_INSERT_PIN = (
    "INSERT INTO pins (mode, type, name, allocations, replication_min, replication_max, expire_at, timestamp, "
    "revision, more, visible, text, cid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"
)
_UPDATE_PIN = (
    "UPDATE pins SET mode = ?, type = ?, name = ?, allocations = ?, replication_min = ?, "
    "replication_max = ?, expire_at = ?, timestamp = ?, revision = ?, more = ?, visible = 1 WHERE id = ?"
)
_HIDE_PIN = (
    "UPDATE pins SET type = 0, name = '', allocations = '', expire_at = 0, more = NULL, visible = 0, "
    "revision = ? WHERE id = ?"
)
_FAIL = (
    "UPDATE work SET since = CASE WHEN status = ?1 THEN since ELSE ?2 END, status = ?1, attempts = ?3, error = ?4, "
    "next_retry = ?5, priority = coalesce(?9, priority) WHERE pin = ?6 AND peer = ?7 AND generation = ?8"
)
_PUT_PEER = (
    "UPDATE peers SET name = ?, node_id = ?, surveyed = ?, adopted = ?, draining = ?, "
    "joined = coalesce(joined, (SELECT coalesce(max(joined), 0) + 1 FROM peers)) WHERE no = ?"
)
_FORGET_PEER = (
    "UPDATE peers SET name = '', node_id = '', surveyed = 0, adopted = 0, draining = 0, joined = NULL WHERE no = ?"
)
_RECORD_FOREIGN = (
    "INSERT INTO foreign_pins (peer, text, mode, name, orphan) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (peer, text) DO UPDATE SET mode = excluded.mode, name = excluded.name"
)


class Writes:
    """Applies commits. The caller owns the transaction: it calls `finish` before it ends one, and `rows.back_to` when
    it has rolled one back. removals_kept: how many removed CIDs the change feed remembers.
    """

    def __init__(self, connection: sqlite3.Connection, peers: PeerNumbers, removals_kept: int) -> None:
        self.forgotten: int
        revision, self.forgotten = connection.execute("SELECT revision, forgotten FROM state").fetchone()
        self.rows = Rows(connection, peers, revision)
        self._run = connection.cursor().execute
        self._removals_kept = removals_kept
        self._removals_unchecked = removals_kept
        self._apply: dict[type[Any], Callable[[Any, float], None]] = {
            PutPin: self._put_pin,
            RemovePin: self._remove_pin,
            PutPending: self._put_pending,
            CommitPending: self._commit_pending,
            DropPending: self._drop_pending,
            PutClaim: self._put_claim,
            ReleaseClaims: self._release_claims,
            FinishWork: self._finish_work,
            FailWork: self._fail_work,
            QueueWork: self._queue_work,
            PutPeer: self._put_peer,
            ForgetPeer: self._forget_peer,
            RecordForeign: self._record_foreign,
            ForgetForeign: self._forget_foreign,
        }

    def commit(self, writes: Sequence[Write], now: float) -> int:
        """Apply one commit; its revision. Raises Conflict, with the transaction to be rolled back unless the commit
        has one write only: a guard is looked at before its write changes anything.
        """
        self.rows.revision += 1
        for write in writes:
            self._apply[type(write)](write, now)
        return self.rows.revision

    def begin_unpin(self, peer: PeerId, cid: Cid, generation: int) -> bool:
        """`Store.begin_unpin`."""
        text = cid_text(cid)
        found = self.rows.find(text)
        if found is None:
            return False
        pin = found[0]
        row = self._run(
            "SELECT status, generation FROM work WHERE pin = ? AND peer = ?", (pin, self.rows.number(peer))
        ).fetchone()
        if row is None or row[1] != generation or row[0] <= LAST_WANTING_PIN:
            return False
        if self.rows.removable(peer, text):
            return True
        self.rows.revision += 1
        self.rows.delete(pin, text, peer)
        self.rows.forget(pin)
        return False

    def retry_now(self, peer: PeerId, now: float) -> int:
        """`Store.retry_now`."""
        values = {"peer": self.rows.number(peer), "now": now}
        return self._run("UPDATE work SET next_retry = :now WHERE peer = :peer AND next_retry > :now", values).rowcount

    def shift_retries(self, peer: PeerId, now: float, seconds: float) -> int:
        """`Store.shift_retries`."""
        values = {"peer": self.rows.number(peer), "now": now, "seconds": seconds}
        statement = "UPDATE work SET next_retry = next_retry + :seconds WHERE peer = :peer AND next_retry > :now"
        return self._run(statement, values).rowcount

    def finish(self) -> None:
        """Before the transaction ends: what is written once for all its commits."""
        if self._removals_unchecked > self._removals_kept // 10:
            self._forget_removals()
        self.rows.drop_notes()
        self._run("UPDATE state SET revision = ?, forgotten = ?", (self.rows.revision, self.forgotten))

    def _forget_removals(self) -> None:
        """Drop the oldest removals, whole revisions at a time; those with rows of work stay until the row goes."""
        self._removals_unchecked = 0
        newest_to_drop = self._run(
            "SELECT revision FROM pins WHERE NOT visible AND revision > 0 ORDER BY revision DESC LIMIT 1 OFFSET ?",
            (self._removals_kept,),
        ).fetchone()
        if newest_to_drop is None:
            return
        (self.forgotten,) = newest_to_drop
        old = "NOT visible AND revision > 0 AND revision <= ?"
        self._run(
            f"DELETE FROM pins WHERE {old} AND NOT EXISTS (SELECT 1 FROM work WHERE work.pin = pins.id)",
            (self.forgotten,),
        )
        self._run(f"UPDATE pins SET revision = 0 WHERE {old}", (self.forgotten,))

    # --- entries ---

    def _put_pin(self, write: PutPin, now: float) -> None:
        rows, pin = self.rows, write.pin
        text = cid_text(pin.cid)
        found = rows.find(text)
        self._guard(found, write.expect)
        if write.unseen and found is not None and (found[1] or rows.has_work(found[0])):
            raise Conflict("the pin has an entry or work already")
        rows.changed = rows.revision
        values = pin_values(pin, characters(rows.numbers(pin.allocations)), rows.revision)
        if found is None:
            row = rows.insert(_INSERT_PIN, (*values, text, pin.cid))
        else:
            row = found[0]
            self._run(_UPDATE_PIN, (*values, row))
        if pin.metadata or (found is not None and found[4] is not None):
            rows.tag(row, metadata_of(None if found is None else found[4]), pin.metadata)
        rows.touch(None, text)
        rows.queue(row, text, write.queue, MODE_NUMBERS[pin.mode], now, write.priority)
        if found is not None or write.queue:
            for peer in write.held:
                rows.delete(row, text, peer)
        rows.release(row, text, write.release, MODE_NUMBERS[write.release_mode], now, write.priority)

    def _guard(self, found: Found | None, expect: int | None) -> None:
        if expect is None:
            return
        have = found[2] if found is not None and found[1] else 0
        if expect != have:
            raise Conflict(f"the pin has revision {have}, not {expect}")

    def _remove_pin(self, write: RemovePin, now: float) -> None:
        rows, text = self.rows, cid_text(write.cid)
        found = rows.find(text)
        self._guard(found, write.expect)
        if found is None or not found[1]:
            return
        pin, _, _, mode, more = found
        self._removals_unchecked += 1
        rows.tag(pin, metadata_of(more), {})
        self._run(_HIDE_PIN, (rows.revision, pin))
        rows.changed = rows.revision
        rows.touch(None, text)
        wanting = self._run("SELECT peer FROM work WHERE pin = ? AND status <= ?", (pin, LAST_WANTING_PIN)).fetchall()
        peers = dict.fromkeys([*write.release, *(rows.peers.peer(number) for (number,) in wanting)])
        rows.release(pin, text, peers, mode, now, write.priority)

    # --- pending entries ---

    def _put_pending(self, write: PutPending, now: float) -> None:
        del now
        pin, text = write.pin, cid_text(write.pin.cid)
        allocations = characters(self.rows.numbers(pin.allocations))
        self._run(
            "INSERT OR REPLACE INTO pending (op, text, type, allocations, entry) VALUES (?, ?, ?, ?, ?)",
            (write.op, text, TYPE_NUMBERS[pin.type], allocations, dump_pending(write)),
        )
        self.rows.touch(None, text)

    def _commit_pending(self, write: CommitPending, now: float) -> None:
        """In pages, as an operation may be larger than memory."""
        page = "SELECT text, entry FROM pending WHERE op = ? AND text > ? ORDER BY text LIMIT ?"
        entries = self._run(page, (write.op, "", _PAGE)).fetchall()
        if not entries:
            raise Conflict(f"operation {write.op} has no pending entries")
        while entries:
            for text, entry in entries:
                found = self.rows.find(text)
                if found is None or not found[1]:
                    pending = load_pending(write.op, parse(text), entry)
                    self._put_pin(PutPin(pending.pin, queue=pending.queue, held=pending.held), now)
            entries = self._run(page, (write.op, entries[-1][0], _PAGE)).fetchall()
        self._drop_pending(DropPending(write.op), now)

    def _drop_pending(self, write: DropPending, now: float) -> None:
        del now
        if self.rows.scanning:
            for (text,) in self._run("SELECT text FROM pending WHERE op = ?", (write.op,)).fetchall():
                self.rows.touch(None, text)
        self._run("DELETE FROM pending WHERE op = ?", (write.op,))

    # --- claims ---

    def _put_claim(self, write: PutClaim, now: float) -> None:
        del now
        number, text = self.rows.number(write.peer), cid_text(write.cid)
        self._run(
            "INSERT OR REPLACE INTO claims (text, peer, owner, kind) VALUES (?, ?, ?, ?)",
            (text, number, write.owner, write.kind.value),
        )
        self.rows.touch(write.peer, text)

    def _release_claims(self, write: ReleaseClaims, now: float) -> None:
        """In pages, as an owner may hold many."""
        rows = self.rows
        which = "owner = :owner" if write.cid is None else "owner = :owner AND text = :text"
        page = f"SELECT peer, text FROM claims WHERE {which} LIMIT {_PAGE}"
        values = {"owner": write.owner, "text": None if write.cid is None else cid_text(write.cid)}
        while claims := self._run(page, values).fetchall():
            for number, text in claims:
                self._run("DELETE FROM claims WHERE text = ? AND peer = ? AND owner = ?", (text, number, write.owner))
                peer = rows.peers.peer(number)
                rows.touch(peer, text)
                if not write.keep and rows.removable(peer, text):
                    rows.release(rows.id_of(text), text, (peer,), _RECURSIVE, now)

    # --- work ---

    def _finish_work(self, write: FinishWork, now: float) -> None:
        del now
        text = cid_text(write.cid)
        found = self.rows.find(text)
        if found is None:
            return
        pin, visible, revision, _, _ = found
        if self.rows.delete(pin, text, write.peer, write.generation) and not visible and not revision:
            self.rows.forget(pin)

    def _fail_work(self, write: FailWork, now: float) -> None:
        text = cid_text(write.cid)
        found = self.rows.find(text)
        if found is None:
            return
        number = self.rows.number(write.peer)
        status = STATUS_NUMBERS[write.status]
        values = (status, now, write.attempts, write.error, write.next_retry, found[0], number, write.generation)
        if self._run(_FAIL, (*values, write.priority)).rowcount:
            self.rows.touch(write.peer, text)

    def _queue_work(self, write: QueueWork, now: float) -> None:
        rows, text = self.rows, cid_text(write.cid)
        found = rows.find(text)
        mode = None if found is None else rows.mode_of(found[0], write.peer)
        if write.expect_absent and mode is not None:
            return
        wanted = found is not None and rows.wanted(write.peer, text)
        if wanted is (write.status in WANTS_UNPIN):
            return
        if found is not None and wanted:
            mode = found[3]
        elif mode is None:
            mode = _RECURSIVE
        pin = rows.id_of(text) if found is None else found[0]
        rows.ask(pin, text, write, mode, now)

    # --- peers, foreign pins ---

    def _put_peer(self, write: PutPeer, now: float) -> None:
        record = write.peer
        number = self.rows.number(record.id)
        (joined,) = self._run("SELECT joined FROM peers WHERE no = ?", (number,)).fetchone()
        values = (record.name, record.node_id, record.surveyed, record.adopted, record.draining, number)
        self._run(_PUT_PEER, values)
        if joined is None:
            self.rows.queue_everywhere(record.id, now)

    def _forget_peer(self, write: ForgetPeer, now: float) -> None:
        """The number stays: it may be anywhere, and is the peer's when it returns."""
        del now
        number = self.rows.number(write.peer)
        self.rows.delete_all(write.peer)
        for table in ("claims", "foreign_pins"):
            self._run(f"DELETE FROM {table} WHERE peer = ?", (number,))
        self._run(_FORGET_PEER, (number,))

    def _record_foreign(self, write: RecordForeign, now: float) -> None:
        del now
        number = self.rows.number(write.peer)
        for pin in write.pins:
            text = cid_text(pin.cid)
            values = (number, text, MODE_NUMBERS[pin.mode], pin.name, write.orphan)
            self._run(_RECORD_FOREIGN, values)
            self.rows.touch(write.peer, text)

    def _forget_foreign(self, write: ForgetForeign, now: float) -> None:
        rows = self.rows
        number = rows.number(write.peer)
        for cid in write.cids:
            text = cid_text(cid)
            if not self._run("DELETE FROM foreign_pins WHERE peer = ? AND text = ?", (number, text)).rowcount:
                continue
            rows.touch(write.peer, text)
            if write.release and rows.removable(write.peer, text):
                rows.release(rows.id_of(text), text, (write.peer,), _RECURSIVE, now, write.priority)
