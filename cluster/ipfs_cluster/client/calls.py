"""The requests of the REST API as values: what is sent, and what is made of the answer. Pure; both clients and
ipfs-cluster-ctl send them.
"""

from __future__ import annotations

import json as codec
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ipfs_cluster.client import models, upkeep
from ipfs_cluster.client.errors import BadAnswer, BadRequest, StreamFailed
from ipfs_cluster.model import Bandwidth

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. of: makes a result of a JSON value of the answer, None when it is empty. query: parameters without a
    value are left out. repeatable: doing it twice is as doing it once, the answer too.
    """

    method: str
    path: str
    of: Callable[[Any], T]
    query: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    repeatable: bool = False

    @property
    def params(self) -> dict[str, str]:
        """What is sent of the query."""
        return {key: value for key, value in self.query.items() if value}

    def result(self, value: Any) -> T:
        """Of a value of the answer. Raises BadAnswer."""
        return self.read(self.of, value)

    def read(self, of: Callable[[Any], R], value: Any) -> R:
        """What `of` makes of a value of the answer. Raises BadAnswer when the value has another shape."""
        try:
            return of(value)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else "it is of another kind than it must be"
            raise BadAnswer(f"{self.method} {self.path}: unexpected answer: {reason}") from error


class Lines:
    """The JSON values of an answer whose pieces come as they like: one a line, or one in all."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> Iterator[Any]:
        """The values that are complete with this piece. Raises BadAnswer, StreamFailed."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        yield from map(_value, filter(bytes.strip, lines))

    def end(self) -> Iterator[Any]:
        """What is left."""
        if self._rest.strip():
            yield _value(self._rest)


def _value(line: bytes) -> Any:
    try:
        value = codec.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(str(error)) from None
    if isinstance(value, dict) and value.keys() == {"code", "message"} and isinstance(value["code"], int):
        # How a stream ends that failed, for those who were not seen to read trailers, before its connection is cut.
        raise StreamFailed(value["code"], str(value["message"]))
    return value


def _get(path: str, of: Callable[[Any], T], query: Mapping[str, str] | None = None) -> Call[T]:
    return Call("GET", path, of, query or {}, repeatable=True)


def _part(text: str) -> str:
    """A segment of a route. Raises BadRequest for an empty one: the route would be another."""
    if not text:
        raise BadRequest(400, "an empty text names nothing")
    return quote(text, safe="")


def true(on: bool) -> str:
    """A switch as a parameter."""
    return "true" if on else ""


def _nothing(value: Any) -> None:
    return None


# --- the service and its peers ---


def identity() -> Call[models.Identity]:
    """The first peer."""
    return _get("/id", models.Identity.of)


def version() -> Call[str]:
    """The service's version."""
    return _get("/version", lambda value: str(value["version"]))


def peers() -> Call[models.Identity]:
    """All peers."""
    return _get("/peers", models.Identity.of)


def peer_add(peer: str) -> Call[models.Identity]:
    """The peer that was added."""
    return Call("POST", "/peers", models.Identity.of, json={"peer_id": peer})


def peer_rm(peer: str) -> Call[None]:
    """Nothing."""
    return Call("DELETE", f"/peers/{_part(peer)}", _nothing)


def token() -> Call[str]:
    """A bearer token for the credentials of the request."""
    return Call("POST", "/token", lambda value: str(value["token"]))


# --- pins ---


def path_of(what: str) -> str:
    """The route of a CID or path. Raises BadRequest for a path that HTTP would make another of."""
    rooted = what if what.startswith(("/ipfs/", "/ipns/", "/ipld/")) else f"/ipfs/{what.lstrip('/')}"
    segments = rooted.rstrip("/").split("/")[1:]
    if len(segments) < 2 or not {"", ".", ".."}.isdisjoint(segments):
        raise BadRequest(400, f"{what!r} is no CID and no path")
    return f"/pins{quote(rooted)}"


def pin(cid: str, query: Mapping[str, str]) -> Call[models.Pin]:
    """The new entry. Pinning again with the same options changes nothing."""
    return Call("POST", f"/pins/{_part(cid)}", models.Pin.of, query, repeatable=True)


def pin_path(path: str, query: Mapping[str, str]) -> Call[models.Pin]:
    """The same of a path, or a CID."""
    return Call("POST", path_of(path), models.Pin.of, query, repeatable=True)


def unpin(cid: str) -> Call[models.Pin]:
    """The entry that was removed."""
    return Call("DELETE", f"/pins/{_part(cid)}", models.Pin.of)


def unpin_path(path: str) -> Call[models.Pin]:
    """The same of a path, or a CID."""
    return Call("DELETE", path_of(path), models.Pin.of)


def allocations(query: Mapping[str, str]) -> Call[models.Pin]:
    """Entries of the pinset. query: `filter`, `name`, `name-prefix`, `meta-KEY`."""
    return _get("/allocations", models.Pin.of, query)


def allocation(cid: str) -> Call[models.Pin]:
    """One entry."""
    return _get(f"/allocations/{_part(cid)}", models.Pin.of)


def status(*, local: bool = False, filter: str = "", cids: str = "") -> Call[models.Status]:
    """Pins on peers. filter, cids: comma-separated."""
    return _get("/pins", models.Status.of, {"local": true(local), "filter": filter, "cids": cids})


def status_of(cid: str, *, local: bool = False) -> Call[models.Status]:
    """One CID on peers."""
    return _get(f"/pins/{_part(cid)}", models.Status.of, {"local": true(local)})


def recover(cid: str, *, local: bool = False) -> Call[models.Status]:
    """One CID, tried again."""
    return Call("POST", f"/pins/{_part(cid)}/recover", models.Status.of, {"local": true(local)}, repeatable=True)


def recover_all(*, local: bool = False) -> Call[models.Status]:
    """All that had failed."""
    return Call("POST", "/pins/recover", models.Status.of, {"local": true(local)})


def foreign(peer: str = "") -> Call[models.ForeignPin]:
    """Pins that are none of the pinset's. peer: ID or name."""
    return _get("/pins/foreign", models.ForeignPin.of, {"peer": peer})


def watch(after: str = "") -> Call[upkeep.Event]:
    """The change feed."""
    return _get("/pins/watch", upkeep.Event.of, {"after": after})


def add(query: Mapping[str, str]) -> Call[models.Added]:
    """What an upload made, as it comes; with `stream-channels=false` one list."""
    return Call("POST", "/add", models.Added.of, query)


def gc(*, local: bool = False) -> Call[dict[str, models.Collected]]:
    """What garbage collections removed."""
    return Call("POST", "/ipfs/gc", models.Collected.all_of, {"local": true(local)})


# --- health ---


def health() -> Call[None]:
    """Nothing."""
    return _get("/health", _nothing)


def graph() -> Call[models.Graph]:
    """The connectivity graph."""
    return _get("/health/graph", models.Graph.of)


def alerts() -> Call[list[models.Alert]]:
    """The latest alerts."""
    return _get("/health/alerts", lambda values: [models.Alert.of(value) for value in values or ()])


def bandwidth() -> Call[dict[str, Bandwidth]]:
    """What was sent and received, by protocol."""
    return _get("/health/bandwidth", models.bandwidths)


def metric_names() -> Call[list[str]]:
    """What is measured."""
    return _get("/monitor/metrics", lambda values: [str(value) for value in values or ()])


def metrics(name: str) -> Call[list[models.Metric]]:
    """The latest measurements of a name."""
    return _get(f"/monitor/metrics/{_part(name)}", lambda values: [models.Metric.of(value) for value in values or ()])


# --- what ipfs-cluster does not have ---


def why(cid: str) -> Call[upkeep.PinWhy]:
    """A pin explained."""
    return _get(f"/pins/{_part(cid)}/why", upkeep.PinWhy.of)


def why_peer(peer: str) -> Call[upkeep.PeerWhy]:
    """A peer explained. peer: ID or name."""
    return _get(f"/peers/{_part(peer)}/why", upkeep.PeerWhy.of)


def drain(peer: str, method: str = "GET") -> Call[upkeep.Drain]:
    """How far it is; POST begins it, DELETE takes the peer into service again."""
    return Call(method, f"/peers/{_part(peer)}/drain", upkeep.Drain.of, repeatable=True)


def adopt(peer: str) -> Call[upkeep.Adopted]:
    """What a peer's node held before it joined, taken into the pinset. peer: ID or name."""
    return Call("POST", f"/peers/{_part(peer)}/adopt", upkeep.Adopted.of)


def rebalance(method: str = "GET", *, preview: bool = False) -> Call[upkeep.Rebalance]:
    """How far it is; POST begins it, DELETE cancels it."""
    query = {"preview": true(preview)}
    return Call(method, "/rebalance", upkeep.Rebalance.of, query, repeatable=method == "GET")


def joined(texts: Iterable[str]) -> str:
    """A comma-separated list without blanks."""
    return ",".join(text.strip() for text in texts if text.strip())
