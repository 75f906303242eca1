"""The configuration: ipfs-cluster's `service.json` (or the same keys as `service.yaml`), environment on top.

Strict: every wrong value is named with its key, the value and the reason, all of them at once. Keys that ipfs-cluster
knows and that mean nothing here, and keys that nobody knows, are named in one warning.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.settings_values import (
    address,
    addresses,
    boolean,
    choice,
    factor,
    header_value,
    mapping,
    metric_names,
    missing_tags,
    natural,
    positive,
    positive_duration,
    secret,
    size,
    strings,
    text,
)

FILES = ("service.json", "service.yaml")


class SettingsError(Exception):
    """The configuration cannot be used; the message lists every problem, one a line."""


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
    at work on it, 0 for as many as on the others.
    """

    name: str
    address: str
    tags: tuple[tuple[str, str], ...] = ()
    authorization: str = field(default="", repr=False)
    cluster: bool = False
    reserve: int | None = None
    honour_storage_max: bool = False
    concurrent: int = 0


NODE_KEYS = frozenset(
    {"cluster", "name", "node_multiaddress", "tags", "authorization", "authorization_file"}
    | {"reserve", "honour_storage_max", "concurrent_pins"}
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

    from_file = checked("authorization_file", _secret_file) if item.get("authorization_file") else ""
    return Node(
        checked("name", _file_name, f"node{index}"),
        checked("node_multiaddress", address),
        checked("tags", mapping, {}),
        from_file or checked("authorization", header_value),
        checked("cluster", boolean, False),
        checked("reserve", size) if "reserve" in item else None,
        checked("honour_storage_max", boolean, False),
        checked("concurrent_pins", positive) if "concurrent_pins" in item else 0,
    )


def _file_name(value: object) -> str:
    """A node's name, which also names the file of its peer's identity."""
    name = text(value)
    if not name or "/" in name:
        raise ValueError("must not be empty or contain /")
    return name


def _secret_file(path: object) -> str:
    try:
        return Path(text(path)).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read the secret file: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. section: dotted; env: name of its environment variable without the prefix."""

    section: str
    name: str
    default: Any
    parse: Callable[[object], Any]
    secret: bool = False

    @property
    def path(self) -> str:
        """section.name"""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> str:
        """The environment variable, as ipfs-cluster names it."""
        component = self.section.rsplit(".", 1)[-1]
        middle = "" if component == "cluster" else f"{_ENV_COMPONENT.get(component, component.upper())}_"
        return f"CLUSTER_{middle}{self.name.replace('_', '').upper()}"


_ENV_COMPONENT = {"pubsubmon": "PUBSUBMON", "ipfs_connector": "IPFSCONNECTOR"}

NODE_ADDRESS = Key("ipfs_connector.ipfshttp", "node_multiaddress", ("/ip4/127.0.0.1/tcp/5001",), addresses)

KEYS = (
    Key("cluster", "peername", "", text),
    Key("cluster", "secret", "", secret, secret=True),
    Key("cluster", "replication_factor_min", -1, factor),
    Key("cluster", "replication_factor_max", -1, factor),
    Key("cluster", "monitor_ping_interval", 15.0, positive_duration),
    Key("cluster", "pin_recover_interval", 720.0, positive_duration),
    Key("cluster", "disable_repinning", True, boolean),
    Key("cluster", "repin_grace", 300.0, positive_duration),
    Key("cluster", "repin_concurrent", 1000, positive),
    Key("cluster", "repin_budget", 0, natural),
    Key("api.ipfsproxy", "listen_multiaddress", ("/ip4/127.0.0.1/tcp/9095",), addresses),
    Key("api.ipfsproxy", "read_header_timeout", 30.0, positive_duration),
    Key("api.ipfsproxy", "idle_timeout", 120.0, positive_duration),
    Key("api.ipfsproxy", "wait", "min", choice("accepted", "min", "all")),
    Key("api.ipfsproxy", "allowed_origins", (), strings),
    Key("api.ipfsproxy", "indirect_pins", True, boolean),
    Key("api.ipfsproxy", "adopt", True, boolean),
    Key("api.ipfsproxy", "allow_remote", False, boolean),
    Key("api.restapi", "http_listen_multiaddress", ("/ip4/127.0.0.1/tcp/9094",), addresses),
    Key("api.restapi", "allow_remote", False, boolean),
    Key("ipfs_connector", "nodes", (), nodes, secret=True),
    NODE_ADDRESS,
    Key("ipfs_connector.ipfshttp", "pin_timeout", 120.0, positive_duration),
    Key("ipfs_connector.ipfshttp", "unpin_timeout", 10800.0, positive_duration),
    Key("ipfs_connector.ipfshttp", "pin_method", "pin", choice("pin", "refs")),
    Key("pin_tracker.stateless", "concurrent_pins", 10, positive),
    Key("pin_tracker.stateless", "priority_pin_max_age", 86400.0, positive_duration),
    Key("pin_tracker.stateless", "priority_pin_max_retries", 5, positive),
    Key("allocator.balanced", "allocate_by", ("tag:group", "freespace"), metric_names),
    Key("monitor.pubsubmon", "check_interval", 15.0, positive_duration),
    Key("informer.disk", "metric_ttl", 30.0, positive_duration),
    Key("informer.disk", "metric_type", "freespace", choice("freespace", "reposize")),
    Key("informer.disk", "reserve", 10**9, size),
    Key("informer.pinqueue", "metric_ttl", 30.0, positive_duration),
    Key("informer.pinqueue", "weight_bucket_size", 100_000, natural),
    Key("informer.tags", "metric_ttl", 30.0, positive_duration),
    Key("informer.tags", "tags", (("group", "default"),), mapping),
)

SECTIONS = frozenset(
    ".".join(parts[:size]) for key in KEYS for parts in [key.section.split(".")] for size in range(1, len(parts) + 1)
)


def _under(section: str, names: str) -> frozenset[str]:
    return frozenset(f"{section}.{name}" for name in names.split())


WITHOUT_MEANING = (
    frozenset({"consensus", "datastore", "observations", "state", "api.pinsvcapi"})
    | _under("monitor", "monbasic")
    | _under("cluster", "id private_key leave_on_shutdown listen_multiaddress announce_multiaddress")
    | _under("cluster", "no_announce_multiaddress enable_relay_hop connection_manager resource_manager pubsub")
    | _under("cluster", "dial_peer_timeout state_sync_interval peer_watch_interval mdns_interval follower_mode")
    | _under("cluster", "pin_only_on_trusted_peers pin_only_on_untrusted_peers peerstore_file peer_addresses")
    | _under("api.ipfsproxy", "node_multiaddress log_file read_timeout write_timeout max_header_bytes")
    | _under("api.ipfsproxy", "extract_headers_extra extract_headers_path extract_headers_ttl")
    | _under(
        "api.restapi", "read_timeout write_timeout read_header_timeout idle_timeout max_header_bytes id private_key"
    )
    | _under("api.restapi", "id private_key libp2p_listen_multiaddress http_log_file headers cors_allowed_origins")
    | _under("api.restapi", "cors_allowed_methods cors_allowed_headers cors_exposed_headers cors_allow_credentials")
    | _under("api.restapi", "cors_max_age")
    | _under("ipfs_connector.ipfshttp", "connect_swarms_delay ipfs_request_timeout repogc_timeout")
    | _under("ipfs_connector.ipfshttp", "informer_trigger_interval")
    | _under("pin_tracker.stateless", "max_pin_queue_size")
    | _under("monitor.pubsubmon", "failure_threshold")
)
"""Keys of ipfs-cluster that configure parts which this program does not have (yet); loading them is no error."""

MISSING = MappingProxyType(
    {
        "source": "a configuration cannot be fetched",
        "api.ipfsproxy.node_https": "TLS toward the node is not supported yet",
        "api.restapi.basic_auth_credentials": "the REST API has no credentials yet; nothing would be protected",
        "api.restapi.ssl_cert_file": "the REST API has no TLS yet; nothing would be encrypted",
        "api.restapi.ssl_key_file": "the REST API has no TLS yet; nothing would be encrypted",
        "ipfs_connector.ipfshttp.unpin_disable": "removed pins would be unpinned all the same",
    }
)
"""Keys of ipfs-cluster that must not be passed over in silence when they are set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All values, by dotted key; `settings["cluster.peername"]`."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The IPFS nodes: the list, or those of ipfshttp.node_multiaddress, named after their number."""
        listed: tuple[Node, ...] = self["ipfs_connector.nodes"]
        if listed:
            return listed
        found: tuple[str, ...] = self["ipfs_connector.ipfshttp.node_multiaddress"]
        name = self.peername
        return tuple(Node(name if i == 0 else f"{name}-{i + 1}", address) for i, address in enumerate(found))

    @property
    def peername(self) -> str:
        """The service's name: the configured one or the host's."""
        return self["cluster.peername"] or socket.gethostname()


def load(folder: Path, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Read the folder's configuration and the environment. Raises SettingsError; the list holds warnings."""
    path = next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        raise SettingsError(f"no configuration in {folder}: run `ipfs-cluster-service init`, or `daemon --init`")
    settings, warnings = parse(_read(path), environ)
    if other := [name for name in FILES if name != path.name and (folder / name).exists()]:
        warnings.append(f"{path.name} is used and {other[0]} beside it is not")
    return settings, warnings


def _read(path: Path) -> object:
    try:
        content = path.read_text(encoding="utf-8")
        return json.loads(content) if path.suffix == ".json" else yaml.safe_load(content)
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}") from None


def parse(document: object, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Check a loaded document and the environment against the keys. Raises SettingsError."""
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise SettingsError("the configuration must be a map of sections")
    problems: list[str] = []
    flat = dict(_flatten(document, problems))
    problems += [f"{key}: {reason}" for key, reason in MISSING.items() if flat.pop(key, None)]
    values: dict[str, Any] = {}
    for key in KEYS:
        raw, source = flat.pop(key.path, None), key.path
        override = _from_environment(key, environ, problems)
        if override is not None:
            raw, source = override, key.env
        values[key.path] = key.default
        if raw is None:
            continue
        try:
            values[key.path] = key.parse(raw)
        except ValueError as error:
            shown = "…" if key.secret else json.dumps(raw, default=str)
            problems.append(f"{source}: {shown}: {error}")
    if NODE_ADDRESS.env in environ:
        values["ipfs_connector.nodes"] = ()  # the environment wins over the file, whichever of the two keys it has
    problems += _contradictions(values)
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(values), _warnings(flat)


def _flatten(document: Mapping[str, Any], problems: list[str], above: str = "") -> list[tuple[str, Any]]:
    """Dotted keys and their values. A section without content (all commented out) is an empty one."""
    items: list[tuple[str, Any]] = []
    for name, value in document.items():
        path = f"{above}.{name}" if above else str(name)
        if path not in SECTIONS:
            items.append((path, value))
        elif isinstance(value, dict):
            items += _flatten(value, problems, path)
        elif value is not None:
            problems.append(f"{path}: {json.dumps(value, default=str)}: must be a map")
    return items


def _from_environment(key: Key, environ: Mapping[str, str], problems: list[str]) -> str | None:
    if (value := environ.get(key.env)) is not None:
        return value
    if key.secret and (path := environ.get(f"{key.env}_FILE")) is not None:
        try:
            return _secret_file(path)
        except ValueError as error:
            problems.append(f"{key.env}_FILE: {error}")
    return None


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    low, high = values["cluster.replication_factor_min"], values["cluster.replication_factor_max"]
    problems = []
    if (low == -1) != (high == -1) or low > high:
        problems.append(
            f"cluster.replication_factor_min: {low}: with replication_factor_max {high}: "
            "both must be -1, or both positive and min not larger than max"
        )
    common = values["informer.tags.tags"]
    tags = [node.tags or common for node in values["ipfs_connector.nodes"]] or [common]
    problems += missing_tags(values["allocator.balanced.allocate_by"], tags)
    for key, door in (("api.ipfsproxy", "listen_multiaddress"), ("api.restapi", "http_listen_multiaddress")):
        problems += [
            f"{key}.{door}: {json.dumps(address)}: listens beyond this machine without credentials; "
            f"set {key}.allow_remote to true if something in front of it protects it"
            for address in values[f"{key}.{door}"]
            if not parse_address(address).loopback and not values[f"{key}.allow_remote"]
        ]
    return problems


def _warnings(rest: Mapping[str, Any]) -> list[str]:
    idle = sorted({path for path in rest if any(path == key or path.startswith(f"{key}.") for key in WITHOUT_MEANING)})
    unknown = sorted(set(rest) - set(idle))
    warnings = []
    if idle:
        warnings.append(f"these settings of ipfs-cluster have no meaning here: {', '.join(idle)}")
    if unknown:
        warnings.append(f"unknown settings are ignored: {', '.join(unknown)}")
    return warnings


def write_default(folder: Path, environ: Mapping[str, str], *, secret: str, force: bool = False) -> Path:
    """Write service.json with the values that people change. Raises FileExistsError unless forced."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    existing = next((folder / name for name in FILES if (folder / name).exists()), None)
    if existing is not None and not force:
        raise FileExistsError(str(existing))
    settings, _ = parse({}, environ)
    document = {
        "cluster": {
            "peername": settings.peername,
            "secret": secret,
            "replication_factor_min": settings["cluster.replication_factor_min"],
            "replication_factor_max": settings["cluster.replication_factor_max"],
            "disable_repinning": False,
        },
        "api": {
            "ipfsproxy": {"listen_multiaddress": list(settings["api.ipfsproxy.listen_multiaddress"])},
            "restapi": {"http_listen_multiaddress": list(settings["api.restapi.http_listen_multiaddress"])},
        },
        "ipfs_connector": {
            "nodes": [{"name": node.name, "node_multiaddress": node.address} for node in settings.nodes]
        },
    }
    path = folder / "service.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    return path
