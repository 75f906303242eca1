"""Every configuration in config/ loads as its comments say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.security import EVERYTHING, Role
from ipfs_cluster.settings import KEYS, Settings, load, users_of

CONFIG = Path(__file__).resolve().parents[2] / "config"
FOR_MONITORING = {"alert-rules.yaml", "dashboard.json"}
EXAMPLES = sorted(path.name for path in CONFIG.iterdir() if path.is_file() and path.name not in FOR_MONITORING)


def loaded(name: str, folder: Path) -> tuple[Settings, list[str]]:
    """An example as its user loads it: copied into a data folder under the name that the service looks for."""
    content = (CONFIG / name).read_text(encoding="utf-8")
    (folder / "authorization").write_text("Bearer SECRET\n")
    content = re.sub(r"(authorization_file:) \S+", rf"\1 {folder}/authorization", content)
    (folder / f"service{Path(name).suffix}").write_text(content, encoding="utf-8")
    return load(folder, {})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads(name: str, tmp_path: Path) -> None:
    settings, warnings = loaded(name, tmp_path)
    assert settings.nodes
    if name.endswith(".yaml"):
        assert warnings == []


def test_single_is_the_defaults(tmp_path: Path) -> None:
    settings, _ = loaded("single.yaml", tmp_path)
    expected = {key.path: key.default for key in KEYS} | {"cluster.peername": "home"}
    assert settings.values == expected


def test_three_nodes(tmp_path: Path) -> None:
    settings, _ = loaded("three-nodes.yaml", tmp_path)
    assert [node.name for node in settings.nodes] == ["north", "east", "south"]
    assert (settings["cluster.replication_factor_min"], settings["cluster.replication_factor_max"]) == (2, 2)
    assert settings.nodes[2].tags == (("group", "rack-2"),)


def test_protected_node(tmp_path: Path) -> None:
    settings, _ = loaded("protected-node.yaml", tmp_path)
    assert settings.nodes[0].authorization == "Bearer SECRET"
    assert settings["api.ipfsproxy.listen_multiaddress"] == ("/unix/run/ipfs-cluster/proxy.sock",)
    assert settings["api.restapi.http_listen_multiaddress"] == ("/unix/run/ipfs-cluster/rest.sock",)


def test_tls_and_auth(tmp_path: Path) -> None:
    settings, _ = loaded("tls-and-auth.yaml", tmp_path)
    proxy = {user.name: user for user in users_of(settings.values, "api.ipfsproxy")}
    rest = {user.name: user for user in users_of(settings.values, "api.restapi")}
    secrets = {
        "pinbot": "example-token-of-the-pinbot",
        "uploads": "example",
        "gateway": "example-token-of-the-gateway",
        "ann": "example",
        "prometheus": "example-token-of-prometheus",
    }
    users = {**proxy, **rest}
    assert {name for name in secrets if users[name].stored.matches(secrets[name].encode())} == set(users)
    assert proxy["pinbot"].roles == {Role.READ, Role.PIN}
    assert proxy["uploads"].expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()
    assert rest["ann"].roles == EVERYTHING
    assert settings["api.restapi.token_ttl"] == 12 * 3600
    assert not parse_address(settings["api.ipfsproxy.listen_multiaddress"][0]).loopback


def test_a_file_of_ipfs_cluster_loads_with_one_warning(tmp_path: Path) -> None:
    settings, warnings = loaded("ipfs-cluster.json", tmp_path)
    (warning,) = warnings
    assert warning.startswith("these settings of ipfs-cluster have no meaning here: api.ipfsproxy.log_file, ")
    assert settings["api.ipfsproxy.idle_timeout"] == 60.0
    assert [(node.name, node.address) for node in settings.nodes] == [("vm", "/ip4/127.0.0.1/tcp/5001")]


def test_every_example_is_told_of_in_the_documentation() -> None:
    text = (CONFIG.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [name for name in EXAMPLES if f"config/{name}" not in text] == []
