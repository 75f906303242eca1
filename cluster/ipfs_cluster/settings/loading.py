"""Reading the configuration: ipfs-cluster's `service.json` (or the same keys as `service.yaml`), environment on top.

Strict: every wrong value is named with its key, the value and the reason, all of them at once. Keys that ipfs-cluster
knows and that mean nothing here, and keys that nobody knows, are named in one warning each.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from ipfs_cluster.settings import allocation, api, cluster, ipfs
from ipfs_cluster.settings.ipfs import NODE_ADDRESS
from ipfs_cluster.settings.key import Key, SettingsError
from ipfs_cluster.settings.nodes import Node
from ipfs_cluster.settings.source import fetch
from ipfs_cluster.settings.values import secret_file

FILES = ("service.json", "service.yaml")
KEYS = (*cluster.KEYS, *api.KEYS, *ipfs.KEYS, *allocation.KEYS)
WITHOUT_MEANING = frozenset().union(*(part.WITHOUT_MEANING for part in (cluster, api, ipfs, allocation)))
MISSING: Mapping[str, str] = MappingProxyType({**cluster.MISSING, **api.MISSING, **ipfs.MISSING})
SECTIONS = frozenset(
    ".".join(parts[:size]) for key in KEYS for parts in [key.section.split(".")] for size in range(1, len(parts) + 1)
)


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
    """Read the folder's configuration, or what it names as its source, and the environment. Raises SettingsError; the
    list holds warnings.
    """
    path = next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        raise SettingsError(f"no configuration in {folder}: run `ipfs-cluster-service init`, or `daemon --init`")
    document = _read(path)
    ignored: list[str] = []
    if isinstance(document, dict) and document.get("source"):
        ignored = sorted(set(document) - {"source"})
        document = fetch(document["source"])
    settings, warnings = parse(document, environ)
    if ignored:
        warnings.append(f"settings beside source are ignored: {', '.join(ignored)}")
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
    cautions: list[str] = []
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
            cautions += [f"{source}: {caution}" for caution in key.caution(raw)]
        except ValueError as error:
            shown = "…" if key.secret else json.dumps(raw, default=str)
            problems.append(f"{source}: {shown}: {error}")
    if NODE_ADDRESS.env in environ:
        values["ipfs_connector.nodes"] = ()  # the environment wins over the file, whichever of the two keys it has
    problems += _contradictions(values)
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(values), cautions + _warnings(flat)


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
            return secret_file(path)
        except ValueError as error:
            problems.append(f"{key.env}_FILE: {error}")
    return None


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    return [problem for part in (cluster, allocation, api) for problem in part.contradictions(values)]


def _warnings(rest: Mapping[str, Any]) -> list[str]:
    idle = sorted({path for path in rest if any(path == key or path.startswith(f"{key}.") for key in WITHOUT_MEANING)})
    unknown = sorted(set(rest) - set(idle))
    warnings = []
    if set_ := [path for path in idle if _says_something(rest[path])]:
        warnings.append(f"these settings of ipfs-cluster have no meaning here: {', '.join(set_)}")
    if unknown:
        warnings.append(f"unknown settings are ignored: {', '.join(unknown)}")
    return warnings


def _says_something(value: object) -> bool:
    """False for a section without any setting, such as the `consensus` that `init` notes."""
    return any(map(_says_something, value.values())) if isinstance(value, dict) else value is not None
