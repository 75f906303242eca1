"""Kubo's protection against web pages (Origin, Referer, User-Agent), applied at this door to every request. Sans-IO.

The daemon sees only requests that passed, with these headers taken off: it would compare them with its own port. What
a page may do is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

EXTENSIONS = (
    "chrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch",
    "chrome-extension://hjoieblefckbooibpepigmacodalfndh",
)
PREFLIGHT_HEADERS = frozenset({"origin", "accept", "content-type", "x-requested-with"})
PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer this instead: status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Pass:
    """Go on. allow_origin: value of Access-Control-Allow-Origin for the response, empty for none.
    browser: Origin, Referer or User-Agent are a browser's and must not reach the daemon.
    """

    allow_origin: str = ""
    browser: bool = False


PLAIN = Pass()


def readable_by(answer: Refuse, reader: str) -> Refuse:
    """The same for a page that may read it. reader: value of Access-Control-Allow-Origin, or empty."""
    if not reader:
        return answer
    return replace(answer, headers={**answer.headers, "Access-Control-Allow-Origin": reader})


class Policy:
    """The allow list and the checks in Kubo's order."""

    def __init__(self, ports: Collection[int], extra: Collection[str] = (), *, credentials: bool = False) -> None:
        """ports: of this door's listeners. extra: further origins, "*" for any; "<port>" in one means each port.
        credentials: this door asks for them, so pages may send them.
        """
        own = {
            f"{scheme}://{host}:{port}"
            for scheme in ("http", "https")
            for host in ("127.0.0.1", "[::1]", "localhost")
            for port in ports
        }
        expanded = {origin.replace("<port>", str(port)) for origin in extra for port in ports or (0,)}
        self._allowed = frozenset(own | expanded | set(EXTENSIONS))
        self._readers = frozenset(origin.lower() for origin in self._allowed)
        self._any = "*" in extra
        self._sendable = PREFLIGHT_HEADERS | {"authorization"} if credentials else PREFLIGHT_HEADERS

    def check(self, method: str, headers: Mapping[str, str]) -> Pass | Refuse:
        """Decide on one request; header names in lower case."""
        origin = headers.get("origin")
        if method == "OPTIONS" and "access-control-request-method" in headers:
            return self._preflight(origin or "", headers)
        agent = headers.get("user-agent", "")
        browser = agent.startswith("Mozilla") and "Electron" not in agent
        if origin is None and "referer" not in headers and not browser:
            return PLAIN
        # Who may read an answer is not who may ask: Kubo compares without case for the one, exactly for the other.
        readable = bool(origin) and (self._any or str(origin).lower() in self._readers)
        reader = ("*" if self._any else origin or "") if readable else ""
        if method == "POST" and not self._may(origin, headers.get("referer"), browser=browser):
            return readable_by(FORBIDDEN, reader)
        return Pass(reader, browser=True)

    def _may(self, origin: str | None, referer: str | None, *, browser: bool) -> bool:
        if origin and not self._origin_allowed(origin):
            return False
        if referer:
            try:
                parts = urlsplit(referer)
            except ValueError:
                return False
            return self._origin_allowed(f"{parts.scheme}://{parts.netloc}")
        return bool(origin) or not browser

    def _origin_allowed(self, origin: str) -> bool:
        return self._any or origin in self._allowed

    def _preflight(self, origin: str, headers: Mapping[str, str]) -> Refuse:
        answer = {"Vary": PREFLIGHT_VARY}
        asked = headers.get("access-control-request-headers", "")
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        method = headers["access-control-request-method"]
        if origin and self._origin_allowed(origin) and method == "POST" and names <= self._sendable:
            answer["Access-Control-Allow-Origin"] = "*" if self._any else origin
            answer["Access-Control-Allow-Methods"] = method
            if asked:
                answer["Access-Control-Allow-Headers"] = asked
        return Refuse(204, answer, b"")


FORBIDDEN = Refuse(
    403,
    {"Content-Type": "text/plain; charset=utf-8", "Vary": "Origin", "X-Content-Type-Options": "nosniff"},
    b"403 - Forbidden\n",
)
