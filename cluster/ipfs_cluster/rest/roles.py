"""Which role each route of the REST API needs: the table. Who adds a route decides here; a test asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipfs_cluster.security import Role

OPEN = frozenset({("GET", "/health")})
"""Routes that need no credentials: a probe of liveness has none."""

_READ = """
GET /id
GET /peers
GET /allocations
GET /allocations/{cid}
GET /pins
GET /pins/watch
GET /pins/foreign
GET /pins/{cid}
GET /pins/{cid}/why
GET /peers/{peer}/why
GET /peers/{peer}/drain
GET /rebalance
GET /health/alerts
GET /health/bandwidth
GET /health/graph
GET /monitor/metrics
GET /monitor/metrics/{name}
GET /metrics
"""
_ADD = """
POST /add
"""
_PIN = """
POST /pins/recover
POST /pins/{cid}
POST /pins/{cid}/recover
DELETE /pins/{cid}
POST /pins/{kind}/{path}
DELETE /pins/{kind}/{path}
"""
_ADMIN = """
POST /ipfs/gc
POST /peers
DELETE /peers/{peer}
POST /peers/{peer}/drain
DELETE /peers/{peer}/drain
POST /peers/{peer}/adopt
POST /rebalance
DELETE /rebalance
"""
_ANY = """
GET /version
GET /openapi.json
POST /token
"""


def _routes(text: str, role: Role | None) -> dict[tuple[str, str], Role | None]:
    lines = [line.split() for line in text.strip().split("\n")]
    return dict.fromkeys(((method, path) for method, path in lines), role)


ROLES: Mapping[tuple[str, str], Role | None] = MappingProxyType(
    {
        **_routes(_READ, Role.READ),
        **_routes(_ADD, Role.ADD),
        **_routes(_PIN, Role.PIN),
        **_routes(_ADMIN, Role.ADMIN),
        **_routes(_ANY, None),
    }
)
"""(method, canonical path) → role; None: whoever has credentials. What is not here needs ADMIN."""


def role_of(method: str, route: str | None) -> Role | None:
    """The role for a route, None for whoever has credentials, as for a path that leads nowhere (route None)."""
    if route is None or is_open(method, route):
        return None
    return ROLES.get(("GET" if method == "HEAD" else method, route), Role.ADMIN)


def is_open(method: str, route: str | None) -> bool:
    """Whether no credentials are needed: for a browser's preflight, which never has any, and for `OPEN`."""
    return method == "OPTIONS" or ("GET" if method == "HEAD" else method, route) in OPEN
