"""The door's limits and its end: connections, time for a head, idle time, drain."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from ipfs_proxy.front.server import Limits, Listen, Server
from ipfs_proxy.front.upstream import Upstream
from proxy_tests.front.wires import Doors, get, ok, post, settle, turns_until

LONG = 1000.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep looks all the time."""
    monkeypatch.setattr("ipfs_proxy.front.server.TICK", 0.0)


async def test_connections_above_the_limit_are_refused_until_one_ends(door: Doors) -> None:
    here = await door(limits=Limits(connections=2))
    first, second = await here.connected(get("/1")), await here.connect()
    await here.connections(2)
    third = await here.connected(get("/3"))
    await third.until(lambda: third.ended)
    second.close()
    await here.connections(1)
    fourth = await here.connected(get("/4"))
    for client in (first, fourth):
        await here.daemon.answers(1, ok())
        assert (await client.answer())[0] == 200


@pytest.mark.usefixtures("quick")
async def test_a_head_that_does_not_come_is_not_waited_for(door: Doors) -> None:
    here = await door(limits=Limits(head_time=0.01, idle_time=LONG))
    client = await here.connected(get()[:-2])
    assert await client.rest() == b""
    await here.connections(0)
    assert here.daemon.seen == 0


@pytest.mark.usefixtures("quick")
async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(door: Doors) -> None:
    here = await door(limits=Limits(head_time=LONG, idle_time=0.01))
    client = await here.connected(get())
    wire, _ = await here.daemon.request()
    loop = asyncio.get_running_loop()
    began = here.server.now
    await turns_until(lambda: here.server.now > began + 0.05 and loop.time() > began + 0.05, "time passes")
    wire.send(ok())
    assert (await client.answer())[0] == 200
    assert await client.rest() == b""


async def test_the_time_for_a_head_begins_with_the_head(door: Doors) -> None:
    here = await door(limits=Limits(head_time=30, idle_time=LONG))
    client = await here.connect()
    await here.connections(1)
    (connection,) = here.server._connections
    here.server.now += 100
    client.send(get()[:-2])
    await turns_until(lambda: not connection.idle, "the head has begun")
    assert here.server.now - connection.since < 30
    here.server.now += 20
    client.send(b"\r\n")
    await here.daemon.answers(1, ok())
    assert (await client.answer())[0] == 200
    assert connection.since == here.server.now


async def test_at_the_end_running_requests_end_and_idle_connections_close(door: Doors) -> None:
    here = await door()
    idle, busy, late = await here.connect(), await here.connected(get("/busy") + get("/next")), await here.connect()
    wire, _ = await here.daemon.request()
    await here.connections(3)
    port = here.port
    loop = asyncio.get_running_loop()
    end = loop.create_task(here.server.close())
    assert await idle.rest() == b""
    assert await late.rest() == b""
    assert not end.done()
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
    wire.send(ok(b"last"))
    assert (await busy.answer())[2] == b"last"
    assert await busy.rest() == b"", "the next request is not begun"
    await end
    await wire.until(lambda: wire.ended)


async def test_what_does_not_end_in_time_is_cut(door: Doors) -> None:
    here = await door()
    client = await here.connected(post(b"x"))
    wire, _ = await here.daemon.request()
    await here.server.close(0.001)
    await client.until(lambda: client.ended)
    await wire.until(lambda: wire.ended)


async def test_a_unix_socket_is_for_its_owner_and_group_and_is_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "door"
    for _ in range(2):
        server = Server([Listen(unix=str(path))], Upstream("127.0.0.1", 1), {})
        await server.start()
        assert server.addresses == [str(path)]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        await server.close(0)
        assert not path.exists()


async def test_of_two_addresses_one_that_is_taken_means_none(tmp_path: Path) -> None:
    first = Server([Listen("127.0.0.1", 0)], Upstream("127.0.0.1", 1), {})
    await first.start()
    (address,) = first.addresses
    port = address[1]
    second = Server([Listen(unix=str(tmp_path / "a")), Listen("127.0.0.1", int(port))], Upstream("127.0.0.1", 1), {})
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    assert not (tmp_path / "a").exists()
    await first.close(0)


async def test_a_file_in_the_way_of_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    server = Server([Listen(unix=str(path))], Upstream("127.0.0.1", 1), {})
    with pytest.raises(OSError):
        await server.start()
    assert path.read_text() == "data"


async def test_heads_are_remembered_only_so_many_and_only_small_ones(
    door: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipfs_proxy.front.server.MEMO_SIZE", 3)
    here = await door()
    client = await here.connect()
    for number in range(8):
        client.send(get(f"/{number}"))
        await here.daemon.answers(1, ok(b"x" * number))
        assert (await client.answer())[2] == b"x" * number
        assert len(here.server._plans) <= 3
        assert len(here.server._responses) <= 3
    plans = dict(here.server._plans)
    client.send(get("/big", "X: " + "y" * 3000))
    await here.daemon.answers(1, ok())
    assert (await client.answer())[0] == 200
    await settle()
    assert here.server._plans == plans
