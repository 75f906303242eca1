"""Credentials at every route of the REST API.

The cases are made from the router: a new route is asked about by itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cluster_tests.engine.conftest import World, cid, world
from ipfs_cluster import cid as cids
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.guard import add_guard
from ipfs_cluster.rest.metrics import add_metrics
from ipfs_cluster.rest.roles import OPEN, ROLES, is_open, role_of
from ipfs_cluster.security import Role, tokens
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.stored import hash_password
from ipfs_cluster.security.users import authorizations, basic_credentials
from ipfs_cluster.telemetry import FiguresCache, Telemetry

__all__ = ["world"]

Client = TestClient[web.Request, web.Application]
ONE = cids.text(cid(1))
NOW = 1_000_000.0
USERS = (
    *basic_credentials({"ann": "plain", "bob": hash_password("word", bytes(16), (2, 1, 1))}),
    *authorizations(
        {
            **{role.value: {"AuthSecret": f"bearer:{role.value}-token", "Roles": [role.value]} for role in Role},
            "paths": {"AuthSecret": "bearer:paths-token", "AllowedPaths": ["/allocations"]},
        }
    ),
)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def guarded(application: web.Application, world: World) -> web.Application:
    """The application as a service has it, with this test's users."""
    add_metrics(application, Telemetry([], FiguresCache(world.kept(), world.clock)))
    add_guard(application, Gatekeeper(USERS, clock=lambda: NOW))
    return application


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    cluster = await world.start(1, 1)
    await world.settle()
    async with TestClient(TestServer(guarded(app(cluster, "0"), world))) as made:
        yield made


def routes(client: Client) -> list[tuple[str, str]]:
    """(method, canonical path) of every route that the server has."""
    assert client.app is not None
    found = {(route.method, route.resource.canonical) for route in client.app.router.routes() if route.resource}
    assert len(found) > 30
    return sorted(found)


def path_of(route: str) -> str:
    """A path of a route that exists, but for what it names."""
    return route.format(cid="x", peer="x", name="x", kind="ipfs", path="x")


async def asked(client: Client, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    """Status and error object of a request."""
    async with client.request(method, path, headers=headers, allow_redirects=False) as answer:
        body = b"" if answer.status < 400 or method == "HEAD" else await answer.read()
        return answer.status, json.loads(body) if body else {}


async def test_every_route_has_its_role_in_the_table(client: Client) -> None:
    """Who adds a route decides who may use it: `ipfs_cluster.rest.roles`."""
    unlisted = [route for route in routes(client) if route[0] != "HEAD" and route not in {*ROLES, *OPEN}]
    assert unlisted == []
    assert {*ROLES, *OPEN} - set(routes(client)) == set(), "no route that is gone"


DENIED = [
    ({}, "unauthorized: no auth provided"),
    (basic("ann", "wrong"), "unauthorized: access denied"),
    (basic("bob", "wrong"), "unauthorized: access denied"),
    (basic("eve", "plain"), "unauthorized: access denied"),
    (bearer("wrong"), "unauthorized: invalid token"),
    (bearer(tokens.issue(USERS[0], NOW - 61, NOW - 1)), "unauthorized: invalid token"),
]


@pytest.mark.parametrize(("headers", "message"), DENIED, ids=map(str, range(len(DENIED))))
async def test_wrong_missing_and_expired_credentials_open_no_route(
    client: Client, headers: dict[str, str], message: str
) -> None:
    for method, route in [*routes(client), ("GET", "/nowhere"), ("PATCH", "/pins"), ("GET", "/pins/a/b/c/")]:
        if not is_open(method, route):
            status, error = await asked(client, method, path_of(route), headers)
            assert status == 401, (method, route)
            assert method == "HEAD" or error == {"code": 401, "message": message}


@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_its_routes_and_no_other(client: Client, role: Role) -> None:
    for method, route in routes(client):
        if is_open(method, route) or route == "/pins/watch":
            continue
        needed = role_of(method, route)
        may = needed is None or role in (needed, Role.ADMIN)
        status, error = await asked(client, method, path_of(route), bearer(f"{role.value}-token"))
        assert (status == 403) == (not may), (method, route, status, error)
        assert status != 401
        if not may and method != "HEAD":
            assert error == {"code": 403, "message": "forbidden: these credentials do not permit this"}


@pytest.mark.parametrize("headers", [basic("ann", "plain"), basic("bob", "word"), bearer("admin-token")])
async def test_right_credentials_open_the_door(client: Client, headers: dict[str, str]) -> None:
    assert (await asked(client, "GET", "/id", headers))[0] == 200
    assert (await asked(client, "POST", f"/pins/{ONE}", headers))[0] == 200
    assert (await asked(client, "GET", "/nowhere", headers)) == (404, {"code": 404, "message": "not found"})
    assert (await asked(client, "PATCH", "/pins", headers))[0] == 405


async def test_who_may_not_changes_nothing(world: World, client: Client) -> None:
    for headers in ({}, basic("ann", "wrong"), bearer("read-token"), bearer("paths-token")):
        assert (await asked(client, "POST", f"/pins/{ONE}", headers))[0] in (401, 403)
    assert await world.kept().get(cid(1)) is None


async def test_paths_of_credentials(client: Client) -> None:
    headers = bearer("paths-token")
    assert (await asked(client, "GET", "/allocations", headers))[0] == 204
    assert (await asked(client, "GET", "/pins", headers))[0] == 403
    assert (await asked(client, "GET", "/version", headers))[0] == 200, "open to whoever has credentials, as in Kubo"


async def test_health_and_preflights_need_no_credentials(client: Client) -> None:
    for method in ("GET", "HEAD"):
        assert (await asked(client, method, "/health", {}))[0] == 204
    preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    assert (await asked(client, "OPTIONS", "/pins", preflight))[0] != 401


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ({}, ['Bearer realm="Restricted IPFS Cluster API"', 'Basic realm="Restricted IPFS Cluster API"']),
        (basic("ann", "wrong"), ['Basic realm="Restricted IPFS Cluster API"']),
        (bearer("wrong"), ['Bearer realm="Restricted IPFS Cluster API", error="invalid_token"']),
    ],
)
async def test_challenges_are_those_of_ipfs_cluster(
    client: Client, headers: dict[str, str], challenges: list[str]
) -> None:
    answer = await client.get("/id", headers=headers)
    assert answer.headers.getall("WWW-Authenticate") == challenges
    assert answer.headers["Content-Type"] == "application/json"


async def test_two_authorization_headers_are_none(client: Client) -> None:
    two = [("Authorization", "Bearer wrong"), ("Authorization", "Bearer admin-token")]
    assert (await client.get("/id", headers=two)).status == 401


async def test_guesses_are_held_back(client: Client) -> None:
    for i in range(20):
        assert (await asked(client, "GET", "/id", bearer(f"guess{i}")))[0] == 401
    answer = await client.get("/id", headers=bearer("one more"))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")


async def test_a_token_ends_and_is_no_better_than_its_user(client: Client) -> None:
    async def token(headers: dict[str, str]) -> str:
        answer = await client.post("/token", headers=headers)
        assert answer.status == 200
        return str((await answer.json())["token"])

    mine = await token(bearer("read-token"))
    assert (await asked(client, "GET", "/id", bearer(mine)))[0] == 200
    assert (await asked(client, "POST", f"/pins/{ONE}", bearer(mine)))[0] == 403
    users = {user.name: user for user in USERS}
    assert tokens.check(mine, users, NOW) == (users["read"], NOW + 86400)
    short = tokens.issue(users["ann"], NOW, NOW + 60)
    assert tokens.check(await token(bearer(short)), users, NOW)[1] == NOW + 60, "a token cannot renew itself"
    assert tokens.check(await token(basic("bob", "word")), users, NOW)[0] is users["bob"]


async def test_without_users_nobody_is_asked_and_there_are_no_tokens(world: World) -> None:
    application = app(await world.start(1), "0")
    add_guard(application, Gatekeeper(()))
    async with TestClient(TestServer(application)) as client:
        assert (await asked(client, "GET", "/id", {}))[0] == 200
        assert (await asked(client, "GET", "/id", basic("any", "thing")))[0] == 200
        assert await asked(client, "POST", "/token", {}) == (401, {"code": 401, "message": "unauthorized"})
