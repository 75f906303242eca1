"""Where one pin stands on one peer: the data behind a sentence that tells an operator why, and what happens next."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipfs_cluster.attempt import Operation
from ipfs_cluster.cid import Cid
from ipfs_cluster.core.failures import Failure, classify
from ipfs_cluster.model import PeerId, PinProgress, TrackerStatus, Work


class WaitsFor(enum.StrEnum):
    """What must happen before the row's next attempt begins."""

    NOTHING = "nothing"
    """An attempt is in progress, or begins at once."""
    NODE = "node"
    """The node is away; the row is due when it is back."""
    SURVEY = "survey"
    """A removal: what the node holds has not been compared yet, so nothing may be removed there."""
    COLLECTION = "collection"
    """The cluster collects garbage on the node."""
    RETRY = "retry"
    """The time of the next attempt."""
    TURN = "turn"
    """Its place in the queue, or a free place on the node."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of work as it is now. status: PINNING or UNPINNING while an attempt is in progress. since: of the status;
    next_attempt: of the next attempt (unix seconds), 0 when that hangs on something else than time.

    attempts, error, failure: failed ones so far, the words of the last and their kind (None without any); a running
    attempt that gets nowhere because the daemon's pin lock is held has that kind already. ahead: rows that come before
    it and are not being worked on. call: what the daemon is asked now, empty when nothing. progress: of the running
    attempt; bytes_known is False when the daemon tells blocks only, or (pin/update) nothing at all.
    """

    peer: PeerId
    cid: Cid
    status: TrackerStatus
    since: float
    attempts: int = 0
    error: str = ""
    failure: Failure | None = None
    waits_for: WaitsFor = WaitsFor.NOTHING
    next_attempt: float = 0.0
    ahead: int = 0
    priority: int = 0
    call: str = ""
    progress: PinProgress = PinProgress()
    bytes_known: bool = True


def waiting(work: Work, waits_for: WaitsFor, ahead: int) -> Standing:
    """Of a row that is not being worked on."""
    return Standing(
        work.peer,
        work.cid,
        work.status,
        work.since,
        work.attempts,
        work.error,
        classify(work.error) if work.error else None,
        waits_for,
        work.next_retry if waits_for is WaitsFor.RETRY else 0.0,
        ahead,
        work.priority,
    )


def running(work: Work, operation: Operation, *, locked: bool) -> Standing:
    """Of a row with an attempt in progress. locked: it only waits for the daemon's pin lock."""
    failure = classify(work.error) if work.error else None
    progress = operation.progress
    return Standing(
        work.peer,
        work.cid,
        TrackerStatus.UNPINNING if operation.unpin else TrackerStatus.PINNING,
        operation.since,
        work.attempts,
        work.error,
        Failure.PIN_LOCK if locked else failure,
        priority=work.priority,
        call=operation.call,
        progress=progress,
        bytes_known=operation.call == "pin/add" and (progress.bytes > 0 or not progress.nodes),
    )
