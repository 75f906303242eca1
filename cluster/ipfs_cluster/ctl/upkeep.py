"""Commands of our own beside ipfs-cluster's: why, drain, rebalance."""

from __future__ import annotations

from urllib.parse import quote

from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context


def why(arguments: Arguments, context: Context) -> Answers:
    """A pin or a peer explained."""
    if arguments.peer:
        path, shown = f"/peers/{quote(arguments.peer, safe='')}/why", output.why_peer
    else:
        path, shown = f"/pins/{quote(arguments.cid, safe='')}/why", output.why_pin
    yield from ((value, shown(value)) for value in context.api.get(path))


def drain(arguments: Arguments, context: Context) -> Answers:
    """Begin it, undo it, or say how far it is."""
    method = "GET" if arguments.status else "DELETE" if arguments.undo else "POST"
    answers = context.api.ask(method, f"/peers/{quote(arguments.peer, safe='')}/drain")
    yield from ((value, output.drain(value)) for value in answers)


def rebalance(arguments: Arguments, context: Context) -> Answers:
    """Preview, start, status or cancel."""
    method = {"start": "POST", "cancel": "DELETE"}.get(arguments.step, "GET")
    preview = "true" if arguments.step == "preview" else ""
    answers = context.api.ask(method, "/rebalance", {"preview": preview})
    yield from ((value, output.rebalance(value)) for value in answers)
