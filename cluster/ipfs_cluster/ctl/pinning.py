"""pin add, rm and update, and waiting for what they began."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context, listed, pairs, seconds
from ipfs_cluster.ctl.errors import ApiError, LocalError

PAUSE = 1.0
"""Seconds between looks at a status, and before the first: most pins are there by then."""
ERRORS = ("cluster_error", "pin_error", "unpin_error")


def add(arguments: Arguments, context: Context) -> Answers:
    """Pin; the status afterwards."""
    both = arguments.replication
    params = {**options(arguments), "mode": arguments.mode, "origins": listed(arguments.origins)}
    if both:
        params |= {"replication-min": str(both), "replication-max": str(both)}
    return _changed("POST", arguments.cid, params, "pinned", arguments, context)


def remove(arguments: Arguments, context: Context) -> Answers:
    """Unpin; the status afterwards."""
    return _changed("DELETE", arguments.cid, {}, "unpinned", arguments, context)


def update(arguments: Arguments, context: Context) -> Answers:
    """Pin from an existing pin; the status afterwards."""
    params = {"pin-update": arguments.old, "name": arguments.name, "expire-in": _expiry(arguments)}
    return _changed("POST", arguments.cid, params, "pinned", arguments, context)


def options(arguments: Arguments) -> dict[str, str]:
    """The parameters of a new pin. Raises LocalError."""
    return {
        "name": arguments.name,
        "replication-min": str(arguments.replication_min or ""),
        "replication-max": str(arguments.replication_max or ""),
        "user-allocations": listed(arguments.allocations),
        "expire-in": _expiry(arguments),
        **pairs(arguments.metadata),
    }


def _expiry(arguments: Arguments) -> str:
    seconds(arguments.expire_in, "expire-in")
    return str(arguments.expire_in)


def _changed(
    method: str, what: str, params: dict[str, str], target: str, arguments: Arguments, context: Context
) -> Answers:
    longest = seconds(arguments.wait_timeout, "wait-timeout")
    pin = context.api.one(method, _path(what), params)
    status = None
    if arguments.wait:
        enough = arguments.wait_limit or (pin["replication_factor_min"] if target == "pinned" else 0)
        status = wait(context, pin["cid"], target, enough, longest)
    if arguments.no_status:
        yield pin, output.pin(pin)
        return
    if status is None:
        context.sleep(PAUSE)
        status = context.api.one("GET", f"/pins/{pin['cid']}", {"local": "false"})
    yield status, output.status(status)


def _path(what: str) -> str:
    """The route of a CID or path."""
    rooted = what if what.startswith(("/ipfs/", "/ipns/", "/ipld/")) else f"/ipfs/{what.lstrip('/')}"
    return f"/pins{quote(rooted)}"


def wait(context: Context, cid: str, target: str, enough: int, longest: float) -> Any:
    """The status of a CID as soon as it is the target on enough peers (on all, if 0 or less) that are not remote.
    longest: seconds, 0 for no limit. Raises LocalError when the time is over or a peer fails.
    """
    begin = context.now()
    while True:
        status = context.api.one("GET", f"/pins/{cid}", {"local": "false"})
        infos = [info for info in status["peer_map"].values() if info["status"] != "remote"]
        for info in infos:
            if info["status"] in ERRORS:
                context.note("")
                raise LocalError("waiting for pin status", f"{info['peername']}: {info['status']}: {info['error']}")
        reached = sum(info["status"] == target for info in infos)
        wanted = min(enough, len(infos)) if enough > 0 else len(infos)
        if reached >= wanted and (infos or target == "unpinned"):
            context.note("")
            return status
        if longest and context.now() - begin >= longest:
            context.note("")
            raise LocalError(
                "waiting for pin status", f"{target} on {reached} of {wanted} peers when the time was over"
            )
        context.note(f"{cid}: {target} on {reached} of {wanted} peers")
        context.sleep(PAUSE)


def copies(context: Context, cid: str, otherwise: int) -> int:
    """How many a pin must have; otherwise: without an entry."""
    try:
        return int(context.api.one("GET", f"/allocations/{cid}")["replication_factor_min"])
    except ApiError:
        return otherwise
