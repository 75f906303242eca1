"""Which web pages may use the REST API: ipfs-cluster's `cors_*` settings, decided without I/O.

The answers are those of rs/cors 1.11, which ipfs-cluster uses. Beyond it: a request that changes something and comes
from a page (it has `Origin`) is refused unless the page and the method are allowed. Without that a browser would send
the request, have it done, and only hide the answer from the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "*"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
_SIMPLE = frozenset({"accept", "content-type", "x-requested-with"})
"""Headers that a page may send when none are configured."""


@dataclass(frozen=True, slots=True)
class Cors:
    """The rules. max_age: seconds that a browser may remember the answer to its question, 0 for not saying."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET",)
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    credentials: bool = True
    max_age: float = 0.0

    def refuses(self, method: str, headers: Mapping[str, str]) -> bool:
        """True for a page's request that it may not make."""
        origin = headers.get("Origin")
        return origin is not None and method not in READING and not self._permits(origin, method)

    def answer(self, method: str, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that an answer to this request gets besides its own."""
        origin = headers.get("Origin")
        if not self.origins:
            return {}
        vary = {"Vary": "Origin"}
        if origin is None or not self._permits(origin, method):
            return vary
        exposed = {"Access-Control-Expose-Headers": ", ".join(self.exposed)} if self.exposed else {}
        return {**vary, **self._origin(origin), **exposed}

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """The headers of the answer (204) to a browser's question whether it may send a request; None for a request
        that is no such question.
        """
        method = headers.get("Access-Control-Request-Method")
        origin = headers.get("Origin")
        if method is None or origin is None or not self.origins:
            return None
        fields = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        asked = headers.get("Access-Control-Request-Headers", "")
        if not self._permits(origin, method) or not self._sends(asked):
            return fields
        fields |= {**self._origin(origin), "Access-Control-Allow-Methods": method.upper()}
        if asked:
            fields["Access-Control-Allow-Headers"] = asked
        if self.max_age:
            fields["Access-Control-Max-Age"] = str(int(self.max_age))
        return fields

    def _origin(self, origin: str) -> dict[str, str]:
        fields = {"Access-Control-Allow-Origin": ANY if ANY in self.origins else origin}
        return {**fields, "Access-Control-Allow-Credentials": "true"} if self.credentials else fields

    def _permits(self, origin: str, method: str) -> bool:
        return method.upper() in (*self.methods, "OPTIONS") and any(_is(origin, rule) for rule in self.origins)

    def _sends(self, asked: str) -> bool:
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        return ANY in self.headers or names <= ({name.lower() for name in self.headers} or _SIMPLE)


def _is(origin: str, rule: str) -> bool:
    """Origins have no letter case that matters; one * in a rule stands for anything but nothing."""
    origin, rule = origin.lower(), rule.lower()
    if rule == ANY:
        return True
    head, star, tail = rule.partition(ANY)
    if not star:
        return origin == rule
    return len(origin) > len(head) + len(tail) and origin.startswith(head) and origin.endswith(tail)
