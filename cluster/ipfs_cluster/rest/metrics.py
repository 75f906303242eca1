"""`GET /metrics` for Prometheus, and what the REST API counts of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import hdrs, web

from ipfs_cluster.telemetry import Kind, Meter, Table, Telemetry

TELEMETRY = web.AppKey("telemetry", Telemetry)
UNKNOWN = "unknown"


class RestCounters:
    """Requests by route and status class. Routes are those of the table: a path that leads nowhere is `unknown`."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()

    @property
    def middleware(self) -> Callable[..., Any]:
        """To be the outermost one."""

        @web.middleware
        async def count(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
            status = 500
            try:
                response: web.StreamResponse = await handler(request)
                status = response.status
            finally:
                resource = request.match_info.route.resource
                route = UNKNOWN if resource is None else resource.canonical
                self.requests[route, f"{status // 100}xx"] += 1
            return response

        return count


REST: tuple[Meter[RestCounters], ...] = (
    Meter(
        "ipfscluster_restapi_requests_total",
        Kind.COUNTER,
        "Requests to the REST API by route and class of status; a handler that broke off counts as 5xx.",
        ("route", "status"),
        lambda counters: list(counters.requests.items()),
    ),
)


def add_metrics(application: web.Application, telemetry: Telemetry) -> None:
    """Serve the metrics, and count requests from now on."""
    counters = RestCounters()
    telemetry.tables.append(Table.of(REST, counters))
    application[TELEMETRY] = telemetry
    application.middlewares.insert(0, counters.middleware)
    application.router.add_get("/metrics", _metrics)


async def _metrics(request: web.Request) -> web.StreamResponse:
    content_type, body = await request.app[TELEMETRY].scrape(request.headers.get(hdrs.ACCEPT, ""))
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
