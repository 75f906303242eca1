"""pin add, rm and update, and waiting for what they began."""

from __future__ import annotations

from typing import Any

from ipfs_cluster.client import calls
from ipfs_cluster.client.calls import Call
from ipfs_cluster.client.errors import ApiError, WaitFailed
from ipfs_cluster.client.models import Pin
from ipfs_cluster.client.waiting import PAUSE, look, too_late
from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context, listed, pairs, seconds
from ipfs_cluster.ctl.errors import LocalError
from ipfs_cluster.model import TrackerStatus


def add(arguments: Arguments, context: Context) -> Answers:
    """Pin; the status afterwards."""
    both = arguments.replication
    params = {**options(arguments), "mode": arguments.mode, "origins": listed(arguments.origins)}
    if both:
        params |= {"replication-min": str(both), "replication-max": str(both)}
    return _changed(calls.pin_path(arguments.cid, params), TrackerStatus.PINNED, arguments, context)


def remove(arguments: Arguments, context: Context) -> Answers:
    """Unpin; the status afterwards."""
    return _changed(calls.unpin_path(arguments.cid), TrackerStatus.UNPINNED, arguments, context)


def update(arguments: Arguments, context: Context) -> Answers:
    """Pin from an existing pin; the status afterwards."""
    params = {"pin-update": arguments.old, "name": arguments.name, "expire-in": _expiry(arguments)}
    return _changed(calls.pin_path(arguments.cid, params), TrackerStatus.PINNED, arguments, context)


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


def _changed(call: Call[Pin], target: TrackerStatus, arguments: Arguments, context: Context) -> Answers:
    longest = seconds(arguments.wait_timeout, "wait-timeout")
    pin = _first(context, call)
    status = None
    if arguments.wait:
        enough = arguments.wait_limit or (pin["replication_factor_min"] if target is TrackerStatus.PINNED else 0)
        status = wait(context, pin["cid"], target, enough, longest)
    if arguments.no_status:
        yield pin, call.read(output.pin, pin)
        return
    if status is None:
        context.sleep(PAUSE)
        status = _first(context, calls.status_of(pin["cid"]))
    yield status, call.read(output.status, status)


def _first(context: Context, call: Call[Any]) -> Any:
    """The JSON value of an answer, checked to be what it must."""
    (value, *_) = [*context.api.values(call), None]
    call.result(value)
    return value


def wait(context: Context, cid: str, target: TrackerStatus, enough: int, longest: float) -> Any:
    """The status of a CID as soon as it is the target on enough peers (on all, if 0 or less) that are not remote.
    longest: seconds, 0 for no limit. Raises LocalError when the time is over or a peer fails.
    """
    begin, call = context.now(), calls.status_of(cid)
    try:
        while True:
            value = _first(context, call)
            seen = look(call.result(value), target, enough)
            if seen.done:
                return value
            if longest and context.now() - begin >= longest:
                raise LocalError("waiting for pin status", too_late(seen, target))
            context.note(f"{cid}: {target} on {seen.reached} of {seen.wanted} peers")
            context.sleep(PAUSE)
    except WaitFailed as error:
        raise LocalError("waiting for pin status", str(error)) from None
    finally:
        context.note("")


def copies(context: Context, cid: str, otherwise: int) -> int:
    """How many a pin must have; otherwise: without an entry."""
    try:
        return context.api.one(calls.allocation(cid)).replication_min
    except ApiError:
        return otherwise
