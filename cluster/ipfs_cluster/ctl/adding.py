"""add: files, folders, URLs, the standard input and CAR files into the cluster."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ipfs_cluster.client import calls
from ipfs_cluster.client.duplex import Upload
from ipfs_cluster.client.multipart import PIECE, Content, Multipart
from ipfs_cluster.ctl import output
from ipfs_cluster.ctl.context import Answers, Arguments, Context, seconds
from ipfs_cluster.ctl.errors import LocalError
from ipfs_cluster.ctl.pinning import copies, options, wait
from ipfs_cluster.model import TrackerStatus

ONE_CAR = "only a single CAR file can be added and wrap-with-directory is not supported"
NO_SHARDS = "sharding is not supported by this version: without --shard, a file is on each of its nodes as a whole"


def add(arguments: Arguments, context: Context) -> Answers:
    """Each thing added as it comes; with --wait, the command ends when it is pinned."""
    params = _params(arguments)
    longest = seconds(arguments.wait_timeout, "wait-timeout")
    last = None
    everything: list[dict[str, Any]] = []
    quiet = arguments.quiet or arguments.quieter
    for value in _added(arguments, context, params):
        last = value
        if arguments.no_stream:
            everything.append(value)
        elif not arguments.quieter:
            context.note("")
            yield value, output.added(value, quiet=quiet)
    context.note("")
    if last is None:
        return
    if arguments.no_stream:
        shown = everything[-1:] if arguments.quieter else everything
        yield shown, "\n".join(output.added(value, quiet=quiet) for value in shown)
    elif arguments.quieter:
        yield last, output.added(last, quiet=True)
    if arguments.wait:
        wait(
            context, last["cid"], TrackerStatus.PINNED, copies(context, last["cid"], arguments.replication_min), longest
        )


def _params(arguments: Arguments) -> dict[str, str]:
    if arguments.shard:
        raise LocalError("", NO_SHARDS)
    wrap = arguments.wrap_with_directory or len(arguments.path) > 1
    if arguments.format == "car" and wrap:
        raise LocalError("", ONE_CAR)
    if "-" in arguments.path and wrap:
        raise LocalError("", "the standard input has no name: it cannot be added with others or in a folder")
    version = 1 if arguments.hash != "sha2-256" else arguments.cid_version
    raw = arguments.raw_leaves or arguments.nocopy or version > 0
    switches = {
        "local": arguments.local,
        "no-pin": arguments.no_pin,
        "recursive": arguments.recursive,
        "hidden": arguments.hidden,
        "wrap-with-directory": wrap,
        "raw-leaves": raw,
        "nocopy": arguments.nocopy,
    }
    return {
        **options(arguments),
        **{name: "true" for name, on in switches.items() if on},
        "format": arguments.format,
        "layout": arguments.layout,
        "chunker": arguments.chunker,
        "cid-version": str(version or ""),
        "hash": arguments.hash,
        "stream-channels": "false" if arguments.no_stream else "true",
    }


def _added(arguments: Arguments, context: Context, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    sources = [Content("", _standard_input()) if path == "-" else path for path in arguments.path]
    body = Multipart(sources, recursive=arguments.recursive, hidden=arguments.hidden, nocopy=arguments.nocopy)
    chunks: Iterable[bytes] = body
    if sys.stderr.isatty() and not context.json and not arguments.quieter:
        chunks = progress(body, body.size(), context.note, time.monotonic)
    call = calls.add(params)
    for value in context.api.values(call, Upload(chunks), body):
        for item in value if isinstance(value, list) else [value]:
            if call.result(item).cid:  # else it is word of progress
                yield item


def progress(
    chunks: Iterable[bytes], size: int | None, note: Callable[[str], None], now: Callable[[], float]
) -> Iterator[bytes]:
    """The same chunks, with word of them ten times a second at most. size: bytes in all, as far as known."""
    sent, told = 0, now()
    for chunk in chunks:
        yield chunk
        sent += len(chunk)
        if now() - told >= 0.1:
            told = now()
            share = f" of {output.size(size)} {min(sent * 100 // size, 100)}%" if size else ""
            note(f"{output.size(sent)}{share}")
    note("")


def _standard_input() -> Iterator[bytes]:
    while piece := os.read(sys.stdin.fileno(), PIECE):
        yield piece
