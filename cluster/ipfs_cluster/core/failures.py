"""What went wrong with an attempt on a node, told from the words of its error, and when each kind is worth another try.

The words are those of Kubo 0.43, of its plugins and of this package; a row of work keeps only the words.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from ipfs_cluster.core.transitions import Backoff


class Failure(enum.StrEnum):
    """A kind of failure, by what an operator would do about it."""

    NOT_FOUND = "not found in time"
    """Nobody reachable has (all of) the content."""
    UNREACHABLE = "daemon unreachable"
    DISK_FULL = "disk full"
    INVALID = "invalid"
    """The daemon will never pin this CID: what it names cannot be read as a DAG, or its hash is not allowed."""
    BLOCKED = "blocked"
    """The node's denylist has it."""
    PIN_LOCK = "pin lock held"
    """An add or a collection that somebody else began keeps the daemon from pinning."""
    OTHER = "refused"
    """Words that are not in the table."""


OF_THE_NODE = frozenset({Failure.DISK_FULL, Failure.BLOCKED})
"""Failures that say something of this node and nothing of the content: another one may well succeed. Not among them: a
held pin lock, which passes, and words that nobody knows."""

WORDS: Mapping[Failure, tuple[str, ...]] = MappingProxyType(
    {
        Failure.DISK_FULL: (
            "no space left on device",
            "disk quota exceeded",
            "not enough space on the disk",
            "maximum storage limit exceeded",
        ),
        Failure.BLOCKED: ("blocked and cannot be provided",),
        Failure.PIN_LOCK: ("pin lock is held",),
        Failure.INVALID: (
            "potentially insecure hash functions not allowed",
            "digest too small",
            "digest too large",
            "(pbnode)",
            "was not a valid merkledag node",
            "incorrectly formatted merkledag node",
            "failed to decode protocol buffers",
            "expected protobuf dag node",
            "no decoder registered for multicodec",
            "no hasher registered for multihash",
            "unknown cid version",
            "invalid cid",
            "invalid path",
            "cid too short",
            "pin name is",
        ),
        Failure.UNREACHABLE: (
            "cannot connect to",
            "connecting to",
            "lost the connection to",
            "closed the connection without an answer",
            "broke off its answer",
            "does not speak http",
            "the node sent",
        ),
        Failure.NOT_FOUND: (
            "no new block for",
            "could not find",
            "failed to fetch all nodes",
            "context deadline exceeded",
        ),
    }
)
"""What an error of each kind contains, in lower case; the first kind that fits counts."""

RETRIES: Mapping[Failure, Backoff] = MappingProxyType(
    {
        Failure.DISK_FULL: Backoff(60.0, 1800.0),
        Failure.INVALID: Backoff(3600.0, 86400.0),
        Failure.BLOCKED: Backoff(3600.0, 86400.0),
        Failure.PIN_LOCK: Backoff(5.0, 60.0),
    }
)
"""Those that are tried again after other times than the tracker's own. An unreachable daemon has none: its rows are due
when it is back."""


def classify(message: str) -> Failure:
    """The kind of failure that these words tell of."""
    words = message.lower()
    return next((kind for kind, known in WORDS.items() if any(part in words for part in known)), Failure.OTHER)


def retries(kind: Failure, usual: Backoff) -> Backoff:
    """How long to wait after a failure of this kind."""
    return RETRIES.get(kind, usual)
