"""Sections `allocator`, `informer` and `monitor`: what is measured of peers, and how they are chosen by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipfs_cluster.settings.key import Key, under
from ipfs_cluster.settings.values import (
    choice,
    mapping,
    metric_names,
    missing_tags,
    natural,
    positive_duration,
    size,
)

KEYS = (
    Key("allocator.balanced", "allocate_by", ("tag:group", "freespace"), metric_names),
    Key("monitor.pubsubmon", "check_interval", 15.0, positive_duration, reload=True),
    Key("informer.disk", "metric_ttl", 30.0, positive_duration, reload=True),
    Key("informer.disk", "metric_type", "freespace", choice("freespace", "reposize")),
    Key("informer.disk", "reserve", 10**9, size, reload=True),
    Key("informer.pinqueue", "metric_ttl", 30.0, positive_duration, reload=True),
    Key("informer.pinqueue", "weight_bucket_size", 100_000, natural, reload=True),
    Key("informer.tags", "metric_ttl", 30.0, positive_duration, reload=True),
    Key("informer.tags", "tags", (("group", "default"),), mapping, reload=True),
)

WITHOUT_MEANING = frozenset({*under("monitor", "monbasic"), *under("monitor.pubsubmon", "failure_threshold")})


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are right each by itself."""
    common = values["informer.tags.tags"]
    tags = [node.tags or common for node in values["ipfs_connector.nodes"]] or [common]
    return missing_tags(values["allocator.balanced.allocate_by"], tags)
