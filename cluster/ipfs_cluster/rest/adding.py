"""`POST /add`: an upload goes to the nodes that are to hold it, as through the proxy; answers are ipfs-cluster's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import hdrs, web

from ipfs_cluster.cid import Cid
from ipfs_cluster.engine import Cluster
from ipfs_cluster.errors import ClusterError, NodeError, StoreUnavailable
from ipfs_cluster.ingest import IngestRefused, Line, Roots, Upload
from ipfs_cluster.rest.add_options import AddOptions, add_options
from ipfs_cluster.rest.answers import BadRequest, Stream, line
from ipfs_cluster.rest.keys import CLUSTER
from ipfs_cluster.wire.multipart import boundary_of
from ipfs_cluster.wire.roots import AddRoots, CarRoots, Unpinned

HEADERS = {hdrs.CACHE_CONTROL: "no-cache", "X-Chunked-Output": "1"}
MEMORY = 1024 * 1024
"""Bytes of an answer in one array that are kept in memory; a longer one is collected in a file."""
PIECE = 256 * 1024
STALL = 600.0
"""Seconds in which the next bytes of a body must come: meanwhile the node that takes them can collect no garbage."""
Added = dict[str, Any]


async def add(request: web.Request) -> web.StreamResponse:
    """The route."""
    cluster = request.app[CLUSTER]
    kind, boundary = _multipart(request.headers.get(hdrs.CONTENT_TYPE, ""))
    asked = add_options(request.query, cluster.now, cluster.views.peers())
    roots, shapes = _reading(asked, boundary)
    upload = Upload(
        asked.command,
        asked.query,
        asked.replica_query,
        ((hdrs.CONTENT_TYPE, kind),),
        _body(request),
        roots if asked.pins else Unpinned(),
        asked.options,
        asked.wait,
        asked.home_only,
        request.content_length or 0,
    )
    output: _Output = _Lines(request) if asked.streams else _Array(request)
    with contextlib.closing(output):
        try:
            await _add(cluster, upload, shapes, output)
        except IngestRefused as refusal:
            # Before the first event, so nothing was answered yet.
            raise (BadRequest if refusal.status == 400 else NodeError)(refusal.message) from None
        except (ClusterError, BadRequest) as error:
            return await output.fail(error)
        return await output.end()


async def _add(cluster: Cluster, upload: Upload, shapes: _Shapes, output: _Output) -> None:
    async with cluster.add(upload) as call:
        async for lines in call.events():
            allocations = await _allocations(cluster, lines)
            await output.put([item for one in lines for item in shapes.added(one, allocations)])
        await output.put(shapes.rest())


# --- the request ---


def _multipart(kind: str) -> tuple[str, bytes]:
    """The Content-Type for daemons, which know no multipart/mixed though they would read it alike; the boundary."""
    media, semicolon, parameters = kind.partition(";")
    if media.strip().lower() not in ("multipart/form-data", "multipart/mixed"):
        raise BadRequest("request Content-Type isn't multipart/form-data")
    kind = f"multipart/form-data{semicolon}{parameters}"
    boundary = boundary_of(kind)
    if boundary is None:
        raise BadRequest("no multipart boundary param in Content-Type")
    return kind, boundary


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(STALL):
                piece = await request.content.readany()
            if not piece:
                return
            yield piece
    except TimeoutError:
        raise BadRequest(f"error reading request: nothing came for {STALL:.0f} seconds") from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"error reading request: {error}") from None


def _reading(asked: AddOptions, boundary: bytes) -> tuple[Roots, _Shapes]:
    if not asked.car:
        return AddRoots(boundary, wrap=asked.wrap, directories=False), _Files()
    roots = CarRoots(boundary)
    return roots, _Car(roots)


# --- events as ipfs-cluster shows them ---


class _Shapes(Protocol):
    def added(self, event: Line, allocations: Mapping[Cid, Sequence[str]]) -> list[Added]: ...

    def rest(self) -> list[Added]: ...


class _Files:
    """Of the daemon's `add`."""

    def added(self, event: Line, allocations: Mapping[Cid, Sequence[str]]) -> list[Added]:
        value = event.value or json.loads(event.raw)
        item: Added = {"name": value.get("Name", ""), "cid": value.get("Hash") or None}
        if value.get("Bytes"):
            item["bytes"] = value["Bytes"]
        if value.get("Size"):
            item["size"] = int(value["Size"])
        if event.root is not None:
            item["allocations"] = allocations[event.root]
        return [item]

    def rest(self) -> list[Added]:
        return []


class _Car:
    """Of `dag/import`, which tells the roots first and the size of all at the end."""

    def __init__(self, roots: CarRoots) -> None:
        self._roots = roots
        self._items: list[Added] = []
        self._failed: list[str] = []
        self._bytes: int | None = None

    def added(self, event: Line, allocations: Mapping[Cid, Sequence[str]]) -> list[Added]:
        value = event.value or {}
        if stats := value.get("Stats"):
            self._bytes = stats["BlockBytesCount"]
        if root := value.get("Root"):
            text = root["Cid"]["/"]
            if event.root is None:
                self._failed.append(f"the root {text} of the CAR file cannot be pinned: {root.get('PinErrorMsg')}")
            else:
                self._items.append({"cid": text, "allocations": allocations[event.root]})
        return []

    def rest(self) -> list[Added]:
        """Raises NodeError for a root that could not be pinned, BadRequest for a CAR without any."""
        if self._failed:
            raise NodeError("; ".join(self._failed))
        if self._bytes is None:
            raise NodeError("the node did not import the CAR file to its end")
        if not self._items:
            raise BadRequest("the CAR file has no roots: nothing was pinned")
        return [{"name": self._roots.name, "cid": item["cid"], "bytes": self._bytes} | item for item in self._items]


async def _allocations(cluster: Cluster, lines: Sequence[Line]) -> Mapping[Cid, Sequence[str]]:
    """The peers of each root's entry, which is there when its event is."""
    found: dict[Cid, Sequence[str]] = {}
    for root in {event.root for event in lines if event.root is not None}:
        entry = await cluster.views.get(root)
        found[root] = entry.allocations if entry and entry.allocations else tuple(cluster.peers_by_id)
    return found


# --- the answer ---


class _Output(Protocol):
    async def put(self, items: Sequence[Added]) -> None: ...

    async def fail(self, error: Exception) -> web.StreamResponse: ...

    async def end(self) -> web.StreamResponse: ...

    def close(self) -> None: ...


class _Lines:
    """As NDJSON, while it happens."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = Stream(request, HEADERS)
        self._response.force_close()  # as ipfs-cluster: who answers while it is sent to had better not go on afterwards

    async def put(self, items: Sequence[Added]) -> None:
        if items:
            await self._response.write(b"".join(map(line, items)))

    async def fail(self, error: Exception) -> web.StreamResponse:
        if not self._response.prepared:
            raise error
        await self._response.fail(str(error))
        return self._response

    async def end(self) -> web.StreamResponse:
        await self._response.prepare(self._request)
        return self._response

    def close(self) -> None:
        """Nothing to let go of."""


class _Array:
    """As one array, when all is done."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._file = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115 - `close` closes it
        self._size = 0

    async def put(self, items: Sequence[Added]) -> None:
        if items:
            await self._write((b"," if self._size else b"[") + b",".join(line(item).rstrip() for item in items))

    async def _write(self, data: bytes) -> None:
        try:
            self._size += await asyncio.to_thread(self._file.write, data)
        except OSError as error:
            raise StoreUnavailable(f"cannot keep the answer: {error.strerror}") from error

    async def fail(self, error: Exception) -> web.StreamResponse:
        raise error

    async def end(self) -> web.StreamResponse:
        await self._write(b"]\n" if self._size else b"[]\n")
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/json", **HEADERS})
        response.force_close()
        response.content_length = self._size
        await asyncio.to_thread(self._file.seek, 0)
        await response.prepare(self._request)
        while piece := await asyncio.to_thread(self._file.read, PIECE):
            await response.write(piece)
        return response

    def close(self) -> None:
        self._file.close()
