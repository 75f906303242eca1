"""The scan and the distinct set of the store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.model import WANTS_PIN, NodePin, PeerId, Pin, PinMode, Work
from ipfs_cluster.stores.checks import PAGE
from ipfs_cluster.stores.memory_state import State, wants

_T = TypeVar("_T")


class MemoryScan:
    """Implements `ipfs_cluster.ports.Scan`. touched: CIDs written about on this peer since the scan was opened."""

    def __init__(self, peer: PeerId, state: Callable[[], State], complete: Callable[[Work], Work]) -> None:
        self.peer = peer
        self.touched: set[Cid] = set()
        self._state = state
        self._complete = complete
        self._held: dict[Cid, NodePin] = {}
        self._sealed = False

    async def feed(self, pins: Sequence[NodePin]) -> None:
        if self._sealed:
            raise RuntimeError("the scan is sealed")
        for pin in pins:
            known = self._held.get(pin.cid)
            if known is None or known.mode is not PinMode.RECURSIVE:
                self._held[pin.cid] = pin

    async def seal(self) -> None:
        self._sealed = True

    def missing(self) -> AsyncIterator[list[Pin]]:
        def found(cid: Cid) -> Pin | None:
            pin = self._state().entries.get(cid)
            if pin is None or not wants(pin, self.peer) or (self.peer, cid) in self._state().rows:
                return None
            return None if self._holds(cid, pin.mode) else pin

        return self._findings(list(self._state().entries), found)

    def settled(self) -> AsyncIterator[list[Work]]:
        def found(cid: Cid) -> Work | None:
            row = self._state().rows.get((self.peer, cid))
            if row is None:
                return None
            done = self._holds(cid, row.mode) if row.status in WANTS_PIN else cid not in self._held
            return self._complete(row) if done else None

        return self._findings([cid for peer, cid in self._state().rows if peer == self.peer], found)

    def extra(self) -> AsyncIterator[list[NodePin]]:
        def found(cid: Cid) -> NodePin | None:
            state, held = self._state(), self._held[cid]
            foreign = state.foreign.get((self.peer, cid))
            explained = (
                state.needed(self.peer, cid)
                or (self.peer, cid) in state.rows
                or (foreign is not None and foreign.pin.mode is held.mode)
            )
            return None if explained else held

        return self._findings(list(self._held), found)

    def vanished(self) -> AsyncIterator[list[Cid]]:
        def found(cid: Cid) -> Cid | None:
            known = (self.peer, cid) in self._state().foreign
            return cid if known and cid not in self._held else None

        return self._findings([cid for peer, cid in self._state().foreign if peer == self.peer], found)

    def _holds(self, cid: Cid, mode: PinMode) -> bool:
        held = self._held.get(cid)
        return held is not None and held.mode in (mode, PinMode.RECURSIVE)

    async def _findings(self, cids: Sequence[Cid], found: Callable[[Cid], _T | None]) -> AsyncIterator[list[_T]]:
        if not self._sealed:
            raise RuntimeError("the scan is not sealed")
        for start in range(0, len(cids), PAGE):
            page = [found(cid) for cid in cids[start : start + PAGE] if cid not in self.touched]
            if findings := [item for item in page if item is not None]:
                yield findings


class MemoryDistinct:
    """Implements `ipfs_cluster.ports.Distinct`, in memory after all."""

    def __init__(self) -> None:
        self._cids: dict[Cid, None] = {}

    async def add(self, cids: Sequence[Cid]) -> list[Cid]:
        fresh = [cid for cid in dict.fromkeys(cids) if cid not in self._cids]
        self._cids.update(dict.fromkeys(fresh))
        return fresh

    async def sorted(self) -> AsyncIterator[list[tuple[str, Cid]]]:
        lines = sorted((cid_text(cid), cid) for cid in self._cids)
        for start in range(0, len(lines), PAGE):
            yield lines[start : start + PAGE]
