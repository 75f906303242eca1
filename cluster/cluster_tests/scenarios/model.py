"""What the pinset may contain, by the answers that clients got: a model that is dumb on purpose.

It knows nothing of peers, queues or revisions. A request that was answered counts; of one that was not, both outcomes
are fine; requests on the same CID at the same time may have taken place in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid

Outcomes = frozenset[bool]
"""Whether the CID has an entry: one of these."""


@dataclass(eq=False)
class Request:
    """One request about one CID. pinned: what it wants, expire_at: until when (0 = for ever)."""

    cid: Cid
    pinned: bool
    expire_at: float = 0.0


@dataclass
class _Crowd:
    """Requests on one CID that overlap."""

    before: Outcomes
    open: int = 0
    done: set[bool] = field(default_factory=set)
    unknown: set[bool] = field(default_factory=set)

    def outcomes(self) -> Outcomes:
        return frozenset((self.done or self.before) | self.unknown)


class Model:
    """Clients tell it of their requests before they send them, and what came of them."""

    def __init__(self) -> None:
        self._settled: dict[Cid, Outcomes] = {}
        self._crowds: dict[Cid, _Crowd] = {}
        self._expiry: dict[Cid, float] = {}

    def cids(self) -> set[Cid]:
        """All that were ever asked for."""
        return self._settled.keys() | self._crowds.keys()

    def begin(self, request: Request) -> None:
        """It is on its way."""
        before = self._settled.get(request.cid, frozenset({False}))
        self._crowds.setdefault(request.cid, _Crowd(before)).open += 1
        if request.pinned:
            self._expiry[request.cid] = request.expire_at

    def done(self, request: Request) -> None:
        """It was answered with success."""
        self._crowds[request.cid].done.add(request.pinned)
        self._end(request)

    def refused(self, request: Request) -> None:
        """It was answered with an error: it has changed nothing."""
        self._end(request)

    def lost(self, request: Request) -> None:
        """Nobody knows what came of it."""
        crowd = self._crowds[request.cid]
        crowd.unknown |= {request.pinned, *crowd.before}
        self._end(request)

    def _end(self, request: Request) -> None:
        crowd = self._crowds[request.cid]
        crowd.open -= 1
        if not crowd.open:
            self._settled[request.cid] = crowd.outcomes()
            del self._crowds[request.cid]

    def is_pinned(self, cid: Cid) -> None:
        """An operator's pin was adopted: nobody asked, and it is there."""
        self._settled[cid] = frozenset({True})

    def allows(self, cid: Cid, now: float) -> Outcomes:
        """What may be now."""
        if cid in self._crowds:
            return frozenset({False, True})
        if 0 < self._expiry.get(cid, 0.0) <= now:
            return frozenset({False})
        return self._settled.get(cid, frozenset({False}))
