"""Credentials at the proxy. The cases are made from the table of commands: all that Kubo has, intercepted or not."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator

import pytest

from ipfs_cluster.security import Check, Role
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.stored import hash_password
from ipfs_cluster.security.tokens import issue
from ipfs_cluster.security.users import authorizations
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.front.roles import ROLES, role_of
from ipfs_proxy.front.server import Limits
from proxy_tests.front.wires import Door, Doors, Wire, get, ok, post, settle, turns_until

INTERCEPTED = ("add", "block/put", "dag/import", "dag/put", "pin/add", "pin/ls", "pin/rm", "pin/update", "pin/verify")
INTERCEPTED_TOO = ("repo/gc", "repo/stat")
OUTSIDE = ("/webui", "/ipfs/Qm", "/debug/vars", "/api/v0", "/api/v0/", "/api/v0/new/command", "/api/v1/id", "/")
KUBOS = (
    b"Kubo RPC Access Denied: Please provide a valid authorization token as defined in the API.Authorizations "
    b"configuration.\n"
)
NOW = 1_000_000.0
USERS = authorizations(
    {
        **{role.value: {"AuthSecret": f"bearer:{role.value}-token", "Roles": [role.value]} for role in Role},
        "ann": {"AuthSecret": "basic:ann:plain", "AllowedPaths": ["/api/v0"]},
        "bob": {"AuthSecret": f"basic:bob:{hash_password('word', bytes(16), (2, 1, 1))}", "AllowedPaths": ["/"]},
        "lists": {"AuthSecret": "bearer:lists-token", "AllowedPaths": ["/api/v0/pin/ls", "/api/v0/swarm"]},
        "guest": {"AuthSecret": "bearer:guest-token", "Roles": ["read"], "Expires": "1970-01-12T13:47:40Z"},
    }
)
PATHS = sorted(f"/api/v0/{name}" for name in ROLES)


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


class Clock:
    """Unix seconds that stand until they are moved."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gatekeeper(clock: Clock) -> Iterator[Gatekeeper]:
    made = Gatekeeper(USERS, clock=clock)
    yield made
    made.close()


async def _done(request: Request, reply: Reply) -> None:
    async for _ in request.body:
        pass
    await reply.respond(200, b"done", headers={})


COMMANDS = {name: Command(_done) for name in (*INTERCEPTED, *INTERCEPTED_TOO)}


async def expect(here: Door, client: Wire, request: bytes, path: str, status: int) -> None:
    """A request has this status; 200 is the daemon's answer, unless it is a command's own."""
    client.send(request)
    if status == 200 and not any(path.startswith(f"/api/v0/{name}") for name in COMMANDS):
        wire, head = await here.daemon.request()
        assert b"uthorization" not in head
        wire.send(ok())
    assert (await client.answer())[0] == status, request


WRONG = [
    "X-None: 1",
    basic("ann", "wrong"),
    basic("bob", "wrong"),
    basic("eve", "plain"),
    bearer("wrong"),
    bearer(issue(USERS[0], NOW - 61, NOW - 1)),
    "Authorization: plain",
    "Authorization: bearer:read-token",
    f"{bearer('wrong')}\r\n{bearer('admin-token')}",
]


@pytest.mark.parametrize("header", WRONG)
async def test_wrong_missing_and_expired_credentials_open_nothing(
    door: Doors, gatekeeper: Gatekeeper, header: str
) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    for path in (*PATHS, *OUTSIDE):
        for request in (post(b"", path, header), get(path, header)):
            client.send(request)
            status, headers, body = await client.answer()
            assert (status, body) == (403, KUBOS), path
            assert headers["content-type"] == "text/plain; charset=utf-8"
            assert headers["x-content-type-options"] == "nosniff"
            assert "www-authenticate" not in headers
    assert not any(wire.buffer for wire in here.daemon.wires)


@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_its_commands_and_no_other(door: Doors, gatekeeper: Gatekeeper, role: Role) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    for path in (*PATHS, *OUTSIDE[:-1]):
        needed = role_of(path)
        may = needed is None or role in (needed, Role.ADMIN)
        for tail in ("", "/Qm", "?arg=Qm"):
            if tail == "/Qm" and (path == "/api/v0/version" or path.endswith("/")):
                continue
            request = post(b"", path + tail, bearer(f"{role.value}-token"))
            await expect(here, client, request, path, 200 if may else 403)


@pytest.mark.parametrize("header", [basic("ann", "plain"), basic("bob", "word"), bearer("admin-token")])
async def test_right_credentials_open_the_door_and_stay_there(door: Doors, gatekeeper: Gatekeeper, header: str) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper, headers=(("Authorization", "Bearer the-nodes-own"),))
    client = await here.connect()
    for _ in range(2):
        client.send(post(b"", "/api/v0/id?api-auth=bearer%3Ax&a=b", header))
        wire, head = await here.daemon.request()
        assert head.startswith(b"POST /api/v0/id?a=b HTTP/1.1\r\n")
        assert head.count(b"uthorization") == 1
        assert b"Authorization: Bearer the-nodes-own\r\n" in head
        wire.send(ok())
        assert (await client.answer())[0] == 200
        client.send(post(b"", "/api/v0/pin/add", header))
        status, _, body = await client.answer()
        assert (status, body) == (200, b"done")


async def test_without_users_the_header_is_the_daemons(door: Doors) -> None:
    here = await door()
    await here.connected(post(b"", "/api/v0/id?api-auth=x", bearer("the-nodes-own")))
    _, head = await here.daemon.request()
    assert head.startswith(b"POST /api/v0/id?api-auth=x HTTP/1.1\r\n")
    assert b"Authorization: Bearer the-nodes-own\r\n" in head


async def test_paths_are_plain_prefixes_and_version_is_open(door: Doors, gatekeeper: Gatekeeper) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    for path, status in (
        ("/api/v0/pin/ls", 200),
        ("/api/v0/pin/ls/Qm", 200),
        ("/api/v0/swarm/peers", 200),
        ("/api/v0/version", 200),
        ("/api/v0/pin/add", 403),
        ("/api/v0/id", 403),
        ("/api/v0/pin/ls/../add", 403),
        ("/api/v0/pin/ls/%2e%2e/add", 403),
        ("/api/v0//pin/ls", 307),
        ("/api/v0/version/../id", 403),
    ):
        await expect(here, client, post(b"", path, bearer("lists-token")), path, status)


async def test_preflights_pass_and_other_questions_do_not(door: Doors, gatekeeper: Gatekeeper) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    origin = f"Origin: http://127.0.0.1:{here.port}"
    asks = f"OPTIONS /api/v0/id HTTP/1.1\r\nHost: x\r\n{origin}\r\nAccess-Control-Request-Method: POST\r\n"
    client.send(f"{asks}Access-Control-Request-Headers: authorization\r\n\r\n".encode())
    answer = await client.head()
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"Access-Control-Allow-Headers: authorization\r\n" in answer
    client.send(b"OPTIONS /api/v0/id HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 403
    client.send(b"OPTIONS /webui HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: POST\r\n\r\n")
    assert (await client.answer())[0] == 403


async def test_pages_are_refused_after_credentials(door: Doors, gatekeeper: Gatekeeper) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connected(post(b"", "/api/v0/id", "Origin: http://evil.example", bearer("admin-token")))
    assert (await client.answer())[2] == b"403 - Forbidden\n"
    client.send(post(b"", "/api/v0/id", "Origin: http://evil.example"))
    assert (await client.answer())[2] == KUBOS


async def test_what_expires_is_refused_though_its_head_is_remembered(
    door: Doors, gatekeeper: Gatekeeper, clock: Clock
) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    heads = [post(b"", "/api/v0/pin/ls", bearer(token)) for token in ("guest-token", issue(USERS[0], NOW, NOW + 60))]
    for until, statuses in ((NOW, (200, 200)), (NOW + 59, (200, 200)), (NOW + 60, (403, 403)), (NOW, (200, 200))):
        clock.now = until
        for head, status in zip(heads, statuses, strict=True):
            client.send(head)
            assert (await client.answer())[0] == status


async def test_a_refusal_is_not_remembered_for_one_who_gets_in_later(door: Doors, gatekeeper: Gatekeeper) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    others = authorizations({"other": {"AuthSecret": "bearer:other", "Roles": ["admin"]}})
    for users, status in ((others, 403), (USERS, 200)):
        gatekeeper.replace(users)
        client.send(post(b"", "/api/v0/pin/ls", bearer("read-token")))
        assert (await client.answer())[0] == status
    gatekeeper.replace(others)
    here.server.reconfigure((), Limits())
    client.send(post(b"", "/api/v0/pin/ls", bearer("read-token")))
    assert (await client.answer())[0] == 403


async def test_a_request_waits_for_its_password_with_all_that_follows_it(
    door: Doors, gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, run, ran = threading.Event(), Check.run, []

    def slow(check: Check) -> bool:
        go.wait(10)
        ran.append(check)
        return run(check)

    monkeypatch.setattr(Check, "run", slow)
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    first = post(b"x" * 100_000, "/api/v0/add", basic("bob", "word"))
    client = await here.connected(first[:1000])
    gone = await here.connected(first)
    await turns_until(lambda: gatekeeper._waiting == 2, "both wait for the same password")
    other = await here.connected(post(b"", "/api/v0/pin/ls", bearer("read-token")))
    assert (await other.answer())[0] == 200, "others do not wait"
    client.send(first[1000:] + post(b"", "/api/v0/pin/ls", basic("bob", "wrong")))
    gone.close()
    await settle()
    assert not client.buffer
    go.set()
    assert (await client.answer())[0] == 200
    assert (await client.answer())[0] == 403
    await turns_until(lambda: gatekeeper._waiting == 0, "all checks end")
    assert len(ran) == 3, "a password is checked for each who asks while it is not known, and then no more"


async def test_guesses_are_held_back(door: Doors, gatekeeper: Gatekeeper) -> None:
    here = await door(COMMANDS, gatekeeper=gatekeeper)
    client = await here.connect()
    for i in range(20):
        client.send(post(b"", "/api/v0/pin/ls", bearer(f"guess{i}")))
        assert (await client.answer())[0] == 403
    client.send(post(b"", "/api/v0/pin/ls", bearer("one more")))
    status, headers, _ = await client.answer()
    assert (status, headers["retry-after"]) == (429, "3")
