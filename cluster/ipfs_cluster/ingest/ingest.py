"""The facade of adding: choose the peers, let the body come in at a fair pace, open the tee, clean up."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ipfs_cluster.errors import ClusterError, NodeError, NotEnoughSpace
from ipfs_cluster.ingest.call import IngestCall
from ipfs_cluster.ingest.commit import OWNER_PREFIX, RootCommit
from ipfs_cluster.ingest.feed import Feed, TeeSettings
from ipfs_cluster.ingest.model import Upload
from ipfs_cluster.ingest.outlet import Outlet
from ipfs_cluster.ingest.spool import Spool
from ipfs_cluster.model import PeerId
from ipfs_cluster.peer import LocalPeer
from ipfs_cluster.pins import Pins
from ipfs_cluster.planning import check, upload_peers
from ipfs_cluster.ports import Clock, ReleaseClaims, Store

log = logging.getLogger(__name__)

PRIMARY_BUFFER = 1024 * 1024
IMPORT_TTL = 30.0
"""Seconds for which a node's Import configuration is remembered."""
IMPORT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """spool: the folder for bodies of slow clients. first_wait: seconds in which a client must have sent its first
    `slow_rate * first_wait` bytes, or its whole body, to be passed on as it sends.
    """

    spool: Path | None = None
    tee: TeeSettings = TeeSettings()
    first_wait: float = 2.0


@dataclass(slots=True)
class _Import:
    options: Mapping[str, str] = field(default_factory=dict)
    until: float = -1.0


class Ingest:
    """Adds for one service."""

    def __init__(
        self, store: Store, clock: Clock, peers: Mapping[PeerId, LocalPeer], pins: Pins, settings: IngestSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._peers = peers
        (self._home,) = [peer for peer in peers.values() if peer.home]
        self._pins = pins
        self._settings = settings
        self._imports = {peer: _Import() for peer in peers}

    async def clean_up(self) -> None:
        """At start: claims of adds that died with the last process are dropped. What they had pinned on nodes cannot
        be told from an operator's own pins: reconcile lists it as orphans, nothing removes it silently.
        """
        owners = {claim.owner for claim in await self._store.claims() if claim.owner.startswith(OWNER_PREFIX)}
        if owners:
            log.warning("%d adds were cut off by the last stop; their pins, if any, are listed as orphans", len(owners))
        for owner in owners:
            await self._store.commit([ReleaseClaims(owner, keep=True)])

    @asynccontextmanager
    async def add(self, upload: Upload) -> AsyncIterator[IngestCall]:
        """Send a body to all nodes that are to hold it. Leaving the block early breaks everything off and releases
        what the nodes had pinned. Raises NotEnoughPeers, NotEnoughSpace, InvalidArgument before a byte has been sent.
        """
        settings = self._settings
        chosen = self._choose(upload)
        async with Spool(upload.body, self._clock, settings.spool, settings.tee.slow_rate, settings.first_wait) as body:
            await body.settle()
            feeds = await self._feeds(upload, chosen)
            with ExitStack() as uploads:
                uploads.enter_context(self._pins.landscape.hold([feed.peer.id for feed in feeds], upload.size))
                meanwhile = {feed.peer.id: uploads.enter_context(feed.peer.tracker.upload()) for feed in feeds}
                op = secrets.token_hex(8)
                commit = RootCommit(op, self._store, self._pins, meanwhile, upload.options, upload.wait)
                call = IngestCall(upload, body.pieces(), feeds, commit, self._clock, settings.tee)
                try:
                    call.start()
                    yield call
                finally:
                    await call.close()
                    await commit.abandon()

    def _choose(self, upload: Upload) -> list[LocalPeer]:
        """The peers to send to, the primary first: the home node where it is one of them."""
        check(upload.options, self._pins.around())
        if upload.home_only:
            if why := self._home.state.room.why:
                raise NotEnoughSpace(f"not enough space: {self._home.name} ({why})")
            return [self._home]
        all_needed = not self._pins.answered_at_once(upload.wait)
        peers = upload_peers(upload.options, self._pins.around(), upload.size, all_needed=all_needed)
        chosen = [self._peers[peer] for peer in peers]
        if not chosen:
            raise NodeError("no node of the cluster can be reached")
        # A node whose collection waits or runs would keep the others waiting; its copy can come later.
        chosen.sort(key=lambda peer: (not peer.gate.is_open, not peer.home))
        return chosen[:1] + [peer for peer in chosen[1:] if peer.gate.is_open]

    async def _feeds(self, upload: Upload, chosen: Sequence[LocalPeer]) -> list[Feed]:
        feeds = []
        rule = await self._import_options(self._home) if len(chosen) > 1 or chosen[0] is not self._home else None
        for peer in chosen:
            primary = peer is chosen[0]
            query = upload.query if primary else upload.replica_query
            if peer is not self._home and rule is not None:
                added = _difference(upload.command, query, rule, await self._import_options(peer))
                if added is None and not primary:
                    log.info("peer %s imports differently from the home node: it gets its copy later", peer.name)
                    continue
                query += added or ""
            limit = PRIMARY_BUFFER if primary else self._settings.tee.buffer
            feeds.append(Feed(peer, query, Outlet(limit), primary=primary))
        return feeds

    async def _import_options(self, peer: LocalPeer) -> Mapping[str, str] | None:
        """The node's Import configuration as options of `add`; None when it cannot be had. Of a node that is away it
        is what was last known.
        """
        known = self._imports[peer.id]
        if not peer.up:
            return known.options if known.until > 0 else None
        if self._clock.monotonic() > known.until:
            try:
                async with asyncio.timeout(IMPORT_TIMEOUT):
                    known.options = await peer.node.import_options()
            except (ClusterError, TimeoutError) as error:
                log.info("peer %s: its Import configuration cannot be read: %s", peer.name, error)
                return None
            known.until = self._clock.monotonic() + IMPORT_TTL
        return known.options


OPTION_NAMES: Mapping[str, Mapping[str, str]] = {
    "block/put": {"hash": "mhtype"},
    "dag/put": {"hash": "hash"},
    "dag/import": {},
}
"""What the Import configuration means to commands other than `add`, which takes all of its options."""
ALIASES = {"trickle": ("t",), "chunker": ("s",)}


def _difference(command: str, query: str, rule: Mapping[str, str], own: Mapping[str, str] | None) -> str | None:
    """What must be added to the query so that a node with configuration `own` imports by `rule`; None when no option
    can say it, or when `own` is not known.
    """
    if own is None:
        return None
    if own == rule:
        return ""
    given = {item.partition("=")[0] for item in query.split("&")}
    names = OPTION_NAMES.get(command)
    added = ""
    for option in sorted(own.keys() | rule.keys()):
        if own.get(option) == rule.get(option):
            continue
        name = option if names is None else names.get(option)
        if name is None or given & {name, *ALIASES.get(name, ())}:
            continue
        if option not in rule or option.startswith("-"):
            return None
        added += f"&{name}={rule[option]}"
    return added
