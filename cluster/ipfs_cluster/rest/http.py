"""What the REST API does with every request, whatever its route: pages, headers, limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ipfs_cluster.rest.answers import cut, error
from ipfs_cluster.rest.cors import Cors

SLACK = 4096
"""What Go's server lets a head be larger than its limit."""


@dataclass(frozen=True, slots=True)
class HttpRules:
    """headers: put on every answer. Times are seconds, 0 for no limit. read_header_timeout: until a head has come.
    read_timeout: from then until the body has come. write_timeout: from then until the answer is sent.
    max_header_bytes: of a request's head, with SLACK on top.
    """

    cors: Cors = Cors()
    headers: tuple[tuple[str, str], ...] = ()
    read_header_timeout: float = 5.0
    read_timeout: float = 0.0
    write_timeout: float = 0.0
    max_header_bytes: int = 4096


class HttpState:
    """The rules in force; replaced as a whole when the configuration is read again."""

    def __init__(self, rules: HttpRules) -> None:
        self.rules = rules


HTTP = web.AppKey("http", HttpState)


def add_http(application: web.Application, rules: HttpRules) -> None:
    """Hold requests and answers to the rules. The middleware becomes the application's outermost."""
    application[HTTP] = HttpState(rules)
    application.middlewares.insert(0, http)
    application.on_response_prepare.append(_complete)


async def _complete(request: web.Request, response: web.StreamResponse) -> None:
    rules = request.app[HTTP].rules
    response.headers.popall("Server", None)  # which versions answer is nobody's business
    for name, value in rules.headers:
        if name not in response.headers:
            response.headers.add(name, value)
    if "Vary" not in response.headers:
        response.headers.update(rules.cors.answer(request.method, request.headers))


@web.middleware
async def http(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Refuse what is too large or comes from a page that may not; break off what takes too long."""
    rules = request.app[HTTP].rules
    if _head_bytes(request) > rules.max_header_bytes + SLACK:
        return error(431, f"the request's head is larger than {rules.max_header_bytes + SLACK} bytes")
    if request.method == "OPTIONS" and (asked := rules.cors.preflight(request.headers)) is not None:
        return web.Response(status=204, headers=asked)
    if rules.cors.refuses(request.method, request.headers):
        return error(403, "this web page may only read here: its origin or the method is not in cors_allowed_*")
    deadline = _Deadline(request, rules.read_timeout)
    try:
        return await _within(rules.write_timeout, request, handler)
    except ConnectionResetError:
        if request.transport is not None and not request.transport.is_closing():
            raise
        return web.Response()  # to nobody: the client has left, or was cut
    finally:
        deadline.cancel()


def _head_bytes(request: web.Request) -> int:
    line = len(request.method) + len(request.raw_path) + 12
    return line + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)


class _Deadline:
    """Cuts the connection when the body has not come by then."""

    def __init__(self, request: web.Request, seconds: float) -> None:
        self._request = request
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._check) if seconds and request.can_read_body else None

    def _check(self) -> None:
        if not self._request.content.is_eof():
            cut(self._request, flush=False)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def _within(seconds: float, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """The handler's answer; with a limit, sent already."""
    response: web.StreamResponse
    if not seconds:
        response = await handler(request)
        return response
    try:
        async with asyncio.timeout(seconds) as limit:
            response = await handler(request)
            await response.prepare(request)
            await response.write_eof()
            return response
    except TimeoutError:
        if not limit.expired():
            raise
        cut(request, flush=False)
        raise ConnectionResetError("the answer took longer than write_timeout") from None
