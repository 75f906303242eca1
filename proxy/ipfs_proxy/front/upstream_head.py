"""A request's head as the daemon gets it. Sans-IO."""

from __future__ import annotations

import re

from ipfs_cluster.hops import HOPS
from ipfs_proxy.front.http1 import RequestHead
from ipfs_proxy.front.upstream import Upstream

BROWSER_HEADERS = frozenset({"origin", "referer"})
DROPPED_HEADERS = frozenset(
    {"connection", "keep-alive", "proxy-connection", "upgrade", "http2-settings", "te", "trailer", "host"}
)
AUTHORIZATION = frozenset({"authorization"})
_KEPT = frozenset({"content-length", "transfer-encoding"}) | AUTHORIZATION
_SECRET = re.compile(r"(?<=[?&])api-auth=[^&#]*&?")


def upstream_head(head: RequestHead, upstream: Upstream, *, hops: str, browser: bool, authorized: bool) -> bytes:
    """The head for the daemon. What the client's Connection header names is hop-by-hop and stays here.

    hops: services that the request has passed, this one included; empty for none. browser: Origin and the like were
    checked here. authorized: credentials were checked here; they are for this door, the daemon's own are upstream's.
    """
    named = {token.strip().lower() for token in head.headers.get("connection", "").split(",")}
    drop = ((DROPPED_HEADERS | named) - _KEPT) | {name.lower() for name, _ in upstream.headers} | {HOPS.lower()}
    target = head.target
    if browser:
        drop = drop | BROWSER_HEADERS
    if authorized:
        drop, target = drop | AUTHORIZATION, without_secret(target)
    lines = [f"{head.method} {target} HTTP/1.{0 if head.http10 else 1}", f"Host: {upstream.host_header}"]
    for name, value in head.fields:
        key = name.lower()
        if key in drop:
            continue
        if browser and key == "user-agent":
            value = "ipfs-cluster-proxy"  # the daemon refuses browsers without Origin; this one was checked here
        lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in upstream.headers]
    if hops:
        lines.append(f"{HOPS}: {hops}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def without_secret(target: str) -> str:
    """A request target without the secret that `ipfs --api-auth` also puts into its query."""
    if "api-auth=" not in target:
        return target
    return _SECRET.sub("", target).rstrip("?&")
