"""The command `ipfs-cluster-service`: init, daemon, state, version."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path

from ipfs_cluster.addresses import Address
from ipfs_cluster.datafolder import FolderInUse, FolderLock
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.identity import IdentityError, load_or_create
from ipfs_cluster.settings import FILES, SettingsError, load, write_default
from ipfs_proxy.compose import Service, compose
from ipfs_proxy.console import Failure, say
from ipfs_proxy.state import add_state_commands, run

GRACE = 10.0
"""Seconds that running requests get at shutdown."""


LEVELS = ("debug", "info", "warning", "error", "critical")


def _level(text: str) -> str:
    """The first word of ipfs-cluster's "error,component:debug"; there are no levels of components here."""
    level = text.split(",")[0].lower()
    if level not in LEVELS:
        raise argparse.ArgumentTypeError(f"{level!r} is none of {', '.join(LEVELS)}")
    return level


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="ipfs-cluster-service", description="Serve a cluster of IPFS nodes as one.")
    top.add_argument("--config", "-c", metavar="FOLDER", help="data folder [IPFS_CLUSTER_PATH, ~/.ipfs-cluster]")
    top.add_argument(
        "--loglevel",
        "-l",
        metavar="LEVEL",
        type=_level,
        default=os.environ.get("IPFS_CLUSTER_LOG_LEVEL", "warning"),
        help=f"{', '.join(LEVELS)} [IPFS_CLUSTER_LOG_LEVEL, warning]",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    init = commands.add_parser("init", help="write a configuration and an identity")
    init.add_argument("--force", "-f", action="store_true", help="overwrite an existing configuration")
    daemon = commands.add_parser("daemon", help="run the service")
    daemon.add_argument("--init", action="store_true", help="write a configuration first if there is none")
    add_state_commands(commands.add_parser("state", help="the pinset as a whole: export, import, copies"))
    commands.add_parser("version", help="print the version")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point; the exit status."""
    arguments = parser().parse_args(argv)
    folder = Path(arguments.config or os.environ.get("IPFS_CLUSTER_PATH") or Path.home() / ".ipfs-cluster")
    try:
        logging.basicConfig(level=arguments.loglevel.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        match arguments.command:
            case "version":
                say(version())
            case "init":
                _init(folder, force=arguments.force)
                say("start it with: ipfs-cluster-service daemon")
            case "state":
                run(folder, arguments, os.environ)
            case _:
                if arguments.init and not any((folder / name).exists() for name in FILES):
                    _init(folder, force=False)
                return _daemon(folder)
    except (Failure, SettingsError, IdentityError, FolderInUse, ClusterError, ValueError) as error:
        sys.stderr.write(f"ipfs-cluster-service: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"ipfs-cluster-service: {error.filename or folder}: {error.strerror or error}\n")
        return 1
    return 0


def version() -> str:
    """This program's version; that of a tree which was never installed is not known."""
    try:
        return distribution_version("ipfs-cluster-proxy")
    except PackageNotFoundError:
        return "0+source"


def _init(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise Failure(f"{folder} is no folder")
    try:
        path = write_default(folder, os.environ, secret=secrets.token_hex(32), force=force)
    except FileExistsError as error:
        raise Failure(f"{error} exists already; --force overwrites it") from None
    except OSError as error:
        raise Failure(f"cannot write to {folder}: {error.strerror}") from None
    identity = load_or_create(folder / "identity.json", os.environ)
    settings, _ = load(folder, os.environ)
    say(f"configuration: {path}")
    say(f"peer ID: {identity.id}")
    for node in settings.nodes:
        say(f"IPFS node: {node.name} at {node.address}")


def _daemon(folder: Path) -> int:
    settings, warnings = load(folder, os.environ)
    lock = FolderLock(folder)
    try:
        for warning in warnings:
            say(f"warning: {warning}")
        service = compose(folder, settings, os.environ, version())
        with _runner() as runner:
            return runner.run(_serve(service))
    finally:
        lock.release()


def _runner() -> asyncio.Runner:
    """uvloop where there is one: the front is made for it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(service: Service) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        try:
            await service.start()
        except OSError as error:
            raise Failure(f"cannot listen: {error.strerror or error}") from None
        await _tell(service)
        await stop.wait()
        say("stopping: running requests may finish")
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await service.close(GRACE)
    say("stopped")
    return 0


async def _tell(service: Service) -> None:
    """The start in a few lines: doors, nodes, pins."""
    cluster = service.cluster
    for address in service.front.addresses:
        say(f"IPFS proxy API: {_shown(address)}")
    for name in service.rest.addresses:
        say(f"REST API: {_shown(name)}")
    for peer in cluster.views.peers():
        node = f"node {peer.node.id} ({peer.node.agent_version})" if peer.node and not peer.error else _away(peer.error)
        full = f"; gets nothing new: {peer.full}" if peer.full else ""
        say(f"peer {peer.name}{' (home)' if peer.home else ''}: {peer.id}: {node}{full}")
    adopted = f", {cluster.adopted} of them adopted from the home node now" if cluster.adopted else ""
    say(f"pins: {await cluster.count()}{adopted}")
    say("ready")


def _away(reason: str) -> str:
    return f"node away: {reason}; asked again until it answers"


def _shown(address: object) -> str:
    if isinstance(address, str):
        return str(Address(unix=address))
    host, port = address[:2]  # type: ignore[index]
    return str(Address(str(host), int(port)))


if __name__ == "__main__":
    sys.exit(main())
