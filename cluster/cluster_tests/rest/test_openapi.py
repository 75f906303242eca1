"""The OpenAPI document against the API: routes, parameters, answers. Requests made from it are sent to the real
application over fake nodes.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import aiohttp
import jsonschema_rs
import pytest
import requests
import schemathesis
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from cluster_tests.engine.conftest import World, cid, until, world
from cluster_tests.rest.importer import MULTIPART, ImportingNode, form
from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.model import NodePin, PinMode
from ipfs_cluster.rest.answers import CRASHED
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.guard import add_guard
from ipfs_cluster.rest.metrics import add_metrics
from ipfs_cluster.rest.openapi import document
from ipfs_cluster.rest.roles import OPEN
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.telemetry import FiguresCache, Telemetry

__all__ = ["world"]

DOCUMENT = document("1")
METHODS = ("get", "post", "delete", "put", "patch")
OPERATIONS = {
    f"{method.upper()} {path}": (item, item[method])
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS
    if method in item
}
ENDLESS = "GET /pins/watch"
ONE = cids.text(cid(1))
VALUES = {"{cid}": ONE, "{peer}": "name1", "{kind}": "ipfs", "{path}": ONE, "{name}": "freespace"}
NEVER = ("DELETE /peers/{peer}", "DELETE /rebalance", "POST /token")
"""Operations that are always refused here: peers are those of the configuration, no rebalance is running, and nobody
has credentials.
"""
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
BOUNDS = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Requests of each kind, right and wrong ones, for each operation; the same ones every time."""


TEXTS = {
    "cid": [*(cids.text(cid(number)) for number in (1, 2, 3)), "bafkqaaa"],
    "peer": ["peer0", "peer1", "name2", "nobody"],
    "ipfs-path": [ONE, f"{ONE}/a b", "example.org"],
    "duration-go": ["72h", "1m30s", "2s"],
    "date-time": ["2100-01-01T00:00:00Z", "2100-01-01T00:00:00.5+02:00"],
}
for name, texts in TEXTS.items():
    schemathesis.openapi.format(name, st.sampled_from(texts))


class Everything(set[Cid]):
    """Content that is always there: no pin waits for ever."""

    def __contains__(self, wanted: object) -> bool:
        return True


class Read(Mapping[str, str]):
    """A query that notes what is looked for in it."""

    def __init__(self, query: Mapping[str, str], looked: set[str]) -> None:
        self._query, self._looked = query, looked

    def __getitem__(self, key: str) -> str:
        self._looked.add(key)
        return self._query[key]

    def __iter__(self) -> Iterator[str]:
        self._looked.add("meta-KEY")
        return iter(self._query)

    def __len__(self) -> int:
        return len(self._query)


class Api:
    """The application with all of its routes, on a port. looked: parameters that handlers looked for, by operation."""

    def __init__(self, application: web.Application, server: BaseTestServer) -> None:
        self.application = application
        self.url = str(server.make_url("")).rstrip("/")
        self.looked: dict[str, set[str]] = defaultdict(set)


async def time_passes(world: World) -> None:
    """A collection after an upload that was cut waits for a comparison, and that for the clock."""
    while True:
        await world.pass_time(1)
        await asyncio.sleep(0.02)


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    world.network.content = Everything()
    world.nodes = [ImportingNode(node) for node in world.nodes]
    world.nodes[1].pins_held[cid(5)] = NodePin(cid(5), PinMode.RECURSIVE, "theirs")
    world.nodes[0].garbage = [cid(6)]
    cluster = await world.start(1, 2)
    await until(lambda: world.nodes[0].connected == {"node1", "node2"}, "connected")
    await world.pass_time(70)
    cache = FiguresCache(world.kept(), world.clock)
    telemetry = Telemetry([], cache)
    application = app(cluster, "1")
    add_metrics(application, telemetry)
    add_guard(application, Gatekeeper(()))
    found: list[Api] = []

    @web.middleware
    async def note(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None:
            looked = found[0].looked[f"{request.method} {resource.canonical}"]
            request._cache["query"] = Read(request.query, looked)
        answer: web.StreamResponse = await handler(request)
        return answer

    application.middlewares.append(note)
    async with TestServer(application) as server, asyncio.TaskGroup() as group:
        found.append(Api(application, server))
        ticking = group.create_task(time_passes(world))
        yield found[0]
        ticking.cancel()
    await telemetry.close()


def test_the_document_is_openapi() -> None:
    SCHEMA.validate()
    ids = [operation["operationId"] for _, operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for _, operation in OPERATIONS.values() for tag in operation["tags"]} == tags


def test_what_needs_no_credentials_is_what_the_guard_lets_in() -> None:
    without = {tuple(label.split()) for label, (_, operation) in OPERATIONS.items() if operation.get("security") == []}
    assert without == OPEN


async def test_it_has_every_route_and_no_other(api: Api) -> None:
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in api.application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert set(OPERATIONS) == routes


async def test_it_is_served(api: Api) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/openapi.json") as answer:
        assert await answer.json() == DOCUMENT


def parameters(label: str, place: str) -> set[str]:
    item, operation = OPERATIONS[label]
    listed = [*item.get("parameters", ()), *operation.get("parameters", ())]
    resolved = [DOCUMENT["components"]["parameters"][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
                for one in listed]  # fmt: skip
    return {one["name"] for one in resolved if one["in"] == place}


def request_of(label: str) -> tuple[str, str, dict[str, Any]]:
    """A plain request for an operation: method, path, the rest."""
    method, path = label.split(" ")
    for name, value in VALUES.items():
        path = path.replace(name, value)
    more: dict[str, Any] = {}
    if label == "POST /add":
        more = {"data": form(("a", b"abc")), "headers": MULTIPART}
    if label == "POST /peers":
        more = {"json": {"peer_id": "peer1"}}
    return method, path, more


async def test_it_has_every_parameter_and_no_other(api: Api) -> None:
    """A request without any makes a handler look for all of them."""
    async with aiohttp.ClientSession(api.url) as session:
        for label in OPERATIONS:
            await (await session.post(f"/pins/{ONE}?wait=all")).read()
            api.looked.clear()
            method, path, more = request_of(label)
            async with session.request(method, path, **more) as answer:
                await answer.content.readline()
                assert (answer.status < 300) is (label not in NEVER), label
            assert api.looked[label] == parameters(label, "query"), label
            assert parameters(label, "path") == {name[1:-1] for name in VALUES if name in label}


def conforms(label: str, status: int, kind: str, body: bytes) -> None:
    """Raise unless each value of an answer is what the document says."""
    answers = OPERATIONS[label][1]["responses"]
    said = answers[str(status)]
    if "$ref" in said:
        said = DOCUMENT["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
    if "content" not in said:
        assert body == b""
        return
    media = said["content"][kind.split(";")[0]]
    if not kind.startswith("application/json"):
        return
    validator = jsonschema_rs.validator_for({**media["schema"], "components": DOCUMENT["components"]})
    lines = body.splitlines(keepends=True)
    assert len(lines) == 1 or (media.get("x-stream") and status == 200)
    assert all(line.endswith(b"\n") for line in lines)
    for line in lines:
        validator.validate(json.loads(line))
    if status >= 400:
        told = json.loads(body)
        assert told["code"] == status
        assert told["message"] != CRASHED


def drive(label: str, url: str) -> set[int]:
    """Send right and wrong requests; the statuses of their answers."""
    method, path = label.split(" ")
    operation = SCHEMA[path][method]
    seen: set[int] = set()

    def send(case: schemathesis.Case[Any]) -> None:
        response = case.call(
            base_url=url, session=session, headers={"TE": "trailers"}, timeout=20, allow_redirects=False
        )
        if not case.formatted_path.startswith(path.partition("{")[0]) or response.status_code in (301, 307):
            return  # "..": another route, or a redirect to one
        seen.add(response.status_code)
        case.validate_response(response, checks=[status_code_conformance, content_type_conformance])
        conforms(label, response.status_code, response.headers.get("content-type", [""])[0], response.content)

    with requests.Session() as session:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                BOUNDS(given(case=operation.as_strategy(generation_mode=mode))(send))()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing in it can be wrong
    return seen


@pytest.mark.timeout(240)  # some seconds of computing, which take minutes on a busy machine
async def test_answers_are_those_of_the_document(api: Api) -> None:
    async with aiohttp.ClientSession(api.url) as session:
        for label in OPERATIONS:
            await (await session.post(f"/pins/{ONE}?wait=all&name=it&meta-a=b")).read()
            await (await session.post(f"/pins/{cids.text(cid(2))}?mode=direct&expire-in=1h")).read()
            if label == ENDLESS:
                continue
            try:
                seen = await asyncio.to_thread(drive, label, api.url)
            except BaseException as error:
                error.add_note(label)
                raise
            assert ({200, 204} & seen) or label in NEVER, label


async def test_the_lines_of_the_change_feed_are_those_of_the_document(api: Api) -> None:
    async with aiohttp.ClientSession(api.url) as session:
        await (await session.post(f"/pins/{ONE}?wait=all&name=it&meta-a=b")).read()
        async with session.get("/pins/watch") as answer:
            lines = [await answer.content.readline() for _ in range(3)]
            await (await session.delete(f"/pins/{ONE}")).read()
            while b"unpin" not in lines[-1]:
                lines.append(await answer.content.readline())
        conforms(ENDLESS, 200, answer.content_type, b"".join(lines))
