"""The REST API's lines in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from ipfs_cluster.rest.keys import USER
from ipfs_cluster.rest.roles import role_of
from ipfs_cluster.security import Role
from ipfs_cluster.security.audit import LONGEST, AuditLog, query_of

DENIED = frozenset({401, 403, 429})
UNKNOWN = 500


def add_audit(application: web.Application, audit: AuditLog) -> None:
    """Write down every request that changes something or is denied, how it ended too. The outermost middleware, so
    that it sees what the client sees.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if not audit.on:
            unwatched: web.StreamResponse = await handler(request)
            return unwatched
        status, outcome = UNKNOWN, "cut"
        try:
            response: web.StreamResponse = await handler(request)
            status = response.status
            outcome = "ok" if status < 400 else "refused" if status < 500 else "error"
        finally:
            resource = request.match_info.route.resource
            role = role_of(request.method, None if resource is None else resource.canonical)
            if role not in (None, Role.READ) or status in DENIED:
                told, user = _asked(request, status, outcome), request.get(USER, "")
                audit.record("rest", request.remote or "", user, told, denied=status in DENIED)
        return response

    application.middlewares.insert(0, middleware)


def _asked(request: web.Request, status: int, outcome: str) -> dict[str, object]:
    asked: dict[str, object] = {"method": request.method, "path": request.path[:LONGEST]}
    if query := query_of(request.query_string, arguments=False):
        asked["query"] = query
    return {**asked, "status": status, "outcome": outcome}
