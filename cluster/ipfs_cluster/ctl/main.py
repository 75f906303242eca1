"""`ipfs-cluster-ctl`, as ipfs-cluster's command of this name: the same commands, flags and output.

Exit status: 0; 1 local or connection problem; 2 the API answered with an error. Errors are one line, never a
traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import requests

from ipfs_cluster.addresses import AddressError
from ipfs_cluster.ctl.adding import add
from ipfs_cluster.ctl.api import Access, Api, dumps, hosts
from ipfs_cluster.ctl.commands import watch
from ipfs_cluster.ctl.context import Arguments, Context
from ipfs_cluster.ctl.errors import ApiError, LocalError
from ipfs_cluster.ctl.parser import environment_credentials, parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point; the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return _reported(arguments, lambda: _run(arguments))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    except BrokenPipeError:  # whoever read the output has enough; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _run(arguments: Arguments) -> None:
    context = Context(Api(_access(arguments)), json=arguments.enc == "json")
    for value, text in arguments.act(arguments, context):
        shown = dumps(value) if context.json else text
        if shown:
            print(shown, flush=arguments.act in (add, watch))  # noqa: T201 - the command's output
    sys.stdout.flush()


def _access(arguments: Arguments) -> Access:
    given = environment_credentials() if arguments.basic_auth is None else arguments.basic_auth
    user, _, password = given.partition(":")
    tls = arguments.https
    if user and not tls and not arguments.force_http:
        sys.stderr.write("TLS is used because there are credentials; --force-http sends them without\n")
        tls = True
    if arguments.secret:
        sys.stderr.write("--secret is of no use here: the API is not reached over libp2p\n")
    return Access(
        hosts(arguments.host),
        timeout=arguments.timeout or None,
        tls=tls,
        verify=not arguments.no_check_certificate,
        credentials=(user, password) if user else None,
        debug=arguments.debug,
    )


def _reported(arguments: Arguments, run: Callable[[], None]) -> int:
    """The exit status of a run, its errors told."""
    try:
        run()
    except ApiError as error:
        value = {"code": error.code, "message": str(error)}
        text = f"An error occurred:\n  Code: {error.code}\n  Message: {error}"
        print(dumps(value) if arguments.enc == "json" else text, flush=True)  # noqa: T201
        return 2
    except BrokenPipeError:
        raise
    except (LocalError, AddressError, requests.RequestException, OSError, ValueError) as error:
        sys.stderr.write(f"{_line(arguments, error)}\n")
        return 1
    return 0


def _line(arguments: Arguments, error: Exception) -> str:
    match error:
        case LocalError():
            return str(error)
        case AddressError():
            return f"error reading --host: {error}"
        case requests.exceptions.SSLError():
            return f"error contacting the cluster at {arguments.host}: TLS: {_reason(error)}"
        case requests.ConnectTimeout():
            return f"error contacting the cluster at {arguments.host}: no answer in time"
        case requests.exceptions.ChunkedEncodingError():
            return "error reading the answer: the connection was closed before its end"
        case requests.ConnectionError():
            return f"error contacting the cluster at {arguments.host}: is ipfs-cluster-service running?"
        case OSError() if not isinstance(error, requests.RequestException):
            return f"error: {error.filename or 'file'}: {error.strerror or error}"
        case _:
            return f"error reading the answer: {error}"


def _reason(error: Exception) -> str:
    """What the innermost of nested errors says."""
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", inner)
    return str(reason).splitlines()[0] if str(reason) else "refused"


if __name__ == "__main__":
    sys.exit(main())
