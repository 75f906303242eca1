"""Commands of our own beside ipfs-cluster's: why, drain, adopt, rebalance."""

from __future__ import annotations

from ipfs_cluster.client import calls
from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context


def why(arguments: Arguments, context: Context) -> Answers:
    """A pin or a peer explained."""
    if arguments.peer:
        return context.answers(calls.why_peer(arguments.peer), output.why_peer)
    return context.answers(calls.why(arguments.cid), output.why_pin)


def drain(arguments: Arguments, context: Context) -> Answers:
    """Begin it, undo it, or say how far it is."""
    method = "GET" if arguments.status else "DELETE" if arguments.undo else "POST"
    return context.answers(calls.drain(arguments.peer, method), output.drain)


def adopt(arguments: Arguments, context: Context) -> Answers:
    """How many pins of a node became the cluster's."""
    peer = arguments.peer or context.api.one(calls.identity()).id
    return context.answers(calls.adopt(peer), output.adopted)


def rebalance(arguments: Arguments, context: Context) -> Answers:
    """Preview, start, status or cancel."""
    method = {"start": "POST", "cancel": "DELETE"}.get(arguments.step, "GET")
    call = calls.rebalance(method, preview=arguments.step == "preview")
    return context.answers(call, output.rebalance)
