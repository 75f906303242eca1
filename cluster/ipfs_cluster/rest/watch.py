"""The change feed over REST: `GET /pins/watch?after=PLACE`, NDJSON that ends when its client or the service does.

Lines: `{"type":"reset"}` (forget everything: the whole pinset follows), `{"type":"pin","pin":…}`,
`{"type":"unpin","cid":…}`, `{"type":"place","place":…}` (go on here after a break). While nothing changes the last
place is told again, so that both sides notice when the other is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import StoreUnavailable
from ipfs_cluster.feed import Batch
from ipfs_cluster.ports import Change
from ipfs_cluster.rest import shapes
from ipfs_cluster.rest.answers import line
from ipfs_cluster.rest.keys import CLUSTER

WATCHERS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("watchers", set)


def add_watchers(application: web.Application) -> None:
    """Watchers end when the server begins to stop, which else would wait for them."""
    application[WATCHERS] = set()

    async def end(application: web.Application) -> None:
        for task in application[WATCHERS]:
            task.cancel()

    application.on_shutdown.append(end)


async def watch(request: web.Request) -> web.StreamResponse:
    """The route. A place that is none is refused before anything is sent."""
    batches = request.app[CLUSTER].watch(request.query.get("after", ""))
    task, watchers = asyncio.current_task(), request.app[WATCHERS]
    assert task is not None
    watchers.add(task)
    try:
        batch = await anext(batches)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(StoreUnavailable, ConnectionResetError):
            await response.write(_lines(batch))
            async for batch in batches:
                await response.write(_lines(batch))
    finally:
        watchers.discard(task)
        await batches.aclose()
    return response


def _lines(batch: Batch) -> bytes:
    values: list[dict[str, Any]] = [{"type": "reset"}] if batch.reset else []
    values += map(_change, batch.changes)
    if batch.place:
        values.append({"type": "place", "place": batch.place})
    return b"".join(map(line, values))


def _change(change: Change) -> dict[str, Any]:
    if change.pin is None:
        return {"type": "unpin", "cid": cids.text(change.cid)}
    return {"type": "pin", "pin": shapes.pin(change.pin)}
