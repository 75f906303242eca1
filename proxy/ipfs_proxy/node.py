"""`ipfs-cluster-service node`: an embedded node, by itself or as a child of the service.

It can be run as a module: what only the service needs is not imported then, so that it answers soon.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ipfs_cluster.addresses import Address, parse_address, parse_gateway
from ipfs_cluster.clock import SystemClock
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.identity import IdentityError, load_or_create
from ipfs_cluster.logs import Logs, parse_levels
from ipfs_cluster.nodes.embedded import EmbeddedNode, RepoInUse
from ipfs_cluster.nodes.embedded.sources import Sources
from ipfs_cluster.sizes import STORAGE_MAX, parse_size, size_text
from ipfs_proxy.console import Failure, say
from ipfs_proxy.embedded import EmbeddedServer, ExposedListener
from ipfs_proxy.front.server import Listen
from ipfs_proxy.loop import runner
from ipfs_proxy.supervise.plan import GRACE
from ipfs_proxy.supervise.process import FAILED, READY

T = TypeVar("T")

PROGRAM = "ipfs-cluster-service node"
LISTEN = "/ip4/127.0.0.1/tcp/5001"
ABRUPT = 2 * GRACE
"""Seconds after which a node that was left alone ends without order, when it could not in good order."""


def add_node_flags(parser: argparse.ArgumentParser) -> None:
    """The command line of `node`."""
    parser.add_argument("--repo", metavar="FOLDER", type=Path, required=True, help="where it keeps its blocks; is made")
    parser.add_argument(
        "--listen", metavar="ADDRESS", type=_checked(parse_address), default=LISTEN, help=f"of its RPC API [{LISTEN}]"
    )
    parser.add_argument(
        "--storage-max",
        metavar="SIZE",
        type=_checked(parse_size),
        default=STORAGE_MAX,
        help=f"how large the repository may get [{size_text(STORAGE_MAX)}]",
    )
    parser.add_argument(
        "--gateway",
        metavar="URL",
        type=_checked(parse_gateway),
        action="append",
        default=[],
        help="a trustless gateway to fetch from; may be given several times",
    )
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when standard input does")


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from None

    return parse


def run_node(arguments: argparse.Namespace) -> int:
    """Run until told to stop; the exit status. Raises Failure."""
    try:
        with runner() as loop:
            return loop.run(_run(arguments))
    except (Failure, IdentityError, ClusterError, ExposedListener, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        if arguments.until_stdin_ends:
            say(FAILED + reason)
        raise Failure(reason) from None


async def _run(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.until_stdin_ends:
        threading.Thread(target=_watch, args=(loop, stop), daemon=True, name="standard input").start()
    identity = load_or_create(arguments.repo / "identity.json")
    where = arguments.listen
    sources = Sources(arguments.gateway, SystemClock())
    node = EmbeddedNode(arguments.repo, sources, arguments.storage_max)
    server = EmbeddedServer(identity, node, [Listen(where.host, where.port, where.unix)], sources=sources)
    await _opened(node)
    try:
        try:
            await server.start()
        except OSError as error:
            raise Failure(f"cannot listen: {error.strerror or error}") from None
        for listened in server.addresses:
            shown = Address(unix=listened) if isinstance(listened, str) else Address(*listened)
            say(f"IPFS RPC API: {shown}")
        say(f"node: {identity.id}")
        say(READY)
        await stop.wait()
    finally:
        await server.close(GRACE)
        await node.close()
        await sources.close()
    return 0


async def _opened(node: EmbeddedNode) -> None:
    try:
        await node.open()
    except RepoInUse as error:
        raise Failure(str(error)) from None


def _watch(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait in a thread for the end of standard input: the service's order, or its death. A node whose loop hangs, or
    whose disk does, must not outlive it either.
    """
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(ABRUPT)
    os._exit(1)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m ipfs_proxy.node`: the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    add_node_flags(parser)
    parser.add_argument("--loglevel", type=_levels, default="")
    parser.add_argument("--log-format", choices=("text", "json"), default="")
    arguments = parser.parse_args(argv)
    os.umask(0o077)
    Logs(arguments.loglevel, arguments.log_format, arguments.name)
    try:
        return run_node(arguments)
    except Failure as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1


def _levels(text: str) -> str:
    parse_levels(text)
    return text


if __name__ == "__main__":
    sys.exit(main())
