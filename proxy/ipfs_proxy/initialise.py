"""`ipfs-cluster-service init`: a configuration and an identity, and which IPFS daemon they are for."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ipfs_cluster.addresses import AddressError, check_peer_address
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.settings import Written, existing, load, write_default, write_peerstore, write_source
from ipfs_cluster.settings.ipfs import NODE_ADDRESS, NODES
from ipfs_cluster.settings.values import secret as checked_secret
from ipfs_proxy.console import Failure, asked, confirm, say

MOST_EMBEDDED = 20
"""Embedded nodes on one machine: each is a process of its own."""
EMBEDDED_PORTS = range(5101, 6000)
"""Where ports for them are looked for: no system hands these out by itself."""
LOCAL_STORE = "there is no consensus among services yet: one service drives all nodes and keeps the pinset in SQLite"


def add_init_flags(parser: argparse.ArgumentParser) -> None:
    """The command line of `init`: that of ipfs-cluster."""
    parser.add_argument("source", nargs="?", metavar="URL", help="where a configuration is fetched at each start")
    parser.add_argument("--force", "-f", action="store_true", help="do not ask; a configuration before is kept beside")
    parser.add_argument("--custom-secret", "-s", action="store_true", help="ask for the cluster's secret")
    parser.add_argument("--randomports", action="store_true", help="listen on free ports instead of the usual ones")
    parser.add_argument("--consensus", choices=("crdt", "raft"), help="noted; " + LOCAL_STORE)
    parser.add_argument(
        "--datastore", choices=("pebble", "badger3", "badger", "leveldb"), help="accepted; the pinset is in SQLite"
    )
    parser.add_argument(
        "--embedded",
        metavar="N",
        type=_number(1),
        help="N IPFS nodes that the service runs itself, on free ports, instead of daemons",
    )
    parser.add_argument(
        "--peers",
        metavar="ADDRESSES",
        type=_peers,
        help="kept in the file `peerstore`; there are no other services yet",
    )


def _number(least: int) -> Callable[[str], int]:
    """From so many embedded nodes on."""

    def parse(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= MOST_EMBEDDED:
            raise argparse.ArgumentTypeError(f"{text!r} must be a number from {least} to {MOST_EMBEDDED}")
        return int(text)

    return parse


embedded_or_none = _number(0)


def _peers(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in found:
        try:
            check_peer_address(address)
        except AddressError as error:
            raise argparse.ArgumentTypeError(f"{address!r} {error}") from None
    return found


def initialise(folder: Path, arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Do it. Raises Failure, SettingsError, IdentityError, OSError."""
    before, force = existing(folder), arguments.force
    if before is not None:
        if not force and not sys.stdin.isatty():
            raise Failure(f"{before} exists already; --force overwrites it")
        confirm(f"{before} will be replaced; it is kept beside. Go on?", force=force)
        force = True
    if arguments.source and arguments.embedded:
        raise Failure("--embedded: what is fetched from the URL says which nodes there are")
    if arguments.source:
        written = write_source(folder, arguments.source, force=force)
    else:
        secret = _asked_secret() if arguments.custom_secret else secrets.token_hex(32)
        ports = _free_ports() if arguments.randomports else None
        if arguments.embedded:
            check_unnamed(environ)
        embedded = ports_for(arguments.embedded or 0)
        written = write_default(
            folder,
            environ,
            secret=secret,
            force=force,
            embedded=embedded,
            ports=ports,
            consensus=arguments.consensus or "",
        )
    peerstore = write_peerstore(folder, arguments.peers or ())
    tell_written(folder, written, environ)
    if arguments.source:
        say(f"its settings are fetched at each start: {arguments.source}")
    else:
        settings, _ = load(folder, environ)
        for node in settings.nodes:
            own = f", embedded, in {folder / node.embedded.repo}" if node.embedded else ""
            say(f"IPFS node: {node.name} at {node.address}{own}")
    if arguments.consensus or arguments.datastore:
        say(f"consensus and datastore: {LOCAL_STORE}")
    if arguments.peers:
        unused = "there are no other services; name their IPFS nodes in ipfs_connector.nodes"
        say(f"peers: kept in {peerstore}, but not used: {unused}")
    where = f"-c {shlex.quote(arguments.config)} " if arguments.config else ""
    say(f"start it with: ipfs-cluster-service {where}daemon")


def tell_written(folder: Path, written: Written, environ: Mapping[str, str]) -> None:
    """What was made."""
    identity = load_or_create(folder / "identity.json", environ)
    say(f"configuration: {written.path}")
    if written.kept is not None:
        say(f"the configuration before is kept: {written.kept}")
    say(f"peer ID: {identity.id}")


def _asked_secret() -> str:
    question = "Enter cluster secret (32-byte hex string): "
    given = asked(question) if sys.stdin.isatty() else sys.stdin.readline()
    try:
        found = checked_secret(given.strip())
    except ValueError as error:
        raise Failure(f"the secret {error}") from None
    if not found:
        raise Failure("the secret must be 64 hexadecimal digits")
    return found


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def check_unnamed(environ: Mapping[str, str]) -> None:
    """Raises Failure when the environment names nodes: it would win over those that are written down."""
    if named := sorted(environ.keys() & NAMED):
        raise Failure(f"--embedded: {named[0]} names other nodes, and wins over the configuration")


NAMED = frozenset({NODE_ADDRESS.env, NODES.env, f"{NODES.env}_FILE"})
"""Variables that say which nodes there are."""


def ports_for(number: int) -> list[int]:
    """So many free ports for embedded nodes. Raises Failure."""
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for port in EMBEDDED_PORTS:
            if len(found) == number:
                return found
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            found.append(port)
    raise Failure(f"no {number} ports are free from {EMBEDDED_PORTS.start} to {EMBEDDED_PORTS.stop - 1}")
