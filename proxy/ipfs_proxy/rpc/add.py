"""`add` on all nodes that are to hold it: the daemons add and answer, the cluster takes over what they pinned.

Nothing of the daemon's import is re-implemented: the body goes to the nodes byte for byte, the first one's events come
back to the client. The door reads along, to know the roots, and renders what the client asked for: `quiet` and
`silent` would hide the roots from it, so the nodes are not told of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ipfs_cluster import Cluster, Line
from ipfs_cluster.wire.multipart import boundary_of
from ipfs_cluster.wire.roots import AddRoots, parsed
from ipfs_proxy.front.exchange import Command, Request
from ipfs_proxy.rpc.ingest import Adding, adding_command, node_query
from ipfs_proxy.rpc.run import CidText
from ipfs_proxy.wire import gojson, goxml
from ipfs_proxy.wire.params import Option, Params

OPTIONS = (
    Option("pin", bool, (), True),
    Option("pin-name", str),
    Option("only-hash", bool, ("n",)),
    Option("wrap-with-directory", bool, ("w",)),
    Option("silent", bool),
    Option("quiet", bool, ("q",)),
    Option("quieter", bool, ("Q",)),
    Option("progress", bool, ("p",)),
    Option("nocopy", bool),
    Option("fscache", bool),
    Option("to-files", str),
)
HIDING = frozenset({"silent", "quiet", "q", "quieter", "Q"})
HOME_OPTIONS = frozenset({"to-files", "nocopy", "fscache"})
"""They tie content to the files of the home node's host, or to its MFS."""

XML_FIELDS = {"Name": "", "Hash": "", "Bytes": 0, "Size": "", "Mode": "", "Mtime": 0, "MtimeNsecs": 0}


def add_command(cluster: Cluster, server: Callable[[], str]) -> Command:
    """The table entry."""

    def pins(params: Params) -> bool:
        return params.flag("pin") and not params.flag("only-hash")

    async def run(request: Request, params: Params, show: CidText, adding: Adding) -> None:
        roots = AddRoots(
            boundary_of(request.headers.get("content-type", "")),
            wrap=params.flag("wrap-with-directory"),
            directories=params.flag("silent"),
        )
        await adding.run(
            "add",
            roots,
            _Renderer(params, show, roots, params.encoding),
            query=node_query(request, params, HIDING, pin="true"),
            replica_query=node_query(request, params, HIDING | HOME_OPTIONS, pin="true"),
            name=params.text("pin-name") or params.extra.get("name"),
            home_only=params.flag("nocopy") or params.flag("fscache") or params.text("to-files") is not None,
        )

    return adding_command(cluster, server, OPTIONS, pins, run)


class _Renderer:
    """Events as this client wants them."""

    def __init__(self, params: Params, show: CidText, roots: AddRoots, encoding: str) -> None:
        self._show = show
        self._roots = roots
        self._text = encoding == "text"
        self._silent = params.flag("silent")
        self._xml = encoding == "xml"
        self._untouched = show.plain and not (self._silent or self._text or self._xml)

    def __call__(self, lines: Iterable[Line]) -> bytes:
        if self._untouched:
            return b"".join([line.raw + b"\n" for line in lines])
        return b"".join([self._event(line.value or json.loads(line.raw)) for line in lines])

    def _event(self, event: Mapping[str, Any]) -> bytes:
        if "Hash" in event:
            if self._silent and not self._roots.names.is_directory(event.get("Name", "")):
                return b""
            if not self._show.plain:
                event = {**event, "Hash": self._show(parsed(event["Hash"]))}
        if self._xml:
            return goxml.element("AddEvent", {**XML_FIELDS, **event}).encode("utf-8", "replace")
        return go_text(event) if self._text else gojson.value(event)


def go_text(event: Mapping[str, Any]) -> bytes:
    """Kubo has no text form for these events and prints the struct; so do we."""
    fields: Sequence[str] = (
        event.get("Name", ""),
        event.get("Hash", ""),
        f"%!s(int64={event.get('Bytes', 0)})",
        event.get("Size", ""),
        event.get("Mode", ""),
        f"%!s(int64={event.get('Mtime', 0)})",
        f"%!s(int={event.get('MtimeNsecs', 0)})",
    )
    return f"&{{{' '.join(fields)}}}".encode("utf-8", "replace")
