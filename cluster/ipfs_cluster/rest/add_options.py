"""The query of `POST /add`, read as ipfs-cluster reads it, and what it means to a daemon. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.model import PeerInfo, PinOptions
from ipfs_cluster.pinning import Wait
from ipfs_cluster.rest.options import pin_options, wait_of

_BOOLS = {text: value for value, texts in ((True, "1 t T TRUE true True"), (False, "0 f F FALSE false False"))
          for text in texts.split()}  # fmt: skip
SHA2 = "sha2-256"
DEFAULTS = {"max-file-links": "174", "max-directory-links": "0", "max-hamt-fanout": "256"}
"""What ipfs-cluster imports with and has no option for; said, so that a daemon's Import configuration is not asked."""
HOME_OPTIONS = ("nocopy", "fscache")
"""They tie content to the files of the home node's host."""
PASSED_ON = ("inline", "preserve-mode", "preserve-mtime")
"""Switches of the daemon's `add` that ipfs-cluster does not have."""
NO_EFFECT = ("recursive", "hidden")
"""ipfs-cluster checks them; they are the client's matter."""
NAME_LIMIT = 255
"""Bytes of a pin's name on a daemon."""
NO_SHARDS = "sharding is not supported by this version: without shard, a file is on each of its nodes as a whole"

CAR_NO_PIN = "no-pin is not supported for CAR files: a daemon does not tell their roots unless it pins them"


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What a request to add asks for. car: the upload is one. query: for the daemon that answers; replica_query: for
    the others. home_only: only the home node is sent the body. pins: the roots become pins. wrap: in one unnamed
    directory. streams: the answer is NDJSON, else one array.
    """

    car: bool
    query: str
    replica_query: str
    home_only: bool
    pins: bool
    wrap: bool
    streams: bool
    options: PinOptions
    wait: Wait | None

    @property
    def command(self) -> str:
        """The daemon's command."""
        return "dag/import" if self.car else "add"


def add_options(query: Mapping[str, str], now: float, peers: Sequence[PeerInfo]) -> AddOptions:
    """All of them, or InvalidArgument with ipfs-cluster's words. now: unix seconds. peers: of the cluster."""
    options = replace(pin_options(query, now, peers), pin_update=None)
    wait = wait_of(query) if query.get("wait") else None
    if _switch(query, "shard"):
        raise InvalidArgument(NO_SHARDS)
    for name in NO_EFFECT:
        _switch(query, name)
    kind = query.get("format", "")
    if kind not in ("", "unixfs", "car"):
        raise InvalidArgument("format parameter is invalid")
    daemon = _unixfs(query, options)
    pins, wrap = not _switch(query, "no-pin"), _switch(query, "wrap-with-directory")
    if kind == "car":
        if wrap:
            raise InvalidArgument("cannot wrap a CAR file upload")
        if not pins:
            raise InvalidArgument(
                "no-pin is not supported for CAR files: a daemon does not tell the roots of what it does not pin"
            )
        daemon = {"pin-roots": _text(pins), "stats": "true"}
    else:
        daemon |= {"pin": _text(pins)} | ({"pin-name": name} if (name := _daemons_name(options)) and pins else {})
    tied = any(_switch(query, name) for name in HOME_OPTIONS) and kind != "car"
    replica = {key: value for key, value in daemon.items() if key not in HOME_OPTIONS}
    if "progress" in replica:
        replica["progress"] = "false"
    return AddOptions(
        car=kind == "car",
        query=_encoded(daemon),
        replica_query=_encoded(replica),
        home_only=tied or not pins or _switch(query, "local"),
        pins=pins,
        wrap=wrap,
        streams=_switch(query, "stream-channels", default=True),
        options=options,
        wait=wait,
    )


def _unixfs(query: Mapping[str, str], options: PinOptions) -> dict[str, str]:
    """The daemon's options for importing files, all that decide about CIDs spelled out."""
    layout = query.get("layout", "")
    if layout not in ("", "balanced", "trickle"):
        raise InvalidArgument("layout parameter is invalid")
    function = query.get("hash", "").lower() or SHA2
    version = _version(query) or ("0" if function == SHA2 else "1")
    switches = {name: _switch(query, name) for name in (*PASSED_ON, *HOME_OPTIONS)}
    raw = version != "0" or switches["nocopy"]
    if switches["preserve-mode"] or switches["preserve-mtime"]:
        raw = False
    daemon = {
        **DEFAULTS,
        "chunker": query.get("chunker") or "size-262144",
        "hash": function,
        "cid-version": version,
        "raw-leaves": _text(_switch(query, "raw-leaves", default=raw)),
        "trickle": _text(layout == "trickle"),
        "wrap-with-directory": _text(_switch(query, "wrap-with-directory")),
        "progress": _text(_switch(query, "progress")),
        **{name: "true" for name, on in switches.items() if on},
    }
    if limit := query.get("inline-limit", ""):
        if not limit.isascii() or not limit.isdigit():
            raise InvalidArgument("parameter inline-limit invalid")
        daemon["inline-limit"] = limit
    return daemon


def _version(query: Mapping[str, str]) -> str:
    text = query.get("cid-version", "")
    if text not in ("", "0", "1"):
        raise InvalidArgument("parameter cid-version invalid")
    return text


def _daemons_name(options: PinOptions) -> str:
    name = options.name or ""
    return name if len(name.encode("utf-8", "replace")) <= NAME_LIMIT else ""


def _switch(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = query.get(name, "")
    if text and text not in _BOOLS:
        raise InvalidArgument(f"parameter {name} invalid")
    return _BOOLS.get(text, default)


def _text(value: bool) -> str:
    return "true" if value else "false"


def _encoded(daemon: Mapping[str, str]) -> str:
    return urlencode([*sorted(daemon.items()), ("encoding", "json"), ("stream-channels", "true")])
