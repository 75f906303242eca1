"""What handlers of the REST API share: JSON and NDJSON answers, error objects, arguments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError, InvalidArgument, InvalidCid, NotPinned, UnknownPeer

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class BadRequest(Exception):
    """The request's own fault: 400 with this message."""


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Every failure as `{"code","message"}`."""
    if request.method not in READING and "Origin" in request.headers:
        return _error(403, "a web page may only read here")
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPNotFound:
        return _error(404, "not found")
    except web.HTTPMethodNotAllowed:
        return web.Response(status=405)
    except (BadRequest, InvalidArgument) as error:
        return _error(400, str(error))
    except (NotPinned, UnknownPeer) as error:
        return _error(404, str(error))
    except ClusterError as error:
        return _error(500, str(error))
    return response


def _error(code: int, message: str) -> web.Response:
    return answer({"code": code, "message": message}, code)


def answer(value: object, status: int = 200) -> web.Response:
    """One JSON value."""
    return web.Response(body=line(value), status=status, content_type="application/json")


def line(value: object) -> bytes:
    """One line of NDJSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


async def stream(request: web.Request, pages: AsyncIterator[list[dict[str, Any]]]) -> web.StreamResponse:
    """Page by page; the first page is awaited before the head, so that an early error is a proper answer."""
    response: web.StreamResponse | None = None
    async for page in pages:
        if not page:
            continue
        if response is None:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
        await response.write(b"".join(map(line, page)))
    if response is None:
        return web.Response(status=204)
    await response.write_eof()
    return response


def cid_of(request: web.Request) -> cids.Cid:
    """The {cid} of the path. Raises InvalidCid."""
    return parsed(request.match_info["cid"])


def parsed(text: str) -> cids.Cid:
    """A CID from its text. Raises InvalidCid with ipfs-cluster's words before go-cid's."""
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise InvalidCid(f"error decoding Cid: {error}") from None
