"""Fake nodes behind Kubo's RPC API, in a process of their own that outlives the service: what a soak needs, no more.

Blocks are whole files, CIDs are raw ones of their SHA-256, a directory's block is the list of its files' hashes. All
nodes of a process see each other's content. Run as a module: `stub <ports of the nodes> <control port>`.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from ipfs_cluster import cid as cids

VERSION = "0.43.0"
WALK = 0.02
"""Seconds that a pin takes at most."""
NOT_PINNED = "not pinned or pinned indirectly"


def hashed(content: bytes) -> str:
    """The CID of a block."""
    return cids.text(cids.from_bytes(b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()))


def folded(files: Sequence[tuple[str, bytes]]) -> str:
    """The CID of a directory."""
    return hashed(json.dumps([(name, hashed(content)) for name, content in files]).encode())


class Refused(Exception):
    """A Kubo-shaped 500."""


@dataclass
class Stub:
    """One node. pins: CID → type."""

    number: int
    port: int
    content: set[str]
    pins: dict[str, str] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.id = f"12D3KooWSoak{self.port}Node{self.number}"  # not that of another storm on this machine
        self._random = random.Random(self.number)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._answering = asyncio.Event()
        self._answering.set()
        self._runner: web.AppRunner | None = None

    # --- faults ---

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/api/v0/{command:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self._answering.set()

    async def kill(self) -> None:
        """Every connection breaks; what was pinned stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def suspend(self, *, go: bool) -> None:
        """Take connections and answer nobody, until told to go on."""
        (self._answering.set if go else self._answering.clear)()

    # --- requests ---

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self._answering.wait()
        command = request.match_info["command"]
        method = getattr(self, "_" + command.replace("/", "_"), None)
        if method is None:
            return web.Response(status=404, text="404 page not found")
        try:
            answer = await method(request)
        except Refused as refusal:
            return web.json_response({"Message": str(refusal), "Code": 0, "Type": "error"}, status=500)
        await self._answering.wait()
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    async def _id(self, request: web.Request) -> object:
        del request
        return {"ID": self.id, "Addresses": [f"/ip4/127.0.0.1/tcp/1/p2p/{self.id}"], "AgentVersion": f"kubo/{VERSION}"}

    async def _version(self, request: web.Request) -> object:
        del request
        return {"Version": VERSION}

    async def _diag_sys(self, request: web.Request) -> object:
        del request
        return {"diskinfo": {"free_space": 10**13, "total_space": 10**12 - self.number}}

    async def _repo_stat(self, request: web.Request) -> object:
        del request
        return {"RepoSize": 1, "StorageMax": 10**12, "NumObjects": 1, "RepoPath": "/soak", "Version": "fs-repo@16"}

    async def _config(self, request: web.Request) -> object:
        return {"Key": request.query["arg"], "Value": {}}

    async def _swarm_peers(self, request: web.Request) -> object:
        del request
        return {"Peers": [{"Peer": peer} for peer in self.connected]}

    async def _swarm_connect(self, request: web.Request) -> object:
        self.connected.add(request.query["arg"].rpartition("/")[2])
        return {"Strings": ["connect success"]}

    async def _dag_resolve(self, request: web.Request) -> object:
        return {"Cid": {"/": request.query["arg"]}, "RemPath": ""}

    async def _block_stat(self, request: web.Request) -> object:
        if request.query["arg"] not in self.content:
            raise Refused("block was not found locally (offline)")
        return {"Key": request.query["arg"], "Size": 1}

    # --- pins ---

    def _pin_now(self, cid: str, kind: str) -> None:
        if kind == "direct" and self.pins.get(cid) == "recursive":
            raise Refused(f"pin: {cid} already pinned recursively")
        self.pins[cid] = kind

    async def _pin_add(self, request: web.Request) -> web.StreamResponse:
        cid = request.query["arg"]
        kind = "recursive" if request.query.get("recursive", "true") == "true" else "direct"
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        async with self._locks[cid]:
            if self.pins.get(cid) == "direct" and kind == "recursive":
                del self.pins[cid]  # Kubo drops the old record before it walks
            if cid in self.content:
                await asyncio.sleep(self._random.random() * WALK)
                await self._answering.wait()
                if _gone(request):
                    return response
                self._pin_now(cid, kind)
        await response.prepare(request)
        while cid not in self.content:
            await response.write(b'{"Progress":0}\n')
            await asyncio.sleep(0.5)
            if _gone(request):
                return response
        await response.write(_line({"Pins": [cid]}))
        return response

    async def _pin_update(self, request: web.Request) -> object:
        old, new = request.query.getall("arg")
        if self.pins.get(old) != "recursive":
            raise Refused("'from' cid was not recursively pinned already")
        if self.pins.get(new) == "recursive":
            raise Refused("'to' cid was already recursively pinned")
        if new not in self.content:
            raise Refused("ipld: could not find the block")
        self.pins[new] = "recursive"
        return {"Pins": [old, new]}

    async def _pin_rm(self, request: web.Request) -> object:
        cid = request.query["arg"]
        async with self._locks[cid]:
            if cid not in self.pins:
                raise Refused(NOT_PINNED)
            if request.query.get("recursive", "true") != "true" and self.pins[cid] == "recursive":
                raise Refused(f"{cid} is pinned recursively")
            del self.pins[cid]
        return {"Pins": [cid]}

    async def _pin_ls(self, request: web.Request) -> object:
        kind, cid = request.query.get("type", "all"), request.query.get("arg")
        if cid is not None:
            if self.pins.get(cid) != kind:
                raise Refused(f"path '{cid}' is not pinned")
            return {"Keys": {cid: {"Type": kind}}}
        found = [{"Cid": cid, "Type": held} for cid, held in self.pins.items() if held == kind]
        return web.Response(body=b"".join(map(_line, found)))

    # --- adding ---

    async def _block_put(self, request: web.Request) -> object:
        ((_, part),) = await _parts(request)
        content = part or b""
        cid = hashed(content)
        self.content.add(cid)
        if request.query.get("pin") == "true":
            self._pin_now(cid, "recursive")
        return {"Key": cid, "Size": len(content)}

    async def _add(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "X-Chunked-Output": "1"})
        parts = await _parts(request)
        await response.prepare(request)
        for name, group in itertools.groupby(parts, lambda part: part[0].partition("/")[0]):
            (_, content), *below = group
            for file, data in below:
                await response.write(_event(file, hashed(data or b"")))
            entries = [(file.partition("/")[2], data or b"") for file, data in below]
            await self._root(request, response, name, folded(entries) if content is None else hashed(content))
        return response

    async def _root(self, request: web.Request, response: web.StreamResponse, name: str, cid: str) -> None:
        """The event, then the pin, as Kubo does."""
        await response.write(_event(name, cid))
        await asyncio.sleep(self._random.random() * WALK / 4)
        await self._answering.wait()
        self.content.add(cid)
        if request.query.get("pin", "true") == "true" and not _gone(request):
            self._pin_now(cid, "recursive")


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _line(value: object) -> bytes:
    """As Go writes it."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _event(name: str, cid: str) -> bytes:
    return _line({"Name": name, "Hash": cid, "Size": "1"})


async def _parts(request: web.Request) -> list[tuple[str, bytes | None]]:
    """(file name, content; None for a directory) of an upload."""
    found: list[tuple[str, bytes | None]] = []
    reader = await request.multipart()
    while isinstance(part := await reader.next(), BodyPartReader):
        content = bytes(await part.read())
        directory = part.headers.get("Content-Type") == "application/x-directory"
        found.append((unquote(part.filename or ""), None if directory else content))
    return found


class Control:
    """What a test asks for beside the nodes' own API."""

    def __init__(self, nodes: Sequence[Stub]) -> None:
        self._nodes = nodes

    async def serve(self, port: int) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/{node}/{act}", self._act)
        app.router.add_post("/publish", self._publish)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    async def _publish(self, request: web.Request) -> web.Response:
        for node in self._nodes[:1]:
            node.content.update(await request.json())
        return web.json_response({})

    async def _act(self, request: web.Request) -> web.Response:
        node = self._nodes[int(request.match_info["node"])]
        match request.match_info["act"]:
            case "kill":
                await node.kill()
            case "start":
                await node.start()
            case "suspend":
                node.suspend(go=False)
            case "resume":
                node.suspend(go=True)
            case "lose":
                lost = [cid for cid in node.pins if cid != EMPTY][::4]
                return web.json_response({cid: node.pins.pop(cid) for cid in lost})
        return web.json_response({cid: kind for cid, kind in node.pins.items() if cid != EMPTY})


EMPTY = hashed(b"")


async def main(ports: Sequence[int]) -> None:
    """Until killed."""
    *of_nodes, control = ports
    shared: set[str] = {EMPTY}
    nodes = [Stub(number, port, shared) for number, port in enumerate(of_nodes)]
    for node in nodes:
        await node.start()
    await Control(nodes).serve(control)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:]]))
