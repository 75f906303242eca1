"""The command line of ipfs-cluster-ctl: commands and flags, and which function each command is."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from ipfs_cluster.ctl import adding, commands, completion, pinning, upkeep
from ipfs_cluster.ctl.errors import LocalError
from ipfs_cluster.model import PinType, TrackerStatus

DEFAULT_HOST = "/ip4/127.0.0.1/tcp/9094"
PIN_TYPES = ("all", *PinType)
STATUSES = ("error", "queued", *(status for status in TrackerStatus if status is not TrackerStatus.UNDEFINED))
REBALANCE = {
    "preview": "what it would move",
    "start": "begin; it goes on in the background",
    "status": "how far it is",
    "cancel": "move nothing further; copies in the making are finished",
}
# argparse has no public name for what add_subparsers returns
Group = argparse._SubParsersAction


class Parser(argparse.ArgumentParser):
    """Wrong usage is a local problem: exit status 1."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.format_usage()}error: {message}\n")


def parser() -> Parser:
    """The command line; `act` of its result is the command's function."""
    top = Parser(prog="ipfs-cluster-ctl", description="Manage a cluster of IPFS nodes.")
    _global(top)
    group = _group(top)
    _command(group, "id", "the service's first peer and its node", commands.identity)
    _command(group, "version", "the service's version", commands.version)
    _peers(_group(group.add_parser("peers", help="the cluster's peers")))
    _add(_command(group, "add", "add files, pin them in the cluster", adding.add))
    _pins(_group(group.add_parser("pin", help="pins: what the cluster should hold")))
    _statuses(group)
    _health(_group(group.add_parser("health", help="what the cluster noticed")))
    ipfs = _group(group.add_parser("ipfs", help="the nodes"))
    _local(_command(ipfs, "gc", "collect garbage on the nodes", commands.gc))
    _upkeep(group)
    listing = _command(group, "commands", "list all commands", completion.commands)
    script = _command(group, "completion", "a script of completions for a shell", completion.completion)
    script.add_argument("shell", choices=tuple(completion.SHELLS))
    listing.set_defaults(top=top)
    script.set_defaults(top=top)
    return top


def _global(top: Parser) -> None:
    text = f"multiaddrs of the REST API, comma-separated: the first that can be reached is asked [{DEFAULT_HOST}]"
    top.add_argument("--host", "-l", default=DEFAULT_HOST, help=text)
    top.add_argument("--secret", help="of no use here: the API is not reached over libp2p")
    top.add_argument("--https", "-s", action="store_true", help="use TLS")
    top.add_argument("--no-check-certificate", action="store_true", help="believe any certificate")
    top.add_argument("--encoding", "--enc", dest="enc", choices=("text", "json"), default="text", help="output format")
    text = "a PEM file of authorities to believe [REQUESTS_CA_BUNDLE, SSL_CERT_FILE, those of the system]"
    top.add_argument("--cacert", metavar="FILE", help=text)
    text = "for connecting and each read; 0 for no limit [0]"
    top.add_argument("--timeout", "-t", type=_seconds, default=0, metavar="SECONDS", help=text)
    top.add_argument("--debug", "-d", action="store_true", help="tell the requests on stderr")
    text = "user and password; means TLS. Others see it in the list of processes: CLUSTER_CREDENTIALS, or the path of a"
    text += " file in CLUSTER_CREDENTIALS_FILE, is safer"
    top.add_argument("--basic-auth", metavar="USER[:PASSWORD]", help=text)
    top.add_argument("--force-http", "-f", action="store_true", help="no TLS in spite of --basic-auth")
    top.add_argument("--version", "-v", action="version", version=f"%(prog)s version {commands.own_version()}")


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return number


def _group(parent: argparse.ArgumentParser) -> Group[Parser]:
    """A group without one of its commands shows its help."""
    parent.set_defaults(act=completion.help_of, group=parent)
    return parent.add_subparsers(metavar="COMMAND", parser_class=Parser)


def _command(group: Group[Parser], name: str, text: str, act: Callable[..., Any]) -> Parser:
    command = group.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(act=act)
    return command


def _local(command: Parser) -> None:
    command.add_argument("--local", action="store_true", help="this service's first peer only")


def _peers(group: Group[Parser]) -> None:
    _command(group, "ls", "list them", commands.peers)
    for name, text, act in (("add", "add one", commands.add_peer), ("rm", "remove one", commands.remove_peer)):
        _command(group, name, text, act).add_argument("peer", metavar="PEER")


def _options(command: Parser) -> None:
    """What `add` and `pin add` can say of a pin."""
    text = "copies that must be there; -1 everywhere, 0 as configured"
    command.add_argument("--replication-min", "--rmin", type=int, default=0, metavar="N", help=text)
    text = "copies to make; -1 everywhere, 0 as configured"
    command.add_argument("--replication-max", "--rmax", type=int, default=0, metavar="N", help=text)
    command.add_argument(
        "--allocations", "--allocs", default="", metavar="PEERS", help="peers to prefer, comma-separated"
    )
    command.add_argument("--metadata", action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    _named(command)


def _named(command: Parser) -> None:
    command.add_argument("--name", "-n", default="", help="the pin's name")
    command.add_argument("--expire-in", default="", metavar="DURATION", help='unpin after this time, such as "72h"')


def _waiting(command: Parser, *short: str, limit: bool = True) -> None:
    command.add_argument("--wait", *short, action="store_true", help="until as many copies are there as must be")
    command.add_argument("--wait-timeout", "--wt", default="", metavar="DURATION", help="the longest wait [no limit]")
    if limit:
        command.add_argument("--wait-limit", "--wl", type=int, default=0, metavar="N", help="wait for so many peers")
        command.add_argument("--no-status", "--ns", action="store_true", help="do not ask for the status afterwards")


def _pins(group: Group[Parser]) -> None:
    add = _command(group, "add", "pin a CID or path", pinning.add)
    add.add_argument("cid", metavar="CID|PATH")
    add.add_argument("--replication", "-r", type=int, default=0, metavar="N", help="both of the next two")
    _options(add)
    add.add_argument("--mode", choices=("recursive", "direct"), default="recursive")
    add.add_argument("--origins", default="", metavar="ADDRESSES", help="multiaddrs of peers that have it")
    _waiting(add, "-w")
    remove = _command(group, "rm", "unpin a CID or path", pinning.remove)
    remove.add_argument("cid", metavar="CID|PATH")
    _waiting(remove, "-w")
    update = _command(group, "update", "pin a CID with the options of another, which stays", pinning.update)
    update.add_argument("old", metavar="EXISTING-CID")
    update.add_argument("cid", metavar="NEW-CID|PATH")
    _named(update)
    _waiting(update, "-w")
    listing = _command(group, "ls", "what should be: the entries of the pinset", commands.pins)
    listing.add_argument("cid", nargs="?")
    listing.add_argument("--filter", default="all", help=f"comma-separated, of {', '.join(PIN_TYPES)} [all]")
    listing.add_argument("--name", default="", help="only names with this in them")
    listing.add_argument("--name-prefix", default="", help="only names that begin with this")
    text = "only pins that have this; repeatable"
    listing.add_argument("--metadata", action="append", default=[], metavar="KEY=VALUE", help=text)


def _add(command: Parser) -> None:
    command.add_argument("path", nargs="+", help="files, folders with -r, URLs, or - for the standard input")
    flags = (
        (("--recursive", "-r"), "add folders with what is in them"),
        (("--quiet", "-q"), "only CIDs"),
        (("--quieter", "-Q"), "only the last CID"),
        (("--no-stream",), "show everything at the end; one JSON array with --enc json"),
        (("--local",), "add to this service's first node, and pin from there"),
        (("--no-pin",), "add without pinning"),
        (("--wrap-with-directory", "-w"), "wrap it in a folder"),
        (("--hidden", "-H"), "in folders, also what begins with a dot"),
        (("--raw-leaves",), "raw blocks for leaves"),
        (("--nocopy",), "leave the content where its URL points"),
        (("--shard",), "not supported yet"),
    )
    for names, text in flags:
        command.add_argument(*names, action="store_true", help=text)
    _options(command)
    _waiting(command, limit=False)
    command.add_argument("--format", choices=("unixfs", "car"), default="unixfs", help="what the files are")
    command.add_argument("--layout", choices=("balanced", "trickle"), default="")
    command.add_argument("--chunker", "-s", default="", help="size-N, rabin-MIN-AVG-MAX or buzzhash")
    command.add_argument("--cid-version", type=int, default=0, metavar="N", help="1 means raw leaves too")
    command.add_argument("--hash", default="sha2-256", help="another one than sha2-256 means CID version 1")


def _statuses(group: Group[Parser]) -> None:
    status = _command(group, "status", "what is: every pin on every peer", commands.status)
    status.add_argument("cid", nargs="*")
    status.add_argument("--filter", default="", help=f"comma-separated, of {', '.join(STATUSES)}")
    _local(status)
    recover = _command(group, "recover", "try again what failed", commands.recover)
    recover.add_argument("cid", nargs="?")
    _local(recover)
    foreign = _command(group, "foreign", "pins that nodes hold and that are none of the pinset's", commands.foreign)
    foreign.add_argument("--peer", default="", metavar="NAME", help="only on this peer's node")
    watch = _command(group, "watch", "the pinset as it is, then as it changes, until it is stopped", commands.watch)
    watch.add_argument("--after", default="", metavar="PLACE", help="go on behind a place of an earlier answer")


def _health(group: Group[Parser]) -> None:
    graph = _command(group, "graph", "who is connected to whom, for Graphviz", commands.graph)
    graph.add_argument("--file", "-f", default="", help="write it there")
    graph.add_argument("--all-ipfs-peers", action="store_true", help="also nodes that are none of the cluster's")
    text = "what was measured of the peers last, by name; without one: the names"
    _command(group, "metrics", text, commands.metrics).add_argument("name", nargs="?")
    _command(group, "alerts", "the latest alerts, newest first", commands.alerts)
    _command(group, "bandwidth", "what was sent and received", commands.bandwidth)


def _upkeep(group: Group[Parser]) -> None:
    why = _command(group, "why", "why a pin, or a peer, is as it is, and what happens next", upkeep.why)
    subject = why.add_mutually_exclusive_group(required=True)
    subject.add_argument("cid", nargs="?")
    subject.add_argument("--peer", "-p", metavar="PEER", help="ID or name")
    drain = _command(group, "drain", "move everything off a peer, to take it out of service", upkeep.drain)
    drain.add_argument("peer", metavar="PEER", help="ID or name")
    what = drain.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="only say how far it is")
    what.add_argument("--undo", action="store_true", help="take the peer into service again")
    text = "take the pins that a node held before it joined into the pinset, on its peer alone"
    adopt = _command(group, "adopt", text, upkeep.adopt)
    adopt.add_argument("peer", nargs="?", metavar="PEER", help="ID or name [this service's first peer]")
    rebalance = _group(group.add_parser("rebalance", help="move copies so that nodes are filled evenly"))
    for name, text in REBALANCE.items():
        _command(rebalance, name, text, upkeep.rebalance).set_defaults(step=name)


def environment_secret(name: str) -> str:
    """Of a variable, or what the file holds that is named by the one with _FILE. Raises OSError, LocalError."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
        except UnicodeDecodeError:
            raise LocalError(f"reading {path}", "it is no text") from None
    return os.environ.get(name, "")
