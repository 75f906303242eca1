"""Credentials at this door, as Kubo's `API.Authorizations` asks for them, and roles beside it.

Kubo's answer to who may not is always the same 403, whether credentials are missing, wrong, or not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipfs_cluster.http1 import BodyReader
from ipfs_cluster.security import Check, Denied, Reason
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.throttle import REFILL
from ipfs_proxy.front.counters import OK
from ipfs_proxy.front.http1 import RequestHead
from ipfs_proxy.front.policy import Refuse
from ipfs_proxy.front.roles import role_of
from ipfs_proxy.front.routes import API_PREFIX, cleaned

if TYPE_CHECKING:
    from ipfs_proxy.front.connection import ClientConnection

_PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
ACCESS_DENIED = Refuse(
    403,
    _PLAIN,
    b"Kubo RPC Access Denied: Please provide a valid authorization token as defined in the API.Authorizations "
    b"configuration.\n",
)
_BUSY = Refuse(
    429, {**_PLAIN, "Retry-After": str(int(REFILL))}, b"too many wrong credentials from this address: try again later\n"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether a request is let in. user: who proved to be asking. until: when that ends, in unix seconds, or None."""

    user: str = ""
    until: float | None = None
    refuse: Refuse | None = None


_ANYBODY = Entry()


class Access:
    """The decision for this door."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper

    @property
    def asks(self) -> bool:
        """Whether credentials are needed."""
        return self._gatekeeper.asks

    def admit(self, head: RequestHead, path: str, remote: str) -> Entry | Check:
        """Decide on a request; a Check must be settled first. path: decoded. remote: the client's IP address or ""."""
        if not self._gatekeeper.asks:
            return _ANYBODY
        if head.method == "OPTIONS" and "access-control-request-method" in head.headers and path.startswith(API_PREFIX):
            return _ANYBODY  # a browser's question never carries credentials; the door answers it itself
        try:
            found = self._gatekeeper.look(head.headers.get("authorization"), remote)
            if isinstance(found, Check):
                return found
            path = cleaned(path)
            role = role_of(path)
            if role is not None:
                found.demand(role, path)
        except Denied as denied:
            return Entry(denied.user, refuse=_BUSY if denied.reason is Reason.BUSY else ACCESS_DENIED)
        return Entry(found.name, None if found.until == float("inf") else found.until)

    async def settle(self, check: Check, head: RequestHead, remote: str) -> None:
        """Do what `admit` asked for."""
        await self._gatekeeper.settle(check, head.headers["authorization"], remote)


class WaitingExchange:
    """Holds a connection's turn while its next request's credentials are checked; that request stays in the buffer."""

    def __init__(self, client: ClientConnection) -> None:
        self.body = BodyReader(0)
        self.outcome = OK
        self._client = client
        self._left = False

    def over(self) -> None:
        """The result is there: take the request up again."""
        if not self._left:
            self._client.exchange = None
            self._client.resume_requests()

    def gone(self) -> None:
        self._left = True

    def start(self) -> None:
        """Never called: it is no answer to a request."""

    def receive(self, data: bytes | bytearray, start: int) -> int:
        return start

    def pause(self) -> None:
        """Nothing is sent."""

    def resume(self) -> None:
        """Nothing is sent."""
