"""`repo/stat`, `repo/gc`, `repo/verify`, `repo/version`, and what an operator or the engine asks of the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from ipfs_cluster import Collected
from ipfs_cluster import cid as cids
from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_proxy.embedded.about import COMMIT, KUBO, REPO, architecture
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.rpc import repo as shapes
from ipfs_proxy.wire import gojson
from ipfs_proxy.wire.params import Option

VERIFY = (Option("drop", bool), Option("heal", bool), Option("heal-timeout", str))
CONFIG = (Option("bool", bool), Option("json", bool), Option("expand-auto", bool))
IMPORT = (
    "BatchMaxNodes",
    "BatchMaxSize",
    "CidVersion",
    "FastProvideDAG",
    "FastProvideRoot",
    "FastProvideWait",
    "HashFunction",
    "UnixFSChunker",
    "UnixFSDAGLayout",
    "UnixFSDirectoryMaxLinks",
    "UnixFSFileMaxLinks",
    "UnixFSHAMTDirectoryMaxFanout",
    "UnixFSHAMTDirectorySizeEstimation",
    "UnixFSHAMTDirectorySizeThreshold",
    "UnixFSRawLeaves",
)
"""Keys of Kubo's Import configuration; this node has its defaults, which null stands for."""


def repo_entries(node: Node) -> dict[str, Entry]:
    """The table of these commands."""
    repo = Repo(node)
    return {
        "repo/stat": Entry(repo.stat, shapes.STAT),
        "stats/repo": Entry(repo.stat, shapes.STAT),
        "repo/gc": Entry(repo.gc, shapes.GC),
        "repo/verify": Entry(repo.verify, VERIFY),
        "repo/version": Entry(repo.version, (Option("quiet", bool, ("q",)),)),
        "diag/sys": Entry(repo.sys),
        "config": Entry(repo.config, CONFIG, ("key",)),
    }


class Repo:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def stat(self, call: Call) -> None:
        """Sizes and counts."""
        stat = await self._node.repo_stat(size_only=call.params.flag("size-only"))
        await call.answer.single(shapes.stat_value(stat, call.params))

    async def gc(self, call: Call) -> None:
        """What was removed, as it is."""
        show, errors = call.show, list[str]()
        async for page in self._node.gc():
            items = [Collected("", cid, error) for cid, error in page]
            errors += [item.error for item in items if item.error]
            if body := b"".join([shapes.collected(item, call.params, show) for item in items]):
                await call.answer.begin()
                await call.answer.write(body)
        if errors:
            streamed = call.params.flag("stream-errors")
            raise NodeError("encountered errors during gc run" if streamed else "; ".join(errors))
        await call.end()

    async def verify(self, call: Call) -> None:
        """Every block is read and hashed. drop: those that are not good are removed; heal: and fetched again."""
        heal = call.params.flag("heal")
        drop = heal or call.params.flag("drop")
        bad = count = 0
        async for cid, fault in self._node.verify_blocks():
            if fault:
                bad += 1
                await call.emit(_told(f"block {cids.text(cid)} was corrupt ({fault})", 0))
                if drop:
                    await self._node.remove(cid)
                if heal:
                    await self._node.get(cid)
            count += 1
            await call.emit(_told("", count))
        if bad and not heal:
            raise NodeError("verify complete, some blocks were corrupt")
        await call.emit(_told("verify complete, all blocks validated.", 0))
        await call.end()

    async def version(self, call: Call) -> None:
        """Of the repository's format: that of the Kubo whose API is spoken."""
        text = f"fs-repo@{REPO}\n" if call.params.flag("quiet") else f"ipfs repo version fs-repo@{REPO}\n"
        await call.single(Shown({"Version": REPO}, "Version", text))

    async def sys(self, call: Call) -> None:
        """What the engine needs is the free space; `total_space` is, as Kubo has it, what of it may be used."""
        free = await self._node.free_space()
        path = (await self._node.repo_stat(size_only=False)).repo_path
        fields = _machine(free, path)
        await call.answer.single(gojson.value(fields))

    async def config(self, call: Call) -> None:
        """Read-only: what clients look up. Everything else is the service's configuration."""
        key, *value = call.arguments
        if value:
            raise InvalidArgument("an embedded node has no configuration of its own: see that of the service")
        known: Mapping[str, Any] = {
            "Import": dict.fromkeys(IMPORT),
            **{f"Import.{name}": None for name in IMPORT},
            "Datastore.StorageMax": str((await self._node.repo_stat(size_only=True)).storage_max),
        }
        if key not in known:
            raise InvalidArgument(f'failed to get config value: "{key} not found"')
        text = gojson.value(known[key]).decode()
        await call.single(Shown({"Key": key, "Value": known[key]}, "ConfigField", text))


def _told(message: str, progress: int) -> Shown:
    text = f"{progress} blocks processed.\r" if progress else f"{message}\n"
    return Shown({"Msg": message, "Progress": progress}, "VerifyProgress", text)


def _machine(free: int, path: str) -> dict[str, Any]:
    return {
        "diskinfo": {"free_space": free, "fstype": "", "total_space": free},
        "environment": {"GOPATH": "", "IPFS_PATH": path},
        "ipfs_commit": COMMIT,
        "ipfs_version": KUBO,
        "memory": {"swap": 0, "virt": 0},
        "net": {"interface_addresses": None, "online": True},
        "runtime": {
            "arch": architecture(),
            "compiler": platform.python_implementation(),
            "gomaxprocs": os.cpu_count() or 1,
            "numcpu": os.cpu_count() or 1,
            "numgoroutines": 0,
            "os": sys.platform,
            "version": f"python{platform.python_version()}",
        },
    }
