"""The client of the REST API for asyncio."""

from __future__ import annotations

import os
import time
from asyncio import sleep
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import IO, Self, Union, Unpack

from ipfs_cluster.client import calls, models, upkeep
from ipfs_cluster.client.access import DEFAULT_HOST, Access, Options
from ipfs_cluster.client.errors import TimedOut
from ipfs_cluster.client.multipart import Content, Multipart, Source
from ipfs_cluster.client.options import AddOptions, ListOptions, PinOptions, UpdateOptions, query_of
from ipfs_cluster.client.over_aiohttp import AiohttpTransport
from ipfs_cluster.client.waiting import PAUSE, look, too_late
from ipfs_cluster.model import Bandwidth, TrackerStatus

CarSource = Union[str, "os.PathLike[str]", bytes, IO[bytes], Iterable[bytes], AsyncIterable[bytes]]


class AsyncClient(AiohttpTransport):
    """The REST API of a cluster. Listings are asynchronous iterators; every verb raises ClientError.

    >>> async with AsyncClient("/ip4/127.0.0.1/tcp/9094") as cluster:
    ...     async for pin in cluster.allocations():
    ...         print(pin.cid, pin.name)

    An iterator that ends without an error has given everything. Belongs to the event loop it is first used in.
    """

    def __init__(self, *hosts: str, **options: Unpack[Options]) -> None:
        """hosts: multiaddrs or URLs; the first that can be reached is asked. options: see Access. AddressError."""
        super().__init__(Access(hosts or (DEFAULT_HOST,), **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _add(self, body: Multipart, more: Mapping[str, str], options: AddOptions) -> AsyncIterator[models.Added]:
        query = {**query_of(options), **more, "stream-channels": "true"}
        async for added in self.each(calls.add(query), body):
            if added.cid or options.get("progress"):
                yield added

    # --- the service and its peers ---

    async def id(self) -> models.Identity:
        """The service's first peer and its node."""
        return await self.one(calls.identity())

    async def version(self) -> str:
        """The service's version."""
        return await self.one(calls.version())

    def peers(self) -> AsyncIterator[models.Identity]:
        """All peers and their nodes."""
        return self.each(calls.peers())

    async def peer_add(self, peer: str) -> models.Identity:
        """Add a peer by its ID."""
        return await self.one(calls.peer_add(peer))

    async def peer_rm(self, peer: str) -> None:
        """Remove a peer."""
        return await self.one(calls.peer_rm(peer))

    async def token(self) -> str:
        """A bearer token for the credentials that this client has."""
        return await self.one(calls.token())

    # --- adding ---

    def add(self, *sources: Source, hidden: bool = False, **options: Unpack[AddOptions]) -> AsyncIterator[models.Added]:
        """Add files, folders with what is in them, URLs or Content, and pin them; what was made, as it comes. The last
        is the root of the last source. Nothing is sent before the first is asked for.
        """
        return self._add(
            Multipart(sources, hidden=hidden), {"recursive": "true", "hidden": calls.true(hidden)}, options
        )

    def add_car(self, car: CarSource, **options: Unpack[AddOptions]) -> AsyncIterator[models.Added]:
        """Add the blocks of a CAR file and pin its root. car: a path, or a file object, bytes or pieces of them."""
        content: Source = car if isinstance(car, str | os.PathLike) else Content("car", car)
        return self._add(Multipart([content]), {"format": "car"}, options)

    # --- pins ---

    async def pin(self, cid: str, **options: Unpack[PinOptions]) -> models.Pin:
        """Pin a CID; the new entry of the pinset. An existing one is replaced."""
        return await self.one(calls.pin(cid, query_of(options)))

    async def pin_path(self, path: str, **options: Unpack[PinOptions]) -> models.Pin:
        """Pin what a path leads to: /ipfs/…, /ipns/… or /ipld/…."""
        return await self.one(calls.pin_path(path, query_of(options)))

    async def pin_update(self, old: str, new: str, **options: Unpack[UpdateOptions]) -> models.Pin:
        """Pin a CID or path with the options of an existing pin, which stays; only the difference is fetched."""
        return await self.one(calls.pin_path(new, {"pin-update": old, **query_of(options)}))

    async def unpin(self, cid: str) -> models.Pin:
        """Unpin a CID; the entry that was removed. Raises NotFound when there is none."""
        return await self.one(calls.unpin(cid))

    async def unpin_path(self, path: str) -> models.Pin:
        """Unpin what a path leads to."""
        return await self.one(calls.unpin_path(path))

    def allocations(self, **options: Unpack[ListOptions]) -> AsyncIterator[models.Pin]:
        """What should be: the entries of the pinset, in no promised order."""
        return self.each(calls.allocations(query_of(options)))

    async def allocation(self, cid: str) -> models.Pin:
        """The entry of one CID. Raises NotFound."""
        return await self.one(calls.allocation(cid))

    def status(self, *, filter: Iterable[str] = (), local: bool = False) -> AsyncIterator[models.Status]:
        """What is: every pin on every peer. filter: only with one of these statuses somewhere, "error" and "queued"
        among them. local: the first peer only.
        """
        return self.each(calls.status(local=local, filter=calls.joined(filter)))

    def status_cids(self, cids: Iterable[str], *, local: bool = False) -> AsyncIterator[models.Status]:
        """These CIDs on every peer."""
        return self.each(calls.status(local=local, cids=calls.joined(cids)))

    async def status_of(self, cid: str, *, local: bool = False) -> models.Status:
        """One CID on every peer; one that is not in the pinset is `unpinned` there."""
        return await self.one(calls.status_of(cid, local=local))

    async def wait_for(
        self,
        cid: str,
        target: TrackerStatus | str = TrackerStatus.PINNED,
        *,
        enough: int = 0,
        local: bool = False,
        timeout: float | None = None,
    ) -> models.Status:
        """Return when a CID has this status on `enough` of its peers, 0 for all. Raises WaitFailed when one of them
        fails, TimedOut after `timeout` seconds.
        """
        target, begin = TrackerStatus(target), time.monotonic()
        while True:
            status = await self.status_of(cid, local=local)
            seen = look(status, target, enough)
            if seen.done:
                return status
            if timeout is not None and time.monotonic() - begin + PAUSE > timeout:
                raise TimedOut(too_late(seen, target))
            await sleep(PAUSE)

    async def recover(self, cid: str, *, local: bool = False) -> models.Status:
        """Try one CID again now where it failed."""
        return await self.one(calls.recover(cid, local=local))

    def recover_all(self, *, local: bool = False) -> AsyncIterator[models.Status]:
        """Try again whatever has failed; what that was. Nothing is sent before the first is asked for."""
        return self.each(calls.recover_all(local=local))

    def foreign(self, peer: str = "") -> AsyncIterator[models.ForeignPin]:
        """Pins that nodes hold and that are none of the pinset's. peer: only there, by ID or name."""
        return self.each(calls.foreign(peer))

    def watch(self, after: str = "") -> AsyncIterator[upkeep.Event]:
        """The pinset as it is, then as it changes, until the service ends. after: the place of an earlier event."""
        return self.each(calls.watch(after))

    async def gc(self, *, local: bool = False) -> dict[str, models.Collected]:
        """Collect garbage on the nodes, by peer ID."""
        return await self.one(calls.gc(local=local))

    # --- health ---

    async def health(self) -> None:
        """Return if the service is alive; needs no credentials."""
        return await self.one(calls.health())

    async def graph(self) -> models.Graph:
        """Who is connected to whom."""
        return await self.one(calls.graph())

    async def bandwidth(self) -> dict[str, Bandwidth]:
        """What was sent and received, by protocol."""
        return await self.one(calls.bandwidth())

    async def alerts(self) -> list[models.Alert]:
        """What the cluster noticed, the newest first."""
        return await self.one(calls.alerts())

    async def metric_names(self) -> list[str]:
        """What is measured of peers."""
        return await self.one(calls.metric_names())

    async def metrics(self, name: str) -> list[models.Metric]:
        """The latest measurement of each peer."""
        return await self.one(calls.metrics(name))

    # --- what ipfs-cluster does not have ---

    async def why(self, cid: str) -> upkeep.PinWhy:
        """Why a pin is as it is, and what happens next."""
        return await self.one(calls.why(cid))

    async def why_peer(self, peer: str) -> upkeep.PeerWhy:
        """The same of a peer, by ID or name."""
        return await self.one(calls.why_peer(peer))

    async def drain(self, peer: str) -> upkeep.Drain:
        """Move everything off a peer, by ID or name, to take it out of service."""
        return await self.one(calls.drain(peer, "POST"))

    async def drain_status(self, peer: str) -> upkeep.Drain:
        """How far it is."""
        return await self.one(calls.drain(peer))

    async def drain_undo(self, peer: str) -> upkeep.Drain:
        """Take a peer into service again."""
        return await self.one(calls.drain(peer, "DELETE"))

    async def adopt(self, peer: str) -> upkeep.Adopted:
        """Take the pins that a peer's node held before it joined into the pinset, on that peer alone."""
        return await self.one(calls.adopt(peer))

    async def rebalance(self) -> upkeep.Rebalance:
        """Begin to move copies so that nodes are filled evenly."""
        return await self.one(calls.rebalance("POST"))

    async def rebalance_preview(self) -> upkeep.Rebalance:
        """What it would move."""
        return await self.one(calls.rebalance(preview=True))

    async def rebalance_status(self) -> upkeep.Rebalance:
        """How far it is."""
        return await self.one(calls.rebalance())

    async def rebalance_cancel(self) -> upkeep.Rebalance:
        """Move nothing further; copies in the making are finished."""
        return await self.one(calls.rebalance("DELETE"))
