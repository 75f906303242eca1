"""`add` through the home node: the daemon adds and answers, the cluster takes over what it pinned.

Nothing of the daemon's import is re-implemented: the body goes to the node byte for byte, its events come back to the
client. The door only reads along, to know the roots. A root's own line is held back until the next event or the clean
end proves that the node has pinned it, and until its entry in the pinset is durable.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ipfs_cluster import Cid, Cluster
from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError, InvalidCid, NodeError
from ipfs_cluster.model import PinMode, PinOptions
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.rpc.options import pin_options
from ipfs_proxy.rpc.run import TEXT_PLAIN, Answer, CidText, message_of
from ipfs_proxy.wire import gojson
from ipfs_proxy.wire.multipart import EntryNames, MultipartError, MultipartParser, Part, boundary_of
from ipfs_proxy.wire.params import BadRequest, Option, Params, parse_params, parse_query

log = logging.getLogger(__name__)

OPTIONS = (
    Option("pin", bool, (), True),
    Option("pin-name", str),
    Option("only-hash", bool, ("n",)),
    Option("wrap-with-directory", bool, ("w",)),
    Option("silent", bool),
    Option("quiet", bool, ("q",)),
    Option("quieter", bool, ("Q",)),
    Option("progress", bool, ("p",)),
)
OURS = frozenset(
    {"pin", "silent", "quiet", "q", "quieter", "Q", "encoding", "enc", "cid-base", "upgrade-cidv0-in-output"}
    | {"replication", "replication-min", "replication-max", "user-allocations", "expire-in", "expire-at", "origins"}
    | {"wait"}
)
"""Query keys that are not the node's: they would hide the roots, or mean something to the cluster only."""
FORWARDED = ("content-type", "user-agent", "authorization")


def relayed(query: str) -> bool:
    """True for an add that pins nothing, or whose options are wrong: the daemon's own answer is the right one."""
    try:
        params = parse_params(query, (), OPTIONS)
    except BadRequest:
        return True
    return params.flag("only-hash") or not params.flag("pin")


def add_command(cluster: Cluster, server: Callable[[], str]) -> Command:
    """The table entry."""

    async def handler(request: Request, reply: Reply) -> None:
        params = parse_params(request.query, request.tail, OPTIONS)
        answer = Answer(reply, params, server)
        try:
            show = CidText(params)
            name = params.text("pin-name") or params.extra.get("name")
            options = pin_options(params.extra, name, PinMode.RECURSIVE)
        except ClusterError as error:
            await answer.error(message_of(error))
            return
        await _Add(cluster, request, params, reply, answer, show, options).run()

    return Command(handler, relayed)


@dataclass(slots=True)
class _Held:
    """A root whose pin is not proven yet: its CID and the event to send when it is."""

    cid: Cid
    event: dict[str, Any]


class _Add:
    """One add from its head to its end."""

    def __init__(
        self,
        cluster: Cluster,
        request: Request,
        params: Params,
        reply: Reply,
        answer: Answer,
        show: CidText,
        options: PinOptions,
    ) -> None:
        self._cluster = cluster
        self._request = request
        self._params = params
        self._reply = reply
        self._answer = answer
        self._show = show
        self._options = options
        self._op = secrets.token_hex(8)
        self._names = EntryNames(directories=params.flag("silent"))
        self._roots = 0
        self._held: _Held | None = None
        self._broken = ""

    async def run(self) -> None:
        """Relay, read along, commit. Whatever ends it early releases what it had the node pin."""
        clean = False
        try:
            await self._exchange()
            clean = True
        except (ClusterError, MultipartError) as error:
            await self._cluster.ingest.abandon(self._op)
            clean = True
            message = message_of(error) if isinstance(error, ClusterError) else str(error)
            await self._answer.error(message)
        finally:
            if not clean:
                await self._cluster.ingest.abandon(self._op)

    async def _exchange(self) -> None:
        headers = [(name, self._request.headers[name]) for name in FORWARDED if name in self._request.headers]
        upload = self._cluster.upload("add", self._node_query(), headers, self._body())
        async with upload as response:
            if response.status != 200:
                await self._refused(response.status, response.headers, await response.read())
                return
            async for line in response.lines():
                if line:
                    await self._event(json.loads(line))
            if message := response.trailers.get("x-stream-error"):
                raise NodeError(message)
            await self._commit_held()
        if self._broken:
            raise MultipartError(self._broken)
        if self._roots < len(self._names.entries) and not self._params.flag("wrap-with-directory"):
            log.error("add: the node reported %d roots for %d entries", self._roots, len(self._names.entries))
        await self._answer.begin()
        await self._answer.end()

    def _node_query(self) -> str:
        pairs = [(key, value) for key, value in parse_query(self._request.query) if key not in OURS]
        pairs = [(key, value) for key, value in pairs if not key.startswith("meta-")]
        return urlencode([*pairs, ("pin", "true"), ("encoding", "json")])

    async def _body(self) -> AsyncIterator[bytes]:
        """The request's body, untouched, while its entries' names are noted."""
        boundary = boundary_of(self._request.headers.get("content-type", ""))
        parser = MultipartParser(boundary) if boundary else None
        async for piece in self._request.body:
            if parser is not None:
                try:
                    for event in parser.feed(piece):
                        if isinstance(event, Part):
                            self._names.add(event)
                except MultipartError as error:
                    # The daemon will say what is wrong; if it does not, the roots are unknown and the add fails.
                    self._broken, parser = str(error), None
            yield piece

    async def _refused(self, status: int, headers: Any, body: bytes) -> None:
        """The daemon refused the add before its first event."""
        if "content-length" in headers:
            await self._reply.respond(status, body, headers=TEXT_PLAIN)
            return
        try:
            message = json.loads(body)["Message"]
        except (ValueError, KeyError, TypeError):
            message = body.decode("utf-8", "replace")
        await self._answer.error(message, status=status)

    # --- events ---

    async def _event(self, event: dict[str, Any]) -> None:
        await self._commit_held()
        if self._is_root(event):
            self._roots += 1
            cid = _cid(event["Hash"])
            await self._cluster.ingest.claim_root(self._op, cid)
            self._held = _Held(cid, event)
            return
        await self._send(event)

    def _is_root(self, event: dict[str, Any]) -> bool:
        digest = event.get("Hash")
        if not digest:
            return False
        name = event.get("Name", "")
        if self._params.flag("wrap-with-directory"):
            return bool(name == "")
        if self._roots >= len(self._names.entries):
            return False
        expected = self._names.entries[self._roots]
        return bool(name == (digest if expected is None else expected))

    async def _commit_held(self) -> None:
        """The node went on, so the root before is pinned: make it the cluster's, then tell the client."""
        held, self._held = self._held, None
        if held is not None:
            await self._cluster.ingest.commit_root(self._op, held.cid, self._options)
            await self._send(held.event)

    async def _send(self, event: dict[str, Any]) -> None:
        if "Hash" in event:
            if self._params.flag("silent") and not self._names.is_directory(event.get("Name", "")):
                return
            if not self._show.plain:
                event = {**event, "Hash": self._show(_cid(event["Hash"]))}
        await self._answer.begin()
        await self._answer.write(_go_text(event) if self._answer.encoding == "text" else gojson.value(event))


def _cid(text: str) -> Cid:
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise NodeError(f"the node reported {text!r} as added, which is no CID: {error}") from error


def _go_text(event: dict[str, Any]) -> bytes:
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
