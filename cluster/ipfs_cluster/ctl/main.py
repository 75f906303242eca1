"""`ipfs-cluster-ctl`: in this version id, peers ls, pin ls, status, foreign, watch, why, drain, rebalance,
health alerts, health metrics, version.

Exit status: 0; 1 local or connection problem; 2 the API answered with an error. Errors are one line, never a
traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import requests

from ipfs_cluster.addresses import AddressError, parse_address
from ipfs_cluster.ctl import output
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


class ApiError(Exception):
    """The API answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """Requests to the first host that can be reached."""

    def __init__(self, hosts: Sequence[str], timeout: float | None) -> None:
        """hosts: multiaddrs. Raises AddressError."""
        self._urls = [_url(host) for host in hosts]
        self._timeout = timeout

    def get(self, path: str, **params: str) -> Iterator[Any]:
        """The JSON values of an answer, one after the other. Raises ApiError, requests.RequestException."""
        return self.ask("GET", path, **params)

    def ask(self, method: str, path: str, **params: str) -> Iterator[Any]:
        """The same for any method."""
        query = {key: value for key, value in params.items() if value}
        for position, url in enumerate(self._urls):
            try:
                response = requests.request(method, url + path, params=query, stream=True, timeout=self._timeout)
            except requests.ConnectionError:
                if position + 1 == len(self._urls):
                    raise
                continue
            if response.status_code >= 400:
                raise _api_error(response)
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)
            return


def _url(host: str) -> str:
    address = parse_address(host)
    if address.unix:
        raise AddressError("unix sockets are not supported by this command yet")
    name = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if address.tls else 'http'}://{name}:{address.port}"


def _api_error(response: requests.Response) -> ApiError:
    try:
        body = response.json()
        return ApiError(int(body["code"]), str(body["message"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, response.text.strip() or response.reason)


def _group(parent: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return parent.add_subparsers(dest="sub", required=True, metavar="COMMAND")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="ipfs-cluster-ctl", description="Look at a cluster of IPFS nodes.")
    top.add_argument(
        "--host",
        "-l",
        default=DEFAULT_HOST,
        help=f"multiaddr of the REST API, several comma-separated [{DEFAULT_HOST}]",
    )
    top.add_argument("--enc", "--encoding", choices=("text", "json"), default="text", help="output format")
    top.add_argument(
        "--timeout",
        "-t",
        type=float,
        default=0,
        metavar="SECONDS",
        help="for connecting and each read [none]",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("id", help="the service's first peer and its node")
    commands.add_parser("version", help="the service's version")
    peers = commands.add_parser("peers", help="the cluster's peers").add_subparsers(
        dest="sub", required=True, metavar="COMMAND"
    )
    peers.add_parser("ls", help="list them")
    pins = _group(commands.add_parser("pin", help="the pinset"))
    listing = pins.add_parser("ls", help="what should be: the entries of the pinset")
    listing.add_argument("cid", nargs="?")
    listing.add_argument("--filter", default="all", help=f"comma-separated, of {', '.join(PIN_TYPES)} [all]")
    listing.add_argument("--name", default="", help="only names with this in them")
    listing.add_argument("--name-prefix", default="", help="only names that begin with this")
    listing.add_argument(
        "--metadata", action="append", default=[], metavar="KEY=VALUE", help="only pins that have this; repeatable"
    )
    status = commands.add_parser("status", help="what is: every pin on every peer")
    status.add_argument("cid", nargs="*")
    status.add_argument("--filter", default="", help=f"comma-separated, of {', '.join(STATUSES)}")
    status.add_argument("--local", action="store_true", help="this service's peers only")
    foreign = commands.add_parser("foreign", help="pins that nodes hold and that are none of the pinset's")
    foreign.add_argument("--peer", default="", metavar="NAME", help="only on this peer's node")
    watch = commands.add_parser("watch", help="the pinset as it is, then as it changes, until it is stopped")
    watch.add_argument("--after", default="", metavar="PLACE", help="go on behind a place of an earlier answer")
    _add_upkeep(commands)
    return top


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    why = commands.add_parser("why", help="why a pin, or a peer, is as it is, and what happens next")
    subject = why.add_mutually_exclusive_group(required=True)
    subject.add_argument("cid", nargs="?")
    subject.add_argument("--peer", "-p", metavar="PEER", help="ID or name")
    drain = commands.add_parser("drain", help="move everything off a peer, to take it out of service")
    drain.add_argument("peer", metavar="PEER", help="ID or name")
    what = drain.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="only say how far it is")
    what.add_argument("--undo", action="store_true", help="take the peer into service again")
    rebalance = _group(commands.add_parser("rebalance", help="move copies so that nodes are filled evenly"))
    for name, text in REBALANCE.items():
        rebalance.add_parser(name, help=text)
    health = _group(commands.add_parser("health", help="what the cluster noticed"))
    health.add_parser("alerts", help="the latest alerts, newest first")
    metrics = health.add_parser("metrics", help="what was measured of the peers last, by name; without one: the names")
    metrics.add_argument("name", nargs="?")


def run(arguments: argparse.Namespace, api: Api) -> Iterator[tuple[Any, str]]:
    """The answers of a command, each as (JSON value, text form)."""
    match arguments.command, getattr(arguments, "sub", None):
        case "id", _:
            yield from ((value, output.identity(value)) for value in api.get("/id"))
        case "version", _:
            yield from ((value, value["version"]) for value in api.get("/version"))
        case "peers", "ls":
            yield from ((value, output.identity(value)) for value in api.get("/peers"))
        case "pin", "ls" if arguments.cid:
            yield from ((value, output.pin(value)) for value in api.get(f"/allocations/{quote(arguments.cid)}"))
        case "pin", "ls":
            asked = {"name": arguments.name, "name-prefix": arguments.name_prefix, "filter": arguments.filter}
            for pair in arguments.metadata:
                key, _, value = pair.partition("=")
                asked[f"meta-{key}"] = value
            yield from ((value, output.pin(value)) for value in api.get("/allocations", **asked))
        case "foreign", _:
            yield from ((value, output.foreign(value)) for value in api.get("/pins/foreign", peer=arguments.peer))
        case "watch", _:
            values = api.get("/pins/watch", after=arguments.after)
            yield from ((value, output.event(value)) for value in values)
        case "why" | "drain" | "rebalance" | "health", _:
            yield from _upkeep(arguments, api)
        case _:
            local = "true" if arguments.local else ""
            if len(arguments.cid) == 1:
                values = api.get(f"/pins/{quote(arguments.cid[0])}", local=local)
            else:
                values = api.get("/pins", local=local, filter=arguments.filter, cids=",".join(arguments.cid))
            yield from ((value, output.status(value)) for value in values)


def _upkeep(arguments: argparse.Namespace, api: Api) -> Iterator[tuple[Any, str]]:
    match arguments.command, getattr(arguments, "sub", None):
        case "why", _ if arguments.peer:
            yield from ((value, output.why_peer(value)) for value in api.get(f"/peers/{quote(arguments.peer)}/why"))
        case "why", _:
            yield from ((value, output.why_pin(value)) for value in api.get(f"/pins/{quote(arguments.cid)}/why"))
        case "drain", _:
            method = "GET" if arguments.status else "DELETE" if arguments.undo else "POST"
            answers = api.ask(method, f"/peers/{quote(arguments.peer)}/drain")
            yield from ((value, output.drain(value)) for value in answers)
        case "rebalance", what:
            method = {"start": "POST", "cancel": "DELETE"}.get(what or "", "GET")
            preview = "true" if what == "preview" else ""
            answers = api.ask(method, "/rebalance", preview=preview)
            yield from ((value, output.rebalance(value)) for value in answers)
        case "health", "metrics" if arguments.name:
            for metrics in api.get(f"/monitor/metrics/{quote(arguments.name, safe='')}"):
                yield metrics, "\n".join(output.metric(metric, time.time()) for metric in metrics)
        case "health", "metrics":
            yield from ((names, "\n".join(names)) for names in api.get("/monitor/metrics"))
        case _:
            for alerts in api.get("/health/alerts"):
                yield alerts, "\n".join(map(output.alert, alerts))


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point; the exit status."""
    arguments = parser().parse_args(argv)
    try:
        api = Api([host for host in arguments.host.split(",") if host], arguments.timeout or None)
        for value, text in run(arguments, api):
            shown = json.dumps(value, indent=4) if arguments.enc == "json" else text
            print(shown, flush=arguments.command == "watch")  # noqa: T201 - the command's output
    except ApiError as error:
        value = {"code": error.code, "message": str(error)}
        text = f"An error occurred:\n  Code: {error.code}\n  Message: {error}"
        print(json.dumps(value, indent=4) if arguments.enc == "json" else text)  # noqa: T201
        return 2
    except AddressError as error:
        sys.stderr.write(f"error reading --host: {error}\n")
        return 1
    except requests.ConnectionError:
        sys.stderr.write(f"error contacting the cluster at {arguments.host}: is ipfs-cluster-service running?\n")
        return 1
    except (requests.RequestException, ValueError) as error:
        sys.stderr.write(f"error reading the answer: {error}\n")
        return 1
    except (BrokenPipeError, KeyboardInterrupt):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
