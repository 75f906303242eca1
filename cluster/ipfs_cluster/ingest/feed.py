"""One node of an add: what it has been sent, what it has pinned, and how patient the others are with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ipfs_cluster.cid import Cid
from ipfs_cluster.ingest.outlet import Outlet
from ipfs_cluster.peer import LocalPeer


@dataclass(frozen=True, slots=True)
class TeeSettings:
    """buffer: bytes that a replica may lag behind. grace: seconds that one may keep the others waiting, beside a tenth
    of the whole time. slow_rate: bytes a second; a client below it shall not hold the pin lock of several nodes.
    """

    buffer: int = 4 * 1024 * 1024
    grace: float = 10.0
    slow_rate: int = 64 * 1024


class Feed:
    """One node's side of the call. proven: roots that it has certainly pinned and that are not committed yet. told: it
    reported one. ended: it saw the call through.
    """

    def __init__(self, peer: LocalPeer, query: str, outlet: Outlet, *, primary: bool) -> None:
        self.peer = peer
        self.query = query
        self.outlet = outlet
        self.primary = primary
        self.proven: Counter[Cid] = Counter()
        self.proven_total = 0
        self.reported: list[Cid] = []
        self.told = False
        self.ended = False
        self.blocked = 0.0
        self.blocked_since: float | None = None

    @property
    def over(self) -> bool:
        """Nothing more comes from this node."""
        return self.ended or bool(self.outlet.dropped)

    def prove(self) -> None:
        """What the node reported so far is pinned there."""
        self.proven.update(self.reported)
        self.proven_total += len(self.reported)
        self.reported = []
