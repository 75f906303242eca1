"""Sections `cluster` and `log`: the service itself, replication, repair, what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipfs_cluster.settings.key import Key, under
from ipfs_cluster.settings.values import (
    boolean,
    choice,
    factor,
    log_levels,
    natural,
    positive,
    positive_duration,
    secret,
    text,
)

KEYS = (
    Key("cluster", "peername", "", text),
    Key("cluster", "secret", "", secret, secret=True),
    Key("cluster", "replication_factor_min", -1, factor, reload=True),
    Key("cluster", "replication_factor_max", -1, factor, reload=True),
    Key("cluster", "monitor_ping_interval", 15.0, positive_duration, reload=True),
    Key("cluster", "pin_recover_interval", 720.0, positive_duration, reload=True),
    Key("cluster", "disable_repinning", True, boolean, reload=True),
    Key("cluster", "repin_grace", 300.0, positive_duration, reload=True),
    Key("cluster", "repin_concurrent", 1000, positive, reload=True),
    Key("cluster", "repin_budget", 0, natural, reload=True),
    Key("log", "level", "", log_levels, reload=True),
    Key("log", "format", "", choice("", "text", "json")),
)

WITHOUT_MEANING = frozenset(
    {
        *("consensus", "datastore", "observations", "state"),
        *under("cluster", "id private_key leave_on_shutdown listen_multiaddress announce_multiaddress"),
        *under("cluster", "no_announce_multiaddress enable_relay_hop connection_manager resource_manager pubsub"),
        *under("cluster", "dial_peer_timeout state_sync_interval peer_watch_interval mdns_interval follower_mode"),
        *under("cluster", "pin_only_on_trusted_peers pin_only_on_untrusted_peers peerstore_file peer_addresses"),
    }
)
"""Keys of ipfs-cluster that configure parts which this program does not have; loading them is no error."""

MISSING = {"source": "only a service.json in the data folder names one, not the configuration that is fetched there"}
"""Keys of ipfs-cluster that must not be passed over in silence when they are set, and why."""


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are right each by itself."""
    low, high = values["cluster.replication_factor_min"], values["cluster.replication_factor_max"]
    if (low == -1) == (high == -1) and low <= high:
        return []
    return [
        f"cluster.replication_factor_min: {low}: with replication_factor_max {high}: "
        "both must be -1, or both positive and min not larger than max"
    ]
