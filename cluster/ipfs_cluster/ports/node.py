"""One IPFS daemon, as the engine sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import Bandwidth, NodeInfo, NodePin, PinMode, RepoStat, VerifiedPin


class NodeResponse(Protocol):
    """The answer to an `upload`. trailers: complete after the end of the body, names in lower case."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def trailers(self) -> Mapping[str, str]: ...

    def batches(self) -> AsyncIterator[list[bytes]]:
        """The body's lines, without LF, as many at once as arrived together; never an empty list or line. Raises
        NodeUnreachable when it ends early.
        """
        ...

    async def read(self) -> bytes:
        """The whole body, for small answers."""
        ...


class Node(Protocol):
    """One IPFS daemon. Calls raise NodeUnreachable (outcome unknown) or NodeError (the daemon's own message).

    cluster: it is the proxy of another cluster, known after `info`. Its listings say what should be pinned there, so
    only a finished `pin` proves that something is; pinning again what it has does no harm.
    """

    cluster: bool

    async def info(self) -> NodeInfo:
        """The node's ID, addresses and version."""
        ...

    async def pin(
        self,
        cid: Cid,
        mode: PinMode,
        name: str,
        on_progress: Callable[[int, int], None],
        stall: float,
    ) -> None:
        """Pin and return when the node says it is pinned. on_progress(nodes, bytes) on every report.

        stall: seconds without growth after which the attempt is given up: NodeStalled. 0 = never. Success is only a
        complete answer with the CID in `Pins` and no X-Stream-Error trailer.
        """
        ...

    async def fetch(self, cid: Cid, on_progress: Callable[[int, int], None], stall: float) -> None:
        """Fetch the whole DAG without pinning it. on_progress(nodes, 0); stall as in `pin`."""
        ...

    async def pin_update(self, old: Cid, new: Cid, stall: float) -> None:
        """Pin `new` recursively by fetching its difference to `old`, which stays pinned."""
        ...

    async def unpin(self, cid: Cid, mode: PinMode) -> None:
        """Remove the pin. Not being pinned is success. Raises NodeError when it is pinned in the other mode."""
        ...

    async def pinned(self, cid: Cid, mode: PinMode) -> NodePin | None:
        """The node's own pin of this CID, as it is, if that satisfies the mode: a recursive one satisfies both."""
        ...

    def pins(self, mode: PinMode) -> AsyncIterator[list[NodePin]]:
        """All pins of one mode, in batches, streamed. A stream that breaks raises: what came proves nothing."""
        ...

    def indirect(self) -> AsyncIterator[list[Cid]]:
        """All CIDs that the node holds through recursive pins only, in batches, streamed."""
        ...

    async def indirect_root(self, cid: Cid) -> Cid | None:
        """A recursive pin through which the node holds this CID, or None."""
        ...

    def verify(self) -> AsyncIterator[list[VerifiedPin]]:
        """Read every block of every recursive pin, without fetching any; streamed as the node gets on."""
        ...

    async def resolve(self, path: str) -> Cid:
        """The CID that a path leads to. Raises NodeError with the daemon's text for paths that do not resolve."""
        ...

    async def local_block(self, cid: Cid) -> None:
        """Return if the block is in the node's repository; raises NodeError with the daemon's text if it is not."""
        ...

    async def connect(self, addresses: Sequence[str]) -> None:
        """Connect the node's swarm to another node; addresses end in /p2p/<id>."""
        ...

    async def swarm_peers(self) -> frozenset[str]:
        """IDs of the nodes it is connected to."""
        ...

    async def bandwidth(self, protocol: str = "") -> Bandwidth:
        """What its swarm carried since the daemon started, of one libp2p protocol or of all."""
        ...

    async def ensure_empty_block(self) -> None:
        """Put and pin the empty raw block, which bitswap never serves (sharding rules, fact 9)."""
        ...

    async def free_space(self) -> int:
        """Bytes that the daemon can still write to the disk where its repository lies."""
        ...

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        """The daemon's repo/stat. size_only: it does not count the objects."""
        ...

    def gc(self) -> AsyncIterator[list[tuple[Cid | None, str]]]:
        """Collect garbage: the blocks freed, or (None, message) for what could not be. Needs the node alone."""
        ...

    async def import_options(self) -> Mapping[str, str]:
        """The node's Import configuration as options of `add`, defaults filled in. What no option can say has a key
        that begins with "-".
        """
        ...

    def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[NodeResponse]:
        """One command with a streamed request body, full duplex. Leaving the block early cancels it on the node.

        An error that `body` raises ends the exchange with that error, after what the daemon still has to say.
        """
        ...

    async def close(self) -> None:
        """Close idle connections; running calls are cancelled by their callers."""
        ...
