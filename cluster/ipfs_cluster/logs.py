"""Log levels as ipfs-cluster names them ("info,restapi:debug"), text or JSON."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "notice": logging.INFO,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
NAMED = "critical, error, warning, info, debug"

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "cluster": ("ipfs_cluster",),
    "service": ("ipfs_proxy",),
    "restapi": ("ipfs_cluster.rest", "aiohttp"),
    "ipfsproxy": ("ipfs_proxy.front", "ipfs_proxy.rpc"),
    "ipfshttp": ("ipfs_cluster.nodes", "ipfs_cluster.mesh"),
    "monitor": ("ipfs_cluster.monitor", "ipfs_cluster.peer"),
    "pintracker": ("ipfs_cluster.tracker", "ipfs_cluster.attempt", "ipfs_cluster.reconcile"),
    "optracker": ("ipfs_cluster.tracker",),
    "allocator": ("ipfs_cluster.upkeep",),
    "adder": ("ipfs_cluster.ingest",),
    "dsstate": ("ipfs_cluster.stores",),
    "diskinfo": ("ipfs_cluster.reposize",),
    "config": ("ipfs_cluster.settings",),
}
"""Loggers of ipfs-cluster, and what does their work here."""

_ABSENT = """apitypes badger badger3 crdt ipfsproxylog libp2p-raft localdags p2p-gorpc pinsvcapi pinsvcapilog pstoremgr
raft raftlib restapilog shardingdags swarm2 tags tracing"""
WITHOUT_LOGGER = frozenset(_ABSENT.split())
"""Loggers of ipfs-cluster for parts that do not exist here; naming them is no error."""

MESSAGE = "%(message)s"
TEXT = f"%(asctime)s %(levelname)s %(name)s: {MESSAGE}"


@dataclass(frozen=True, slots=True)
class LogLevels:
    """general: of everything that `loggers` does not name."""

    general: int = logging.WARNING
    loggers: Mapping[str, int] = field(default_factory=dict)


def parse_levels(text: str) -> LogLevels:
    """Read "level[,component:level]…"; a component is one of ipfs-cluster's or one of this program's loggers. Raises
    ValueError.
    """
    general, loggers = logging.WARNING, dict[str, int]()
    for part in filter(None, (part.strip() for part in text.split(","))):
        component, colon, name = part.rpartition(":")
        level = LEVELS.get(name.lower())
        if level is None:
            raise ValueError(f"{name!r} is none of {NAMED}")
        if not colon:
            general = level
        else:
            loggers |= dict.fromkeys(_loggers(component), level)
    return LogLevels(general, loggers)


def _loggers(component: str) -> tuple[str, ...]:
    if component in COMPONENTS:
        return COMPONENTS[component]
    if component in WITHOUT_LOGGER:
        return ()
    if component.split(".")[0] in ("ipfs_cluster", "ipfs_proxy", "aiohttp", "asyncio"):
        return (component,)
    raise ValueError(f"there is no component {component!r}; there are {', '.join(COMPONENTS)}")


_named: set[str] = set()
"""Loggers with a level of their own, in the one logging that a process has."""


class Logs:
    """The process's logging. `configure` as often as the configuration is read."""

    def __init__(self, level: str = "", form: str = "", node: str = "") -> None:
        """What the command line says: it wins over the configuration. node: of the service's embedded nodes the one
        that this process is, told in each line. Raises ValueError.
        """
        self._level = parse_levels(level) if level else None
        self._form = form
        self._node = node
        self._handler = logging.StreamHandler()
        self.as_json = False
        logging.basicConfig(handlers=[self._handler], force=True)
        self.configure()

    def configure(self, level: str = "", form: str = "") -> None:
        """Let these hold where the command line says nothing, and no earlier ones. Raises ValueError."""
        levels = self._level or parse_levels(level)
        for name in _named - set(levels.loggers):
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger().setLevel(levels.general)
        for name, number in levels.loggers.items():
            logging.getLogger(name).setLevel(number)
        _named.clear()
        _named.update(levels.loggers)
        self.as_json = (self._form or form) == "json"
        text = TEXT.replace(MESSAGE, f"node {self._node.replace('%', '%%')}: {MESSAGE}") if self._node else TEXT
        self._handler.setFormatter(JsonLines(self._node) if self.as_json else logging.Formatter(text))

    @property
    def fixed(self) -> bool:
        """The command line says the levels, so the configuration does not."""
        return self._level is not None

    def line(self, text: str) -> str:
        """A line for the operator, which is shown whatever the levels are, in the form of the log."""
        if not self.as_json:
            return text
        return _json({"level": "info", "ts": stamp(time.time()), "logger": "service", "msg": text})


class JsonLines(logging.Formatter):
    """One JSON object a line, with the keys of ipfs-cluster's own JSON logs; of an embedded node, with its name."""

    def __init__(self, node: str = "") -> None:
        super().__init__()
        self._node = {"node": node} if node else {}

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "level": record.levelname.lower(),
            "ts": stamp(record.created),
            "logger": record.name,
            "caller": f"{record.module}.py:{record.lineno}",
            **self._node,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            entry["stacktrace"] = self.formatException(record.exc_info)
        return _json(entry)


def _json(entry: Mapping[str, str]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def stamp(seconds: float) -> str:
    """2026-11-26T07:34:15.684Z"""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03d}Z"
