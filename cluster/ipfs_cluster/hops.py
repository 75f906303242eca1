"""How services of this kind tell each other that they are there, so that one can be a node of another, and none of
itself.

Every request to a node says which services it has passed through. Only to such requests a service answers which
services stand behind it: nobody else sees a difference to a bare daemon.
"""

from __future__ import annotations

HOPS = "X-Ipfs-Cluster-Hops"
"""Request header: peer IDs of the services that the request passed through, oldest first, separated by ", "."""
SERVICES = "X-Ipfs-Cluster-Services"
"""Response header: peer IDs of the answering service and of all services behind it."""


def listed(value: str) -> tuple[str, ...]:
    """The peer IDs in one of these headers."""
    return tuple(item for item in (part.strip() for part in value.split(",")) if item)


def loop_message(hops: tuple[str, ...], own: str) -> str:
    """What a request is told that has come back to where it was."""
    return f"this cluster is a node of itself: {' → '.join((*hops, own))}"
