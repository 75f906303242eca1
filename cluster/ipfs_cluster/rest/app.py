"""The REST API on port 9094: its routes, and those that only read.

Streams are NDJSON with `X-Stream-Error` in mind; a stream without items is 204, an unknown route 404 and errors
`{"code","message"}`, as ipfs-cluster answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from ipfs_cluster.engine import Cluster
from ipfs_cluster.errors import NotPinned, UnknownPeer
from ipfs_cluster.model import PinType, TrackerStatus
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.rest import changes, health, shapes, upkeep
from ipfs_cluster.rest.adding import add
from ipfs_cluster.rest.answers import BadRequest, answer, cid_of, errors, parsed, stream
from ipfs_cluster.rest.http import HttpRules, add_http
from ipfs_cluster.rest.keys import CLUSTER, LISTINGS, VERSION
from ipfs_cluster.rest.openapi import openapi
from ipfs_cluster.rest.statuses import shown, status_of
from ipfs_cluster.rest.watch import add_watchers, watch

TURNS = 2
LISTED = 50
"""Lines of a page: about a millisecond, and little to keep for somebody who reads slowly."""

FILTERS: dict[str, set[TrackerStatus]] = {
    "error": {TrackerStatus.CLUSTER_ERROR, TrackerStatus.PIN_ERROR, TrackerStatus.UNPIN_ERROR},
    "queued": {TrackerStatus.PIN_QUEUED, TrackerStatus.UNPIN_QUEUED},
    **{status.value: {status} for status in TrackerStatus if status is not TrackerStatus.UNDEFINED},
}


def app(cluster: Cluster, version: str, rules: HttpRules = HttpRules()) -> web.Application:
    """The application with its routes."""
    application = web.Application(middlewares=[errors])
    application[CLUSTER] = cluster
    application[VERSION] = version
    application[LISTINGS] = asyncio.Semaphore(TURNS)
    add_http(application, rules)
    add_watchers(application)
    application.add_routes(
        [
            web.get("/id", _id),
            web.get("/version", _version),
            web.get("/openapi.json", openapi),
            web.get("/peers", _peers),
            web.get("/allocations", _allocations),
            web.get("/allocations/{cid}", _allocation),
            web.get("/pins", _pins),
            web.get("/pins/watch", watch),
            web.get("/pins/foreign", _foreign),
            web.get("/pins/{cid}", _pin),
            *health.ROUTES,
            web.post("/add", add),
            *changes.ROUTES,
            *upkeep.ROUTES,
        ]
    )
    return application


async def _id(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    peers = cluster.views.peers()
    home = next(peer for peer in peers if peer.home)
    return answer(shapes.identity(home, peers, request.app[VERSION]))


async def _version(request: web.Request) -> web.StreamResponse:
    return answer({"version": request.app[VERSION]})


async def _peers(request: web.Request) -> web.StreamResponse:
    peers = request.app[CLUSTER].views.peers()

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        yield [shapes.identity(peer, peers, request.app[VERSION]) for peer in peers]

    return await stream(request, pages())


async def _allocations(request: web.Request) -> web.StreamResponse:
    asked = request.query
    query = PinQuery(
        types=_types(asked.get("filter", "")),
        name=asked.get("name", ""),
        prefix=asked.get("name-prefix", ""),
        metadata=tuple((key[5:], value) for key, value in asked.items() if key.startswith("meta-")),
    )

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for page in request.app[CLUSTER].views.pins(query, most=LISTED):
            yield [shapes.pin(entry) for entry in page]

    return await stream(request, pages())


def _types(given: str) -> frozenset[PinType] | None:
    names = {name.strip() for name in given.split(",") if name.strip()}
    if not names or "all" in names:
        return None
    found = frozenset(kind for kind in PinType if kind.value in names)
    if not found:
        raise BadRequest("invalid filter value")
    return found


async def _allocation(request: web.Request) -> web.StreamResponse:
    entry = await request.app[CLUSTER].views.get(cid_of(request))
    if entry is None:
        raise NotPinned
    return answer(shapes.pin(entry))


async def _pin(request: web.Request) -> web.StreamResponse:
    return answer(await status_of(request, cid_of(request)))


async def _pins(request: web.Request) -> web.StreamResponse:
    views = request.app[CLUSTER].views
    if asked := request.query.get("cids", ""):
        return await stream(request, _asked(request, asked.split(",")))
    wanted = _statuses(request.query.get("filter", ""))

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for page in views.statuses(wanted, most=LISTED):
            lines = [(entry, shown(request, statuses)) for entry, statuses in page]
            yield [
                shapes.global_pin_info(entry.cid, entry, shown)
                for entry, shown in lines
                if wanted is None or any(status.status in wanted for status in shown)
            ]
        if wanted is None or TrackerStatus.UNPINNED in wanted:
            async for orphans in views.orphans():
                yield [shapes.global_pin_info(cid, None, shown(request, statuses)) for cid, statuses in orphans]

    return await stream(request, pages())


async def _foreign(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    names = {peer.id: peer.name for peer in cluster.views.peers()}
    wanted = request.query.get("peer", "")
    try:
        peer = cluster.upkeep.find(wanted) if wanted else None
    except UnknownPeer as error:
        raise BadRequest(str(error)) from None

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for page in cluster.views.foreign(peer):
            yield [shapes.foreign(found, names.get(found.peer, "")) for found in page]

    return await stream(request, pages())


async def _asked(request: web.Request, texts: list[str]) -> AsyncIterator[list[dict[str, Any]]]:
    for cid in [parsed(text) for text in texts]:
        yield [await status_of(request, cid)]


def _statuses(given: str) -> set[TrackerStatus] | None:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        return None
    found = {status for name in names for status in FILTERS.get(name, ())}
    if not found:
        raise BadRequest("invalid filter value")
    return found
