"""Credentials at the REST API, as ipfs-cluster asks for them: 401 with its texts; 403 for who may not; `/token`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from aiohttp import hdrs, web
from multidict import CIMultiDict

from ipfs_cluster.rest.answers import line
from ipfs_cluster.rest.keys import USER
from ipfs_cluster.rest.roles import is_open, role_of
from ipfs_cluster.security import Denied, Identity, Reason, tokens
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.throttle import REFILL

_IDENTITY = web.RequestKey("identity", Identity)
_REALM = 'realm="Restricted IPFS Cluster API"'
_BASIC = f"Basic {_REALM}"
_BEARER = f'Bearer {_REALM}, error="invalid_token"'
_ANSWERS = {
    Reason.MISSING: (401, "unauthorized: no auth provided", (f"Bearer {_REALM}", _BASIC)),
    Reason.WRONG: (401, "unauthorized: access denied", (_BASIC,)),
    Reason.TOKEN: (401, "unauthorized: invalid token", (_BEARER,)),
    Reason.FORBIDDEN: (403, "forbidden: these credentials do not permit this", ()),
    Reason.BUSY: (429, "too many wrong credentials from this address: try again later", ()),
}


def add_guard(application: web.Application, gatekeeper: Gatekeeper) -> None:
    """Ask for credentials from now on; to be added last, so that it is the innermost middleware."""

    async def token(request: web.Request) -> web.StreamResponse:
        identity = request.get(_IDENTITY)
        if identity is None:
            return _error(401, "unauthorized")
        now = gatekeeper.clock()
        # A token that was asked for with a token ends when that one does: a stolen one cannot be renewed for ever.
        return _json({"token": tokens.issue(identity.user, now, min(now + gatekeeper.token_ttl, identity.until))})

    application.router.add_post("/token", token)
    application.middlewares.append(_guard(gatekeeper))


def _guard(gatekeeper: Gatekeeper) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical
        if gatekeeper.asks and not is_open(request.method, route):
            try:
                await _identify(request, route)
            except Denied as denied:
                request[USER] = denied.user
                return _denied(denied)
        response: web.StreamResponse = await handler(request)
        return response

    async def _identify(request: web.Request, route: str | None) -> None:
        given = request.headers.getall(hdrs.AUTHORIZATION, [])
        identity = await gatekeeper.identify(given[0] if len(given) == 1 else None, address_of(request.remote))
        request[USER], request[_IDENTITY] = identity.name, identity
        role = role_of(request.method, route)
        if role is not None:
            identity.demand(role, request.path)

    return guard


def address_of(remote: str | None) -> str:
    """An IP address; empty for a unix socket's client, for whom aiohttp has the socket's path or nothing."""
    try:
        return str(ipaddress.ip_address(remote or ""))
    except ValueError:
        return ""


def _denied(denied: Denied) -> web.Response:
    status, message, challenges = _ANSWERS[denied.reason]
    headers = CIMultiDict([(hdrs.WWW_AUTHENTICATE, challenge) for challenge in challenges])
    if denied.reason is Reason.BUSY:
        headers[hdrs.RETRY_AFTER] = str(int(REFILL))
    return _error(status, message, headers)


def _error(status: int, message: str, headers: CIMultiDict[str] | None = None) -> web.Response:
    return _json({"code": status, "message": message}, status, headers)


def _json(value: object, status: int = 200, headers: CIMultiDict[str] | None = None) -> web.Response:
    return web.Response(body=line(value), status=status, headers=headers, content_type="application/json")
