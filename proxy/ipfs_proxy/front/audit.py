"""What of a request the audit log tells. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.security import Role
from ipfs_cluster.security.audit import LONGEST, query_of
from ipfs_proxy.front.http1 import RequestHead
from ipfs_proxy.front.roles import ROLES, command_of
from ipfs_proxy.front.routes import cleaned

_SHOWN = """
pin/add pin/rm pin/update block/rm files/chmod files/cp files/flush files/mkdir files/mv files/rm files/touch
files/write name/publish name/put swarm/connect swarm/disconnect swarm/peering/add swarm/peering/rm bootstrap/add
bootstrap/rm swarm/filters/add swarm/filters/rm routing/provide
"""
SHOWN_ARGUMENTS = frozenset(_SHOWN.split())
"""Commands whose arguments are no secrets. Those of `config`, `key`, `pubsub`, `pin/remote` may be."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The part of a line that the request's head decides. denied: for its credentials."""

    user: str
    request: dict[str, object]
    denied: bool


def audited(head: RequestHead, path: str, user: str, *, denied: bool) -> Audited | None:
    """What to write down of a request; None if it changes nothing and was let in. path: decoded."""
    path = cleaned(path)
    command, arguments = command_of(path)
    role = ROLES.get(command, Role.ADMIN)
    if not denied and (role in (None, Role.READ) or head.method != "POST"):
        return None
    told: dict[str, object] = {"method": head.method}
    shown = command in SHOWN_ARGUMENTS
    query = query_of(head.query, arguments=shown)
    if command:
        told["command"] = command
        if shown and arguments:
            query["arg"] = [arguments[0][:LONGEST], *query.get("arg", [])]
    else:
        told["path"] = path[:LONGEST]
    if query:
        told["query"] = query
    return Audited(user, told, denied)
