"""`ipfs-cluster-ctl`, as ipfs-cluster's command of this name: the same commands, flags and output.

Exit status: 0; 1 local or connection problem; 2 the API answered with an error. Errors are one line, never a
traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ipfs_cluster import stdio
from ipfs_cluster.addresses import AddressError
from ipfs_cluster.client.access import Access
from ipfs_cluster.client.errors import ApiError, ClientError, SourceError, TimedOut, Unreachable, Untrusted
from ipfs_cluster.client.over_requests import RequestsTransport
from ipfs_cluster.ctl.adding import add
from ipfs_cluster.ctl.commands import watch
from ipfs_cluster.ctl.context import Arguments, Context
from ipfs_cluster.ctl.errors import LocalError
from ipfs_cluster.ctl.parser import environment_secret, parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point; the exit status."""
    stdio.ensure()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["help"], ["h"]):
        words = [*words[1:], "--help"]
    arguments = parser().parse_args(words)
    try:
        with _told_requests(arguments.debug):
            return _reported(arguments, lambda: _run(arguments))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    except BrokenPipeError:  # whoever read the output has enough; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _run(arguments: Arguments) -> None:
    context = Context(RequestsTransport(_access(arguments)), json=arguments.enc == "json")
    for value, text in arguments.act(arguments, context):
        shown = _dumps(value) if context.json else text
        if shown:
            print(shown, flush=arguments.act in (add, watch))  # noqa: T201 - the command's output
    sys.stdout.flush()


@contextmanager
def _told_requests(on: bool) -> Iterator[None]:
    """The client's log on stderr."""
    log, handler = logging.getLogger("ipfs_cluster.client"), logging.StreamHandler()
    if not on:
        yield
        return
    handler.setFormatter(logging.Formatter("debug: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _access(arguments: Arguments) -> Access:
    given = environment_secret("CLUSTER_CREDENTIALS") if arguments.basic_auth is None else arguments.basic_auth
    user, _, password = given.partition(":")
    token = "" if user else environment_secret("CLUSTER_TOKEN")
    tls = arguments.https
    hosts = tuple(host.strip() for host in arguments.host.split(",") if host.strip())
    if (user or token) and not tls and not arguments.force_http:
        if any(endpoint.url.startswith("http:") and not endpoint.unix for endpoint in Access(hosts).endpoints):
            sys.stderr.write("TLS is used because there are credentials; --force-http sends them without\n")
        tls = True
    if arguments.secret:
        sys.stderr.write("--secret is of no use here: the API is not reached over libp2p\n")
    return Access(
        hosts,
        timeout=arguments.timeout or None,
        connect_timeout=arguments.timeout or None,
        tls=tls,
        verify=not arguments.no_check_certificate,
        ca=arguments.cacert or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or "",
        credentials=(user, password) if user else None,
        token=token,
        retries=0,
    )


def _reported(arguments: Arguments, run: Callable[[], None]) -> int:
    """The exit status of a run, its errors told."""
    try:
        run()
    except ApiError as error:
        value = {"code": error.code, "message": str(error)}
        text = f"An error occurred:\n  Code: {error.code}\n  Message: {error}"
        print(_dumps(value) if arguments.enc == "json" else text, flush=True)  # noqa: T201
        return 2
    except BrokenPipeError:
        raise
    except (LocalError, AddressError, ClientError, OSError, ValueError) as error:
        sys.stderr.write(f"{_line(arguments, error)}\n")
        return 1
    return 0


def _line(arguments: Arguments, error: Exception) -> str:
    match error:
        case LocalError():
            return str(error)
        case AddressError():
            return f"error reading --host: {error}"
        case SourceError():
            return f"error {error}" if error.doing else f"error: {error}"
        case Untrusted() | TimedOut(sent=False):
            return f"error contacting the cluster at {arguments.host}: {error}"
        case Unreachable(sent=True) if not arguments.https:
            return f"error contacting the cluster at {arguments.host}: {error}; does it speak TLS (--https)?"
        case Unreachable():
            return f"error contacting the cluster at {arguments.host}: {error}; is ipfs-cluster-service running?"
        case OSError() if not isinstance(error, ClientError):
            what = error.filename or (error.errno and "standard input or output")
            return f"error: {what}: {error.strerror}" if what else f"error: {error}"
        case _:
            return f"error reading the answer: {error}"


def _dumps(value: object) -> str:
    """As ipfs-cluster-ctl prints JSON."""
    return json.dumps(value, indent=4, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
