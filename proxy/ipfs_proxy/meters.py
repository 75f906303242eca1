"""Metrics of the door for tools: how each is called, what it means, how it is read off the front."""

from __future__ import annotations

from collections.abc import Callable

from ipfs_cluster.telemetry import Kind, Meter, Readings, counter, gauge, histogram
from ipfs_proxy.front.counters import OUTCOMES, RouteStats
from ipfs_proxy.front.server import Server

Routes = Callable[[str, RouteStats], Readings]


def _of_routes(read: Routes) -> Callable[[Server], Readings]:
    def each(front: Server) -> Readings:
        for route, stats in front.counters.routes.items():
            yield from read(route, stats)

    return each


def _ended(route: str, stats: RouteStats) -> Readings:
    return [((route, outcome), count) for outcome, count in zip(OUTCOMES, stats.ended, strict=True)]


def _durations(route: str, stats: RouteStats) -> Readings:
    if stats.durations is None:
        return ()
    spreads = zip(OUTCOMES, stats.durations, strict=True)
    return [((route, outcome), spread) for outcome, spread in spreads if spread.count]


FRONT: tuple[Meter[Server], ...] = (
    Meter(
        "ipfscluster_proxy_requests_total",
        Kind.COUNTER,
        "Requests that have ended. route: an intercepted command, or relay for all else. outcome: ok; refused, status "
        "4xx; error, status 5xx (Kubo's for nearly everything) or told in mid-stream; cut, broken off by the node or "
        "for a body that is no HTTP; left, the client did not wait.",
        ("route", "outcome"),
        _of_routes(_ended),
    ),
    Meter(
        "ipfscluster_proxy_requests_in_progress",
        Kind.GAUGE,
        "Requests that have not ended.",
        ("route",),
        _of_routes(lambda route, stats: (((route,), stats.begun - sum(stats.ended)),)),
    ),
    Meter(
        "ipfscluster_proxy_first_byte_seconds",
        Kind.HISTOGRAM,
        "From a request's head to its answer's head.",
        ("route",),
        _of_routes(lambda route, stats: (((route,), stats.first_byte),)),
    ),
    Meter(
        "ipfscluster_proxy_command_seconds",
        Kind.HISTOGRAM,
        "From a command's head to its end; commands that wait for nodes or long bodies take long.",
        ("route", "outcome"),
        _of_routes(_durations),
    ),
    gauge("ipfscluster_proxy_open_connections", "Clients connected.", lambda front: front.open_connections),
    counter(
        "ipfscluster_proxy_connections_accepted_total",
        "Clients that connected.",
        lambda front: front.counters.connections,
    ),
    counter(
        "ipfscluster_proxy_connections_turned_away_total",
        "Connections closed at once, as there were too many.",
        lambda front: front.counters.turned_away,
    ),
    counter(
        "ipfscluster_proxy_garbage_total",
        "Requests that are no HTTP, or HTTP that can be read in two ways.",
        lambda front: front.counters.garbage,
    ),
    Meter(
        "ipfscluster_proxy_received_bytes_total",
        Kind.COUNTER,
        "Bytes from clients: passed on to the home node (relay), or bodies of commands.",
        ("by",),
        lambda front: ((("relay",), front.counters.to_daemon), (("commands",), front.counters.to_commands)),
    ),
    Meter(
        "ipfscluster_proxy_sent_bytes_total",
        Kind.COUNTER,
        "Bytes to clients: from the home node (relay), or bodies of commands' answers.",
        ("by",),
        lambda front: ((("relay",), front.counters.from_daemon), (("commands",), front.counters.from_commands)),
    ),
    Meter(
        "ipfscluster_proxy_upstream_connections",
        Kind.GAUGE,
        "Connections to the home node for relayed requests: busy with one, or idle.",
        ("state",),
        lambda front: (
            (("busy",), front.pool.opened - front.pool.closed - front.pool.idle),
            (("idle",), front.pool.idle),
        ),
    ),
    counter(
        "ipfscluster_proxy_upstream_opened_total",
        "Connections to the home node that were opened.",
        lambda front: front.pool.opened,
    ),
    counter(
        "ipfscluster_proxy_upstream_replaced_total",
        "Connections to the home node that had died while idle; their requests were sent again.",
        lambda front: front.counters.replaced,
    ),
    counter(
        "ipfscluster_proxy_upstream_errors_total",
        "Relayed requests that the home node could not be asked, or answered with what is no HTTP.",
        lambda front: front.counters.unreachable,
    ),
    histogram(
        "ipfscluster_loop_lag_seconds",
        "How late the event loop came to what was due; once a second. The count is about that of seconds.",
        lambda front: front.counters.lag,
    ),
)
