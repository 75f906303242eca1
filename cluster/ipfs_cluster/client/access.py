"""How the clients reach the REST API: hosts, credentials, TLS, times; and what is tried after a failure. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import urlsplit

from ipfs_cluster.addresses import AddressError, parse_address
from ipfs_cluster.client.errors import TimedOut, Unreachable

DEFAULT_HOST = "/ip4/127.0.0.1/tcp/9094"
PAUSE = 0.25
"""Seconds before the first of `retries`; each further pause is twice as long."""


class Options(TypedDict, total=False):
    """Keyword arguments of both clients; see Access."""

    timeout: float | None
    connect_timeout: float | None
    tls: bool
    verify: bool
    ca: str
    credentials: tuple[str, str] | None
    token: str
    retries: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host. url: without a slash at its end. unix: path of the socket to use instead of the URL's host."""

    url: str
    unix: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """hosts: multiaddrs, or http and https URLs; the first that can be reached is asked.

    timeout: seconds for each read of an answer, None for no limit. connect_timeout: seconds for connecting. tls: use it
    whatever the hosts say. verify: whether certificates are checked. ca: path of a PEM file of authorities to believe
    instead of the usual ones. credentials: user and password; token: a bearer token instead. retries: how often
    something that may be repeated is tried again after all hosts failed to be reached.
    """

    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    timeout: float | None = None
    connect_timeout: float | None = 10.0
    tls: bool = False
    verify: bool = True
    ca: str = ""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    retries: int = 2

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Raises AddressError."""
        if not self.hosts:
            raise AddressError("there is no host to ask")
        return tuple(_endpoint(host, self.tls) for host in self.hosts)

    @property
    def headers(self) -> dict[str, str]:
        """Of every request. Whoever does not ask for trailers gets a connection that is cut instead."""
        found = {"TE": "trailers"}
        if self.token:
            found["Authorization"] = f"Bearer {self.token}"
        elif self.credentials:
            found["Authorization"] = f"Basic {base64.b64encode(':'.join(self.credentials).encode()).decode()}"
        return found


def _endpoint(text: str, tls: bool) -> Endpoint:
    if text.startswith(("http://", "https://")):
        return Endpoint(_url(text, tls))
    address = parse_address(text)
    if address.unix:
        return Endpoint("http://localhost", address.unix)
    name = f"[{address.host}]" if ":" in address.host else address.host
    return Endpoint(f"{'https' if tls or address.tls else 'http'}://{name}:{address.port}")


def _url(text: str, tls: bool) -> str:
    wrong = AddressError(f"{text}: must be http(s)://host[:port]")
    if not text.isprintable() or " " in text:
        raise wrong
    try:
        parts = urlsplit(text)
        named = parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    if not named or parts.query or parts.fragment or parts.username:
        raise wrong
    return f"{'https' if tls else parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


class Attempts:
    """Which hosts one request is sent to, one after the other: (seconds to wait before it, which of the hosts).

    first: where to begin: the host that answered last. After each failure `failed` must be called, which raises its
    error when nothing further may be tried: the request may have arrived and is not to be repeated, or the hosts and
    rounds are used up.
    """

    def __init__(self, hosts: int, first: int, *, repeatable: bool, retries: int) -> None:
        self._left = hosts * (1 + (retries if repeatable else 0))
        self._hosts = hosts
        self._first = first
        self._repeatable = repeatable

    def __iter__(self) -> Iterator[tuple[float, int]]:
        for number in range(self._left):
            rounds, position = divmod(number, self._hosts)
            pause = PAUSE * 2 ** (rounds - 1) if rounds and not position else 0.0
            self._left -= 1
            yield pause, (self._first + position) % self._hosts

    def failed(self, error: Unreachable | TimedOut) -> None:
        """Return when the next host may be asked."""
        if not self._left or (error.sent and not self._repeatable) or (error.sent and isinstance(error, TimedOut)):
            raise error
