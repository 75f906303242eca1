"""What the door counts. That every exchange is counted once at its end is checked after every test of this folder."""

from __future__ import annotations

import pytest

from ipfs_proxy.front.counters import OUTCOMES, outcome_of
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.front.server import Limits
from proxy_tests.front.wires import CHUNKED, Door, Doors, get, ok, post, turns_until

RUN = "/api/v0/run"


def ended(here: Door, route: str) -> dict[str, int]:
    """How the requests of a route have ended, without zeros."""
    counts = zip(OUTCOMES, here.server.counters.routes[route].ended, strict=True)
    return {name: count for name, count in counts if count}


def answering(status: int) -> dict[str, Command]:
    """A command that answers with this status."""

    async def answer(request: Request, reply: Reply) -> None:
        async for _ in request.body:
            pass
        await reply.respond(status, b"body", headers={})

    return {"run": Command(answer)}


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "ok"), (307, "ok"), (400, "refused"), (404, "refused"), (500, "error")]
)
async def test_an_answers_status_is_its_outcome(door: Doors, status: int, outcome: str) -> None:
    assert OUTCOMES[outcome_of(status)] == outcome
    here = await door(answering(status))
    client = await here.connected(post(b"abc", RUN) + get())
    assert (await client.answer())[0] == status
    await here.daemon.answers(1, ok(b"").replace(b"200 OK", b"%d X" % status))
    assert (await client.answer())[0] == status
    assert ended(here, "run") == ended(here, "relay") == {outcome: 1}


async def test_a_refusal_of_policy_counts_for_the_route_that_was_asked_for(door: Doors) -> None:
    here = await door(answering(200))
    client = await here.connected(get(RUN, "Origin: http://elsewhere", "Content-Length: 0", method="POST"))
    assert (await client.answer())[0] == 403
    assert (ended(here, "run"), ended(here, "relay")) == ({"refused": 1}, {})


async def test_a_failure_in_mid_stream_is_an_error_with_a_trailer_or_without(door: Doors) -> None:
    async def fail(request: Request, reply: Reply) -> None:
        await reply.start()
        await reply.fail("it broke")

    here = await door({"run": Command(fail)})
    for agent in ("Go-http-client/1.1", "curl"):
        client = await here.connected(get(RUN, f"User-Agent: {agent}", "Connection: close", method="POST"))
        await client.rest()
    assert ended(here, "run") == {"error": 2}


async def test_bodies_that_break_off_are_cut_whoever_broke_them(door: Doors) -> None:
    here = await door(answering(200))
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    wire.send(CHUNKED)
    wire.close()
    await client.rest()
    assert ended(here, "relay") == {"cut": 1}
    client = await here.connected(get(RUN, "Transfer-Encoding: chunked", method="POST") + b"no chunk\r\n")
    await client.rest()
    assert ended(here, "run") == {"cut": 1}


async def test_a_request_is_in_progress_until_its_client_leaves(door: Doors) -> None:
    here = await door()
    client = await here.connected(get())
    await here.daemon.request()
    stats = here.server.counters.routes["relay"]
    assert (stats.begun, sum(stats.ended), here.server.open_connections) == (1, 0, 1)
    client.close()
    await here.connections(0)
    assert ended(here, "relay") == {"left": 1}
    assert stats.first_byte.count == 0


async def test_commands_are_timed_to_their_end_by_outcome_and_relayed_requests_are_not(door: Doors) -> None:
    here = await door(answering(400))
    now = [here.server.time()]
    here.server.time = lambda: now[0]
    client = await here.connected(get(RUN, "Content-Length: 1", method="POST"))
    stats = here.server.counters.routes["run"]
    await turns_until(lambda: stats.begun == 1, "the command runs")
    now[0] += 7
    client.send(b"x")
    await client.answer()
    assert stats.durations is not None
    found = [(OUTCOMES[i], spread.count, round(spread.sum)) for i, spread in enumerate(stats.durations) if spread.count]
    assert found == [("refused", 1, 7)]
    assert (stats.first_byte.count, round(stats.first_byte.sum)) == (1, 7)
    assert here.server.counters.routes["relay"].durations is None


async def test_bytes_of_relayed_messages_and_of_commands_bodies(door: Doors) -> None:
    here = await door(answering(200))
    client = await here.connected(post(b"abc", RUN))
    await client.answer()
    counters = here.server.counters
    assert (counters.to_commands, counters.from_commands) == (3, 4)
    assert (counters.to_daemon, counters.from_daemon) == (0, 0)
    client.send(get("/x", "Content-Length: 10", method="POST") + b"1234")
    wire, head = await here.daemon.request()
    await wire.take(4)
    client.send(b"567890")
    await wire.take(6)
    wire.send(ok(b"hello")[:-2])
    await client.head()
    wire.send(b"lo")
    await client.take(5)
    assert counters.to_daemon == len(head) + 10
    assert counters.from_daemon == len(ok(b"hello"))
    assert (counters.to_commands, counters.from_commands) == (3, 4)


async def test_connections_those_beyond_the_limit_and_garbage(door: Doors) -> None:
    here = await door(limits=Limits(connections=1))
    client = await here.connect()
    await here.connections(1)
    other = await here.connect()
    await other.rest()
    client.send(b"garbage\n\n")
    await client.rest()
    counters = here.server.counters
    assert (counters.connections, counters.turned_away, counters.garbage) == (2, 1, 1)


async def test_daemon_connections_in_use_idle_and_replaced(door: Doors) -> None:
    here = await door()
    pool = here.server.pool
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    await turns_until(lambda: pool.opened == 2 and pool.idle == 1, "a spare one beside the one in use")
    wire.send(ok())
    await client.answer()
    assert (pool.opened, pool.idle, pool.closed) == (2, 2, 0)
    client.send(get())
    wire, _ = await here.daemon.request()
    wire.close()
    await here.daemon.answers(1, ok())
    await client.answer()
    assert (here.server.counters.replaced, here.server.counters.unreachable) == (1, 0)
    assert (pool.opened, pool.idle, pool.closed) == (3, 2, 1)


async def test_a_daemon_that_cannot_be_asked_is_unreachable(door: Doors) -> None:
    here = await door()
    here.daemon.stop()
    client = await here.connected(get())
    assert (await client.answer())[0] == 500
    assert here.server.counters.unreachable == 1
    assert ended(here, "relay") == {"error": 1}
