"""What the writing thread shares between all writes: ids, rows of work, what is needed, what open scans must know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from ipfs_cluster.cid import parse
from ipfs_cluster.model import PeerId, TrackerStatus
from ipfs_cluster.ports import QueueWork
from ipfs_cluster.stores.sqlite.codec import LAST_WANTING_PIN, META, STATUS_NUMBERS, PeerNumbers, pair_digest

_FIND = "SELECT id, visible, revision, mode, more FROM pins WHERE text = ?"
_FORGET = (
    "DELETE FROM pins WHERE id = ? AND NOT visible AND revision = 0 "
    "AND NOT EXISTS (SELECT 1 FROM work WHERE work.pin = pins.id)"
)
_INSERT = "INSERT INTO work (pin, peer, status, mode, generation, attempts, error, since, next_retry, priority) "
_REWRITE = (
    " ON CONFLICT (pin, peer) DO UPDATE SET status = excluded.status, mode = excluded.mode, "
    "generation = excluded.generation, next_retry = excluded.next_retry, "
    "priority = max(priority, excluded.priority), "
    "since = CASE WHEN status = excluded.status THEN since ELSE excluded.since END, "
)
_KEEP_ATTEMPTS = (
    f"attempts = CASE WHEN status <= {LAST_WANTING_PIN} THEN attempts ELSE 0 END, "
    f"error = CASE WHEN status <= {LAST_WANTING_PIN} THEN error ELSE '' END"
)
_SET = _INSERT + "VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)" + _REWRITE + "attempts = 0, error = excluded.error"
_QUEUE = _INSERT + "VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)" + _REWRITE + _KEEP_ATTEMPTS
_EVERYWHERE = f"FROM pins WHERE visible AND allocations = '' AND type <> {META}"
_QUEUE_EVERYWHERE = (
    _INSERT
    + f"SELECT id, :peer, :status, mode, :generation, 0, '', :now, :now, 0 {_EVERYWHERE}"
    + _REWRITE
    + _KEEP_ATTEMPTS
)
_WANTED = f"type <> {META} AND (allocations = '' OR instr(allocations, :character))"
_IS_WANTED = f"SELECT EXISTS (SELECT 1 FROM pins WHERE text = :text AND visible AND {_WANTED})"
_IS_NEEDED = (
    f"{_IS_WANTED} OR EXISTS (SELECT 1 FROM claims WHERE text = :text AND peer = :peer) "
    f"OR EXISTS (SELECT 1 FROM pending WHERE text = :text AND {_WANTED})"
)
_IS_FOREIGN = "SELECT EXISTS (SELECT 1 FROM foreign_pins WHERE peer = ? AND text = ?)"
_TOUCH = "INSERT OR REPLACE INTO touched (peer, text, revision) VALUES (?, ?, ?)"


Found = tuple[int, bool, int, int, str | None]
"""Of a CID: id, visible, revision, mode, more."""


class Rows:
    """Rows of work and what they hang on. CIDs come as their texts. revision: of the commit that is being applied.
    changed: the last one that changed an entry.
    """

    def __init__(self, connection: sqlite3.Connection, peers: PeerNumbers, revision: int) -> None:
        self.run = connection.cursor().execute
        self.peers = peers
        self.revision = revision
        self.changed = revision
        self._stored_peers = {peer for (peer,) in self.run("SELECT id FROM peers")}
        self._new_peers: list[PeerId] = []
        self._scans: dict[PeerId, int] = {}
        self._ended: set[PeerId] = set()

    # --- marks: what in memory goes with the transaction ---

    def mark(self) -> tuple[int, int, int]:
        """Where `back_to` returns to."""
        return self.revision, self.changed, len(self._new_peers)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """The transaction has been rolled back to where `mark` was taken."""
        self.revision, self.changed, peers = mark
        self._stored_peers.difference_update(self._new_peers[peers:])
        del self._new_peers[peers:]

    def settle(self) -> None:
        """The transaction is on disk."""
        self._new_peers.clear()
        self._ended.clear()

    # --- ids ---

    def number(self, peer: PeerId) -> int:
        """The peer's number; given and written when it has none."""
        number = self.peers.number(peer)
        if number is None:
            number = self.peers.add(peer)
        if peer not in self._stored_peers:
            self.run("INSERT INTO peers (no, id) VALUES (?, ?)", (number, peer))
            self._stored_peers.add(peer)
            self._new_peers.append(peer)
        return number

    def numbers(self, peers: Iterable[PeerId]) -> list[int]:
        """The same for several."""
        return [self.number(peer) for peer in peers]

    def find(self, text: str) -> Found | None:
        """What is stored under a CID that is known."""
        found: Found | None = self.run(_FIND, (text,)).fetchone()
        return found

    def id_of(self, text: str) -> int:
        """The id of a CID; a hidden entry is made for one that has none."""
        found = self.find(text)
        if found is not None:
            return found[0]
        return self.insert("INSERT INTO pins (text, cid) VALUES (?, ?)", (text, parse(text)))

    def insert(self, statement: str, values: tuple[object, ...]) -> int:
        """Insert one row; its id."""
        rowid = self.run(statement, values).lastrowid
        assert rowid is not None
        return rowid

    def tag(self, pin: int, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """The pin's metadata becomes `new`, for those who search by it."""
        for key, value in old.items() - new.items():
            self.run("DELETE FROM metadata WHERE pair = ? AND pin = ?", (pair_digest(key, value), pin))
        for key, value in new.items() - old.items():
            self.run("INSERT INTO metadata (pair, pin) VALUES (?, ?)", (pair_digest(key, value), pin))

    # --- rows ---

    def queue(self, pin: int, text: str, peers: Iterable[PeerId], mode: int, now: float, priority: int) -> None:
        """PIN_QUEUED; a row that wants the pin already keeps attempts and error."""
        self._put(_QUEUE, pin, text, peers, TrackerStatus.PIN_QUEUED, mode, "", now, priority)

    def release(self, pin: int, text: str, peers: Iterable[PeerId], mode: int, now: float, priority: int = 0) -> None:
        """UNPIN_QUEUED, whatever was there."""
        self._put(_SET, pin, text, peers, TrackerStatus.UNPIN_QUEUED, mode, "", now, priority)

    def ask(self, pin: int, text: str, write: QueueWork, mode: int, now: float) -> None:
        """The status that is asked for, attempts 0."""
        self._put(_SET, pin, text, (write.peer,), write.status, mode, write.error, now, write.priority)

    def _put(
        self,
        statement: str,
        pin: int,
        text: str,
        peers: Iterable[PeerId],
        status: TrackerStatus,
        mode: int,
        error: str,
        now: float,
        priority: int,
    ) -> None:
        number = STATUS_NUMBERS[status]
        for peer in peers:
            self.run(statement, (pin, self.number(peer), number, mode, self.revision, error, now, now, priority))
            self.touch(peer, text)

    def queue_everywhere(self, peer: PeerId, now: float) -> None:
        """A row for each visible everywhere-pin, for a peer that is new."""
        number = self.number(peer)
        status = STATUS_NUMBERS[TrackerStatus.PIN_QUEUED]
        values = {"peer": number, "status": status, "generation": self.revision, "now": now}
        self.run(_QUEUE_EVERYWHERE, values)
        if peer in self._scans:
            self.run(f"INSERT OR REPLACE INTO touched SELECT ?, text, ? {_EVERYWHERE}", (number, self.revision))

    def delete(self, pin: int, text: str, peer: PeerId, generation: int | None = None) -> bool:
        """Delete the row, if it is there (and still has this generation)."""
        number = self.number(peer)
        if generation is None:
            deleted = self.run("DELETE FROM work WHERE pin = ? AND peer = ?", (pin, number)).rowcount
        else:
            deleted = self.run(
                "DELETE FROM work WHERE pin = ? AND peer = ? AND generation = ?", (pin, number, generation)
            ).rowcount
        if deleted:
            self.touch(peer, text)
        return bool(deleted)

    def delete_all(self, peer: PeerId) -> None:
        """Delete all rows of a peer, and hidden entries that nothing else hangs on."""
        number = self.number(peer)
        hidden = self.run(
            "SELECT w.pin FROM work w JOIN pins p ON p.id = w.pin "
            "WHERE w.peer = ? AND NOT p.visible AND p.revision = 0",
            (number,),
        ).fetchall()
        self.run("DELETE FROM work WHERE peer = ?", (number,))
        for (pin,) in hidden:
            self.forget(pin)

    def forget(self, pin: int) -> None:
        """Drop a hidden entry that nothing hangs on any more."""
        self.run(_FORGET, (pin,))

    def mode_of(self, pin: int, peer: PeerId) -> int | None:
        """The mode of the peer's row; None without one."""
        found = self.run("SELECT mode FROM work WHERE pin = ? AND peer = ?", (pin, self.number(peer))).fetchone()
        return None if found is None else int(found[0])

    # --- questions ---

    def has_work(self, pin: int) -> bool:
        """Does any peer have a row?"""
        return self.run("SELECT 1 FROM work WHERE pin = ? LIMIT 1", (pin,)).fetchone() is not None

    def wanted(self, peer: PeerId, text: str) -> bool:
        """Does the visible entry want the CID on the peer?"""
        values = {"text": text, "character": self.peers.character(peer)}
        return bool(self.run(_IS_WANTED, values).fetchone()[0])

    def removable(self, peer: PeerId, text: str) -> bool:
        """Nothing needs it on the peer, and it is not foreign."""
        number = self.number(peer)
        values = {"text": text, "peer": number, "character": self.peers.character(peer)}
        if self.run(_IS_NEEDED, values).fetchone()[0]:
            return False
        return not self.run(_IS_FOREIGN, (number, text)).fetchone()[0]

    # --- scans ---

    def scan_opened(self, peer: PeerId) -> int:
        """From now on note what is written about the peer. Between transactions; the revision of the last one."""
        self._scans[peer] = self._scans.get(peer, 0) + 1
        return self.revision

    def scan_closed(self, peer: PeerId) -> None:
        """The notes go with the last scan of the peer, in the next transaction. Between transactions."""
        self._scans[peer] = self._scans.get(peer, 0) - 1
        if self._scans[peer] <= 0:
            del self._scans[peer]
            self._ended.add(peer)

    @property
    def scanning(self) -> bool:
        """True while any scan is open."""
        return bool(self._scans)

    def touch(self, peer: PeerId | None, text: str) -> None:
        """Something about the CID is being written on this peer, or (None) on all."""
        if self._scans:
            for scanned in self._scans if peer is None else (peer,) if peer in self._scans else ():
                self.run(_TOUCH, (self.number(scanned), text, self.revision))

    def drop_notes(self) -> None:
        """Of scans that have ended."""
        for peer in self._ended - self._scans.keys():
            self.run("DELETE FROM touched WHERE peer = ?", (self.number(peer),))
