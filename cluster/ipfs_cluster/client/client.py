"""The client of the REST API for programs that wait for each answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from time import sleep
from typing import IO, Self, Union, Unpack

from ipfs_cluster.client import calls, models, upkeep
from ipfs_cluster.client.access import DEFAULT_HOST, Access, Options
from ipfs_cluster.client.duplex import Upload
from ipfs_cluster.client.errors import TimedOut
from ipfs_cluster.client.multipart import Content, Multipart, Source
from ipfs_cluster.client.options import AddOptions, ListOptions, PinOptions, UpdateOptions, query_of
from ipfs_cluster.client.over_requests import RequestsTransport
from ipfs_cluster.client.waiting import PAUSE, look, too_late
from ipfs_cluster.model import Bandwidth, TrackerStatus

CarSource = Union[str, "os.PathLike[str]", bytes, IO[bytes], Iterable[bytes]]


class Client(RequestsTransport):
    """The REST API of a cluster. Listings are iterators, whatever their size; every verb raises ClientError.

    >>> with Client("/ip4/127.0.0.1/tcp/9094") as cluster:
    ...     for pin in cluster.allocations():
    ...         print(pin.cid, pin.name)

    An iterator that ends without an error has given everything. May be used by several threads.
    """

    def __init__(self, *hosts: str, **options: Unpack[Options]) -> None:
        """hosts: multiaddrs or URLs; the first that can be reached is asked. options: see Access. AddressError."""
        super().__init__(Access(hosts or (DEFAULT_HOST,), **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, body: Multipart, more: Mapping[str, str], options: AddOptions) -> Iterator[models.Added]:
        query = {**query_of(options), **more, "stream-channels": "true"}
        found = self.each(calls.add(query), Upload(body), body)
        return (added for added in found if added.cid or options.get("progress"))

    # --- the service and its peers ---

    def id(self) -> models.Identity:
        """The service's first peer and its node."""
        return self.one(calls.identity())

    def version(self) -> str:
        """The service's version."""
        return self.one(calls.version())

    def peers(self) -> Iterator[models.Identity]:
        """All peers and their nodes."""
        return self.each(calls.peers())

    def peer_add(self, peer: str) -> models.Identity:
        """Add a peer by its ID."""
        return self.one(calls.peer_add(peer))

    def peer_rm(self, peer: str) -> None:
        """Remove a peer."""
        return self.one(calls.peer_rm(peer))

    def token(self) -> str:
        """A bearer token for the credentials that this client has."""
        return self.one(calls.token())

    # --- adding ---

    def add(self, *sources: Source, hidden: bool = False, **options: Unpack[AddOptions]) -> Iterator[models.Added]:
        """Add files, folders with what is in them, URLs or Content, and pin them; what was made, as it comes. The last
        is the root of the last source. The request is sent at once.
        """
        return self._add(
            Multipart(sources, hidden=hidden), {"recursive": "true", "hidden": calls.true(hidden)}, options
        )

    def add_car(self, car: CarSource, **options: Unpack[AddOptions]) -> Iterator[models.Added]:
        """Add the blocks of a CAR file and pin its root. car: a path, or a file object, bytes or pieces of them."""
        content: Source = car if isinstance(car, str | os.PathLike) else Content("car", car)
        return self._add(Multipart([content]), {"format": "car"}, options)

    # --- pins ---

    def pin(self, cid: str, **options: Unpack[PinOptions]) -> models.Pin:
        """Pin a CID; the new entry of the pinset. An existing one is replaced."""
        return self.one(calls.pin(cid, query_of(options)))

    def pin_path(self, path: str, **options: Unpack[PinOptions]) -> models.Pin:
        """Pin what a path leads to: /ipfs/…, /ipns/… or /ipld/…."""
        return self.one(calls.pin_path(path, query_of(options)))

    def pin_update(self, old: str, new: str, **options: Unpack[UpdateOptions]) -> models.Pin:
        """Pin a CID or path with the options of an existing pin, which stays; only the difference is fetched."""
        return self.one(calls.pin_path(new, {"pin-update": old, **query_of(options)}))

    def unpin(self, cid: str) -> models.Pin:
        """Unpin a CID; the entry that was removed. Raises NotFound when there is none."""
        return self.one(calls.unpin(cid))

    def unpin_path(self, path: str) -> models.Pin:
        """Unpin what a path leads to."""
        return self.one(calls.unpin_path(path))

    def allocations(self, **options: Unpack[ListOptions]) -> Iterator[models.Pin]:
        """What should be: the entries of the pinset, in no promised order."""
        return self.each(calls.allocations(query_of(options)))

    def allocation(self, cid: str) -> models.Pin:
        """The entry of one CID. Raises NotFound."""
        return self.one(calls.allocation(cid))

    def status(self, *, filter: Iterable[str] = (), local: bool = False) -> Iterator[models.Status]:
        """What is: every pin on every peer. filter: only with one of these statuses somewhere, "error" and "queued"
        among them. local: the first peer only.
        """
        return self.each(calls.status(local=local, filter=calls.joined(filter)))

    def status_cids(self, cids: Iterable[str], *, local: bool = False) -> Iterator[models.Status]:
        """These CIDs on every peer."""
        return self.each(calls.status(local=local, cids=calls.joined(cids)))

    def status_of(self, cid: str, *, local: bool = False) -> models.Status:
        """One CID on every peer; one that is not in the pinset is `unpinned` there."""
        return self.one(calls.status_of(cid, local=local))

    def wait_for(
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
            status = self.status_of(cid, local=local)
            seen = look(status, target, enough)
            if seen.done:
                return status
            if timeout is not None and time.monotonic() - begin + PAUSE > timeout:
                raise TimedOut(too_late(seen, target))
            sleep(PAUSE)

    def recover(self, cid: str, *, local: bool = False) -> models.Status:
        """Try one CID again now where it failed."""
        return self.one(calls.recover(cid, local=local))

    def recover_all(self, *, local: bool = False) -> Iterator[models.Status]:
        """Try again whatever has failed; what that was. The request is sent at once."""
        return self.each(calls.recover_all(local=local))

    def foreign(self, peer: str = "") -> Iterator[models.ForeignPin]:
        """Pins that nodes hold and that are none of the pinset's. peer: only there, by ID or name."""
        return self.each(calls.foreign(peer))

    def watch(self, after: str = "") -> Iterator[upkeep.Event]:
        """The pinset as it is, then as it changes, until the service ends. after: the place of an earlier event."""
        return self.each(calls.watch(after))

    def gc(self, *, local: bool = False) -> dict[str, models.Collected]:
        """Collect garbage on the nodes, by peer ID."""
        return self.one(calls.gc(local=local))

    # --- health ---

    def health(self) -> None:
        """Return if the service is alive; needs no credentials."""
        return self.one(calls.health())

    def graph(self) -> models.Graph:
        """Who is connected to whom."""
        return self.one(calls.graph())

    def bandwidth(self) -> dict[str, Bandwidth]:
        """What was sent and received, by protocol."""
        return self.one(calls.bandwidth())

    def alerts(self) -> list[models.Alert]:
        """What the cluster noticed, the newest first."""
        return self.one(calls.alerts())

    def metric_names(self) -> list[str]:
        """What is measured of peers."""
        return self.one(calls.metric_names())

    def metrics(self, name: str) -> list[models.Metric]:
        """The latest measurement of each peer."""
        return self.one(calls.metrics(name))

    # --- what ipfs-cluster does not have ---

    def why(self, cid: str) -> upkeep.PinWhy:
        """Why a pin is as it is, and what happens next."""
        return self.one(calls.why(cid))

    def why_peer(self, peer: str) -> upkeep.PeerWhy:
        """The same of a peer, by ID or name."""
        return self.one(calls.why_peer(peer))

    def drain(self, peer: str) -> upkeep.Drain:
        """Move everything off a peer, by ID or name, to take it out of service."""
        return self.one(calls.drain(peer, "POST"))

    def drain_status(self, peer: str) -> upkeep.Drain:
        """How far it is."""
        return self.one(calls.drain(peer))

    def drain_undo(self, peer: str) -> upkeep.Drain:
        """Take a peer into service again."""
        return self.one(calls.drain(peer, "DELETE"))

    def adopt(self, peer: str) -> upkeep.Adopted:
        """Take the pins that a peer's node held before it joined into the pinset, on that peer alone."""
        return self.one(calls.adopt(peer))

    def rebalance(self) -> upkeep.Rebalance:
        """Begin to move copies so that nodes are filled evenly."""
        return self.one(calls.rebalance("POST"))

    def rebalance_preview(self) -> upkeep.Rebalance:
        """What it would move."""
        return self.one(calls.rebalance(preview=True))

    def rebalance_status(self) -> upkeep.Rebalance:
        """How far it is."""
        return self.one(calls.rebalance())

    def rebalance_cancel(self) -> upkeep.Rebalance:
        """Move nothing further; copies in the making are finished."""
        return self.one(calls.rebalance("DELETE"))
