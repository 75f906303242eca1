"""Where an embedded node gets blocks that it lacks: trustless gateways, that is `GET /ipfs/<cid>?format=raw`.

Other embedded nodes of the cluster are told to answer from their own repositories only, else two that lack the same
block would ask each other for ever. Every block is hashed before anybody sees it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import aiohttp

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import BadContent, NodeError
from ipfs_cluster.nodes.embedded.asking import Question, Source
from ipfs_cluster.nodes.embedded.walk import missing
from ipfs_cluster.ports import Clock
from ipfs_cluster.tasks import TaskSet, sleep_or_event
from ipfs_cluster.unixfs.model import MAX_BLOCK
from ipfs_cluster.unixfs.opened import verify

log = logging.getLogger(__name__)

RAW_BLOCK = "application/vnd.ipld.raw"
ABSENT = (404, 410, 412, 504)
"""What gateways say when they do not have a block, or did not find it in time."""
AT_ONCE = 32
"""Requests in all."""
AT_ONE = 8
"""Requests to one source. Those that wait for it take no place of the others: a source that hangs stops only itself."""
SILENCE = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=15.0)
PATIENCE = 60.0
"""Seconds for one request in all, as a source may send a byte now and then for ever."""
HEDGE = 1.0
"""Seconds after which the next source is asked beside one that has not answered."""
PROBE = 5.0
ALONE = 5.0
"""Seconds that a block is looked for while there is nobody to ask; after a start the other nodes take a moment."""


ENDED = "the node no longer looks for blocks"
NOBODY = "no other node is connected, and no gateways are configured"


@dataclass(slots=True)
class _Search:
    """A block that is looked for. waiting: how many wait for it. changed: a request ended, or a source came."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    found: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiting: int = 0

    def ended(self, _task: asyncio.Task[None]) -> None:
        """Nobody looks for it any more; those who wait learn of it."""
        if not self.found.done():
            self.found.set_exception(NodeError(ENDED))


class Sources:
    """All sources of one node; `close` it. gateways: URLs of public ones, the best first."""

    def __init__(self, gateways: Sequence[str], clock: Clock, patience: float = PATIENCE) -> None:
        """patience: seconds for one request."""
        self._sources = [Source(url.rstrip("/")) for url in gateways]
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._searches: dict[Cid, _Search] = {}
        self._patience = patience
        self._closed = False
        self._tasks = TaskSet()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._places_at = {source: asyncio.Semaphore(AT_ONE) for source in self._sources}

    async def close(self) -> None:
        """End what is looked for; whoever waits for it gets a NodeError."""
        self._closed = True
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()

    # --- whom to ask ---

    async def connect(self, peer: str, url: str) -> None:
        """Ask this node from now on. Raises NodeError when nobody answers there, or somebody else."""
        if self._closed:
            raise NodeError(ENDED)
        url = url.rstrip("/")
        try:
            async with asyncio.timeout(PROBE), self._client().post(f"{url}/api/v0/id") as response:
                told = (await response.json())["ID"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise NodeError(f"no embedded node answers at {url}: {_words(error)}") from None
        if told != peer:
            raise NodeError(f"{url} is node {told}")
        before = [source for source in self._sources if source.peer not in ("", peer) and source.url == url]
        known = next((source for source in self._sources if source.peer == peer), None)
        if known is not None:
            known.url = url
            known.lacks()
        else:
            known = Source(url, peer)
            self._sources.append(known)
            self._places_at[known] = asyncio.Semaphore(AT_ONE)
        self._sources = [source for source in self._sources if source not in before]
        for source in before:
            del self._places_at[source]
        for search in self._searches.values():
            search.changed.set()

    def sources(self) -> list[tuple[str, str]]:
        """(peer ID, URL) of the nodes that were connected and have not failed since."""
        return [(source.peer, source.url) for source in self._sources if source.peer and not source.failures]

    def troubles(self) -> list[str]:
        """What is wrong with sources, in words."""
        return [f"{source.url}: {source.error}" for source in self._sources if source.error]

    # --- asking ---

    async def fetch(self, cid: Cid) -> bytes:
        """A block, as soon as some source has it. Whoever else waits for the same block shares the search. Raises
        NodeError for a CID that no block can have, when there is nobody to ask, and when the sources are closed.
        """
        if (reason := multihash.refused(cids.multihash(cid))) is not None:
            raise NodeError(reason)
        if self._closed:
            raise NodeError(ENDED)
        search = self._searches.get(cid)
        if search is None:
            search = self._searches[cid] = _Search()
            search.task = self._tasks.start(f"fetch {cid_text(cid)}", self._search(cid, search))
            search.task.add_done_callback(search.ended)
        search.waiting += 1
        try:
            return await asyncio.shield(search.found)
        finally:
            search.waiting -= 1
            if not search.waiting:
                self._drop(cid, search)

    def _drop(self, cid: Cid, search: _Search) -> None:
        if self._searches.get(cid) is search:
            del self._searches[cid]
        search.found.cancel()
        if search.task is not None:
            search.task.cancel()

    async def _search(self, cid: Cid, search: _Search) -> None:
        """Ask one source, after a while the next beside it, and so on until one has the block."""
        question, requests = Question(), TaskSet()
        asking: dict[Source, asyncio.Task[None]] = {}
        alone_until = self._clock.monotonic() + ALONE
        try:
            while not search.found.done():
                search.changed.clear()
                asking = {source: task for source, task in asking.items() if not task.done()}
                now = self._clock.monotonic()
                source, wait = question.next(self._sources, list(asking), now)
                if source is not None:
                    question.ask(source, now)
                    asking[source] = requests.start(f"ask {source.url}", self._ask(source, cid, search))
                    asking[source].add_done_callback(lambda _task: search.changed.set())
                    wait = HEDGE
                elif not self._sources:
                    wait = alone_until - now
                    if wait <= 0:
                        search.found.set_exception(NodeError(f"{missing(cid)}; {NOBODY}"))
                        return
                if wait == inf:
                    await search.changed.wait()
                else:
                    await sleep_or_event(self._clock, wait, search.changed)
        finally:
            await requests.close()

    async def _ask(self, source: Source, cid: Cid, search: _Search) -> None:
        places = self._places_at.get(source)
        if places is None:
            return
        async with places, self._places:
            asked = self._clock.monotonic()
            if source.rests_until > asked:
                return  # it failed somebody else meanwhile
            try:
                async with asyncio.timeout(self._patience):
                    data = await self._request(source, cid)
            except (aiohttp.ClientError, TimeoutError, BadContent, OSError) as error:
                text = _words(error)
                if not source.failures:
                    log.warning("fetching from %s failed: %s", source.url, text)
                source.failed(text, asked, self._clock.monotonic())
                return
        if data is None:
            source.lacks()
            return
        source.gave(self._clock.monotonic())
        if not search.found.done():
            search.found.set_result(data)

    async def _request(self, source: Source, cid: Cid) -> bytes | None:
        """The block, None if the source does not have it. Raises what a bad answer is."""
        headers = {"Accept": RAW_BLOCK, "Accept-Encoding": "identity"}
        if source.peer:
            headers["Cache-Control"] = "only-if-cached"
        url = f"{source.url}/ipfs/{cid_text(cid)}?format=raw"
        async with self._client().get(url, headers=headers, allow_redirects=not source.peer) as response:
            if response.status in ABSENT:
                return None
            if response.status != 200:
                raise BadContent(f"status {response.status}")
            data = bytearray()
            async for piece in response.content.iter_any():
                data += piece
                if len(data) > MAX_BLOCK:
                    raise BadContent(f"{cid_text(cid)}: an answer of more than {MAX_BLOCK} bytes is no block")
        block = bytes(data)
        await asyncio.to_thread(verify, cid, block)
        return block

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=SILENCE, auto_decompress=False)
        return self._session


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    return str(error) or "no answer in time"
