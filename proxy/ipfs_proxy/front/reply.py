"""A request that the front answers by itself: refused by policy, redirected, preflight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipfs_proxy.front.counters import outcome_of
from ipfs_proxy.front.http1 import response_head
from ipfs_proxy.front.policy import Refuse

if TYPE_CHECKING:
    from ipfs_proxy.front.connection import ClientConnection
    from ipfs_proxy.front.server import Plan, Server


class FixedExchange:
    """One fixed answer; the body, if any, is thrown away."""

    def __init__(self, server: Server, client: ClientConnection, plan: Plan, answer: Refuse) -> None:
        self.body = plan.head.body()
        self.outcome = outcome_of(answer.status)
        self._server = server
        self._client = client
        self._plan = plan
        self._answer = answer

    def start(self) -> None:
        """Answer at once."""
        answer, head = self._answer, self._plan.head
        keep = head.keep_alive and self.body.complete
        tail = {"Date": self._server.date()}
        if answer.status != 204:
            tail["Content-Length"] = str(len(answer.body))
        if not keep:
            tail["Connection"] = "close"
        self._server.first_byte(self._client, self._plan)
        content = b"" if head.method == "HEAD" else answer.body
        self._client.write(response_head(answer.status, answer.headers, tail) + content)
        self._client.done(keep=keep)

    def receive(self, data: bytes | bytearray, start: int) -> int:
        return self.body.take(data, start)

    def gone(self) -> None:
        """Nothing is under way."""

    def pause(self) -> None:
        """Nothing more comes."""

    def resume(self) -> None:
        """Nothing more comes."""
