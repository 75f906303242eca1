"""Routes that ipfs-cluster does not have: why, drain, adopt, rebalance; and its alerts and measurements."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ipfs_cluster import cid as cids
from ipfs_cluster.model import PinStatus
from ipfs_cluster.rest import shapes
from ipfs_cluster.rest.answers import answer, cid_of
from ipfs_cluster.rest.keys import CLUSTER
from ipfs_cluster.rest.shapes import moment
from ipfs_cluster.upkeep.alerts import Alert

# --- why ---


async def _why_pin(request: web.Request) -> web.StreamResponse:
    found = await request.app[CLUSTER].why.pin(cid_of(request))
    return answer(
        {
            "cid": cids.text(found.cid),
            "name": found.pin.name if found.pin else "",
            "why": found.sentence,
            "peers": [_copy(status, sentence) for status, sentence in found.copies],
        }
    )


def _copy(status: PinStatus, sentence: str) -> dict[str, Any]:
    return {
        "peer": status.peer,
        "peername": status.peername,
        "status": status.status.value,
        "why": sentence,
        "since": moment(status.timestamp),
        "attempt_count": status.attempts,
        "error": status.error,
        "next_retry": moment(status.next_retry),
        "blocks": status.progress.nodes,
        "bytes": status.progress.bytes,
        "last_block": moment(status.progress.last_growth),
    }


async def _why_peer(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    found = await cluster.why.peer(cluster.upkeep.find(request.match_info["peer"]))
    facts = found.facts
    return answer(
        {
            "peer": found.peer,
            "peername": found.name,
            "standing": found.standing.value,
            "why": found.sentence,
            "up": facts.up,
            "error": facts.error,
            "pinning": facts.pinning,
            "pin_queued": facts.queued,
            "pin_error": facts.failing,
            "unpin_queued": facts.unpinning,
            "no_new_pins": facts.unfit,
        }
    )


# --- drain ---


async def _drain(request: web.Request) -> web.StreamResponse:
    upkeep = request.app[CLUSTER].upkeep
    peer = upkeep.find(request.match_info["peer"])
    if request.method in ("POST", "DELETE"):
        drain = await upkeep.drain(peer, on=request.method == "POST")
    else:
        drain = await upkeep.drained(peer)
    return answer(
        {
            "peer": drain.peer,
            "peername": drain.name,
            "draining": drain.draining,
            "standing": drain.standing.value,
            "remaining": drain.remaining,
            "stuck": drain.stuck,
            "done": drain.done,
        }
    )


# --- adopt ---


async def _adopt(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    peer = cluster.upkeep.find(request.match_info["peer"])
    adopted = await cluster.adopt(peer)
    return answer({"peer": peer, "peername": cluster.peers_by_id[peer].name, "adopted": adopted})


# --- rebalance ---


async def _rebalance(request: web.Request) -> web.StreamResponse:
    rebalance = request.app[CLUSTER].upkeep.rebalance
    if request.query.get("preview") == "true":
        moves = rebalance.preview()
        return answer(_job("preview", [(move, 0) for move in moves]))
    if request.method == "POST":
        rebalance.start()
    elif request.method == "DELETE":
        await rebalance.cancel()
    progress = rebalance.progress
    if progress is None:
        return answer(_job("idle", []))
    state = "running" if progress.running else progress.error or "done"
    return answer(_job(state, list(zip(progress.moves, progress.asked, strict=True)), progress.since, progress.ended))


def _job(state: str, moves: list[tuple[Any, int]], since: float = 0.0, ended: float = 0.0) -> dict[str, Any]:
    return {
        "state": state,
        "since": moment(since),
        "ended": moment(ended),
        "moves": [
            {"from": move.source, "to": move.target, "pins": move.pins, "bytes": move.bytes, "moved": moved}
            for move, moved in moves
        ],
    }


# --- alerts ---


async def _alerts(request: web.Request) -> web.StreamResponse:
    alerts = request.app[CLUSTER].upkeep.alerts
    return answer([_alert(alert) for alert in alerts])


def _alert(alert: Alert) -> dict[str, Any]:
    shown = shapes.metric(alert.metric, alert.expired_at, alert.received_at)
    return {**shown, "triggered_at": moment(alert.triggered_at)}


# --- measurements ---


async def _metric_names(request: web.Request) -> web.StreamResponse:
    return answer(request.app[CLUSTER].metric_names())


async def _metrics(request: web.Request) -> web.StreamResponse:
    cluster = request.app[CLUSTER]
    offset = cluster.steady_offset
    found = cluster.metrics(request.match_info["name"])
    return answer([shapes.metric(metric, metric.expire + offset, metric.received_at + offset) for metric in found])


ROUTES = (
    web.get("/pins/{cid}/why", _why_pin),
    web.get("/peers/{peer}/why", _why_peer),
    web.get("/peers/{peer}/drain", _drain),
    web.post("/peers/{peer}/drain", _drain),
    web.delete("/peers/{peer}/drain", _drain),
    web.post("/peers/{peer}/adopt", _adopt),
    web.get("/rebalance", _rebalance),
    web.post("/rebalance", _rebalance),
    web.delete("/rebalance", _rebalance),
    web.get("/health/alerts", _alerts),
    web.get("/monitor/metrics", _metric_names),
    web.get("/monitor/metrics/{name}", _metrics),
)
