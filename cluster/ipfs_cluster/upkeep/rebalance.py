"""Rebalancing on demand: a plan from measurements, then its moves one after the other, as slowly as the nodes need.

The state of each move is in the pinset; a job that ends early, or with the process, leaves nothing half done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ipfs_cluster.core.membership import PeerStanding
from ipfs_cluster.core.rebalance import Load, Move, plan
from ipfs_cluster.core.repair import Change, moved
from ipfs_cluster.errors import ClusterError, InvalidArgument
from ipfs_cluster.model import Metric, PeerId, Pin, Work
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.ports import Clock, PinQuery, Store
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.upkeep.moves import Moves
from ipfs_cluster.upkeep.presence import Presence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """A rebalance job: how many copies of each planned move have been asked for. since, ended: unix seconds; ended is
    0 while it runs. error: why it, or some of its moves, broke off; "cancelled" when it was.
    """

    moves: tuple[Move, ...]
    asked: tuple[int, ...]
    since: float
    ended: float = 0.0
    error: str = ""

    @property
    def running(self) -> bool:
        """True until all moves have been asked for."""
        return not self.ended


class Rebalance:
    """One job at a time. `preview`, `start`, `progress`, `cancel`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        peers: Mapping[PeerId, LocalPeer],
        presence: Presence,
        moves: Moves,
        allocate_by: Sequence[str],
    ) -> None:
        """allocate_by: metrics that copies are spread by; of the tags among them a move keeps the value."""
        self._store = store
        self._clock = clock
        self._peers = peers
        self._presence = presence
        self._moves = moves
        self._tags = tuple(name for name in allocate_by if name.startswith("tag:"))
        self._tasks = TaskSet()
        self.progress: Progress | None = None

    def preview(self) -> tuple[Move, ...]:
        """What `start` would move now; nothing when the nodes are filled evenly. Raises InvalidArgument when too little
        has been measured.
        """
        up = [peer for peer in self._peers.values() if self._presence.standing.get(peer.id) is PeerStanding.UP]
        if len(up) < 2:
            raise InvalidArgument("rebalancing needs at least two peers that are up and not drained")
        return plan([self._load(peer) for peer in up])

    def start(self) -> Progress:
        """Begin; the job goes on in the background. Raises InvalidArgument, also while one is running."""
        if self.progress is not None and self.progress.running:
            raise InvalidArgument("a rebalance is running already; cancel it first, or wait")
        moves = self.preview()
        self.progress = Progress(moves, (0,) * len(moves), self._clock.time())
        self._tasks.start("rebalance", self._run())
        return self.progress

    async def cancel(self) -> Progress:
        """Ask for no further copies; those in the making are finished. Raises InvalidArgument when none is running."""
        if self.progress is None or not self.progress.running:
            raise InvalidArgument("no rebalance is running")
        await self._tasks.close()
        self._end("cancelled")
        return self.progress

    async def close(self) -> None:
        """Stop for good."""
        await self._tasks.close()

    def _load(self, peer: LocalPeer) -> Load:
        now, metrics = self._clock.monotonic(), peer.state.metrics

        def measured(name: str) -> str:
            metric = metrics.get(name)
            if metric is None or now >= metric.expire:
                raise InvalidArgument(f"cannot plan yet: there is no {name} of peer {peer.name}; try again in a minute")
            return metric.value

        group = tuple(_value(metrics.get(name)) for name in self._tags)
        used, free, pins = (int(measured(name)) for name in ("reposize", "freespace", "numpin"))
        return Load(peer.id, used, free, pins, group, peer.has_room)

    async def _run(self) -> None:
        assert self.progress is not None
        broken = []
        try:
            for number, move in enumerate(self.progress.moves):
                if why := await self._carry_out(number, move):
                    broken.append(why)
        except ClusterError as error:
            log.error("the rebalance broke off: %s", error)
            broken.append(str(error))
        self._end("; ".join(dict.fromkeys(broken)))

    async def _carry_out(self, number: int, move: Move) -> str:
        """Ask for the copies of one move. Why not for all; empty also when the source had no more to give."""
        batch = self._moves.batch(budgeted=False)
        decided = 0

        def decision(pin: Pin, works: Sequence[Work]) -> Change | None:
            if decided >= move.pins or self._closed(move.target):
                return None
            return moved(pin, works, move.source, move.target)

        async for page in self._store.pins(PinQuery(allocated=move.source)):
            async for _, _, change in batch.each(page, decision):
                decided += change is not None
            decided = batch.begun
            self._count(number, decided)
            if decided >= move.pins:
                break
            if why := self._closed(move.target):
                return why
        return ""

    def _closed(self, target: PeerId) -> str:
        """Why no copy may be asked of this peer now, as it is after the plan was made; empty when one may."""
        peer = self._peers[target]
        if self._presence.standing.get(target) is not PeerStanding.UP or not peer.up:
            return f"{peer.name} {'is being drained' if peer.record.draining else 'went away'}"
        return "" if peer.has_room else f"{peer.name} has no more room: {peer.state.room.why}"

    def _count(self, number: int, asked: int) -> None:
        assert self.progress is not None
        counts = self.progress.asked
        self.progress = replace(self.progress, asked=(*counts[:number], asked, *counts[number + 1 :]))

    def _end(self, error: str) -> None:
        assert self.progress is not None
        self.progress = replace(self.progress, ended=self._clock.time(), error=error)


def _value(metric: Metric | None) -> str:
    return metric.value if metric is not None else ""
