"""`repo/gc` and `repo/stat` over all nodes of the cluster."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from ipfs_cluster import Cluster, Collected
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import DeadlineExceeded, NodeError
from ipfs_cluster.model import RepoStat
from ipfs_proxy.front.exchange import Command, Request
from ipfs_proxy.rpc.run import Answer, CidText, command
from ipfs_proxy.wire import gojson, goxml
from ipfs_proxy.wire.params import Option, Params

GC = (
    Option("stream-errors", bool),
    Option("quiet", bool, ("q",)),
    Option("silent", bool),
)
STAT = (Option("size-only", bool, ("s",)), Option("human", bool, ("H",)))


def repo_commands(cluster: Cluster, server: Callable[[], str]) -> Mapping[str, Command]:
    """The table of these commands."""
    repos = RepoCommands(cluster)
    return {"repo/gc": command(repos.gc, GC, server), "repo/stat": command(repos.stat, STAT, server)}


class RepoCommands:
    """The handlers, over one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def gc(self, request: Request, params: Params, answer: Answer) -> None:
        """What was freed, as it is freed, node after node. A node that could not is named; in Kubo's way that is an
        error at the end, or in the stream when `stream-errors` asks for it."""
        show = CidText(params)
        errors: list[str] = []
        try:
            async with asyncio.timeout(params.timeout):
                async for page in self._cluster.gc():
                    errors += [f"{item.peername}: {item.error}" for item in page if item.error]
                    body = b"".join([collected(item, params, show) for item in page])
                    if body:
                        await answer.begin()
                        await answer.write(body)
        except TimeoutError:
            raise DeadlineExceeded from None
        if errors:
            raise NodeError("encountered errors during gc run" if params.flag("stream-errors") else "; ".join(errors))
        await answer.begin()
        await answer.end()

    async def stat(self, request: Request, params: Params, answer: Answer) -> None:
        """Sums."""
        size_only = params.flag("size-only")
        try:
            async with asyncio.timeout(params.timeout):
                stat = await self._cluster.repo_stat(size_only=size_only)
        except TimeoutError:
            raise DeadlineExceeded from None
        await answer.single(stat_value(stat, params))


def stat_value(stat: RepoStat, params: Params) -> bytes:
    """What `repo/stat` answers."""
    if params.encoding == "text":
        return _stat_text(stat, size_only=params.flag("size-only"), human=params.flag("human")).encode()
    fields = {
        "RepoSize": stat.repo_size,
        "StorageMax": stat.storage_max,
        "NumObjects": stat.num_objects,
        "RepoPath": stat.repo_path,
        "Version": stat.version,
    }
    return goxml.element("Stat", fields).encode() if params.encoding == "xml" else gojson.value(fields)


def collected(item: Collected, params: Params, show: CidText) -> bytes:
    """One value of `repo/gc`. An item of no peer is that of the only node there is."""
    if params.flag("silent") or (item.error and not params.flag("stream-errors")):
        return b""
    key = None if item.cid is None else cid_text(item.cid)
    error = f"{item.peername}: {item.error}" if item.error and item.peername else item.error
    if params.encoding == "text":
        if error:
            return f"Error: {error}\n".encode("utf-8", "replace")
        prefix = "" if params.flag("quiet") else "removed "
        return f"{prefix}{'' if item.cid is None else show(item.cid)}\n".encode()
    if params.encoding == "xml":
        return goxml.element("GcResult", {"Key": key, "Error": error}).encode("utf-8", "replace")
    fields: dict[str, object] = {"Key": None if key is None else {"/": key}}
    return gojson.value({**fields, "Error": error} if error else fields)


def _stat_text(stat: RepoStat, *, size_only: bool, human: bool) -> str:
    shown = human_bytes if human else str
    lines = [("RepoSize:", shown(stat.repo_size)), ("StorageMax:", shown(stat.storage_max))]
    if not size_only:
        lines = [("NumObjects:", str(stat.num_objects)), *lines]
        lines += [("RepoPath:", stat.repo_path), ("Version:", stat.version)]
    width = max(len(name) for name, _ in lines) + 1
    return "".join(f"{name:<{width}}{value}\n" for name, value in lines)


def human_bytes(size: int) -> str:
    """As Kubo's `human` option prints sizes (go-humanize): powers of 1,000, one decimal below ten, rounded twice."""
    if size < 10:
        return f"{size} B"
    unit = 0
    while size >= 1000 ** (unit + 1) and unit < 6:
        unit += 1
    value = math.floor(size / 1000**unit * 10 + 0.5) / 10
    return f"{value:.{1 if value < 10 else 0}f} {('B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[unit]}"
