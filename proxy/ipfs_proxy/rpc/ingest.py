"""What the adding commands share: from a request to the cluster's upload, from its events to the client's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import urlencode

from ipfs_cluster import Cluster, IngestCall, IngestRefused, Line, Roots, Upload
from ipfs_cluster.errors import ClusterError, DeadlineExceeded
from ipfs_cluster.model import PinMode
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.rpc.options import pin_options, wait_option
from ipfs_proxy.rpc.run import TEXT_PLAIN, Answer, CidText, message_of
from ipfs_proxy.wire.params import (
    BadRequest,
    Option,
    Params,
    UnparsableTimeout,
    check_timeout,
    parse_params,
    parse_query,
)

CLUSTER_OPTIONS = frozenset(
    {"replication", "replication-min", "replication-max", "user-allocations", "expire-in", "expire-at", "origins"}
    | {"wait"}
)
"""Query keys that mean something to the cluster only."""
RENDERED = frozenset({"encoding", "enc", "cid-base", "upgrade-cidv0-in-output", "stream-channels"})
"""Query keys about the form of the answer: the door renders it, the nodes are asked for plain JSON."""
FORWARDED = ("content-type", "content-disposition", "authorization")

Render = Callable[[Iterable[Line]], bytes]


def node_query(request: Request, params: Params, drop: Collection[str], **fixed: str) -> str:
    """The request's query for a node: what the daemon knows or a later one may know stays."""
    drop = CLUSTER_OPTIONS | RENDERED | set(drop) | set(fixed)
    pairs = [("arg", argument) for argument in request.tail]
    pairs += [
        (key, value) for key, value in parse_query(request.query) if key not in drop and not key.startswith("meta-")
    ]
    return urlencode([*pairs, *fixed.items(), ("encoding", "json")])


def adding_command(
    cluster: Cluster,
    server: Callable[[], str],
    options: Sequence[Option],
    pins: Callable[[Params], bool],
    run: Callable[[Request, Params, CidText, Adding], Awaitable[None]],
) -> Command:
    """A command table entry. pins: whether a request with these parameters is the cluster's; what pins nothing, and
    what the daemon will refuse, is the daemon's to answer. run: adds with the given `Adding`.
    """

    def relayed(query: str) -> bool:
        try:
            params = parse_params(query, (), options)
            check_timeout(params)
        except (BadRequest, UnparsableTimeout):
            return True
        return not pins(params)

    async def handler(request: Request, reply: Reply) -> None:
        params = parse_params(request.query, request.tail, options)
        answer = Answer(reply, params, server)
        try:
            show = CidText(params)
        except ClusterError as error:
            await answer.error(message_of(error))
            return
        await run(request, params, show, Adding(cluster, request, params, reply, answer))

    return Command(handler, relayed)


class Adding:
    """One adding request."""

    def __init__(self, cluster: Cluster, request: Request, params: Params, reply: Reply, answer: Answer) -> None:
        self._cluster = cluster
        self._request = request
        self._params = params
        self._reply = reply
        self._answer = answer

    async def run(
        self,
        command: str,
        roots: Roots,
        render: Render,
        *,
        query: str,
        replica_query: str | None = None,
        name: str | None = None,
        home_only: bool = False,
    ) -> None:
        """Add, and answer with what `render` makes of the events. Errors are answered too."""
        try:
            upload = Upload(
                command,
                query,
                query if replica_query is None else replica_query,
                self._headers(),
                aiter(self._request.body),
                roots,
                pin_options(self._params.extra, name, PinMode.RECURSIVE),
                wait_option(self._params.extra),
                home_only,
                self._request.length,
            )
            await self._relay(upload, render)
        except IngestRefused as refusal:
            await self._refused(refusal)
        except ClusterError as error:
            await self._answer.error(message_of(error))

    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers: Mapping[str, str] = self._request.headers
        return tuple((name, headers[name]) for name in FORWARDED if name in headers)

    async def _relay(self, upload: Upload, render: Render) -> None:
        try:
            async with asyncio.timeout(self._params.timeout) as deadline, self._cluster.add(upload) as call:
                try:
                    await self._pass_on(call, render)
                except asyncio.CancelledError:
                    if deadline.expired():
                        await call.withdraw()
                    raise
        except TimeoutError:
            raise DeadlineExceeded from None
        await self._answer.begin()
        await self._answer.end()

    async def _pass_on(self, call: IngestCall, render: Render) -> None:
        async for lines in call.events():
            if body := render(lines):
                await self._answer.begin()
                await self._answer.write(body)

    async def _refused(self, refusal: IngestRefused) -> None:
        """The daemon refused before its first event: its own words, in the client's encoding."""
        if "content-length" in refusal.headers:
            await self._reply.respond(refusal.status, refusal.body, headers=TEXT_PLAIN)
            return
        await self._answer.error(refusal.message, status=refusal.status)
