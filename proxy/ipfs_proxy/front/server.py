"""The front's listeners and what all connections share: the plan of each request head, limits, counters, drain."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ipfs_cluster import sockets
from ipfs_cluster.hops import HOPS, listed, loop_message
from ipfs_cluster.security.audit import AuditLog
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.tls import ServerTls
from ipfs_cluster.tasks import TaskSet
from ipfs_proxy.front.access import ACCESS_DENIED, Access, Entry, WaitingExchange
from ipfs_proxy.front.alone import Alone
from ipfs_proxy.front.audit import Audited, audited
from ipfs_proxy.front.command import EXPOSED, CommandExchange, error_object
from ipfs_proxy.front.connection import ClientConnection, Exchange
from ipfs_proxy.front.counters import FIRST_BYTE, OUTCOMES, FrontCounters, RouteStats
from ipfs_proxy.front.exchange import Command
from ipfs_proxy.front.http1 import RequestHead, date_header, parse_request_head, response_head
from ipfs_proxy.front.policy import PLAIN, Policy, Refuse, readable_by
from ipfs_proxy.front.relay import RelayExchange
from ipfs_proxy.front.reply import FixedExchange
from ipfs_proxy.front.responses import ResponsePlan
from ipfs_proxy.front.routes import Kind, Route, route
from ipfs_proxy.front.upstream import Upstream, UpstreamPool
from ipfs_proxy.front.upstream_head import upstream_head

log = logging.getLogger(__name__)

MEMO_SIZE = 1024
"""Request heads remembered; a client repeats the same few, byte by byte."""
MEMO_HEAD = 2048
API = "/api/"
TICK = 1.0


@dataclass(frozen=True, slots=True)
class Listen:
    """One address to listen on: host and port (0: any free one), or a unix socket's path."""

    host: str = ""
    port: int = 0
    unix: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """connections: at once. head_time: seconds for a head to arrive. idle_time: seconds between requests."""

    connections: int = 20_000
    head_time: float = 30.0
    idle_time: float = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with one request head; equal heads share it. from_service: a service of this kind asks. until: when
    its credentials end, in unix seconds; None for never. audited: what the audit log is told of it.
    """

    head: RequestHead
    route: Route
    stats: RouteStats
    refuse: Refuse | None
    allow_origin: str
    upstream_head: bytes
    from_service: bool = False
    until: float | None = None
    audited: Audited | None = None


class Server:
    """The door. `start`, then `addresses`; `close` drains."""

    def __init__(
        self,
        listeners: Sequence[Listen],
        upstream: Upstream | Alone,
        commands: Mapping[str, Command],
        *,
        origins: Sequence[str] = (),
        limits: Limits = Limits(),
        server_header: str = "kubo",
        service: str = "",
        services: Callable[[], Sequence[str]] = tuple,
        tls: ServerTls | None = None,
        gatekeeper: Gatekeeper | None = None,
        audit: AuditLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """upstream: who answers all the rest. origins: allowed beside the door's own; server_header: the daemon's,
        changeable while running. service: this service's peer ID; services: it and those behind it, as other services
        are told. tls: what tcp listeners speak; unix sockets are plain. gatekeeper: asks for credentials; without one
        everybody may do everything. audit: where changes are written down.
        """
        self.server_header = server_header
        self.tasks = TaskSet()
        self._alone = upstream if isinstance(upstream, Alone) else None
        self.pool = UpstreamPool(Upstream() if isinstance(upstream, Alone) else upstream, self.tasks)
        self.counters = FrontCounters.of(commands)
        self.draining = False
        self.now = 0.0
        self._listeners = listeners
        self._commands = commands
        self._origins = tuple(origins)
        self._limits = limits
        self._service = service
        self._services = services
        self._access = Access(gatekeeper or Gatekeeper(()))
        self.tls = tls
        self._audit = audit or AuditLog(None)
        self._clock = clock
        self.time: Callable[[], float] = time.monotonic  # the loop's, once there is one
        self._servers: list[asyncio.Server] = []
        self._policy = self._new_policy()
        self._connections: set[ClientConnection] = set()
        self._plans: dict[bytes, Plan] = {}
        self._responses: dict[bytes, ResponsePlan] = {}
        self._date = (0, "")
        self._empty = asyncio.Event()

    # --- life ---

    async def start(self) -> None:
        """Listen. Raises OSError when an address cannot be had; then nothing listens."""
        loop = asyncio.get_running_loop()
        self.time = loop.time
        self.now = loop.time()
        try:
            for listen in self._listeners:
                self._servers.append(await self._listen(loop, listen))
        except OSError:
            await self.close(0)
            raise
        self._policy = self._new_policy()
        self.tasks.start("front sweep", self._sweep())

    async def _listen(self, loop: asyncio.AbstractEventLoop, listen: Listen) -> asyncio.Server:
        def factory() -> ClientConnection:
            return ClientConnection(self)

        if listen.unix:
            sockets.claim(listen.unix)
            server = await loop.create_unix_server(factory, listen.unix, backlog=1024)
            os.chmod(listen.unix, sockets.MODE)
            return server
        options = {} if self.tls is None else self.tls.options
        return await loop.create_server(factory, listen.host, listen.port, backlog=1024, reuse_address=True, **options)

    @property
    def open_connections(self) -> int:
        """Clients that are connected now."""
        return len(self._connections)

    @property
    def addresses(self) -> list[tuple[str, int] | str]:
        """Where it listens: (host, port) or the socket's path."""
        found: list[tuple[str, int] | str] = []
        for server in self._servers:
            for sock in server.sockets:
                name = sock.getsockname()
                found.append(name if sock.family == socket.AF_UNIX else (name[0], name[1]))
        return found

    def reconfigure(self, origins: Sequence[str], limits: Limits) -> None:
        """For requests from now on. Plans of known heads are forgotten: the old origins and users decided them."""
        self._origins, self._limits = tuple(origins), limits
        self._policy = self._new_policy()
        self._plans.clear()

    def _new_policy(self) -> Policy:
        ports = {address[1] for address in self.addresses if isinstance(address, tuple)}
        return Policy(ports, self._origins, credentials=self._access.asks)

    async def close(self, grace: float = 10.0) -> None:
        """Stop accepting, let running exchanges end for `grace` seconds, then cut them."""
        self.draining = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            if connection.exchange is None:
                connection.transport.close()
        if self._connections and grace > 0:
            self._empty.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("%d requests were cut at shutdown after %g s", len(self._connections), grace)
        for connection in list(self._connections):
            connection.transport.abort()
        await self.tasks.close()
        self.pool.close()
        for listen in self._listeners[: len(self._servers)]:
            if listen.unix:
                sockets.release(listen.unix)

    async def _sweep(self) -> None:
        """Once a second: the coarse clock, heads and idle connections that take too long, clients that left."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.now = loop.time()
            self.counters.lag.observe(max(self.now - due, 0.0))
            for connection in list(self._connections):
                if connection.busy:
                    connection.check_presence()
                    continue
                limit = self._limits.idle_time if connection.idle else self._limits.head_time
                if self.now - connection.since > limit:
                    connection.transport.close()

    # --- for connections ---

    def joined(self, connection: ClientConnection) -> None:
        """A client connected."""
        self._connections.add(connection)
        self.counters.connections += 1
        if len(self._connections) > self._limits.connections or self.draining:
            self.counters.turned_away += 1
            connection.transport.abort()

    def left(self, connection: ClientConnection) -> None:
        """A client's connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def soon(self, callback: Callable[[], None]) -> None:
        """Run after the current callback."""
        asyncio.get_running_loop().call_soon(callback)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run after a while."""
        asyncio.get_running_loop().call_later(seconds, callback)

    def exchange(self, client: ClientConnection, plan: Plan) -> Exchange:
        """The exchange for a planned request."""
        client.begun = self.time()
        client.stats = stats = plan.stats
        client.audited = plan.audited
        stats.begun += 1
        if plan.until is not None and self._clock() >= plan.until:
            return FixedExchange(self, client, plan, ACCESS_DENIED)
        if plan.refuse is not None:
            return FixedExchange(self, client, plan, plan.refuse)
        if plan.route.kind is Kind.COMMAND:
            return CommandExchange(self, client, plan, self._commands[plan.route.name])
        return RelayExchange(self, client, plan)

    def first_byte(self, client: ClientConnection, plan: Plan) -> None:
        """The seconds until an answer begins. `Histogram.observe`, spelled out: every relayed request passes here."""
        seconds = self.time() - client.begun
        first = plan.stats.first_byte
        first.counts[bisect_left(FIRST_BYTE, seconds)] += 1
        first.sum += seconds

    def date(self) -> str:
        """The Date header of now."""
        second = int(self._clock())
        if second != self._date[0]:
            self._date = (second, date_header(second))
        return self._date[1]

    def write_error(self, client: ClientConnection, plan: Plan, message: str, *, complete: bool) -> bool:
        """A whole error answer in Kubo's shape, for a daemon that cannot be reached; True when keep-alive may go on."""
        body = error_object(message) + b"\n"
        fields = {
            "Access-Control-Allow-Headers": EXPOSED,
            "Access-Control-Expose-Headers": EXPOSED,
            "Content-Type": "application/json",
            "Server": self.server_header,
            "Vary": "Origin",
        }
        if plan.allow_origin:
            fields["Access-Control-Allow-Origin"] = plan.allow_origin
        keep = plan.head.keep_alive and complete
        tail = {"Date": self.date(), "Content-Length": str(len(body))}
        if not keep:
            tail["Connection"] = "close"
        self.first_byte(client, plan)
        client.write(response_head(500, fields, tail) + (b"" if plan.head.method == "HEAD" else body))
        return keep

    def services_for(self, plan: Plan) -> str:
        """What the answer says about the services here; empty for everybody who is not one."""
        return ", ".join(self._services()) if plan.from_service else ""

    # --- planning ---

    def response_plan(self, head_bytes: bytes) -> ResponsePlan:
        """What a response head means; remembered by its bytes, which repeat within a second (Date). Raises
        ProtocolError."""
        plan = self._responses.get(head_bytes)
        if plan is None:
            plan = ResponsePlan(head_bytes)
            if len(self._responses) >= MEMO_SIZE:
                self._responses.clear()
            self._responses[head_bytes] = plan
        return plan

    def known_plan(self, data: bytes) -> Plan | None:
        """The plan of bytes that are exactly one head seen before."""
        return self._plans.get(data)

    def plan(self, head_bytes: bytes, client: ClientConnection) -> Plan | None:
        """What to do with a head; remembered by its bytes. None: the client waits until its credentials are checked.
        Raises ProtocolError.
        """
        plan = self._plans.get(head_bytes)
        if plan is None:
            head = parse_request_head(head_bytes)
            found = route(head.method, head.path, head.query, self._commands)
            entry = self._admit(head, found, client)
            if entry is None:
                return None
            plan = self._make_plan(head, found, entry)
            if self._audit.on:
                plan = replace(plan, audited=audited(head, found.path, entry.user, denied=entry.refuse is not None))
            # Who is denied now may have a valid token later.
            if len(head_bytes) <= MEMO_HEAD and entry.refuse is None:
                if len(self._plans) >= MEMO_SIZE:
                    self._plans.clear()
                self._plans[head_bytes] = plan
        return plan

    def write_down(self, client: ClientConnection, told: Audited, outcome: int) -> None:
        """A line of the audit log, at the end of an exchange."""
        request = {**told.request, "outcome": OUTCOMES[outcome]}
        self._audit.record("proxy", client.remote, told.user, request, denied=told.denied)

    def _admit(self, head: RequestHead, found: Route, client: ClientConnection) -> Entry | None:
        access, remote = self._access, client.remote
        entry = access.admit(head, found.path, remote)
        if isinstance(entry, Entry):
            return entry
        check = entry

        async def settle() -> None:
            await access.settle(check, head, remote)
            waiting.over()

        client.stats = client.audited = None
        client.exchange = waiting = WaitingExchange(client)
        self.tasks.start("check of a password", settle())
        return None

    def _make_plan(self, head: RequestHead, found: Route, entry: Entry) -> Plan:
        stats = self.counters.routes[found.name]
        if entry.refuse is not None:
            return Plan(head, found, stats, entry.refuse, "", b"")
        # The daemon protects its commands, and so do we; pages like /webui are there for browsers.
        api = found.path.startswith(API)
        verdict = self._policy.check(head.method, head.headers) if api else PLAIN
        if head.headers.get("expect") and not head.expects_continue:
            verdict = Refuse(417, {}, b"")
        if isinstance(verdict, Refuse):
            return Plan(head, found, stats, verdict, "", b"")
        hops = listed(head.headers.get(HOPS.lower(), ""))
        if self._service and self._service in hops:
            return Plan(head, found, stats, self._loop(hops), "", b"")
        if self._alone is not None:
            answer = self._alone.answer(head, found)
            if isinstance(answer, Refuse):
                return Plan(head, found, stats, readable_by(answer, verdict.allow_origin), "", b"")
            stats = self.counters.routes[answer.name]
            return Plan(head, answer, stats, None, verdict.allow_origin, b"", bool(hops), entry.until)
        if found.kind is Kind.REDIRECT:
            return Plan(head, found, stats, Refuse(307, {"Location": found.location}, b""), "", b"")
        if found.kind is Kind.COMMAND and (self._commands[found.name].relayed(head.query) or self._mismatch(head)):
            found = Route(Kind.RELAY, found.name, found.path)
        upstream = b""
        if found.kind is not Kind.COMMAND:
            seen = ", ".join((*hops, self._service)) if self._service else ""
            upstream = upstream_head(
                head, self.pool.upstream, hops=seen, browser=verdict.browser, authorized=self._access.asks
            )
        return Plan(head, found, stats, None, verdict.allow_origin, upstream, bool(hops), entry.until)

    def _mismatch(self, head: RequestHead) -> bool:
        """A client that names another version of Kubo than the daemon's: refused by the daemon, in its own words."""
        agent = head.headers.get("user-agent", "")
        if "/kubo/" not in agent and "/go-ipfs/" not in agent:
            return False
        version = self.server_header.removeprefix("kubo/").split("/")[0]
        return agent != f"/kubo/{version}/"

    def _loop(self, hops: tuple[str, ...]) -> Refuse:
        fields = {"Content-Type": "application/json", "Server": self.server_header, "Vary": "Origin"}
        return Refuse(500, fields, error_object(loop_message(hops, self._service)) + b"\n")
