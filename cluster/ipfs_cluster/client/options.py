"""The options of pins and adds as parameters of requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict, cast

from ipfs_cluster.client.calls import joined, true


class PinOptions(TypedDict, total=False):
    """Options of a new pin. replication: both of the next two; -1 everywhere, 0 as configured. allocations: peers to
    prefer. expire_in: seconds or a timedelta. origins: multiaddrs of nodes that have the content. wait: until what the
    answer waits: "accepted" (the entry is written), "min" (replication_min nodes hold it) or "all".
    """

    name: str
    mode: Literal["recursive", "direct"]
    replication: int
    replication_min: int
    replication_max: int
    allocations: Sequence[str]
    metadata: Mapping[str, str]
    expire_at: datetime
    expire_in: timedelta | float
    origins: Sequence[str]
    wait: Literal["accepted", "min", "all"]


class UpdateOptions(TypedDict, total=False):
    """What may differ from the pin that a new one is made from."""

    name: str
    expire_at: datetime
    expire_in: timedelta | float
    wait: Literal["accepted", "min", "all"]


class AddOptions(TypedDict, total=False):
    """Options of an add: of the pin as in PinOptions, then of the import as in `ipfs add`. local: begin with the
    service's first node. wrap: in a folder. no_pin: add only.
    """

    name: str
    replication: int
    replication_min: int
    replication_max: int
    allocations: Sequence[str]
    metadata: Mapping[str, str]
    expire_at: datetime
    expire_in: timedelta | float
    local: bool
    no_pin: bool
    wrap: bool
    raw_leaves: bool
    cid_version: Literal[0, 1]
    hash: str
    chunker: str
    layout: Literal["balanced", "trickle"]
    progress: bool


class ListOptions(TypedDict, total=False):
    """What of the pinset is listed: types of pins, names with this in them or that begin with this, metadata."""

    types: Sequence[str]
    name: str
    name_prefix: str
    metadata: Mapping[str, str]


_SWITCHES = {
    "local": "local",
    "no_pin": "no-pin",
    "wrap": "wrap-with-directory",
    "raw_leaves": "raw-leaves",
    "progress": "progress",
}
_TEXTS = {
    "name": "name",
    "mode": "mode",
    "wait": "wait",
    "name_prefix": "name-prefix",
    "hash": "hash",
    "chunker": "chunker",
    "layout": "layout",
}
_NUMBERS = {
    "replication": "replication",
    "replication_min": "replication-min",
    "replication_max": "replication-max",
    "cid_version": "cid-version",
}
_LISTS = {"allocations": "user-allocations", "origins": "origins", "types": "filter"}


def query_of(options: PinOptions | UpdateOptions | AddOptions | ListOptions) -> dict[str, str]:
    """The parameters. Raises TypeError for an option that is none."""
    query: dict[str, str] = {}
    for key, value in cast(Mapping[str, object], options).items():
        if key in _SWITCHES:
            query[_SWITCHES[key]] = true(bool(value))
        elif key in _TEXTS:
            query[_TEXTS[key]] = str(value)
        elif key in _NUMBERS:
            query[_NUMBERS[key]] = str(value or "")
        elif key in _LISTS:
            query[_LISTS[key]] = joined(cast(Sequence[str], value))
        elif key == "metadata":
            query |= {f"meta-{name}": text for name, text in cast(Mapping[str, str], value).items()}
        elif key == "expire_at":
            query["expire-at"] = _moment(cast(datetime, value))
        elif key == "expire_in":
            query["expire-in"] = _duration(cast("timedelta | float", value))
        else:
            raise TypeError(f"there is no option {key}")
    return query


def _moment(moment: datetime) -> str:
    """A time without a zone is local, as everywhere in Python."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _duration(given: timedelta | float) -> str:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    return f"{seconds:.3f}s"
