"""What of a configuration that was read again can hold at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ipfs_cluster.settings.ipfs import NODES
from ipfs_cluster.settings.key import Key
from ipfs_cluster.settings.loading import KEYS, Settings
from ipfs_cluster.settings.nodes import Embedded, Node


@dataclass(frozen=True, slots=True)
class Changes:
    """settings: what holds from now on. applied: one text for each key that changed. pending: the keys whose new values
    need a restart.
    """

    settings: Settings
    applied: tuple[str, ...]
    pending: tuple[str, ...]


def changes(now: Settings, read: Settings) -> Changes:
    """From what holds now to what was read, as far as it goes while the service runs."""
    values, applied, pending = dict(now.values), list[str](), list[str]()
    for key in KEYS:
        new, old = read[key.path], now[key.path]
        if key is NODES:
            new = _same_nodes(old, new)
            if new != read[key.path]:
                pending.append(key.path)
        elif new != old and not key.reload:
            pending.append(key.path)
            continue
        if new != old:
            values[key.path] = new
            applied.append(key.path if key.secret else f"{key.path} {_shown(key, old)} -> {_shown(key, new)}")
    return Changes(Settings(values), tuple(applied), tuple(pending))


def _same_nodes(now: Sequence[Node], read: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes there are, with the tags, reserves and restart pauses that were read for them if they are the same."""
    if [(node.name, node.address) for node in now] != [(node.name, node.address) for node in read]:
        return tuple(now)
    return tuple(
        replace(old, tags=new.tags, reserve=new.reserve, embedded=_same_embedded(old.embedded, new.embedded))
        for old, new in zip(now, read, strict=True)
    )


def _same_embedded(now: Embedded | None, read: Embedded | None) -> Embedded | None:
    """How a node is run can only change with it; when it is started again may change before."""
    return now if now is None or read is None else replace(now, restart_pause=read.restart_pause)


def _shown(key: Key, value: object) -> str:
    """Durations and all the rest, as short as it goes."""
    if isinstance(value, float):
        return f"{value:g}s"
    return json.dumps(dict(value) if key.name == "tags" and isinstance(value, tuple) else value)
