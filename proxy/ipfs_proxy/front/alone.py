"""What the front answers by itself where no daemon is behind it (an embedded node), beside its commands. Sans-IO.

Everything is as Kubo 0.43 answers it: unknown commands, other methods, redirects, clients of another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipfs_proxy.front.http1 import RequestHead
from ipfs_proxy.front.policy import Refuse
from ipfs_proxy.front.routes import API_PREFIX, Kind, Route, redirect

_PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
_API = {**_PLAIN, "Vary": "Origin"}
_ALLOW = {"Allow": "OPTIONS, POST"}
NOT_FOUND = Refuse(404, _PLAIN, b"404 page not found\n")
NO_COMMAND = Refuse(404, _API, NOT_FOUND.body)
NO_METHOD = Refuse(405, {**_API, **_ALLOW}, b"405 - Method Not Allowed\n")
OPTIONS = Refuse(204, {**_ALLOW, "Vary": "Origin"}, b"")
READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Alone:
    """There is no daemon. version: of the Kubo that is spoken here. pages: the beginnings of paths outside the API
    that GET and HEAD may read → the command that answers them.
    """

    version: str
    pages: Mapping[str, str] = field(default_factory=dict)

    def answer(self, head: RequestHead, found: Route) -> Refuse | Route:
        """The final answer, or the command to run."""
        if refusal := self._mismatch(head, found.path):
            return refusal
        location = found.location if found.kind is Kind.REDIRECT else _elsewhere(found.path, head.query)
        if location:
            return _redirect(head.method, location)
        if found.kind is Kind.COMMAND:
            return found
        if found.path.startswith(API_PREFIX):
            if head.method == "OPTIONS":
                return OPTIONS
            return NO_COMMAND if head.method == "POST" else NO_METHOD
        if head.method in READING:
            for beginning, command in self.pages.items():
                if found.path.startswith(beginning):
                    return Route(Kind.COMMAND, command, found.path)
        return NOT_FOUND

    def _mismatch(self, head: RequestHead, path: str) -> Refuse | None:
        agent = head.headers.get("user-agent", "")
        own = f"/kubo/{self.version}/"
        if ("/kubo/" not in agent and "/go-ipfs/" not in agent) or agent == own:
            return None
        if not path.startswith(API_PREFIX) or path == API_PREFIX + "version":
            return None
        return Refuse(400, _PLAIN, f"api version mismatch ({own} != {agent})\n".encode("latin-1"))


def _elsewhere(path: str, query: str) -> str:
    """Where a path is meant that the API does not begin with by a slash only, or that is not clean."""
    if path == API_PREFIX[:-1]:
        return API_PREFIX + ("?" + query if query else "")
    return redirect(path, query)


def _redirect(method: str, location: str) -> Refuse:
    if method not in READING:
        return Refuse(307, {"Location": location}, b"")
    escaped = location.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
    page = f'<a href="{escaped}">Temporary Redirect</a>.\n\n'.encode("latin-1")
    return Refuse(307, {"Content-Type": "text/html; charset=utf-8", "Location": location}, page)
