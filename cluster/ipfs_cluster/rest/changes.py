"""Routes that change something: pin, unpin, recover, collect garbage, peers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.engine import Cluster
from ipfs_cluster.errors import ClusterError, InvalidCid, NotPinned, UnknownPeer
from ipfs_cluster.model import PinOptions
from ipfs_cluster.rest import shapes
from ipfs_cluster.rest.answers import BadRequest, answer, cid_of, stream
from ipfs_cluster.rest.garbage import collect
from ipfs_cluster.rest.keys import CLUSTER, VERSION
from ipfs_cluster.rest.options import pin_options, wait_of
from ipfs_cluster.rest.statuses import is_local, status_of

BODY_LIMIT = 64 * 1024
"""Bytes of a JSON body."""


# --- pin, unpin ---


async def _target(request: web.Request) -> Cid:
    """The CID that the path names, found through the home node where it is not in the path itself."""
    path = request.match_info.get("path")
    if path is None:
        return cid_of(request)
    kind, path = request.match_info["kind"], path.removesuffix("/")
    root, _, below = path.partition("/")
    if kind == "ipns":
        return await request.app[CLUSTER].resolve(f"/{kind}/{path}")
    try:
        cid = cids.parse(root)
    except InvalidCid as error:
        raise BadRequest(f"error parsing path: {error}") from None
    return await request.app[CLUSTER].resolve(f"/{kind}/{path}") if below else cid


async def _pin(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    options = pin_options(request.query, cluster.now, cluster.views.peers())
    wait = wait_of(request.query)
    cid = await _target(request)
    if options.pin_update is not None:
        options = await _as_before(cluster, options.pin_update, options)
    call = await cluster.pin([(cid, options)], wait=wait)
    await call.wait()
    return answer(shapes.pin(call.pins[0]))


async def _as_before(cluster: Cluster, old: Cid, options: PinOptions) -> PinOptions:
    """As ipfs-cluster updates: the new pin is what the old one was, but for a name and an expiry that are given."""
    before = await cluster.views.get(old)
    if before is None:
        raise NotPinned
    return replace(
        options,
        name=options.name or before.name,
        mode=before.mode,
        replication_min=before.replication_min,
        replication_max=before.replication_max,
        user_allocations=before.allocations,
        metadata=before.metadata,
        origins=before.origins,
        expire_at=before.expire_at if options.expire_at is None else options.expire_at,
    )


async def _unpin(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    cid = await _target(request)
    entry = await cluster.views.get(cid)
    if entry is None:
        raise NotPinned
    outcome = await cluster.unpin([(cid, True)], settle=0.0)
    if outcome.error is not None:
        raise outcome.error
    return answer(shapes.pin(entry))


# --- recover ---


async def _recover(request: web.Request) -> web.StreamResponse:
    cluster, cid, local = request.app[CLUSTER], cid_of(request), is_local(request)
    if local and await cluster.views.get(cid) is None:
        raise NotPinned
    await cluster.recover([cid], local=local)
    return answer(await status_of(request, cid))


async def _recover_all(request: web.Request) -> web.StreamResponse:
    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        async for found in request.app[CLUSTER].recover_all(local=is_local(request)):
            yield [await status_of(request, cid) for cid in found]

    return await stream(request, pages())


# --- peers ---


async def _add_peer(request: web.Request) -> web.StreamResponse:
    body = await request.content.read(BODY_LIMIT)
    try:
        peer = json.loads(body)["peer_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest("error decoding request body") from None
    peers = request.app[CLUSTER].views.peers()
    for known in peers:
        if known.id == peer:
            return answer(shapes.identity(known, peers, request.app[VERSION]))
    raise ClusterError(f"peer {peer} cannot be added: the peers are the nodes of the configuration")


async def _remove_peer(request: web.Request) -> web.StreamResponse:
    try:
        peer = request.app[CLUSTER].upkeep.find(request.match_info["peer"])
    except UnknownPeer as error:
        raise BadRequest(f"error decoding Peer ID: {error}") from None
    raise ClusterError(f"peer {peer} cannot be removed: drain it, then take its node out of the configuration")


PATH = "/pins/{kind:ipfs|ipns|ipld}/{path:.+}"
ROUTES = (
    web.post("/pins/recover", _recover_all),
    web.post("/pins/{cid}/recover", _recover),
    web.post(PATH, _pin),
    web.delete(PATH, _unpin),
    web.post("/pins/{cid}", _pin),
    web.delete("/pins/{cid}", _unpin),
    web.post("/ipfs/gc", collect),
    web.post("/peers", _add_peer),
    web.delete("/peers/{peer}", _remove_peer),
)
