"""Where to listen, where to dial: multiaddrs of HTTP doors, URLs of gateways."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError


class AddressError(ValueError):
    """A text is no multiaddr that HTTP can be spoken on."""


@dataclass(frozen=True, slots=True)
class Address:
    """A tcp address (host, port) or a unix socket's path. tls: the multiaddr asked for it."""

    host: str = ""
    port: int = 0
    unix: str = ""
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach it."""
        if self.unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.unix:
            return f"/unix{self.unix}"
        try:
            kind = f"ip{ipaddress.ip_address(self.host).version}"
        except ValueError:
            kind = "dns"
        return f"/{kind}/{self.host}/tcp/{self.port}{'/https' if self.tls else ''}"


def check_peer_address(text: str) -> None:
    """Raise AddressError unless it is the multiaddr of a peer: one with /p2p/ and an ID."""
    try:
        protocols = Multiaddr(text).protocols()
    except (MultiaddrError, ValueError) as error:
        raise AddressError(f"not a multiaddr: {error}") from None
    if all(protocol.name != "p2p" for protocol in protocols):
        raise AddressError("has no /p2p/ID")


def is_peer_id(text: str) -> bool:
    """Whether a text can be the ID of a libp2p peer ("12D3Koo…", "Qm…", "bafz…")."""
    if "/" in text:
        return False
    try:
        check_peer_address(f"/p2p/{text}")
    except AddressError:
        return False
    return True


def parse_address(text: str) -> Address:
    """Read "/ip4/127.0.0.1/tcp/9095", "/dns/host/tcp/5001/http", "/unix/run/ipfs.sock". Raises AddressError."""
    try:
        parts = list(Multiaddr(text).items())
    except (MultiaddrError, ValueError) as error:
        raise AddressError(f"not a multiaddr: {error}") from None
    names = [protocol.name for protocol, _ in parts]
    values = {protocol.name: value for protocol, value in parts}
    if names[:1] == ["unix"]:
        return Address(unix="/" + str(values["unix"]).lstrip("/"))
    if names[:1] and names[0] in ("ip4", "ip6", "dns", "dns4", "dns6") and names[1:2] == ["tcp"]:
        extra = set(names[2:])
        if extra <= {"http", "https", "tls"}:
            return Address(str(values[names[0]]), int(values["tcp"] or 0), tls=bool(extra & {"https", "tls"}))
    raise AddressError("must be /ip4|ip6|dns/<host>/tcp/<port> or /unix/<path>")


def parse_gateway(text: str) -> str:
    """The URL of a trustless gateway, without a slash at the end. Raises AddressError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise AddressError(f"{json.dumps(text)} is no URL of a gateway, such as https://gateway.example")
    if parts.username is not None or parts.password is not None:
        raise AddressError("a gateway's URL carries no credentials")
    return text.rstrip("/")
