"""The list of IPFS nodes, `ipfs_connector.nodes`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.settings.values import (
    address,
    boolean,
    duration,
    gateways,
    header_value,
    mapping,
    positive,
    secret_file,
    size,
    text,
)
from ipfs_cluster.sizes import STORAGE_MAX

RESTART_PAUSE = 30.0
"""Seconds until an embedded node that somebody ended is started again."""


def nodes(value: object) -> tuple[Node, ...]:
    """The list of IPFS nodes; from the environment as JSON."""
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of nodes, at least one")
    found = tuple(_node(item, index) for index, item in enumerate(value))
    names = [node.name for node in found]
    if len(set(names)) != len(names):
        raise ValueError("every node needs a name of its own")
    run = [(node.address, node.embedded) for node in found if node.embedded is not None]
    if len({where for where, _ in run}) != len(run):
        raise ValueError("every embedded node needs an address of its own")
    if len({PurePath(one.repo) for _, one in run}) != len(run):
        raise ValueError("every embedded node needs a repo of its own")
    return found


@dataclass(frozen=True, slots=True)
class Embedded:
    """A node that the service runs itself. repo: its folder, relative to the data folder. storage_max: bytes of the
    repository. gateways: where it fetches what no node of the cluster has, trustless gateways in the order they are
    asked. restart_pause: seconds until it is started again when somebody ended it.
    """

    repo: str
    storage_max: int = STORAGE_MAX
    gateways: tuple[str, ...] = ()
    restart_pause: float = RESTART_PAUSE


@dataclass(frozen=True, slots=True)
class Node:
    """One IPFS node. address: multiaddr of its RPC API. authorization: value of the header toward it. cluster: it is
    the proxy of another cluster (one of this program's own kind is recognised without it). reserve: bytes of its disk
    that stay free, None for what holds for all. honour_storage_max: Kubo's StorageMax bounds it too. concurrent: pins
    at work on it, 0 for as many as on the others. ca_file: whose certificates are trusted, empty for the system's.
    embedded: the service runs it itself, and it listens at the address.
    """

    name: str
    address: str
    tags: tuple[tuple[str, str], ...] = ()
    authorization: str = field(default="", repr=False)
    cluster: bool = False
    reserve: int | None = None
    honour_storage_max: bool = False
    concurrent: int = 0
    ca_file: str = ""
    embedded: Embedded | None = None


NODE_KEYS = frozenset(
    {"cluster", "name", "node_multiaddress", "tags", "authorization", "authorization_file"}
    | {"reserve", "honour_storage_max", "concurrent_pins", "ca_file", "embedded"}
)
EMBEDDED_KEYS = frozenset({"repo", "storage_max", "gateways", "restart_pause"})


def _node(item: object, index: int) -> Node:
    if not isinstance(item, dict) or "node_multiaddress" not in item:
        raise ValueError(f"entry {index}: must be a map with node_multiaddress")
    if unknown := sorted(set(item) - NODE_KEYS):
        raise ValueError(f"entry {index}: unknown key {unknown[0]}")
    checked = _Checked(item, f"entry {index}: ")
    from_file = checked("authorization_file", secret_file) if item.get("authorization_file") else ""
    name = checked("name", _file_name, f"node{index}")
    where = checked("node_multiaddress", address)
    embedded = _embedded(item, name, where, f"entry {index}: ")
    return Node(
        name,
        where,
        checked("tags", mapping, {}),
        from_file or checked("authorization", header_value),
        checked("cluster", boolean, False),
        checked("reserve", size) if "reserve" in item else None,
        # An embedded node refuses what is beyond its limit; Kubo does not.
        checked("honour_storage_max", boolean, embedded is not None),
        checked("concurrent_pins", positive) if "concurrent_pins" in item else 0,
        checked("ca_file", text),
        embedded,
    )


class _Checked:
    """The values of one map, checked; what is wrong is told with the place and the key."""

    def __init__(self, item: Mapping[str, object], place: str) -> None:
        self._item = item
        self._place = place

    def __call__(self, key: str, parse: Callable[[object], Any], default: object = "") -> Any:
        value = self._item.get(key, default)
        try:
            return parse(value)
        except ValueError as error:
            shown = "…" if key == "authorization" else json.dumps(value, default=str)
            raise ValueError(f"{self._place}{key}: {shown}: {error}") from None


def _embedded(item: Mapping[str, object], name: str, where: str, place: str) -> Embedded | None:
    """From `embedded: true`, or a map with what differs from the usual."""
    given = item.get("embedded", False)
    if given is False:
        return None
    if given is not True and not isinstance(given, dict):
        raise ValueError(f"{place}embedded: {json.dumps(given, default=str)}: must be true, false or a map")
    own: Mapping[str, object] = {} if given is True else given
    if unknown := sorted(set(own) - EMBEDDED_KEYS):
        raise ValueError(f"{place}embedded: unknown key {unknown[0]}")
    if idle := sorted({"authorization", "authorization_file", "ca_file", "cluster"} & set(item)):
        raise ValueError(f"{place}{idle[0]}: an embedded node has none")
    listened = parse_address(where)
    if listened.unix or listened.tls or not listened.port or not listened.loopback:
        # It asks nobody for credentials; and other nodes dial it, for which a unix socket has no address.
        raise ValueError(f"{place}node_multiaddress: {where}: an embedded node has a tcp port of loopback, without TLS")
    checked = _Checked(own, f"{place}embedded: ")
    return Embedded(
        checked("repo", _folder, f"nodes/{name}"),
        checked("storage_max", size, STORAGE_MAX),
        checked("gateways", gateways, []),
        checked("restart_pause", duration, f"{RESTART_PAUSE:g}s"),
    )


def _folder(value: object) -> str:
    name = text(value)
    if not name or PurePath(name) == PurePath("."):
        raise ValueError("must be a folder of its own")
    return name


def _file_name(value: object) -> str:
    """A node's name, which also names the file of its peer's identity."""
    name = text(value)
    if not name or "/" in name:
        raise ValueError("must not be empty or contain /")
    return name
