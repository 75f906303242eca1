"""`swarm/connect`, `swarm/peers`, `stats/bw`: this node reaches others by HTTP only."""

from __future__ import annotations

from typing import Any

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from ipfs_cluster.errors import InvalidArgument, NodeError
from ipfs_proxy.embedded.node import Sources
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.wire.params import Option

PEERS = tuple(
    Option(name, bool, aliases)
    for name, aliases in (
        ("verbose", ("v",)),
        ("streams", ()),
        ("latency", ()),
        ("direction", ("d",)),
        ("identify", ()),
    )
)
BANDWIDTH = (
    Option("peer", str, ("p",)),
    Option("proto", str, ("t",)),
    Option("poll", bool),
    Option("interval", str, ("i",), "1s"),
)
NOBODY = {"ID": "", "PublicKey": "", "Addresses": None, "AgentVersion": "", "Protocols": None}
_HOSTS = ("ip4", "ip6", "dns", "dns4", "dns6")
_HTTP = {frozenset({"http"}): "http", frozenset({"https"}): "https", frozenset({"tls", "http"}): "https"}


def network_entries(sources: Sources) -> dict[str, Entry]:
    """The table of these commands."""
    network = Network(sources)
    return {
        "swarm/connect": Entry(network.connect, (), ("address",)),
        "swarm/peers": Entry(network.peers, PEERS),
        "stats/bw": Entry(network.bandwidth, BANDWIDTH),
    }


class Network:
    """The handlers."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def connect(self, call: Call) -> None:
        """Fetch from these gateways too: /ip4/…/tcp/…/http/p2p/…, as `id` of a node of this kind names them."""
        done = []
        for text in call.arguments:
            peer, url = gateway_of(text)
            try:
                await self._sources.connect(peer, url)
            except NodeError as error:
                raise NodeError(f"connect {peer} failure: {error}") from None
            done.append(f"connect {peer} success")
        await call.single(Shown({"Strings": done}, "stringList", "".join(f"{line}\n" for line in done)))

    async def peers(self, call: Call) -> None:
        """The gateways that were connected."""
        found: list[dict[str, Any]] = [
            {"Addr": _address(url), "Peer": peer, "Identify": NOBODY} for peer, url in self._sources.sources()
        ]
        text = "".join(f"{entry['Addr']}/p2p/{entry['Peer']}\n" for entry in found)
        await call.single(Shown({"Peers": found or None}, "ConnInfos", text))

    async def bandwidth(self, call: Call) -> None:
        """Not counted, and said as a daemon says it whose configuration turns that off."""
        raise NodeError("bandwidth reporter disabled in config")


def gateway_of(text: str) -> tuple[str, str]:
    """The peer ID and the URL in a multiaddress. Raises InvalidArgument, NodeError for one that is no HTTP."""
    if not text.startswith("/"):
        raise InvalidArgument(f'failed to parse multiaddr "{text}": must begin with /')
    try:
        parts = [(protocol.name, value) for protocol, value in Multiaddr(text).items()]
    except (MultiaddrError, ValueError) as error:
        raise InvalidArgument(f'failed to parse multiaddr "{text}": {error}') from None
    names = [name for name, _ in parts]
    if not names or names[-1] != "p2p":
        raise NodeError(f"found no ipfs peers at {text}")
    peer = str(parts[-1][1])
    scheme = _HTTP.get(frozenset(names[2:-1]))
    if names[0] not in _HOSTS or names[1:2] != ["tcp"] or scheme is None:
        raise NodeError(f"connect {peer} failure: an embedded node reaches others by HTTP only, not at {text}")
    host = str(parts[0][1])
    return peer, f"{scheme}://{f'[{host}]' if ':' in host else host}:{parts[1][1]}"


def _address(url: str) -> str:
    """The multiaddress of a gateway's URL."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rstrip("/").rpartition(":")
    if host.startswith("["):
        kind, host = "ip6", host.strip("[]")
    else:
        kind = "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{port}/{scheme}"
