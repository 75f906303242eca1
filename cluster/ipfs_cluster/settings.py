"""The configuration: ipfs-cluster's `service.json` (or the same keys as `service.yaml`), environment on top.

Strict: every wrong value is named with its key, the value and the reason, all of them at once. Keys that ipfs-cluster
knows and that mean nothing here, and keys that nobody knows, are named in one warning.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ipfs_cluster.addresses import AddressError, parse_address

FILES = ("service.json", "service.yaml")


class SettingsError(Exception):
    """The configuration cannot be used; the message lists every problem, one a line."""


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNIT = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: object) -> float:
    """Seconds of a Go duration text ("1m30s"). Raises ValueError."""
    if not isinstance(value, str) or (value != "0" and (not value or _DURATION.sub("", value))):
        raise ValueError('must be a duration such as "1m30s"')
    return sum(float(number) * _UNIT[unit] for number, unit in _DURATION.findall(value))


def positive_duration(value: object) -> float:
    """A duration above zero."""
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def text(value: object) -> str:
    """Any string."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def boolean(value: object) -> bool:
    """true or false; from the environment also the words."""
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def integer(value: object) -> int:
    """A whole number."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def positive(value: object) -> int:
    """A whole number above zero."""
    number = integer(value)
    if number <= 0:
        raise ValueError("must be larger than 0")
    return number


def factor(value: object) -> int:
    """A replication factor: -1 or positive."""
    number = integer(value)
    if number != -1 and number < 1:
        raise ValueError("must be -1 (everywhere) or positive")
    return number


def strings(value: object) -> tuple[str, ...]:
    """A list of strings, a single one, or from the environment a comma-separated one."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a string or a list of strings")
    return tuple(value)


def addresses(value: object) -> tuple[str, ...]:
    """One or more multiaddrs that can be listened on or dialled."""
    found = strings(value)
    if not found:
        raise ValueError("needs at least one address")
    for item in found:
        try:
            parse_address(item)
        except AddressError as error:
            raise ValueError(str(error)) from None
    return found


def mapping(value: object) -> tuple[tuple[str, str], ...]:
    """A map of strings; from the environment "k:v,k:v"."""
    if isinstance(value, str):
        value = dict(item.split(":", 1) for item in value.split(",") if ":" in item)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be a map of strings")
    return tuple((str(key), item) for key, item in value.items())


def choice(*allowed: str) -> Callable[[object], str]:
    """One of these words."""

    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def nodes(value: object) -> tuple[Node, ...]:
    """The list of IPFS nodes."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of nodes, at least one")
    found = tuple(_node(item, index) for index, item in enumerate(value))
    names = [node.name for node in found]
    if len(set(names)) != len(names):
        raise ValueError("every node needs a name of its own")
    return found


@dataclass(frozen=True, slots=True)
class Node:
    """One IPFS node. address: multiaddr of its RPC API. authorization: value of the header toward it."""

    name: str
    address: str
    tags: tuple[tuple[str, str], ...] = ()
    authorization: str = ""


NODE_KEYS = frozenset({"name", "node_multiaddress", "tags", "authorization", "authorization_file"})


def _node(item: object, index: int) -> Node:
    if not isinstance(item, dict) or "node_multiaddress" not in item:
        raise ValueError(f"entry {index}: must be a map with node_multiaddress")
    if unknown := sorted(set(item) - NODE_KEYS):
        raise ValueError(f"entry {index}: unknown key {unknown[0]}")
    (address,) = addresses(item["node_multiaddress"])[:1]
    secret = text(item.get("authorization", ""))
    if path := item.get("authorization_file"):
        secret = _secret_file(text(path))
    return Node(text(item.get("name", f"node{index}")), address, mapping(item.get("tags", {})), secret)


def _secret_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
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

KEYS = (
    Key("cluster", "peername", "", text),
    Key("cluster", "secret", "", text, secret=True),
    Key("cluster", "replication_factor_min", -1, factor),
    Key("cluster", "replication_factor_max", -1, factor),
    Key("cluster", "monitor_ping_interval", 15.0, positive_duration),
    Key("cluster", "pin_recover_interval", 720.0, positive_duration),
    Key("cluster", "disable_repinning", True, boolean),
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
    Key("ipfs_connector", "nodes", (), nodes),
    Key("ipfs_connector.ipfshttp", "node_multiaddress", ("/ip4/127.0.0.1/tcp/5001",), addresses),
    Key("ipfs_connector.ipfshttp", "pin_timeout", 120.0, positive_duration),
    Key("ipfs_connector.ipfshttp", "unpin_timeout", 10800.0, positive_duration),
    Key("pin_tracker.stateless", "concurrent_pins", 10, positive),
    Key("allocator.balanced", "allocate_by", ("tag:group", "freespace"), strings),
    Key("informer.disk", "metric_ttl", 30.0, positive_duration),
    Key("informer.tags", "tags", (("group", "default"),), mapping),
)

WITHOUT_MEANING = frozenset(
    {"consensus", "datastore", "observations", "state", "monitor", "api.pinsvcapi", "informer.pinqueue"}
    | {f"cluster.{name}" for name in ("id", "private_key", "leave_on_shutdown", "listen_multiaddress")}
    | {f"cluster.{name}" for name in ("announce_multiaddress", "no_announce_multiaddress", "enable_relay_hop")}
    | {f"cluster.{name}" for name in ("connection_manager", "resource_manager", "pubsub", "dial_peer_timeout")}
    | {f"cluster.{name}" for name in ("state_sync_interval", "peer_watch_interval", "mdns_interval", "follower_mode")}
    | {f"cluster.{name}" for name in ("pin_only_on_trusted_peers", "pin_only_on_untrusted_peers", "peerstore_file")}
    | {"cluster.peer_addresses"}
)
"""Keys of ipfs-cluster that configure parts which this program does not have (yet); loading them is no error."""


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
    return parse(_read(path), environ)


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
    flat = dict(_flatten(document, {key.section for key in KEYS}))
    problems: list[str] = []
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
    problems += _contradictions(values)
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(values), _warnings(flat)


def _flatten(document: Mapping[str, Any], sections: set[str], above: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for name, value in document.items():
        path = f"{above}.{name}" if above else str(name)
        known = path in sections or any(section.startswith(f"{path}.") for section in sections)
        if known and isinstance(value, dict):
            items += _flatten(value, sections, path)
        else:
            items.append((path, value))
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
