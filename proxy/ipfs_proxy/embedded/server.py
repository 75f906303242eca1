"""An embedded node's door: the front with commands for everything, and nothing behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from ipfs_cluster.addresses import Address
from ipfs_cluster.identity import Identity
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_proxy.embedded import gateway
from ipfs_proxy.embedded.about import AGENT, KUBO, about_entries
from ipfs_proxy.embedded.add import add_entries
from ipfs_proxy.embedded.block import block_entries
from ipfs_proxy.embedded.car import car_entries
from ipfs_proxy.embedded.dag import dag_entries
from ipfs_proxy.embedded.files import files_entries
from ipfs_proxy.embedded.mfs import Mfs
from ipfs_proxy.embedded.network import network_entries
from ipfs_proxy.embedded.node import Node, NoSources, Sources
from ipfs_proxy.embedded.pins import pin_entries
from ipfs_proxy.embedded.reading import reading_entries
from ipfs_proxy.embedded.refs import refs_entries
from ipfs_proxy.embedded.repo import repo_entries
from ipfs_proxy.embedded.table import Entry, commands
from ipfs_proxy.front.alone import Alone
from ipfs_proxy.front.server import Limits, Listen, Server

LIMITS = Limits()
LOOPBACK = (Listen("127.0.0.1", 0),)


class ExposedListener(ValueError):
    """A listener that others than this machine can reach, at a door that asks for no credentials."""


class EmbeddedServer:
    """`start`, then `addresses`; `close` drains. What it serves outlives it and is not closed."""

    def __init__(
        self,
        identity: Identity,
        node: Node,
        listeners: Sequence[Listen] = LOOPBACK,
        *,
        sources: Sources | None = None,
        origins: Sequence[str] = (),
        limits: Limits = LIMITS,
        gatekeeper: Gatekeeper | None = None,
        tick: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """identity: the node's own, with its peer ID. node: what is served, open. sources: where `swarm/connect` adds
        to. origins: of web pages that may call, beside the door's own. tick: sleeps. clock: unix seconds.

        Raises ExposedListener: who reaches this port may change and remove everything.
        """
        asks = gatekeeper is not None and gatekeeper.asks
        for listen in listeners:
            if not (asks or listen.unix or Address(listen.host, listen.port).loopback):
                raise ExposedListener(f"{listen.host} is not a loopback address, and no credentials are asked for")
        self._identity = identity
        entries: dict[str, Entry] = {}
        entries |= about_entries(identity, self._multiaddresses, entries)
        entries |= block_entries(node) | pin_entries(node, tick) | refs_entries(node) | repo_entries(node)
        mfs = Mfs(node)
        entries |= add_entries(node, mfs) | files_entries(node, mfs)
        entries |= (
            network_entries(sources or NoSources())
            | reading_entries(node, clock)
            | dag_entries(node)
            | car_entries(node)
        )
        self._front = Server(
            listeners,
            Alone(KUBO, {gateway.PREFIX: gateway.NAME}),
            {**commands(entries, lambda: AGENT), gateway.NAME: gateway.Gateway(node).command()},
            origins=origins,
            limits=limits,
            server_header=AGENT,
            gatekeeper=gatekeeper,
        )

    async def start(self) -> None:
        """Listen. Raises OSError when an address cannot be had; then nothing listens."""
        await self._front.start()

    @property
    def addresses(self) -> list[tuple[str, int] | str]:
        """Where it listens: (host, port), or a unix socket's path."""
        return self._front.addresses

    def _multiaddresses(self) -> list[str]:
        """Where other nodes reach the gateway: by HTTP."""
        found = []
        for address in self.addresses:
            if isinstance(address, tuple):
                host, port = address
                found.append(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}/http")
        return found

    async def close(self, grace: float = 10.0) -> None:
        """Stop accepting, let requests end for `grace` seconds, then cut them."""
        await self._front.close(grace)
