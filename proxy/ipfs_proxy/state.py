"""`ipfs-cluster-service state`: what is done with the pinset as a whole, beside the service or while it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from ipfs_cluster import SystemClock, statefile
from ipfs_cluster.adopt import adopt
from ipfs_cluster.datafolder import FolderInUse, FolderLock
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.model import EVERYWHERE, PeerId, Pin
from ipfs_cluster.ports import PeerRecord
from ipfs_cluster.settings import load
from ipfs_cluster.stores.sqlite import (
    DoublePin,
    SqliteStore,
    all_pins,
    backup,
    count_pins,
    put_away,
    replace_pins,
    restore,
    there,
)
from ipfs_proxy.compose import STORE_FILE, identities
from ipfs_proxy.console import Failure, Progress, confirm, say


def add_state_commands(parser: argparse.ArgumentParser) -> None:
    """The command line of `state`."""
    commands = parser.add_subparsers(dest="state", required=True, metavar="COMMAND")
    out = commands.add_parser("export", help="write the pinset as JSON lines, also while the service runs")
    out.add_argument("--file", "-f", type=Path, metavar="FILE", help="where to [stdout]; replaced when it is whole")
    into = commands.add_parser("import", help="replace the pinset by such lines, while the service is stopped")
    into.add_argument("file", type=Path, nargs="?", metavar="FILE", help="where from [stdin]")
    into.add_argument("--force", "-f", action="store_true", help="do not ask; the pinset before is kept beside")
    into.add_argument(
        "--replication-min", "--rmin", type=_factor, metavar="N", help="in the place of what the file says"
    )
    into.add_argument("--replication-max", "--rmax", type=_factor, metavar="N", help="the same")
    into.add_argument("--allocations", "--allocs", metavar="PEERS", help="comma-separated IDs or names of peers")
    away = commands.add_parser("cleanup", help="remove the pinset, while the service is stopped; it is kept beside")
    away.add_argument("--force", "-f", action="store_true", help="do not ask")
    own = commands.add_parser("adopt", help="take a node's own pins into the pinset, while the service is stopped")
    own.add_argument("peer", nargs="?", metavar="PEER", help="ID or name of its peer [the home node's]")
    copy = commands.add_parser("backup", help="write a copy, also while the service runs")
    copy.add_argument("file", type=Path, metavar="FILE", help="a new file")
    crdt = commands.add_parser("crdt", help="refused: there is no CRDT, the pinset is in SQLite")
    crdt.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    back = commands.add_parser("restore", help="put a copy in place, while the service is stopped")
    back.add_argument("file", type=Path, metavar="FILE", help="what `state backup` wrote")
    back.add_argument("--force", "-f", action="store_true", help="although there is a pinset; it is kept beside")


def _factor(text: str) -> int | None:
    """0 is ipfs-cluster's default of these flags, and means that the file's value stays."""
    number = int(text)
    if number < EVERYWHERE:
        raise argparse.ArgumentTypeError("must be -1 (everywhere) or positive")
    return number or None


def run(folder: Path, arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Do it. Raises Failure, ClusterError, FolderInUse, SettingsError, IdentityError, OSError."""
    if arguments.state == "crdt":
        raise Failure("state crdt: there is no CRDT here: the pinset is in SQLite, and checked when it is opened")
    if arguments.state == "backup":
        pins = backup(folder / STORE_FILE, arguments.file)
        say(f"backup of {pins} pins, checked: {arguments.file}")
        return
    if not folder.is_dir():
        raise Failure(f"{folder} does not exist: put configuration and identities there first, or `init` it")
    if arguments.state == "export":
        _export(folder, arguments.file)
        return
    lock = FolderLock(folder)
    try:
        match arguments.state:
            case "restore":
                _restore(folder, arguments)
            case "import":
                _import(folder, arguments, environ)
            case "cleanup":
                _cleanup(folder, force=arguments.force)
            case _:
                _adopt(folder, arguments.peer, environ)
    finally:
        lock.release()


def _restore(folder: Path, arguments: argparse.Namespace) -> None:
    restored = restore(arguments.file, folder / STORE_FILE, force=arguments.force)
    say(f"restored {restored.pins} pins from {arguments.file}")
    if restored.kept is not None:
        say(f"the pinset before is kept: {restored.kept}")


# --- export ---


def _export(folder: Path, target: Path | None) -> None:
    with _quiet_store(folder) as path:
        if target is None:
            _write(path, sys.stdout.buffer)
            return
        draft = target.with_name(target.name + ".part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                count = _write(path, file)
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    say(f"exported {count} pins: {target}")


@contextmanager
def _quiet_store(folder: Path) -> Iterator[Path]:
    """The folder's store, or a copy of it while a service uses it: a slow reader would let the log of that grow."""
    path = folder / STORE_FILE
    try:
        lock = FolderLock(folder)
    except FolderInUse:
        copy = folder / f"{STORE_FILE}.tmp-export-{os.getpid()}"
        try:
            backup(path, copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)
        return
    try:
        yield path
    finally:
        lock.release()


def _write(path: Path, file: BinaryIO) -> int:
    with Progress("exported", count_pins(path)) as progress:
        for pin in all_pins(path):
            file.write(statefile.line(pin))
            progress.step()
    file.flush()
    return progress.count


# --- import ---


def _import(folder: Path, arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    peers = identities(folder, load(folder, environ)[0], environ)
    path = folder / STORE_FILE
    if there := count_pins(path):
        confirm(f"The pinset of {there} pins will be replaced; it is kept beside. Go on?", force=arguments.force)
    listed = [part.strip() for part in (arguments.allocations or "").split(",") if part.strip()]
    overrides = statefile.Overrides(
        arguments.replication_min, arguments.replication_max, tuple(_peer(name, peers) for name in listed)
    )
    with nullcontext(sys.stdin.buffer) if arguments.file is None else open(arguments.file, "rb") as file:
        reader = statefile.Reader(file, overrides)
        unknown: Counter[PeerId] = Counter()
        try:
            restored = replace_pins(path, _watched(reader, peers, unknown), time.time(), peers)
        except DoublePin as error:
            reason = f"line {error.second}: {error.cid} is in line {error.first} already"
            raise Failure(f"{reason}. Nothing was changed") from None
        except InvalidArgument as error:
            raise Failure(f"{reader.refuse(str(error))}. Nothing was changed") from None
        except statefile.BadState as error:
            raise Failure(f"{error}. Nothing was changed") from None
    say(f"imported {restored.pins} pins")
    if restored.kept is not None:
        say(f"the pinset before is kept: {restored.kept}")
    for peer, count in unknown.most_common(_NAMED):
        say(f"{count} pins are allocated to {peer}, which is no peer of this service")
    if unknown:
        say(_UNKNOWN)


_NAMED = 20
_UNKNOWN = (
    "copies on peers that are unknown here count as gone: with cluster.disable_repinning off they are made on the "
    "peers of this service; --allocs says where instead"
)


def _watched(reader: statefile.Reader, peers: list[PeerRecord], unknown: Counter[PeerId]) -> Iterator[Pin]:
    """The entries; counts those on peers that are not ours."""
    ours = {peer.id for peer in peers}
    with Progress("imported") as progress:
        for pin in reader.pins():
            unknown.update(peer for peer in pin.allocations if peer not in ours)
            progress.step()
            yield pin


def _peer(name: str, peers: list[PeerRecord]) -> PeerId:
    """Of a peer of this service. Raises Failure."""
    found = next((peer.id for peer in peers if name in (peer.id, peer.name)), None)
    if found is None:
        known = ", ".join(f"{peer.name} ({peer.id})" for peer in peers)
        raise Failure(f"{name} is no peer of this service; there are: {known}")
    return found


# --- cleanup, adopt ---


def _cleanup(folder: Path, *, force: bool) -> None:
    path = folder / STORE_FILE
    if not there(path):
        say("there is no pinset: nothing to do")
        return
    confirm(f"The pinset of {count_pins(path)} pins will be removed; it is kept beside. Go on?", force=force)
    say(f"removed; the pinset before is kept: {put_away(path)}")
    say(
        "nodes keep what they have pinned; the next start adopts the home node's pins unless api.ipfsproxy.adopt is off"
    )


def _adopt(folder: Path, name: str | None, environ: Mapping[str, str]) -> None:
    peers = identities(folder, load(folder, environ)[0], environ)
    peer = peers[0].id if name is None else _peer(name, peers)
    if not there(folder / STORE_FILE):
        raise Failure("there is no pinset yet: start the service once, so that it learns what its nodes hold")
    surveyed, adopted = asyncio.run(_adopted(folder / STORE_FILE, peer))
    label = next(record.name for record in peers if record.id == peer)
    if not surveyed:
        raise Failure(f"what the node of {label} holds is not known yet: start the service while the node is there")
    say(f"adopted {adopted} pins of {label}, on that peer alone")


async def _adopted(path: Path, peer: PeerId) -> tuple[bool, int]:
    clock = SystemClock()
    store = SqliteStore(path, clock)
    await store.open()
    try:
        surveyed = any(record.surveyed for record in await store.peers() if record.id == peer)
        return surveyed, await adopt(peer, store, clock.time()) if surveyed else 0
    finally:
        await store.close()
