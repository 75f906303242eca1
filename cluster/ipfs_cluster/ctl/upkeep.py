"""Commands of our own beside ipfs-cluster's: why, drain, rebalance."""

from __future__ import annotations

from ipfs_cluster.client import calls
from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context


def why(arguments: Arguments, context: Context) -> Answers:
    """A pin or a peer explained."""
    if arguments.peer:
        yield from ((value, output.why_peer(value)) for value in context.api.values(calls.why_peer(arguments.peer)))
    else:
        yield from ((value, output.why_pin(value)) for value in context.api.values(calls.why(arguments.cid)))


def drain(arguments: Arguments, context: Context) -> Answers:
    """Begin it, undo it, or say how far it is."""
    method = "GET" if arguments.status else "DELETE" if arguments.undo else "POST"
    yield from ((value, output.drain(value)) for value in context.api.values(calls.drain(arguments.peer, method)))


def rebalance(arguments: Arguments, context: Context) -> Answers:
    """Preview, start, status or cancel."""
    method = {"start": "POST", "cancel": "DELETE"}.get(arguments.step, "GET")
    call = calls.rebalance(method, preview=arguments.step == "preview")
    yield from ((value, output.rebalance(value)) for value in context.api.values(call))
