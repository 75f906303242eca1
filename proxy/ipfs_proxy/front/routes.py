"""Which requests a command handler answers: the table, and the path rules of Kubo's mux. Sans-IO."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, unquote

API_PREFIX = "/api/v0/"
GO_SAFE = "/$&+,:;=@"
"""What Go leaves as it is in a path, beside letters, digits and "-_.~"."""


class Kind(enum.Enum):
    """What is done with a request."""

    RELAY = "relay"
    COMMAND = "command"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Route:
    """name: the command ("pin/add") or, for metrics, "relay". tail: decoded segments after it. location: where a
    redirect goes, as it is on the wire.
    """

    kind: Kind
    name: str = "relay"
    path: str = ""
    tail: tuple[str, ...] = ()
    location: str = ""


def route(method: str, raw_path: str, query: str, commands: Collection[str]) -> Route:
    """Decide by method and path.

    Only POST runs commands; other methods are the daemon's to answer. A POST to a path that is not clean is redirected
    as Go's mux does, so that `//` cannot get round the table. One segment after a command is its first
    argument, a trailing slash an empty one (seen on Kubo 0.43).
    """
    if not raw_path.isascii():
        raw_path = quote(raw_path, safe="/%", encoding="latin-1")
    path = unquote(raw_path, errors="surrogateescape")
    if method == "POST" and (location := redirect(path, query)):
        return Route(Kind.REDIRECT, path=path, location=location)
    if method == "POST" and path.startswith(API_PREFIX):
        rest = path[len(API_PREFIX) :].split("/")
        for size in (2, 1):
            name = "/".join(rest[:size])
            # More than one segment after the command: the daemon knows no such command (404).
            if name in commands and len(rest) <= size + 1:
                return Route(Kind.COMMAND, name, path, tuple(_text(segment) for segment in rest[size:]))
    return Route(Kind.RELAY, path=path)


def redirect(path: str, query: str) -> str:
    """Where Go's mux sends a decoded path that is not clean, as it is on the wire; empty for a clean one."""
    clean = cleaned(path)
    if clean == path:
        return ""
    return quote(clean, GO_SAFE, errors="surrogateescape") + ("?" + query if query else "")


def _text(segment: str) -> str:
    return segment if segment.isascii() else segment.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def cleaned(path: str) -> str:
    """The path that Go's mux serves or redirects to."""
    if path == "*" or ("//" not in path and "/." not in path):
        return path
    clean = posixpath.normpath(path)
    if clean.startswith("//"):
        clean = clean[1:]
    return clean + "/" if path.endswith("/") and clean != "/" else clean
