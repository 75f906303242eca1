"""A Kubo daemon as a node of the cluster, through its HTTP RPC API.

Implements `ipfs_cluster.ports.Node`. Shapes and error texts: Kubo 0.43. An `X-Stream-Error` trailer and a body that
ends early both count as failures; so does an answer that does not name what was asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidCid, NodeError, NodeStalled, NodeUnreachable, node_error
from ipfs_cluster.hops import SERVICES, listed
from ipfs_cluster.model import Bandwidth, NodeInfo, NodePin, PinMode, RepoStat, VerifiedPin
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.nodes.http import HttpTransport, Params, Response
from ipfs_cluster.nodes.stall import StallWatch
from ipfs_cluster.ports import NodeResponse

NOT_PINNED = "not pinned or pinned indirectly"
BATCH = 1000
"""Lines of a listing handed over at once."""


class KuboNode:
    """One daemon. The transport owns connections and credentials."""

    def __init__(self, transport: HttpTransport, *, cluster: bool = False) -> None:
        """cluster: it is known to be another cluster's proxy; else it is recognised by what `id` answers."""
        self.cluster = cluster
        self._http = transport

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.close()

    # --- who it is ---

    async def info(self) -> NodeInfo:
        """ID, addresses and version, in two calls."""
        services: tuple[str, ...] = ()
        answer: Any = {}
        async with self._http.stream("id") as response:
            services = listed(response.headers.get(SERVICES.lower(), ""))
            async for value in self._values(response):
                answer = value
        self.cluster = self.cluster or bool(services)
        version = await self._value("version")
        addresses = answer.get("Addresses") or []
        agent = answer.get("AgentVersion", "")
        return NodeInfo(answer["ID"], tuple(addresses), agent, version.get("Version", ""), services)

    async def free_space(self) -> int:
        """From diag/sys. What Kubo 0.43 calls the total is the part of the free space that is not kept for root, which
        is what the daemon can use; the size of the disk it does not tell.
        """
        answer = await self._value("diag/sys")
        disk = answer.get("diskinfo") or {}
        return min(int(disk.get("free_space", 0)), int(disk.get("total_space", 0)))

    async def repo_stat(self, *, size_only: bool = False) -> RepoStat:
        """repo/stat."""
        answer = await self._value("repo/stat", [("size-only", "true")] if size_only else [])
        return RepoStat(
            answer["RepoSize"], answer["StorageMax"], answer["NumObjects"], answer["RepoPath"], answer["Version"]
        )

    async def resolve(self, path: str) -> Cid:
        """By dag/resolve: its texts for bad paths are those of pin/add."""
        answer = await self._value("dag/resolve", [("arg", path)])
        return _cid(answer["Cid"]["/"])

    async def local_block(self, cid: Cid) -> None:
        """block/stat?offline."""
        await self._value("block/stat", [("arg", cids.text(cid)), ("offline", "true")])

    # --- pins ---

    async def pin(
        self,
        cid: Cid,
        mode: PinMode,
        name: str,
        on_progress: Callable[[int, int], None],
        stall: float,
    ) -> None:
        """pin/add with progress, watched for growth."""
        params = [
            ("arg", cids.text(cid)),
            ("recursive", "true" if mode is PinMode.RECURSIVE else "false"),
            ("progress", "true"),
        ]
        if name:
            params.append(("name", name))
        watch = StallWatch(stall)
        pinned: list[str] = []
        try:
            async with watch, self._http.stream("pin/add", params) as response:
                async for values in self._value_batches(response):
                    for value in values:
                        if "Pins" in value:
                            pinned = value["Pins"] or []
                            continue
                        nodes, size = value.get("Progress", 0), value.get("Bytes", 0)
                        watch.seen((nodes, size), alive=self.cluster)
                        on_progress(nodes, size)
        except TimeoutError:
            raise NodeStalled(watch.reason()) from None
        if cids.text(cid) not in pinned:
            raise NodeError(f"pin/add ended without naming {cids.text(cid)} as pinned")

    async def fetch(self, cid: Cid, on_progress: Callable[[int, int], None], stall: float) -> None:
        """refs -r: a line for each block below the root, as its parent arrives. It holds no pin lock."""
        params = [("arg", cids.text(cid)), ("recursive", "true"), ("unique", "true")]
        watch, seen = StallWatch(stall), 0
        try:
            async with watch, self._http.stream("refs", params) as response:
                async for values in self._value_batches(response):
                    if refusal := next((value["Err"] for value in values if value.get("Err")), ""):
                        raise NodeError(refusal)
                    seen += len(values)
                    watch.seen((seen, 0), alive=False)
                    on_progress(seen, 0)
        except TimeoutError:
            raise NodeStalled(watch.reason()) from None

    async def pin_update(self, old: Cid, new: Cid, stall: float) -> None:
        """pin/update without unpinning. It reports no progress, so the stall limit bounds the whole call."""
        params = [("arg", cids.text(old)), ("arg", cids.text(new)), ("unpin", "false")]
        try:
            async with asyncio.timeout(stall or None):
                await self._value("pin/update", params)
        except TimeoutError:
            raise NodeStalled(f"pin/update did not finish within {stall:g}s") from None

    async def unpin(self, cid: Cid, mode: PinMode) -> None:
        """pin/rm; a direct pin is removed with recursive=false only, so that it cannot take a recursive one along."""
        recursive = "true" if mode is PinMode.RECURSIVE else "false"
        try:
            await self._value("pin/rm", [("arg", cids.text(cid)), ("recursive", recursive)])
        except NodeError as error:
            if str(error) != NOT_PINNED:
                raise

    async def pinned(self, cid: Cid, mode: PinMode) -> NodePin | None:
        """pin/ls?arg: an index look-up on the daemon, no walk."""
        text = cids.text(cid)
        kinds = [PinMode.RECURSIVE] if mode is PinMode.RECURSIVE else [PinMode.DIRECT, PinMode.RECURSIVE]
        for kind in kinds:
            try:
                answer = await self._value("pin/ls", [("arg", text), ("type", kind.value), ("names", "true")])
            except NodeUnreachable:
                raise
            except NodeError as error:
                if not str(error).endswith("is not pinned"):
                    raise
            else:
                return NodePin(cid, kind, answer.get("Keys", {}).get(text, {}).get("Name", ""))
        return None

    async def pins(self, mode: PinMode) -> AsyncIterator[list[NodePin]]:
        """pin/ls?stream, drained at full speed."""
        params = [("type", mode.value), ("stream", "true"), ("names", "true")]
        async for values in self._batches("pin/ls", params):
            try:
                yield [NodePin(_cid(value["Cid"]), mode, value.get("Name", "")) for value in values]
            except (KeyError, TypeError, AttributeError):
                raise NodeError(f"what answers there is no IPFS node: pin/ls lists {values[0]!r:.80}") from None

    async def indirect(self) -> AsyncIterator[list[Cid]]:
        """pin/ls?type=indirect&stream."""
        async for values in self._batches("pin/ls", [("type", "indirect"), ("stream", "true")]):
            yield [_cid(value["Cid"]) for value in values]

    async def indirect_root(self, cid: Cid) -> Cid | None:
        """pin/ls?arg&type=indirect: the daemon walks its recursive pins."""
        try:
            answer = await self._value("pin/ls", [("arg", cids.text(cid)), ("type", "indirect")])
        except NodeUnreachable:
            raise
        except NodeError as error:
            if str(error).endswith("is not pinned"):
                return None
            raise
        kinds = [entry["Type"] for entry in (answer.get("Keys") or {}).values()]
        return next((_cid(kind.rsplit(" ", 1)[1]) for kind in kinds if kind.startswith("indirect through ")), None)

    async def verify(self) -> AsyncIterator[list[VerifiedPin]]:
        """pin/verify?verbose."""
        async with self._http.stream("pin/verify", [("verbose", "true")]) as response:
            async for values in self._value_batches(response):
                if failure := next((value["Err"] for value in values if value.get("Err")), ""):
                    raise node_error(failure)
                yield [_verified(value) for value in values]

    async def ensure_empty_block(self) -> None:
        """block/put of zero bytes with pin, unless it is pinned already."""
        if self.cluster or await self.pinned(EMPTY_RAW_BLOCK, PinMode.RECURSIVE):
            return  # a cluster sees to its own nodes
        answer = await self._value("block/put", [("pin", "true")], files=[b""])
        if answer.get("Key") != cids.text(EMPTY_RAW_BLOCK):
            raise NodeError(f"block/put of the empty block answered {answer.get('Key')}")

    # --- repository ---

    async def gc(self) -> AsyncIterator[list[tuple[Cid | None, str]]]:
        """repo/gc?stream-errors."""
        async with self._http.stream("repo/gc", [("stream-errors", "true")]) as response:
            async for values in self._value_batches(response):
                yield [
                    (_cid(value["Key"]["/"]) if value.get("Key") else None, value.get("Error", "")) for value in values
                ]

    async def import_options(self) -> Mapping[str, str]:
        """From config?arg=Import."""
        answer = await self._value("config", [("arg", "Import")])
        return import_options(answer.get("Value") or {})

    # --- swarm ---

    async def connect(self, addresses: Sequence[str]) -> None:
        """swarm/connect, address by address until one works."""
        error: NodeError | None = None
        for address in addresses:
            try:
                await self._value("swarm/connect", [("arg", address)])
            except NodeUnreachable:
                raise
            except NodeError as refusal:
                error = refusal
                continue
            return
        raise error or NodeError("no address to connect to")

    async def swarm_peers(self) -> frozenset[str]:
        """swarm/peers."""
        answer = await self._value("swarm/peers")
        return frozenset(entry["Peer"] for entry in answer.get("Peers") or [])

    async def bandwidth(self, protocol: str = "") -> Bandwidth:
        """stats/bw; NodeError when the daemon's configuration says not to count."""
        answer = await self._value("stats/bw", [("proto", protocol)] if protocol else [])
        return Bandwidth(answer["TotalIn"], answer["TotalOut"], answer["RateIn"], answer["RateOut"])

    # --- the door's own needs ---

    def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[NodeResponse]:
        """One request with a streamed body, full duplex, on a connection of its own (`add`)."""
        return self._http.upload(command, query, headers, body)

    # --- decoding ---

    async def _value(self, command: str, params: Params = (), files: Sequence[bytes] = ()) -> Any:
        """The single JSON value of a command; {} when it answers nothing."""
        async with self._http.stream(command, params, files) as response:
            body = await response.read()
            if response.status != 200:
                raise _error(response.status, body)
            values = [decode(line) for line in body.split(b"\n") if line]
            _check_trailer(response)
        return values[-1] if values else {}

    async def _values(self, response: Response) -> AsyncIterator[Any]:
        """All JSON values of an answer; raises NodeError for an error answer, an error value or the trailer."""
        async for values in self._value_batches(response):
            for value in values:
                yield value

    async def _value_batches(self, response: Response) -> AsyncIterator[list[Any]]:
        """The same, as many at once as arrived together."""
        if response.status != 200:
            raise _error(response.status, await response.read())
        async for lines in response.batches():
            yield [decode(line) for line in lines]
        _check_trailer(response)

    async def _batches(self, command: str, params: Params) -> AsyncIterator[list[Any]]:
        batch: list[Any] = []
        async with self._http.stream(command, params) as response:
            async for value in self._values(response):
                batch.append(value)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch


def _check_trailer(response: Response) -> None:
    if message := response.trailers.get("x-stream-error"):
        raise node_error(message)


def decode(line: bytes) -> Any:
    """One JSON value of a node. Raises NodeError for an error value, NodeUnreachable for what is no JSON."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise NodeUnreachable(f"the node sent something that is no JSON: {error}") from error
    if isinstance(value, dict) and value.get("Type") == "error":
        raise node_error(value.get("Message", ""), code=value.get("Code", 0))
    return value


_IMPORT: Mapping[str, tuple[str, str]] = {
    "CidVersion": ("cid-version", "0"),
    "HashFunction": ("hash", "sha2-256"),
    "UnixFSChunker": ("chunker", "size-262144"),
    "UnixFSFileMaxLinks": ("max-file-links", "174"),
    "UnixFSDirectoryMaxLinks": ("max-directory-links", "0"),
    "UnixFSHAMTDirectoryMaxFanout": ("max-hamt-fanout", "256"),
}
"""Keys of Kubo's Import configuration: the option of `add` that says the same, and its default."""
_NO_OPTION = ("UnixFSHAMTDirectorySizeThreshold", "UnixFSHAMTDirectorySizeEstimation")


def import_options(config: Mapping[str, Any]) -> dict[str, str]:
    """Kubo's Import section as options of `add`; see `ports.Node.import_options`."""
    found = {
        option: default if config.get(key) is None else _text(config[key]) for key, (option, default) in _IMPORT.items()
    }
    if config.get("UnixFSRawLeaves") is not None:
        found["raw-leaves"] = _text(config["UnixFSRawLeaves"])
    found["trickle"] = "true" if config.get("UnixFSDAGLayout") == "trickle" else "false"
    found |= {f"-{key}": _text(config[key]) for key in _NO_OPTION if config.get(key) is not None}
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cid(text: str) -> Cid:
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise NodeUnreachable(f"the node sent something that is no CID: {text!r}: {error}") from error


def _verified(value: Mapping[str, Any]) -> VerifiedPin:
    bad = tuple((_cid(node["Cid"]), str(node.get("Err", ""))) for node in value.get("BadNodes") or [])
    return VerifiedPin(_cid(value["Cid"]), ok=bool(value.get("Ok")), bad=bad)


def _error(status: int, body: bytes) -> NodeError:
    """Kubo's error: a JSON object, or plain text for request errors."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
        return node_error(value["Message"], status=status, code=value.get("Code", 0))
    except (ValueError, KeyError, TypeError):
        return NodeError(text or f"the node answered {status}", status=status)
