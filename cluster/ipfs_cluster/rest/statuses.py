"""The status objects that several routes answer with, and what `local` leaves of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import PinStatus
from ipfs_cluster.rest import shapes
from ipfs_cluster.rest.keys import CLUSTER


def is_local(request: web.Request) -> bool:
    """True when only the home peer is meant."""
    return request.query.get("local") == "true"


def shown(request: web.Request, statuses: Sequence[PinStatus]) -> list[PinStatus]:
    """The home peer's alone when the request is `local`."""
    home = request.app[CLUSTER].home.id
    return [status for status in statuses if not is_local(request) or status.peer == home]


async def status_of(request: web.Request, cid: Cid) -> dict[str, Any]:
    """A CID on the peers that the request asks for."""
    entry, statuses = await request.app[CLUSTER].views.status(cid)
    return shapes.global_pin_info(cid, entry, shown(request, statuses))
