"""The cluster's own options on Kubo's commands, under the names of the REST API, and pin names."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from ipfs_cluster import Wait
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.model import PeerId, PinMode, PinOptions
from ipfs_proxy.wire.params import parse_duration

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
NAME_LIMIT = 255
"""Bytes of a pin's name; Kubo's limit."""


def check_name(name: str | None) -> None:
    """Raise InvalidArgument with Kubo's text for a name that is too long."""
    size = len((name or "").encode("utf-8", "replace"))
    if size > NAME_LIMIT:
        raise InvalidArgument(f"pin name is {size} bytes (max {NAME_LIMIT} bytes)")


def wait_option(extra: Mapping[str, str]) -> Wait | None:
    """The `wait` option; None for the configured default."""
    text = extra.get("wait")
    if text is None:
        return None
    try:
        return Wait(text)
    except ValueError:
        raise InvalidArgument(f"invalid wait '{text}', must be one of {{accepted, min, all}}") from None


def pin_options(extra: Mapping[str, str], name: str | None, mode: PinMode) -> PinOptions:
    """Pin options of a request. An empty or absent name keeps the name that the pin has.

    Raises InvalidArgument with the REST API's texts.
    """
    both = _number(extra, "replication")
    metadata = {key[5:]: value for key, value in extra.items() if key.startswith("meta-") and len(key) > 5}
    origins = extra.get("origins")
    return PinOptions(
        name=name or None,
        mode=mode,
        replication_min=both or _number(extra, "replication-min"),
        replication_max=both or _number(extra, "replication-max"),
        user_allocations=tuple(PeerId(peer) for peer in extra.get("user-allocations", "").split(",") if peer),
        metadata=metadata or None,
        expire_at=_expiry(extra),
        origins=tuple(origin for origin in origins.split(",") if origin) if origins else None,
    )


def _number(extra: Mapping[str, str], key: str) -> int | None:
    text = extra.get(key, "")
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise InvalidArgument(f"parameter {key} invalid")
    return int(text) or None


def _expiry(extra: Mapping[str, str]) -> float | None:
    if at := extra.get("expire-at"):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise InvalidArgument(f"parameter expire-at invalid: {at}") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if within := extra.get("expire-in"):
        try:
            seconds = parse_duration(within)
        except ValueError as error:
            raise InvalidArgument(f"parameter expire-in invalid: {error}") from None
        if seconds < 1:
            raise InvalidArgument("expire-in duration too short")
        return time.time() + seconds
    return None
