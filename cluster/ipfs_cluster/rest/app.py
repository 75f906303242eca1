"""The REST API on port 9094: in this version the reading routes that `ipfs-cluster-ctl` starts with.

Streams are NDJSON with `X-Stream-Error` in mind; a stream without items is 204, an unknown route 404 and errors
`{"code","message"}`, as ipfs-cluster answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.engine import Cluster
from ipfs_cluster.errors import ClusterError, InvalidArgument, InvalidCid, NotPinned
from ipfs_cluster.model import PinType, TrackerStatus
from ipfs_cluster.ports import PinQuery
from ipfs_cluster.rest import shapes
from ipfs_cluster.rest.keys import CLUSTER, VERSION
from ipfs_cluster.rest.watch import add_watchers, watch

FILTERS: dict[str, set[TrackerStatus]] = {
    "error": {TrackerStatus.CLUSTER_ERROR, TrackerStatus.PIN_ERROR, TrackerStatus.UNPIN_ERROR},
    "queued": {TrackerStatus.PIN_QUEUED, TrackerStatus.UNPIN_QUEUED},
    **{status.value: {status} for status in TrackerStatus if status is not TrackerStatus.UNDEFINED},
}


def app(cluster: Cluster, version: str) -> web.Application:
    """The application; its routes are those of this module."""
    application = web.Application(middlewares=[_errors])
    application[CLUSTER] = cluster
    application[VERSION] = version
    add_watchers(application)
    application.add_routes(
        [
            web.get("/id", _id),
            web.get("/version", _version),
            web.get("/peers", _peers),
            web.get("/allocations", _allocations),
            web.get("/allocations/{cid}", _allocation),
            web.get("/pins", _pins),
            web.get("/pins/watch", watch),
            web.get("/pins/foreign", _foreign),
            web.get("/pins/{cid}", _pin),
            web.get("/health", _health),
        ]
    )
    return application


class _BadRequest(Exception):
    pass


@web.middleware
async def _errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPNotFound:
        return _error(404, "not found")
    except web.HTTPMethodNotAllowed:
        return web.Response(status=405)
    except (_BadRequest, InvalidArgument) as error:
        return _error(400, str(error))
    except NotPinned as error:
        return _error(404, str(error))
    except ClusterError as error:
        return _error(500, str(error))
    return response


def _error(code: int, message: str) -> web.Response:
    return _json({"code": code, "message": message}, code)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=_line(value), status=status, content_type="application/json")


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


async def _stream(request: web.Request, pages: AsyncIterator[list[dict[str, Any]]]) -> web.StreamResponse:
    """Page by page; the first page is awaited before the head, so that an early error is a proper answer."""
    response: web.StreamResponse | None = None
    async for page in pages:
        if not page:
            continue
        if response is None:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
        await response.write(b"".join(map(_line, page)))
    if response is None:
        return web.Response(status=204)
    await response.write_eof()
    return response


def _cid(request: web.Request) -> cids.Cid:
    try:
        return cids.parse(request.match_info["cid"])
    except InvalidCid as error:
        raise InvalidCid(f"error decoding Cid: {error}") from None


async def _id(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    peers = cluster.views.peers()
    home = next(peer for peer in peers if peer.home)
    return _json(shapes.identity(home, peers, request.app[VERSION]))


async def _version(request: web.Request) -> web.StreamResponse:
    return _json({"version": request.app[VERSION]})


async def _health(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _peers(request: web.Request) -> web.StreamResponse:
    peers = request.app[CLUSTER].views.peers()

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        yield [shapes.identity(peer, peers, request.app[VERSION]) for peer in peers]

    return await _stream(request, pages())


async def _allocations(request: web.Request) -> web.StreamResponse:
    asked = request.query
    query = PinQuery(
        types=_types(asked.get("filter", "")),
        name=asked.get("name", ""),
        prefix=asked.get("name-prefix", ""),
        metadata=tuple((key[5:], value) for key, value in asked.items() if key.startswith("meta-")),
    )

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for page in request.app[CLUSTER].views.pins(query):
            yield [shapes.pin(entry) for entry in page]

    return await _stream(request, pages())


def _types(given: str) -> frozenset[PinType] | None:
    names = {name.strip() for name in given.split(",") if name.strip()}
    if not names or "all" in names:
        return None
    found = frozenset(kind for kind in PinType if kind.value in names)
    if not found:
        raise _BadRequest("invalid filter value")
    return found


async def _allocation(request: web.Request) -> web.StreamResponse:
    entry = await request.app[CLUSTER].views.get(_cid(request))
    if entry is None:
        raise NotPinned
    return _json(shapes.pin(entry))


async def _pin(request: web.Request) -> web.StreamResponse:
    cid = _cid(request)
    entry, statuses = await request.app[CLUSTER].views.status(cid)
    return _json(shapes.global_pin_info(cid, entry, statuses))


async def _pins(request: web.Request) -> web.StreamResponse:
    views = request.app[CLUSTER].views
    if asked := request.query.get("cids", ""):
        return await _stream(request, _asked(request, asked.split(",")))
    wanted = _statuses(request.query.get("filter", ""))

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for page in views.statuses(wanted):
            yield [shapes.global_pin_info(entry.cid, entry, statuses) for entry, statuses in page]
        if wanted is None or TrackerStatus.UNPINNED in wanted:
            async for orphans in views.orphans():
                yield [shapes.global_pin_info(cid, None, statuses) for cid, statuses in orphans]

    return await _stream(request, pages())


async def _foreign(request: web.Request) -> web.StreamResponse:
    views = request.app[CLUSTER].views
    names = {peer.id: peer.name for peer in views.peers()}
    wanted = request.query.get("peer", "")
    chosen = [peer for peer, name in names.items() if wanted in (peer, name)] if wanted else [None]
    if not chosen:
        raise _BadRequest(f"there is no peer {wanted}")

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        for peer in chosen:
            async for page in views.foreign(peer):
                yield [shapes.foreign(found, names.get(found.peer, "")) for found in page]

    return await _stream(request, pages())


async def _asked(request: web.Request, texts: list[str]) -> AsyncIterator[list[dict[str, Any]]]:
    for text in texts:
        try:
            cid = cids.parse(text)
        except InvalidCid as error:
            raise InvalidCid(f"error decoding Cid: {error}") from None
        entry, statuses = await request.app[CLUSTER].views.status(cid)
        yield [shapes.global_pin_info(cid, entry, statuses)]


def _statuses(given: str) -> set[TrackerStatus] | None:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        return None
    found = {status for name in names for status in FILTERS.get(name, ())}
    if not found:
        raise _BadRequest("invalid filter value")
    return found
