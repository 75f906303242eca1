"""Commands that show what is there, or set the service to work on everything: one request each."""

from __future__ import annotations

import importlib.metadata
import time

from ipfs_cluster.client import calls
from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context, pairs
from ipfs_cluster.ctl.graph import dot


def own_version() -> str:
    """Of this command."""
    try:
        return importlib.metadata.version("ipfs-cluster-proxy")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def identity(arguments: Arguments, context: Context) -> Answers:
    """The first peer."""
    yield from ((value, output.identity(value)) for value in context.api.values(calls.identity()))


def version(arguments: Arguments, context: Context) -> Answers:
    """The service's version."""
    yield from ((value, value["version"]) for value in context.api.values(calls.version()))


def peers(arguments: Arguments, context: Context) -> Answers:
    """All peers."""
    yield from ((value, output.identity(value)) for value in context.api.values(calls.peers()))


def add_peer(arguments: Arguments, context: Context) -> Answers:
    """The peer that was added."""
    yield from ((value, output.identity(value)) for value in context.api.values(calls.peer_add(arguments.peer)))


def remove_peer(arguments: Arguments, context: Context) -> Answers:
    """Nothing."""
    yield from ((value, None) for value in context.api.values(calls.peer_rm(arguments.peer)))


def pins(arguments: Arguments, context: Context) -> Answers:
    """Entries of the pinset."""
    if arguments.cid:
        values = context.api.values(calls.allocation(arguments.cid))
    else:
        asked = {"name": arguments.name, "name-prefix": arguments.name_prefix, "filter": arguments.filter}
        values = context.api.values(calls.allocations({**asked, **pairs(arguments.metadata)}))
    yield from ((value, output.pin(value)) for value in values)


def status(arguments: Arguments, context: Context) -> Answers:
    """Pins on peers."""
    if len(arguments.cid) == 1:
        call = calls.status_of(arguments.cid[0], local=arguments.local)
    else:
        call = calls.status(local=arguments.local, filter=arguments.filter, cids=",".join(arguments.cid))
    yield from ((value, output.status(value)) for value in context.api.values(call))


def recover(arguments: Arguments, context: Context) -> Answers:
    """The pins that are tried again."""
    local = arguments.local
    call = calls.recover(arguments.cid, local=local) if arguments.cid else calls.recover_all(local=local)
    yield from ((value, output.status(value)) for value in context.api.values(call))


def foreign(arguments: Arguments, context: Context) -> Answers:
    """Pins that are none of the pinset's."""
    yield from ((value, output.foreign(value)) for value in context.api.values(calls.foreign(arguments.peer)))


def watch(arguments: Arguments, context: Context) -> Answers:
    """The change feed."""
    yield from ((value, output.event(value)) for value in context.api.values(calls.watch(arguments.after)))


def gc(arguments: Arguments, context: Context) -> Answers:
    """What each node's collection removed."""
    yield from ((value, output.gc(value)) for value in context.api.values(calls.gc(local=arguments.local)))


def graph(arguments: Arguments, context: Context) -> Answers:
    """The connectivity graph; written to a file, nothing is shown."""
    for value in context.api.values(calls.graph()):
        text = dot(value, everyone=arguments.all_ipfs_peers)
        if not arguments.file:
            yield value, text
            continue
        with open(arguments.file, "w", encoding="utf-8") as file:
            file.write(text)


def metrics(arguments: Arguments, context: Context) -> Answers:
    """What was measured, or the names of it."""
    if not arguments.name:
        yield from ((names, "\n".join(names or ())) for names in context.api.values(calls.metric_names()))
        return
    for found in context.api.values(calls.metrics(arguments.name)):
        yield found, "\n".join(output.metric(metric, time.time()) for metric in found or ())


def alerts(arguments: Arguments, context: Context) -> Answers:
    """What the cluster noticed."""
    yield from ((found, "\n".join(map(output.alert, found or ()))) for found in context.api.values(calls.alerts()))


def bandwidth(arguments: Arguments, context: Context) -> Answers:
    """Bytes by protocol."""
    yield from ((found, output.bandwidth(found or {})) for found in context.api.values(calls.bandwidth()))
