"""`ipfs-cluster-service daemon`: a composed service from its start to its end, and what signals do to it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from ipfs_cluster.addresses import Address
from ipfs_cluster.datafolder import FolderLock, tighten
from ipfs_cluster.logs import Logs
from ipfs_cluster.settings import SettingsError, changes, load
from ipfs_proxy.compose import Service, compose
from ipfs_proxy.console import Failure, say
from ipfs_proxy.initialise import embedded_or_none
from ipfs_proxy.loop import runner
from ipfs_proxy.notify import Notifier

GRACE = 10.0
"""Seconds that running requests get at shutdown."""

NO_SERVICES = "services do not join each other yet: one service drives all nodes, see ipfs_connector.nodes"
WITHOUT_EFFECT = {
    "embedded_late": "--embedded has no effect: there is a configuration already",
    "leave": "--leave has no effect: there is no cluster of services to leave",
    "stats": "--stats has no effect: metrics are always at /metrics of the REST API",
    "tracing": "--tracing has no effect: there is no tracing",
    "no_trust": "--no-trust has no effect: there are no other services to trust",
    "upgrade": "--upgrade has no effect: a pinset of an earlier version is upgraded when it is opened",
}


def add_daemon_flags(parser: argparse.ArgumentParser) -> None:
    """The command line of `daemon`: that of ipfs-cluster, and `--init`."""
    parser.add_argument("--init", action="store_true", help="write a configuration first if there is none")
    parser.add_argument(
        "--embedded",
        metavar="N",
        type=embedded_or_none,
        help="with --init: N IPFS nodes that the service runs itself; 0: none, wait for a daemon",
    )
    parser.add_argument("--bootstrap", "-j", metavar="ADDRESSES", help="refused: " + NO_SERVICES)
    parser.add_argument("--leave", "-x", action="store_true", help=argparse.SUPPRESS)
    for flag in ("stats", "tracing", "no-trust"):
        parser.add_argument(f"--{flag}", action="store_true", help="accepted, without effect")
    parser.add_argument("--upgrade", "-u", action="store_true", help="accepted, without effect")


def run_daemon(
    folder: Path, arguments: argparse.Namespace, environ: Mapping[str, str], logs: Logs, version: str
) -> int:
    """Run until told to stop. Raises Failure, SettingsError, IdentityError, FolderInUse, ClusterError, OSError."""
    if arguments.bootstrap:
        raise Failure(f"--bootstrap: {NO_SERVICES}")
    if arguments.embedded is not None and not arguments.init:
        raise Failure("--embedded goes with --init: for a configuration that is there, name nodes in it")
    settings, warnings = load(folder, environ)
    logs.configure(settings["log.level"], settings["log.format"])
    lock = FolderLock(folder)
    try:
        for warning in warnings:
            say(logs.line(f"warning: {warning}"))
        for name, line in WITHOUT_EFFECT.items():
            if getattr(arguments, name, False):
                say(logs.line(line))
        for name in tighten(folder):
            say(logs.line(f"{name} was open to others and is its owner's alone now"))
        level = "debug" if arguments.debug else arguments.loglevel or settings["log.level"]
        service = compose(folder, settings, environ, version, (level, "json" if logs.as_json else "text"))
        with runner() as loop:
            return loop.run(_Run(service, folder, environ, logs).run())
    finally:
        lock.release()


class _Run:
    """One service's life."""

    def __init__(self, service: Service, folder: Path, environ: Mapping[str, str], logs: Logs) -> None:
        self._service = service
        self._folder = folder
        self._environ = environ
        self._logs = logs
        self._manager = Notifier(environ)
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._starting: asyncio.Task[int] | None = None
        self._asked = 0

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError, Failure):  # whoever reads the lines may leave: the service goes on
            say(self._logs.line(line))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        try:
            if await self._start():
                await tell(self._service, self._say)
                self._manager.ready()
                async with asyncio.TaskGroup() as group:
                    reloading = group.create_task(self._reload_forever())
                    await self._stop.wait()
                    reloading.cancel()
            self._manager.stopping()
            self._say("stopping: running requests may finish")
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await self._service.close(GRACE)
        self._say("stopped")
        return 0

    async def _start(self) -> bool:
        """False when it was told to stop before it was ready: nodes with many pins take long to be compared."""
        self._starting = task = asyncio.current_task()
        try:
            await self._service.start()
        except OSError as error:
            raise Failure(f"cannot listen: {error.strerror or error}") from None
        except asyncio.CancelledError:
            if task is None or not self._stop.is_set() or task.uncancel():
                raise
            return False
        finally:
            self._starting = None
        return True

    def _end(self) -> None:
        """Once: stop in good order. A second time is told, a third ends the process, as in ipfs-cluster."""
        self._asked += 1
        self._stop.set()
        if self._starting is not None and self._asked == 1:
            self._starting.cancel()
        if self._asked == 2:
            self._say(f"stopping already, within {GRACE:g} s; once more ends it at once")
        if self._asked > 2:
            os._exit(1)

    async def _reload_forever(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._manager.reloading()
            for line in await self._reloaded():
                self._say(line)
            self._manager.ready()

    async def _reloaded(self) -> list[str]:
        """Read the configuration again; what to say about it. Nothing changes when it cannot be used."""
        try:
            read, warnings = await asyncio.to_thread(load, self._folder, self._environ)
            found = changes(self._service.settings, read)
            self._service.reload(found.settings)
        except SettingsError as error:
            return [f"reload: nothing was changed: {'; '.join(str(error).splitlines())}"]
        except OSError as error:
            return [f"reload: nothing was changed: {error.filename or ''}: {error.strerror or error}"]
        self._logs.configure(found.settings["log.level"], found.settings["log.format"])
        lines = [f"reload: warning: {warning}" for warning in warnings]
        lines.append(f"reload: {'; '.join(found.applied) or 'nothing new that can hold at once'}")
        if self._logs.fixed and any(change.startswith("log.level ") for change in found.applied):
            lines.append("reload: log.level: that of the command line or IPFS_CLUSTER_LOG_LEVEL goes on")
        if found.pending:
            lines.append(f"reload: these need a restart: {', '.join(found.pending)}")
        return lines


async def tell(service: Service, say: Callable[[str], None]) -> None:
    """The start in a few lines: doors, nodes, pins."""
    cluster = service.cluster
    for address in service.front.addresses:
        say(f"IPFS proxy API: {_shown(address, tls=service.security.proxy.tls is not None)}")
    for address in service.rest.addresses:
        say(f"REST API: {_shown(address, tls=service.security.rest.tls is not None)}")
    for peer in cluster.views.peers():
        node = f"node {peer.node.id} ({peer.node.agent_version})" if peer.node and not peer.error else _away(peer.error)
        node += f", process {pid}" if (pid := service.nodes.pid(peer.name)) else ""
        full = f"; gets nothing new: {peer.full}" if peer.full else ""
        say(f"peer {peer.name}{' (home)' if peer.home else ''}: {peer.id}: {node}{full}")
    adopted = f", {cluster.adopted} of them adopted from the home node now" if cluster.adopted else ""
    say(f"pins: {await cluster.count()}{adopted}")
    say("ready")


def _away(reason: str) -> str:
    return f"node away: {reason}; asked again until it answers"


def _shown(address: str | tuple[str, int], *, tls: bool) -> str:
    return str(Address(unix=address)) if isinstance(address, str) else str(Address(*address, tls=tls))
