"""Commands that show what is there, or set the service to work on everything: one request each."""

from __future__ import annotations

import importlib.metadata
import time
from urllib.parse import quote

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
    yield from ((value, output.identity(value)) for value in context.api.get("/id"))


def version(arguments: Arguments, context: Context) -> Answers:
    """The service's version."""
    yield from ((value, value["version"]) for value in context.api.get("/version"))


def peers(arguments: Arguments, context: Context) -> Answers:
    """All peers."""
    yield from ((value, output.identity(value)) for value in context.api.get("/peers"))


def add_peer(arguments: Arguments, context: Context) -> Answers:
    """The peer that was added."""
    answers = context.api.ask("POST", "/peers", json={"peer_id": arguments.peer})
    yield from ((value, output.identity(value)) for value in answers)


def remove_peer(arguments: Arguments, context: Context) -> Answers:
    """Nothing."""
    yield from ((value, None) for value in context.api.ask("DELETE", f"/peers/{quote(arguments.peer, safe='')}"))


def pins(arguments: Arguments, context: Context) -> Answers:
    """Entries of the pinset."""
    if arguments.cid:
        values = context.api.get(f"/allocations/{quote(arguments.cid, safe='')}")
    else:
        asked = {"name": arguments.name, "name-prefix": arguments.name_prefix, "filter": arguments.filter}
        values = context.api.get("/allocations", **asked, **pairs(arguments.metadata))
    yield from ((value, output.pin(value)) for value in values)


def status(arguments: Arguments, context: Context) -> Answers:
    """Pins on peers."""
    local = "true" if arguments.local else ""
    if len(arguments.cid) == 1:
        values = context.api.get(f"/pins/{quote(arguments.cid[0], safe='')}", local=local)
    else:
        values = context.api.get("/pins", local=local, filter=arguments.filter, cids=",".join(arguments.cid))
    yield from ((value, output.status(value)) for value in values)


def recover(arguments: Arguments, context: Context) -> Answers:
    """The pins that are tried again."""
    path = f"/pins/{quote(arguments.cid, safe='')}/recover" if arguments.cid else "/pins/recover"
    answers = context.api.ask("POST", path, {"local": "true" if arguments.local else ""})
    yield from ((value, output.status(value)) for value in answers)


def foreign(arguments: Arguments, context: Context) -> Answers:
    """Pins that are none of the pinset's."""
    yield from ((value, output.foreign(value)) for value in context.api.get("/pins/foreign", peer=arguments.peer))


def watch(arguments: Arguments, context: Context) -> Answers:
    """The change feed."""
    yield from ((value, output.event(value)) for value in context.api.get("/pins/watch", after=arguments.after))


def gc(arguments: Arguments, context: Context) -> Answers:
    """What each node's collection removed."""
    answers = context.api.ask("POST", "/ipfs/gc", {"local": "true" if arguments.local else ""})
    yield from ((value, output.gc(value)) for value in answers)


def graph(arguments: Arguments, context: Context) -> Answers:
    """The connectivity graph; written to a file, nothing is shown."""
    for value in context.api.get("/health/graph"):
        text = dot(value, everyone=arguments.all_ipfs_peers)
        if not arguments.file:
            yield value, text
            continue
        with open(arguments.file, "w", encoding="utf-8") as file:
            file.write(text)


def metrics(arguments: Arguments, context: Context) -> Answers:
    """What was measured, or the names of it."""
    if not arguments.name:
        yield from ((names, "\n".join(names or ())) for names in context.api.get("/monitor/metrics"))
        return
    for found in context.api.get(f"/monitor/metrics/{quote(arguments.name, safe='')}"):
        yield found, "\n".join(output.metric(metric, time.time()) for metric in found or ())


def alerts(arguments: Arguments, context: Context) -> Answers:
    """What the cluster noticed."""
    yield from ((found, "\n".join(map(output.alert, found or ()))) for found in context.api.get("/health/alerts"))


def bandwidth(arguments: Arguments, context: Context) -> Answers:
    """Bytes by protocol."""
    yield from ((found, output.bandwidth(found or {})) for found in context.api.get("/health/bandwidth"))
