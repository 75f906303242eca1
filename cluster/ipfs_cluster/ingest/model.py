"""What a door tells an ingest, and what it gets back. Values and small protocols, no I/O."""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import PinOptions
from ipfs_cluster.pinning import Wait


class Proof(enum.Enum):
    """When a node that reported a root has certainly pinned it."""

    REPORT = "report"
    """By the report itself (block/put)."""
    NEXT = "next"
    """When another event follows, or the answer ends cleanly (add: Kubo pins a root after its event)."""
    END = "end"
    """When the answer ends cleanly (dag/import: all roots are reported at the end)."""
    ASK = "ask"
    """When the node says so, asked after its answer (dag/put: reports come before the batch is stored, and a batch
    that is given up ends as cleanly as one that is not)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a node: as it came, decoded (None where nobody needs it), and the root that it reports."""

    raw: bytes
    value: Mapping[str, Any] | None = None
    root: Cid | None = None


class Follower(Protocol):
    """Reads one node's events, in order."""

    def line(self, raw: bytes) -> Line:
        """What this event says. Raises NodeError for what is no event."""
        ...

    def finish(self) -> None:
        """The node ended cleanly. Raises NodeError when it cannot be known which roots it has pinned."""
        ...


class Roots(Protocol):
    """What the body and the events of one command say about its roots. Sans-IO."""

    proof: Proof

    def saw(self, piece: bytes) -> None:
        """The next bytes of the body, before any node gets them. Must not raise: the node says what is wrong."""
        ...

    def follow(self) -> Follower:
        """A reader for one more node."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A request to add.

    command: "add", "dag/import", "block/put", "dag/put". query: for the primary, replica_query: for the others, both
    normalised: they pin, they answer JSON, they report every root. home_only: the content is tied to the home node's
    own files, so nobody else can be sent it. headers: of the request, those that the nodes need. size: bytes of the
    body, which is about what the nodes will need; 0 when it is not known.
    """

    command: str
    query: str
    replica_query: str
    headers: tuple[tuple[str, str], ...]
    body: AsyncIterator[bytes]
    roots: Roots
    options: PinOptions
    wait: Wait | None = None
    home_only: bool = False
    size: int = 0


class IngestRefused(Exception):
    """The primary refused the request before its first event: its answer, to be passed on."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def message(self) -> str:
        """The daemon's words, out of its error object if it sent one."""
        text = self.body.decode("utf-8", "replace").strip()
        try:
            return str(json.loads(text)["Message"])
        except (ValueError, KeyError, TypeError):
            return text
