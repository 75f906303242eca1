"""The errors of the cluster, one root. Doors map them to their own shapes; every message is meant for a person.

Texts that clients match on are those of Kubo and ipfs-cluster. A lost compare-and-set (`Conflict`) and an
unreachable store (`StoreUnavailable`) are different types, always.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Root of what the cluster raises on purpose. str(error) is the message for the user."""


class InvalidArgument(ClusterError):
    """The caller's value is unusable: a malformed CID, impossible replication factors, an expiry in the past."""


class InvalidCid(InvalidArgument):
    """A text or byte string is no CID. The message is go-cid's, as Kubo reports it ("cid too short", …)."""


class BadContent(ClusterError):
    """A block, a DAG or an archive is not what it claims to be; the message says which and how. None of it is used."""


class NoSuchLink(ClusterError):
    """A path leads nowhere; the message is Kubo's (`no link named "x" under <cid>`)."""


class NotPinned(ClusterError):
    """The CID has no entry in the pinset."""

    def __init__(self, message: str = "pin is not part of the pinset") -> None:
        super().__init__(message)


class UnknownPeer(ClusterError):
    """There is no peer with this ID or name."""


class NotSurveyed(ClusterError):
    """A peer's node has not been compared with the pinset yet, so nobody knows what it held before it joined."""

    def __init__(self, name: str) -> None:
        super().__init__(f"what the node of {name} holds is not known yet: it has not been there since it was added")


class PinModeError(ClusterError):
    """The entry exists with another mode than the operation needs (direct over recursive, rm of the wrong mode)."""


class NotEnoughPeers(ClusterError):
    """Allocation found fewer candidates than replication_min; the message is ipfs-cluster's."""


class NotEnoughSpace(ClusterError):
    """Too few peers have room for what is to be added; the message names each peer with what it has."""


class PinFailed(ClusterError):
    """A waiting pin request cannot reach its number of peers. index: the lowest failing argument, from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class Stopping(ClusterError):
    """The service stops while a request waits for nodes. What was asked for is kept and made after the next start."""

    def __init__(self) -> None:
        super().__init__("the service is stopping: the pin is kept, and is made after its next start")


class DeadlineExceeded(ClusterError):
    """The caller's own deadline passed; the text is Go's, which clients match on."""

    def __init__(self, message: str = "context deadline exceeded") -> None:
        super().__init__(message)


class Conflict(ClusterError):
    """A guarded write found another revision than expected. Read again and decide again; nothing was written."""


class Compacted(ClusterError):
    """The change feed no longer reaches back to the revision asked for: read the pinset anew, then follow it again."""


class StoreUnavailable(ClusterError):
    """The store cannot take the write (disk full, I/O error, closed). Nothing of the commit was written."""


class StoreUnusable(ClusterError):
    """The file is newer than this program, damaged, or in use by another process; the service must not start."""


class NodeError(ClusterError):
    """An IPFS node answered a call with an error; str(error) is its own message. status: HTTP status, code: Kubo's."""

    def __init__(self, message: str, *, status: int = 500, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class NodeFull(NodeError):
    """The node's disk is full: its own words say so."""


_FULL = ("no space left on device", "disk quota exceeded", "not enough space on the disk")
"""What operating systems call it; daemons put it at the end of their messages, whatever their datastore."""


def node_error(message: str, *, status: int = 500, code: int = 0) -> NodeError:
    """A node's error message as the error that it means."""
    kind = NodeFull if message.rstrip(" .").endswith(_FULL) else NodeError
    return kind(message, status=status, code=code)


class NodeUnreachable(NodeError):
    """The node could not be reached, or the connection was lost before the answer ended; the outcome is unknown."""


class NodeStalled(NodeError):
    """A pin made no progress for the stall limit and was given up on the node; it can be taken up again."""
