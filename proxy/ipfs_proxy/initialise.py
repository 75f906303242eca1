"""`ipfs-cluster-service init`: a configuration and an identity, and which IPFS daemon they are for."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ipfs_cluster.addresses import AddressError, check_peer_address, parse_address
from ipfs_cluster.errors import NodeError, NodeUnreachable
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_cluster.settings import Written, existing, load, parse, write_default, write_source
from ipfs_cluster.settings.ipfs import NODE_ADDRESS, NODES
from ipfs_cluster.settings.values import secret as checked_secret
from ipfs_proxy.console import Failure, confirm, say

ASKING = 3.0
"""Seconds that a daemon may take to say who it is."""
LOCAL_STORE = "there is no consensus among services yet: one service drives all nodes and keeps the pinset in SQLite"


def add_init_flags(parser: argparse.ArgumentParser) -> None:
    """The command line of `init`: that of ipfs-cluster."""
    parser.add_argument("source", nargs="?", metavar="URL", help="where a configuration is fetched at each start")
    parser.add_argument("--force", "-f", action="store_true", help="do not ask; a configuration before is kept beside")
    parser.add_argument("--custom-secret", "-s", action="store_true", help="ask for the cluster's secret")
    parser.add_argument("--randomports", action="store_true", help="listen on free ports instead of the usual ones")
    parser.add_argument("--consensus", choices=("crdt", "raft"), help="accepted; " + LOCAL_STORE)
    parser.add_argument(
        "--datastore", choices=("pebble", "badger3", "badger", "leveldb"), help="accepted; the pinset is in SQLite"
    )
    parser.add_argument("--peers", metavar="ADDRESSES", type=_peers, help="accepted: there are no other services yet")


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
    if arguments.source:
        written = write_source(folder, arguments.source, force=force)
    else:
        secret = _asked_secret() if arguments.custom_secret else secrets.token_hex(32)
        ports = _free_ports() if arguments.randomports else None
        written = write_default(folder, environ, secret=secret, force=force, ports=ports)
    _tell(folder, written, environ)
    if arguments.source:
        say(f"its settings are fetched at each start: {arguments.source}")
    else:
        settings, _ = load(folder, environ)
        for node in settings.nodes:
            say(f"IPFS node: {node.name} at {node.address}")
    if arguments.consensus or arguments.datastore:
        say(f"consensus and datastore: {LOCAL_STORE}")
    if arguments.peers:
        say("peers: not used, as there are no other services; name their IPFS nodes in ipfs_connector.nodes")
    say("start it with: ipfs-cluster-service daemon")


def _tell(folder: Path, written: Written, environ: Mapping[str, str]) -> None:
    identity = load_or_create(folder / "identity.json", environ)
    say(f"configuration: {written.path}")
    if written.kept is not None:
        say(f"the configuration before is kept: {written.kept}")
    say(f"peer ID: {identity.id}")


def _asked_secret() -> str:
    question = "Enter cluster secret (32-byte hex string): "
    given = getpass.getpass(question) if sys.stdin.isatty() else sys.stdin.readline()
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


# --- daemon --init ---


def first_start(folder: Path, environ: Mapping[str, str]) -> None:
    """A configuration for a service that is started for the first time: with the IPFS daemon that answers at its usual
    address. That choice is written down, and never made again. Raises SettingsError, IdentityError, OSError.
    """
    named = environ.keys() & {NODE_ADDRESS.env, NODES.env, f"{NODES.env}_FILE"}
    parse({}, environ)
    address, told = ("", []) if named else asyncio.run(_usual_daemon(environ))
    written = write_default(folder, environ, secret=secrets.token_hex(32), node=address)
    _tell(folder, written, environ)
    for line in told:
        say(line)


async def _usual_daemon(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The address to write down, and what to say about it."""
    tried: list[str] = []
    for address in _usual_addresses(environ):
        if (found := await _who(address)) is not None:
            return address, [f"IPFS node: {found} answers at {address}; written down"]
        tried.append(address)
    return "", [
        f"IPFS node: no daemon answers at {', '.join(tried)}; {tried[-1]} is written down. Start one there, or name "
        "another in ipfs_connector.nodes"
    ]


def _usual_addresses(environ: Mapping[str, str]) -> Iterator[str]:
    """Where the user's daemon says that it listens, and where daemons listen unless told otherwise."""
    (usual,) = NODE_ADDRESS.default
    repository = Path(environ["IPFS_PATH"]) if environ.get("IPFS_PATH") else Path.home() / ".ipfs"
    try:
        said = (repository / "api").read_text(encoding="utf-8").strip()
        if not parse_address(said).tls and said != usual:
            yield said
    except (OSError, ValueError):
        pass
    yield usual


async def _who(address: str) -> str | None:
    """The daemon's version; None when nobody answers there who speaks its API."""
    where = parse_address(address)
    node = KuboNode(HttpTransport(Endpoint(where.host, where.port, where.unix)))
    try:
        async with asyncio.timeout(ASKING):
            return (await node.info()).agent_version or "a daemon"
    except NodeUnreachable:
        return None
    except NodeError as error:
        return f"a daemon that refuses ({error})" if error.status in (401, 403) else None
    except (TimeoutError, OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        await node.close()
