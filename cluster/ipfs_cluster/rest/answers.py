"""What handlers of the REST API share: JSON and NDJSON answers, streams and how they fail, error objects, arguments."""

from __future__ import annotations

import json
import logging
import posixpath
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError, InvalidArgument, InvalidCid, NotPinned, UnknownPeer
from ipfs_cluster.http1 import STREAM_ERROR, last_chunk, sees_trailers
from ipfs_cluster.rest.keys import LISTINGS

log = logging.getLogger(__name__)

CRASHED = "an error occurred"
_spelled = json.JSONEncoder(separators=(",", ":")).encode
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


class BadRequest(Exception):
    """The request's own fault: 400 with this message."""


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Every failure as `{"code","message"}`, unless an answer has begun: that one is cut."""
    try:
        return _cleaned(request) or await handler(request)
    except web.HTTPNotFound:
        return _without_slash(request) or error(404, "not found")
    except web.HTTPMethodNotAllowed:
        return web.Response(status=405)
    except web.HTTPException as problem:
        return error(problem.status, problem.reason)
    except ConnectionError:
        raise  # the client's: nobody is there to be answered
    except Exception as problem:
        if request.writer.output_size:
            cut(request)
            raise
        code = _code(problem)
        if code is None:
            log.exception("%s %s failed", request.method, request.path)
            return error(500, CRASHED)
        return error(code, str(problem))


def _code(error: Exception) -> int | None:
    """The status that an error means; None for one that should not have come here."""
    match error:
        case BadRequest() | InvalidArgument():
            return 400
        case NotPinned() | UnknownPeer():
            return 404
        case ClusterError():
            return 500
    return None


def _cleaned(request: web.Request) -> web.Response | None:
    """Where a path with empty segments, "." or ".." leads: Go's router redirects before it looks for a route."""
    path = request.rel_url.raw_path
    segments = path.split("/")[1:]
    if not any(segment == "" for segment in segments[:-1]) and not {".", ".."} & set(map(unquote, segments)):
        return None
    segments = [unquote(segment) if unquote(segment) in (".", "..") else segment for segment in segments]
    clean = posixpath.normpath("/" + "/".join(segment for segment in segments if segment))
    return _redirect(request, clean + ("/" if path.endswith("/") and clean != "/" else ""), 301)


def _without_slash(request: web.Request) -> web.Response | None:
    """Where a path that leads nowhere would lead without its trailing slash, as ipfs-cluster redirects."""
    path = request.rel_url.raw_path
    return _redirect(request, path.rstrip("/"), 307) if path.endswith("/") and path.strip("/") else None


def _redirect(request: web.Request, path: str, status: int) -> web.Response:
    query = request.rel_url.raw_query_string
    return web.Response(status=status, headers={hdrs.LOCATION: path + (f"?{query}" if query else "")})


def error(code: int, message: str) -> web.Response:
    """An error in ipfs-cluster's shape."""
    return answer({"code": code, "message": message}, code)


def answer(value: object, status: int = 200) -> web.Response:
    """One JSON value."""
    return web.Response(body=line(value), status=status, content_type="application/json")


def line(value: object) -> bytes:
    """One line of NDJSON."""
    return _spelled(value).encode() + b"\n"


class Stream(web.StreamResponse):
    """A JSON answer in pieces, whose failure can be told from its end. Its chunks are framed here, because aiohttp has
    no trailers.

    A client that reads trailers gets ipfs-cluster's `X-Stream-Error`. Everybody else would take what it got for
    complete, and sees the error as a last value, then a body that visibly breaks: without its last chunk, or, for
    HTTP/1.0, where the end of the connection is the end of the body, with a reset.
    """

    _length_check = False  # the framing is not aiohttp's, as with its own WebSocketResponse

    def __init__(self, request: web.Request, headers: dict[str, str] | None = None) -> None:
        fields = {hdrs.CONTENT_TYPE: "application/json", hdrs.TRAILER: STREAM_ERROR, **(headers or {})}
        super().__init__(headers=fields)
        self._client = request
        self._chunks = request.version >= HttpVersion11
        self._end = last_chunk() if self._chunks else b""
        if self._chunks:
            self.headers[hdrs.TRANSFER_ENCODING] = "chunked"
        else:
            self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the head."""
        writer = await super().prepare(request)
        if request.method == hdrs.METH_HEAD:
            self._end = b""
        return writer

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """A piece of the body, after the head if that was not sent."""
        await self.prepare(self._client)
        if data and self._client.method != hdrs.METH_HEAD:
            await super().write(b"%x\r\n%b\r\n" % (len(data), bytes(data)) if self._chunks else data)

    async def write_eof(self, data: bytes = b"") -> None:
        """The end, or what `fail` made of it."""
        end, self._end = self._end, b""
        if end:
            await super().write(end)
        await super().write_eof(data)

    async def fail(self, message: str, *, values: bool = True) -> None:
        """It broke off. values: what was sent are whole JSON values, so that the error can be one more."""
        log.error("%s broke off: %r", self._client.path, message)
        fields = self._client.headers
        if self._chunks and sees_trailers(fields.get(hdrs.USER_AGENT, ""), fields.get(hdrs.TE, "")):
            self._end = last_chunk(message)
            return
        if values:
            await self.write(line({"code": 500, "message": message}))
        self._end = b""
        self.force_close()
        cut(self._client)


def cut(request: web.Request, *, flush: bool = True) -> None:
    """End the connection so that nobody takes what was sent for complete. flush: what was written is still sent."""
    transport = request.transport
    if transport is None:
        return
    if request.version >= HttpVersion11 and flush:
        transport.close()  # before the last chunk, or before all that was announced
        return
    connection = transport.get_extra_info("socket")
    if request.version < HttpVersion11 and connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    transport.abort()


async def stream(request: web.Request, pages: AsyncIterator[list[dict[str, Any]]]) -> web.StreamResponse:
    """Page by page, each in a turn of its own; the first is awaited before the head, so that an early error is a proper
    answer. None at all is 204.
    """
    turns, source = request.app[LISTINGS], aiter(pages)
    response: Stream | None = None
    try:
        while True:
            async with turns:
                if (page := await anext(source, None)) is None:
                    break
                data = b"".join(map(line, page))
                del page  # who reads slowly has the service keep the text only
            if not data:
                continue
            response = response or Stream(request)
            await response.write(data)
            if request.method == hdrs.METH_HEAD:
                break
    except (ClusterError, BadRequest) as error:
        if response is None:
            raise
        await response.fail(str(error))
    return web.Response(status=204) if response is None else response


def cid_of(request: web.Request) -> cids.Cid:
    """The {cid} of the path. Raises InvalidCid."""
    return parsed(request.match_info["cid"])


def parsed(text: str) -> cids.Cid:
    """A CID from its text. Raises InvalidCid with ipfs-cluster's words before go-cid's."""
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise InvalidCid(f"error decoding Cid: {error}") from None
