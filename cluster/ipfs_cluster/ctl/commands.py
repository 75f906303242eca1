"""Commands that show what is there, or set the service to work on everything: one request each."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

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
    return context.answers(calls.identity(), output.identity)


def version(arguments: Arguments, context: Context) -> Answers:
    """The service's version."""
    return context.answers(calls.version(), lambda value: str(value["version"]))


def peers(arguments: Arguments, context: Context) -> Answers:
    """All peers."""
    return context.answers(calls.peers(), output.identity)


def add_peer(arguments: Arguments, context: Context) -> Answers:
    """The peer that was added."""
    return context.answers(calls.peer_add(arguments.peer), output.identity)


def remove_peer(arguments: Arguments, context: Context) -> Answers:
    """Nothing."""
    return context.answers(calls.peer_rm(arguments.peer), lambda value: None)


def pins(arguments: Arguments, context: Context) -> Answers:
    """Entries of the pinset."""
    if arguments.cid:
        return context.answers(calls.allocation(arguments.cid), output.pin)
    asked = {"name": arguments.name, "name-prefix": arguments.name_prefix, "filter": arguments.filter}
    return context.answers(calls.allocations({**asked, **pairs(arguments.metadata)}), output.pin)


def status(arguments: Arguments, context: Context) -> Answers:
    """Pins on peers."""
    if len(arguments.cid) == 1:
        call = calls.status_of(arguments.cid[0], local=arguments.local)
    else:
        call = calls.status(local=arguments.local, filter=arguments.filter, cids=",".join(arguments.cid))
    return context.answers(call, output.status)


def recover(arguments: Arguments, context: Context) -> Answers:
    """The pins that are tried again."""
    local = arguments.local
    call = calls.recover(arguments.cid, local=local) if arguments.cid else calls.recover_all(local=local)
    return context.answers(call, output.status)


def foreign(arguments: Arguments, context: Context) -> Answers:
    """Pins that are none of the pinset's."""
    return context.answers(calls.foreign(arguments.peer), output.foreign)


def watch(arguments: Arguments, context: Context) -> Answers:
    """The change feed."""
    return context.answers(calls.watch(arguments.after), output.event)


def gc(arguments: Arguments, context: Context) -> Answers:
    """What each node's collection removed."""
    return context.answers(calls.gc(local=arguments.local), output.gc)


def graph(arguments: Arguments, context: Context) -> Answers:
    """The connectivity graph; written to a file, nothing is shown."""
    call = calls.graph()
    for value in context.api.values(call):
        text = call.read(partial(dot, everyone=arguments.all_ipfs_peers), value)
        if not arguments.file:
            yield value, text
            continue
        with open(arguments.file, "w", encoding="utf-8") as file:
            file.write(text)


def metrics(arguments: Arguments, context: Context) -> Answers:
    """What was measured, or the names of it."""
    if not arguments.name:
        return context.answers(calls.metric_names(), partial(_each, str))
    now = time.time()
    return context.answers(calls.metrics(arguments.name), partial(_each, partial(output.metric, now=now)))


def alerts(arguments: Arguments, context: Context) -> Answers:
    """What the cluster noticed."""
    return context.answers(calls.alerts(), partial(_each, output.alert))


def bandwidth(arguments: Arguments, context: Context) -> Answers:
    """Bytes by protocol."""
    return context.answers(calls.bandwidth(), lambda found: output.bandwidth(found or {}))


def _each(line: Callable[[Any], str], values: Iterable[Any] | None) -> str:
    """A line for each; Go's empty list may be null."""
    return "\n".join(map(line, values or ()))
