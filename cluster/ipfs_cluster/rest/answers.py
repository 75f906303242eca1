"""What handlers of the REST API share: JSON and NDJSON answers, error objects, arguments."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import hdrs, web

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError, InvalidArgument, InvalidCid, NotPinned, UnknownPeer

log = logging.getLogger(__name__)


class BadRequest(Exception):
    """The request's own fault: 400 with this message."""


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Every failure as `{"code","message"}`."""
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPNotFound:
        return _elsewhere(request) or error(404, "not found")
    except web.HTTPMethodNotAllowed:
        return web.Response(status=405)
    except (BadRequest, InvalidArgument) as problem:
        return error(400, str(problem))
    except (NotPinned, UnknownPeer) as problem:
        return error(404, str(problem))
    except ClusterError as problem:
        return error(500, str(problem))
    return response


def _elsewhere(request: web.Request) -> web.Response | None:
    """Where a path that leads nowhere would lead without doubled or trailing slashes, as ipfs-cluster redirects."""
    path = request.rel_url.raw_path
    clean = "/" + re.sub("/+", "/", path).strip("/")
    if clean == path or clean == "/":
        return None
    location = clean + (f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else "")
    return web.Response(status=301 if "//" in path else 307, headers={hdrs.LOCATION: location})


def error(code: int, message: str) -> web.Response:
    """An error in ipfs-cluster's shape."""
    return answer({"code": code, "message": message}, code)


def answer(value: object, status: int = 200) -> web.Response:
    """One JSON value."""
    return web.Response(body=line(value), status=status, content_type="application/json")


def line(value: object) -> bytes:
    """One line of NDJSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


async def stream(request: web.Request, pages: AsyncIterator[list[dict[str, Any]]]) -> web.StreamResponse:
    """Page by page; the first page is awaited before the head, so that an early error is a proper answer. After a late
    one the connection is cut, so that nobody takes the answer for complete.
    """
    response: web.StreamResponse | None = None
    try:
        async for page in pages:
            if not page:
                continue
            if response is None:
                response = web.StreamResponse(headers={"Content-Type": "application/json"})
                await response.prepare(request)
            await response.write(b"".join(map(line, page)))
    except (ClusterError, BadRequest) as error:
        if response is None:
            raise
        log.error("%s broke off: %s", request.path, error)
        if request.transport is not None:
            request.transport.close()
        return response
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
