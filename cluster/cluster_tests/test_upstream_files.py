"""Files that ipfs-cluster 1.1.6 itself wrote: they load, and nothing in them is passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.identity import load_or_create
from ipfs_cluster.settings import KEYS, parse

HERE = Path(__file__).parent / "upstream"
FILES = [HERE.parents[2] / "config" / "ipfs-cluster.json", *sorted(HERE.glob("*-*.json")), HERE / "raft.json"]
DIFFERENT_DEFAULTS = {
    "api.ipfsproxy.read_header_timeout": 5.0,
    "api.ipfsproxy.idle_timeout": 60.0,
    "api.restapi.cors_allowed_origins": ("*",),
}
"""Where this program's default is another than what ipfs-cluster writes: docs/configuration.md says why."""


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and path not in {key.path for key in KEYS}:
        for name, item in value.items():
            yield from flat(item, f"{path}.{name}" if path else name)
    else:
        yield path, value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_is_in_force_or_named_in_the_one_warning(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    settings, (warning,) = parse(document, {})
    named = warning.removeprefix("these settings of ipfs-cluster have no meaning here: ").split(", ")
    known = {key.path: key for key in KEYS}
    for key, given in flat(document):
        if key in known:
            expected = known[key].default if given is None else known[key].parse(given)
            assert settings[key] == expected, key
        elif not any(key == name or key.startswith(f"{name}.") for name in named):
            assert given in ({}, None, []), f"{key} is passed over in silence"


def test_defaults_are_those_of_ipfs_cluster_except_where_it_is_said() -> None:
    document = json.loads(FILES[0].read_text(encoding="utf-8"))
    settings, _ = parse(document, {})
    own = {"cluster.peername", "cluster.secret"}
    differing = {key.path: settings[key.path] for key in KEYS if settings[key.path] != key.default}
    assert {path: value for path, value in differing.items() if path not in own} == DIFFERENT_DEFAULTS


def test_its_identity_is_ours() -> None:
    path = HERE / "identity.json"
    assert load_or_create(path).id == json.loads(path.read_text())["id"] == FIRST


FIRST = "12D3KooWEkqAW2C4yeYqHvh6269BCp1QUhCdcw7fMztaBPm5i5gU"
