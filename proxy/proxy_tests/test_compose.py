"""What the configuration says reaches the parts that act on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.rest.http import HTTP
from ipfs_cluster.settings import KEYS, changes, parse
from ipfs_proxy.compose import Service, compose


async def test_each_node_keeps_its_own_reserve_or_the_common_one(tmp_path: Path) -> None:
    nodes = [
        {"name": "own", "node_multiaddress": "/unix/a", "reserve": "5GB", "honour_storage_max": True},
        {"name": "none", "node_multiaddress": "/unix/b", "reserve": 0},
        {"name": "common", "node_multiaddress": "/unix/c"},
    ]
    settings, _ = parse({"ipfs_connector": {"nodes": nodes}, "informer": {"disk": {"reserve": "2GB"}}}, {})
    cluster = compose(tmp_path, settings, {}, "0").cluster
    assert {peer.name: peer.rule for peer in cluster.peers_by_id.values()} == {
        "own": RoomRule(5 * 10**9, honour_storage_max=True),
        "none": RoomRule(0),
        "common": RoomRule(2 * 10**9),
    }


# --- a configuration that is read again ---

ELSEWHERE = {"log.level", "api.audit_log", "api.ipfsproxy.authorizations"} | {
    f"api.restapi.{name}" for name in ("basic_auth_credentials", "authorizations", "token_ttl", "http_log_file")
}
"""Tested by a running service: test_daemon, test_auth."""
OTHER_VALUES: dict[str, Any] = {
    "cluster.replication_factor_min": 1,
    "cluster.replication_factor_max": 3,
    "cluster.monitor_ping_interval": "7s",
    "cluster.pin_recover_interval": "7m",
    "cluster.disable_repinning": False,
    "cluster.repin_grace": "7m",
    "cluster.repin_concurrent": 7,
    "cluster.repin_budget": 7,
    "api.ipfsproxy.read_header_timeout": "7s",
    "api.ipfsproxy.idle_timeout": "7s",
    "api.ipfsproxy.wait": "all",
    "api.ipfsproxy.allowed_origins": ["https://app.example"],
    "api.restapi.read_header_timeout": "7s",
    "api.restapi.read_timeout": "7s",
    "api.restapi.write_timeout": "7s",
    "api.restapi.headers": {"X-New": "1"},
    "api.restapi.cors_allowed_origins": ["https://app.example"],
    "api.restapi.cors_allowed_methods": ["POST"],
    "api.restapi.cors_allowed_headers": ["X-New"],
    "api.restapi.cors_exposed_headers": ["X-New"],
    "api.restapi.cors_allow_credentials": False,
    "api.restapi.cors_max_age": "7s",
    "ipfs_connector.ipfshttp.pin_timeout": "7s",
    "ipfs_connector.ipfshttp.unpin_timeout": "7s",
    "ipfs_connector.ipfshttp.pin_method": "refs",
    "pin_tracker.stateless.priority_pin_max_age": "7s",
    "pin_tracker.stateless.priority_pin_max_retries": 7,
    "monitor.pubsubmon.check_interval": "7s",
    "informer.disk.metric_ttl": "7s",
    "informer.disk.reserve": "7GB",
    "informer.pinqueue.metric_ttl": "7s",
    "informer.pinqueue.weight_bucket_size": 7,
    "informer.tags.metric_ttl": "7s",
    "informer.tags.tags": {"group": "other"},
}


def document(key: str, value: object) -> dict[str, Any]:
    found: Any = value
    for part in reversed(key.split(".")):
        found = {part: found}
    if key.startswith("cluster.replication_factor"):
        found["cluster"] |= {"replication_factor_min": 1, "replication_factor_max": 3}
    assert isinstance(found, dict)
    return found


def in_force(service: Service) -> dict[str, object]:
    """Whatever parts were given of the settings that may change."""
    cluster, (peer,) = service.cluster, service.cluster.peers_by_id.values()
    upkeep = cluster.upkeep
    return {
        "pins": (cluster._pins._defaults, cluster._pins._wait),
        "peer": (peer._settings, peer.tags, peer.rule),
        "tracker": (peer.tracker._settings, peer.tracker._calls._settings),
        "monitor": peer.monitor._settings,
        "upkeep": (upkeep.presence._settings, upkeep.repair._settings),
        "moves": (upkeep.moves._budget.per_hour, upkeep.moves._flights.limit),
        "front": (service.front._origins, service.front._limits, service.front._policy._allowed),
        "rest": service.rest.application[HTTP].rules,
    }


@pytest.mark.parametrize("key", OTHER_VALUES)
async def test_after_a_reload_all_is_as_after_a_start(key: str, tmp_path: Path) -> None:
    before, _ = parse({"cluster": {"peername": "me"}}, {})
    read, _ = parse(document(key, OTHER_VALUES[key]), {})
    service = compose(tmp_path, before, {}, "0")
    default = in_force(service)
    found = changes(before, read)
    service.reload(found.settings)
    assert in_force(service) == in_force(compose(tmp_path, read, {}, "0"))
    assert in_force(service) != default, "the key means something"
    assert service.settings is found.settings


def test_every_key_that_can_be_reloaded_is_tried() -> None:
    assert set(OTHER_VALUES) | ELSEWHERE == {key.path for key in KEYS if key.reload}
