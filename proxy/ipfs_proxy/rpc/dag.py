"""`dag/import`, `dag/put` and `block/put` that pin: sent to all nodes that are to hold the roots, as `add` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ipfs_cluster import Cluster, Line, Proof, Roots
from ipfs_cluster.wire.roots import ImportRoots, PutRoots, parsed
from ipfs_proxy.front.exchange import Command, Request
from ipfs_proxy.rpc.ingest import Adding, adding_command, node_query
from ipfs_proxy.rpc.run import CidText
from ipfs_proxy.wire import gojson, goxml
from ipfs_proxy.wire.params import Option, Params

PUT = (Option("pin", bool),)
IMPORT = (
    Option("pin-roots", bool, (), True),
    Option("local-only", bool),
    Option("silent", bool),
    Option("stats", bool),
)
Event = Mapping[str, Any]
Show = Callable[[Event, Params, CidText], bytes]


def adding_commands(cluster: Cluster, server: Callable[[], str]) -> Mapping[str, Command]:
    """The table of these commands."""

    def entry(
        name: str, options: tuple[Option, ...], pins: Callable[[Params], bool], roots: Callable[[], Roots], show: Show
    ) -> Command:
        async def run(request: Request, params: Params, respell: CidText, adding: Adding) -> None:
            def render(lines: Iterable[Line]) -> bytes:
                return b"".join([show(line.value or {}, params, respell) for line in lines])

            fixed = {"pin-roots": "true", "stats": "true"} if name == "dag/import" else {"pin": "true"}
            query = node_query(request, params, {"silent"}, **fixed)
            await adding.run(name, roots(), render, query=query, name=params.extra.get("name"))

        return adding_command(cluster, server, options, pins, run)

    def pin(params: Params) -> bool:
        return params.flag("pin")

    def pin_roots(params: Params) -> bool:
        return params.flag("pin-roots") and not params.flag("local-only")

    return {
        "block/put": entry("block/put", PUT, pin, lambda: PutRoots(Proof.REPORT, "Key"), _block),
        "dag/put": entry("dag/put", PUT, pin, lambda: PutRoots(Proof.ASK, "Cid"), _node),
        "dag/import": entry("dag/import", IMPORT, pin_roots, ImportRoots, _imported),
    }


def _block(event: Event, params: Params, show: CidText) -> bytes:
    key = show.respelled(event["Key"])
    if params.encoding == "text":
        return f"{key}\n".encode()
    fields = {**event, "Key": key}
    return goxml.element("BlockStat", fields).encode() if params.encoding == "xml" else gojson.value(fields)


def _node(event: Event, params: Params, show: CidText) -> bytes:
    if params.encoding == "text":
        return f"{show.respelled(event['Cid']['/'])}\n".encode()
    if params.encoding == "xml":
        return goxml.element("OutputObject", {"Cid": event["Cid"]["/"]}).encode()
    return gojson.value(event)


def _imported(event: Event, params: Params, show: CidText) -> bytes:
    """Statistics are asked of the nodes always, and shown to who asked for them."""
    root, stats = event.get("Root"), event.get("Stats")
    text = params.encoding == "text"
    if (stats is not None and not params.flag("stats")) or (text and params.flag("silent")):
        return b""
    if not text and params.encoding != "xml":
        return gojson.value(event)
    if not text:
        fields = {"Root": root and {**root, "Cid": root["Cid"]["/"]}, "Stats": stats}
        return goxml.element("CarImportOutput", fields).encode()
    if root is not None:
        outcome = f"FAILED: {root['PinErrorMsg']}" if root["PinErrorMsg"] else "success"
        return f"Pinned root\t{show(parsed(root['Cid']['/']))}\t{outcome}\n".encode()
    return f"Imported {stats['BlockCount']} blocks ({stats['BlockBytesCount']} bytes)\n".encode() if stats else b""
