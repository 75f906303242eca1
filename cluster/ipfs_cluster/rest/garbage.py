"""`POST /ipfs/gc`: one object that tells of all peers, sent while their nodes collect, however much they free."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.gc import Collected
from ipfs_cluster.rest.answers import Stream
from ipfs_cluster.rest.keys import CLUSTER
from ipfs_cluster.rest.statuses import is_local


async def collect(request: web.Request) -> web.StreamResponse:
    """The route."""
    cluster, local = request.app[CLUSTER], is_local(request)
    report = GcReport({peer.name: peer.id for peer in cluster.views.peers() if peer.home or not local})
    response = Stream(request)
    try:
        async with contextlib.aclosing(cluster.gc(local=local)) as pages:
            async for page in pages:
                await response.write(report.page(page))
    except ClusterError as error:
        if not response.prepared:
            raise
        await response.fail(str(error), values=False)
        return response
    await response.write(report.end())
    return response


class GcReport:
    """The text of the object, piece by piece: a peer's blocks come one after the other, before the next peer's."""

    def __init__(self, peers: Mapping[str, str]) -> None:
        """peers: the ID of each by its name."""
        self._rest = dict(peers)
        self._begun = False
        self._peer = ""
        self._keys = 0
        self._errors: list[str] = []

    def page(self, page: Sequence[Collected]) -> bytes:
        """What these add to it."""
        text = ""
        for one in page:
            if one.peername != self._peer:
                text += self._close() + self._open(one.peername)
            if one.cid is None:
                self._errors.append(one.error)
                continue
            key = {"key": cids.text(one.cid)} | ({"error": one.error} if one.error else {})
            text += ("," if self._keys else "") + _json(key)
            self._keys += 1
        return text.encode()

    def end(self) -> bytes:
        """The rest of it, with the peers where nothing was to be freed."""
        text = self._close()
        for name in list(self._rest):
            text += self._open(name) + self._close()
        return (text + ("}}" if self._begun else '{"peer_map":{}}') + "\n").encode()

    def _open(self, name: str) -> str:
        peer = self._rest.pop(name)
        start = "," if self._begun else '{"peer_map":{'
        self._begun, self._peer, self._keys, self._errors = True, name, 0, []
        return f'{start}{_json(peer)}:{{"peer":{_json(peer)},"peername":{_json(name)},"keys":['

    def _close(self) -> str:
        if not self._peer:
            return ""
        self._peer = ""
        return f'],"error":{_json("; ".join(self._errors))}}}' if self._errors else "]}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
