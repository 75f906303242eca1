"""One add in progress: the body goes to all its nodes, the primary's events come back, roots become pins on the way.

The primary's answer is the client's. A replica that fails, or that would keep the others waiting for longer than the
grace time, is dropped: its copy is the tracker's to make. Claims are durable before a node's pin can be relied on, so
whatever ends the call early knows what to let go of.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence

from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import ClusterError, NodeError, NodeFull, NodeUnreachable, node_error
from ipfs_cluster.ingest.commit import RootCommit
from ipfs_cluster.ingest.feed import Feed, TeeSettings
from ipfs_cluster.ingest.model import IngestRefused, Line, Proof, Upload
from ipfs_cluster.ingest.outlet import Dropped
from ipfs_cluster.model import PeerId, PinMode
from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import TaskSet

log = logging.getLogger(__name__)

BATCHES = 8
"""Reads of the primary's answer that may wait for the client."""
WATCH_INTERVAL = 1.0
PARTING = 5.0
"""Seconds that nodes get to report what they had pinned when an add is broken off."""
PROBE_TIMEOUT = 2.0
"""Seconds for which a node may think about whether it has pinned a root."""


class IngestCall:
    """Made and closed by `Ingest.add`. `events` once, to its end."""

    def __init__(
        self,
        upload: Upload,
        body: AsyncIterator[bytes],
        feeds: Sequence[Feed],
        commit: RootCommit,
        clock: Clock,
        settings: TeeSettings,
    ) -> None:
        """feeds: the primary first. received: bytes of the body so far."""
        self.complete = False
        self.received = 0
        self._upload = upload
        self._body = body
        self._feeds = feeds
        self._primary = feeds[0]
        self._commit = commit
        self._clock = clock
        self._settings = settings
        self._tasks = TaskSet()
        self._followers: list[asyncio.Task[None]] = []
        self._batches: deque[list[Line]] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._body_ended = False
        self._committed = 0
        self._awaited_since: float | None = None
        self._began = clock.monotonic()
        self._samples: deque[tuple[float, int]] = deque()

    # --- life ---

    def start(self) -> None:
        """Begin to send and to read."""
        self._followers = [self._tasks.start(f"ingest {feed.peer.name}", self._follow(feed)) for feed in self._feeds]
        self._tasks.start("ingest tee", self._send())
        self._tasks.start("ingest watch", self._watch())

    async def close(self) -> None:
        """Break off what still runs. The nodes see a cut request; what they had pinned until then they still report,
        for a moment, so that it is claimed and can be let go of.
        """
        try:
            if not self.complete and self._followers:
                for feed in self._feeds:
                    feed.outlet.drop("the add was broken off")
                self._room.set()
                await asyncio.wait(self._followers, timeout=PARTING)
        finally:
            await self._tasks.close()

    async def withdraw(self) -> None:
        """The request's deadline has passed: what it committed and nobody else waits for leaves the pinset again."""
        await self._commit.withdraw()

    def copies(self) -> list[tuple[PeerId, bool]]:
        """Each peer of the add, and whether its node saw it through, once the add is complete."""
        return [(feed.peer.id, feed.ended) for feed in self._feeds]

    # --- for the door ---

    async def events(self) -> AsyncIterator[list[Line]]:
        """The primary's events in order, each root's only after it is a durable pin on enough peers.

        Raises IngestRefused when the primary refused the request, ClusterError when the add failed, and whatever the
        request's body raised.
        """
        waiting: list[Line] = []
        while (batch := await self._next(bool(waiting))) is not None:
            waiting += batch
            ready, waiting = self._split(waiting)
            if ready:
                await self._secure(ready)
                yield ready
        await self._secure(waiting)
        if waiting:
            yield waiting
        await self._last_reports()
        self.complete = True

    async def _next(self, waiting: bool) -> list[Line] | None:
        """The primary's next events; none when one that was waited for has been proven; None at the end."""
        while True:
            if self._batches:
                self._room.set()
                return self._batches.popleft()
            # Also what was proven before the node failed: it stays pinned there, as without a cluster.
            proven = waiting and not self._primary.reported and self._upload.roots.proof is Proof.NEXT
            if proven and (self._failure is None or isinstance(self._failure, NodeError)):
                return []
            if self._failure is not None:
                raise self._failure
            if self._primary.ended:
                return None
            self._changed.clear()
            await self._changed.wait()

    def _split(self, lines: list[Line]) -> tuple[list[Line], list[Line]]:
        """What may be secured now, and what must wait for its proof."""
        match self._upload.roots.proof:
            case Proof.REPORT:
                return lines, []
            case Proof.NEXT:
                unproven = lines[-1].root is not None and bool(self._primary.reported) and not self._batches
                return (lines[:-1], lines[-1:]) if unproven else (lines, [])
            case Proof.END | Proof.ASK:
                return [], lines

    async def _secure(self, lines: list[Line]) -> None:
        """Make the roots among these lines pins of the cluster."""
        roots = [line.root for line in lines if line.root is not None]
        if not roots:
            return
        await self._replicas_reach(self._committed + len(roots))
        held = {
            root: frozenset(feed.peer.id for feed in self._feeds if feed.primary or feed.proven[root]) for root in roots
        }
        await self._commit.commit(held)
        for feed in self._feeds:
            feed.proven.subtract(roots)
            feed.proven = +feed.proven
        self._committed += len(roots)

    async def _replicas_reach(self, total: int) -> None:
        """Until every replica has pinned this many roots, or is over. The watch drops those that take too long."""
        self._awaited_since = self._clock.monotonic()
        try:
            while any(not feed.over and feed.proven_total < total for feed in self._feeds[1:]):
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._awaited_since = None

    async def _last_reports(self) -> None:
        """A replica that goes on with the same body may still report what the primary did not: see it through."""
        self._awaited_since = self._clock.monotonic()
        while any(not feed.over for feed in self._feeds[1:]):
            self._changed.clear()
            await self._changed.wait()
        strangers = {cid_text(root) for feed in self._feeds[1:] for root in feed.proven}
        if strangers:
            log.error("add: replicas made other roots than the primary, released again: %s", ", ".join(strangers))

    # --- sending ---

    async def _send(self) -> None:
        try:
            async for piece in self._body:
                self._upload.roots.saw(piece)
                self.received += len(piece)
                for feed in self._feeds:
                    feed.outlet.put(piece)
                for feed in self._feeds:
                    if feed.outlet.full:
                        await self._room_at(feed)
        except Exception as error:  # noqa: BLE001 - whatever the door's body raises is the door's, and raised there
            self._fail(error)
            self._batches.clear()  # nobody is there to hear of them: what is not committed yet is undone
            for feed in self._feeds:
                feed.outlet.drop("the request's body broke off")
            return
        self._body_ended = True
        for feed in self._feeds:
            feed.outlet.close()

    async def _room_at(self, feed: Feed) -> None:
        feed.blocked_since = self._clock.monotonic()
        await feed.outlet.room()
        feed.blocked += self._clock.monotonic() - feed.blocked_since
        feed.blocked_since = None

    # --- reading ---

    async def _follow(self, feed: Feed) -> None:
        try:
            async with feed.peer.gate.shared(lambda waited: self._asked(feed, waited)):
                await self._exchange(feed)
                if self._upload.roots.proof is Proof.ASK:
                    await self._ask(feed)
            feed.prove()
            feed.ended = True
        except IngestRefused as refusal:
            self._lost(feed, refusal)
        except Dropped as error:
            self._lost(feed, NodeUnreachable(str(error)))
        except ClusterError as error:
            self._lost(feed, error)
        except Exception:
            log.exception("following an add on peer %s failed", feed.peer.name)
            self._lost(feed, NodeError("an error occurred"))
        finally:
            if not feed.ended and (feed.outlet.closed or feed.told):
                feed.peer.upload_was_cut()  # before its whole body is there a node has nothing to pin but what it told
            self._changed.set()

    async def _exchange(self, feed: Feed) -> None:
        upload = self._upload
        pieces = aiter(feed.outlet)
        async with feed.peer.node.upload(upload.command, feed.query, upload.headers, pieces) as response:
            if response.status != 200:
                raise IngestRefused(response.status, response.headers, await response.read())
            reader = upload.roots.follow()
            async for raws in response.batches():
                lines = [reader.line(raw) for raw in raws]
                await self._reported(feed, [line.root for line in lines if line.root is not None])
                self._take_proofs(feed, lines)
                if feed.primary:
                    await self._hand_over(lines)
                self._changed.set()
            if message := response.trailers.get("x-stream-error"):
                if self._unproven(feed):
                    await self._probe(feed)
                raise node_error(message)
            reader.finish()

    async def _ask(self, feed: Feed) -> None:
        for root in feed.reported if not feed.peer.node.cluster else ():
            if not await feed.peer.node.pinned(root, PinMode.RECURSIVE):
                raise NodeError(f"the node reported {cid_text(root)} and did not pin it; was the input complete?")

    async def _reported(self, feed: Feed, roots: list[Cid]) -> None:
        """The node pins these, or is about to: claimed on it, and from the primary's word on all the others."""
        if roots:
            feeds = self._feeds if feed.primary else [feed]
            await self._commit.claim(roots, [other.peer for other in feeds])

    def _take_proofs(self, feed: Feed, lines: Sequence[Line]) -> None:
        proof = self._upload.roots.proof
        for line in lines:
            if proof is Proof.NEXT:
                feed.prove()
            if line.root is not None:
                feed.reported.append(line.root)
                feed.told = True
        if proof is Proof.REPORT:
            feed.prove()

    async def _hand_over(self, lines: list[Line]) -> None:
        if len(self._batches) >= BATCHES and not self._primary.outlet.dropped:
            self._room.clear()
            await self._room.wait()
        if not self._primary.outlet.dropped:
            self._batches.append(lines)

    # --- losing nodes ---

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._changed.set()

    def _lost(self, feed: Feed, error: Exception) -> None:
        if isinstance(error, IngestRefused) and isinstance(refusal := node_error(_text_of(error)), NodeFull):
            feed.peer.full(str(refusal))
        elif isinstance(error, NodeFull):
            feed.peer.full(str(error))
        if feed.primary:
            if feed.outlet.dropped and isinstance(error, NodeUnreachable):
                error = NodeUnreachable(feed.outlet.dropped)
            self._fail(error)
            feed.outlet.drop(str(error))
            return
        reason = _text_of(error)
        if not feed.outlet.dropped:
            log.warning("peer %s left an add: %s", feed.peer.name, reason)
        feed.outlet.drop(reason)
        self._changed.set()

    def _drop(self, feed: Feed, reason: str) -> None:
        if not feed.over:
            log.warning("peer %s was dropped from an add: %s", feed.peer.name, reason)
            feed.outlet.drop(reason)
            self._changed.set()

    def _asked(self, feed: Feed, waited: float) -> None:
        """A garbage collection waits for this node. The primary stays: the collection gives way to it."""
        if not feed.primary and waited >= self._settings.grace / 2:
            self._drop(feed, "a garbage collection waited for the node")

    async def _watch(self) -> None:
        """Once a second: who keeps the others waiting, whose node is gone, is the client slow."""
        while True:
            await self._clock.sleep(WATCH_INTERVAL)
            if unproven := [feed for feed in self._feeds if self._unproven(feed)]:
                await asyncio.gather(*map(self._probe, unproven))
            now = self._clock.monotonic()
            for feed in self._feeds[1:]:
                if not feed.over and (reason := self._overdue(feed, now)):
                    self._drop(feed, reason)
            if not self._primary.over and not self._primary.peer.up:
                self._primary.outlet.drop(self._primary.peer.state.error)
                self._fail(NodeUnreachable(self._primary.peer.state.error))
            self._judge_client(now)

    def _unproven(self, feed: Feed) -> bool:
        """A root's pin is proven by the next event; when none comes, the node itself has to be asked."""
        if self._upload.roots.proof is not Proof.NEXT or feed.over or feed.peer.node.cluster:
            return False
        return bool(feed.reported)

    async def _probe(self, feed: Feed) -> None:
        """Ask the node about its latest root, for a moment."""
        reported = list(feed.reported)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                pinned = await feed.peer.node.pinned(reported[-1], PinMode.RECURSIVE)
        except (NodeError, TimeoutError):
            return  # its answer to the add will tell
        if pinned and feed.reported == reported:
            feed.prove()
            self._changed.set()

    def _overdue(self, feed: Feed, now: float) -> str:
        grace = self._settings.grace
        if not feed.peer.up:
            return feed.peer.state.error
        if self._awaited_since is not None and now - self._awaited_since > grace:
            return f"it was more than {grace:g}s behind the others"
        blocked = feed.blocked + (0.0 if feed.blocked_since is None else now - feed.blocked_since)
        if blocked > grace + (now - self._began) / 10:
            return f"it kept the others waiting for {blocked:.0f}s"
        return ""

    def _judge_client(self, now: float) -> None:
        window = self._settings.grace
        self._samples.append((now, self.received))
        while self._samples[0][0] < now - window - WATCH_INTERVAL:
            self._samples.popleft()
        since, before = self._samples[0]
        if self._body_ended or now - since < window or any(feed.outlet.size for feed in self._feeds):
            return
        if self.received - before < self._settings.slow_rate * (now - since):
            for feed in self._feeds[1:]:
                self._drop(feed, f"the client sends less than {self._settings.slow_rate} bytes a second")


def _text_of(error: Exception) -> str:
    return error.message if isinstance(error, IngestRefused) else str(error)
