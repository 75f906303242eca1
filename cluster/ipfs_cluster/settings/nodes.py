"""The list of IPFS nodes, `ipfs_connector.nodes`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ipfs_cluster.settings.values import address, boolean, header_value, mapping, positive, secret_file, size, text


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
    return found


@dataclass(frozen=True, slots=True)
class Node:
    """One IPFS node. address: multiaddr of its RPC API. authorization: value of the header toward it. cluster: it is
    the proxy of another cluster (one of this program's own kind is recognised without it). reserve: bytes of its disk
    that stay free, None for what holds for all. honour_storage_max: Kubo's StorageMax bounds it too. concurrent: pins
    at work on it, 0 for as many as on the others. ca_file: whose certificates are trusted, empty for the system's.
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


NODE_KEYS = frozenset(
    {"cluster", "name", "node_multiaddress", "tags", "authorization", "authorization_file"}
    | {"reserve", "honour_storage_max", "concurrent_pins", "ca_file"}
)


def _node(item: object, index: int) -> Node:
    if not isinstance(item, dict) or "node_multiaddress" not in item:
        raise ValueError(f"entry {index}: must be a map with node_multiaddress")
    if unknown := sorted(set(item) - NODE_KEYS):
        raise ValueError(f"entry {index}: unknown key {unknown[0]}")

    def checked(key: str, parse: Callable[[object], Any], default: object = "") -> Any:
        value = item.get(key, default)
        try:
            return parse(value)
        except ValueError as error:
            shown = "…" if key == "authorization" else json.dumps(value, default=str)
            raise ValueError(f"entry {index}: {key}: {shown}: {error}") from None

    from_file = checked("authorization_file", secret_file) if item.get("authorization_file") else ""
    return Node(
        checked("name", _file_name, f"node{index}"),
        checked("node_multiaddress", address),
        checked("tags", mapping, {}),
        from_file or checked("authorization", header_value),
        checked("cluster", boolean, False),
        checked("reserve", size) if "reserve" in item else None,
        checked("honour_storage_max", boolean, False),
        checked("concurrent_pins", positive) if "concurrent_pins" in item else 0,
        checked("ca_file", text),
    )


def _file_name(value: object) -> str:
    """A node's name, which also names the file of its peer's identity."""
    name = text(value)
    if not name or "/" in name:
        raise ValueError("must not be empty or contain /")
    return name
