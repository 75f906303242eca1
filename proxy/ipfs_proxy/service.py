"""The command `ipfs-cluster-service`: init, daemon, node, state, version."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path

from ipfs_cluster import stdio
from ipfs_cluster.datafolder import FolderInUse
from ipfs_cluster.errors import ClusterError
from ipfs_cluster.identity import IdentityError
from ipfs_cluster.logs import Logs, parse_levels
from ipfs_cluster.settings import SettingsError, existing
from ipfs_proxy.auth import add_auth_commands, run_auth
from ipfs_proxy.console import Failure, say
from ipfs_proxy.daemon import add_daemon_flags, run_daemon
from ipfs_proxy.firststart import first_start
from ipfs_proxy.initialise import add_init_flags, initialise
from ipfs_proxy.node import add_node_flags, run_node
from ipfs_proxy.state import add_state_commands, run

PROGRAM = "ipfs-cluster-service"


def _levels(text: str) -> str:
    try:
        parse_levels(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def parser() -> argparse.ArgumentParser:
    """The command line: that of ipfs-cluster, and what it lacks."""
    top = argparse.ArgumentParser(prog=PROGRAM, description="Serve a cluster of IPFS nodes as one.")
    top.add_argument("--config", "-c", metavar="FOLDER", help="data folder [IPFS_CLUSTER_PATH, ~/.ipfs-cluster]")
    top.add_argument("--force", "-f", action="store_true", dest="force_all", help="as --force of the command")
    top.add_argument("--debug", "-d", action="store_true", help="as --loglevel debug")
    top.add_argument(
        "--loglevel",
        "-l",
        metavar="LEVEL",
        type=_levels,
        default=os.environ.get("IPFS_CLUSTER_LOG_LEVEL", ""),
        help="critical, error, warning, info or debug, also of components: info,restapi:debug "
        "[IPFS_CLUSTER_LOG_LEVEL, log.level, warning]",
    )
    top.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="json" if os.environ.get("GOLOG_LOG_FMT") == "json" else "",
        help="[GOLOG_LOG_FMT, log.format, text]",
    )
    top.add_argument("--version", "-v", action="version", version=f"{PROGRAM} version {version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    add_init_flags(commands.add_parser("init", help="write a configuration and an identity"))
    add_daemon_flags(commands.add_parser("daemon", help="run the service"))
    add_node_flags(commands.add_parser("node", help="run an IPFS node by itself, without a daemon"))
    add_state_commands(commands.add_parser("state", help="the pinset as a whole: export, import, copies"))
    add_auth_commands(commands.add_parser("auth", help="secrets for the configuration"))
    commands.add_parser("version", help="print the version")
    commands.add_parser("help", help="print this")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point; the exit status: 0, 1 for what could not be done, 2 for wrong usage."""
    stdio.ensure()
    top = parser()
    arguments = top.parse_args(argv)
    if arguments.command in (None, "help"):
        top.print_help()
        return 0 if arguments.command else 1
    arguments.force = arguments.force_all or getattr(arguments, "force", False)
    folder = Path(arguments.config or os.environ.get("IPFS_CLUSTER_PATH") or Path.home() / ".ipfs-cluster")
    try:
        return _run(folder, arguments)
    except (Failure, SettingsError, IdentityError, FolderInUse, ClusterError, ValueError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
    except BrokenPipeError:  # whoever read the output has enough; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        sys.stderr.write(f"{PROGRAM}: {error.filename or folder}: {error.strerror or error}\n")
    return 1


def _run(folder: Path, arguments: argparse.Namespace) -> int:
    os.umask(0o077)  # what is made here is its owner's; sockets to listen on say for themselves who may connect
    logs = Logs("debug" if arguments.debug else arguments.loglevel, arguments.log_format)
    if folder.exists() and not folder.is_dir():
        raise Failure(f"{folder} is no folder")
    match arguments.command:
        case "version":
            say(version())
        case "init":
            initialise(folder, arguments, os.environ)
        case "node":
            return run_node(arguments)
        case "auth":
            run_auth(arguments)
        case "state":
            run(folder, arguments, os.environ)
        case _:
            if arguments.init and existing(folder) is None:
                first_start(folder, os.environ, arguments.embedded)
            else:
                arguments.embedded_late = arguments.embedded is not None
            return run_daemon(folder, arguments, os.environ, logs, version())
    return 0


def version() -> str:
    """This program's version; that of a tree which was never installed is not known."""
    try:
        return distribution_version("ipfs-cluster-proxy")
    except PackageNotFoundError:
        return "0+source"


if __name__ == "__main__":
    sys.exit(main())
