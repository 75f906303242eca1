"""The proxy over TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from ipfs_cluster.security.tls import ServerTls
from ipfs_cluster.testing.certificates import make_certificate
from ipfs_proxy.front.exchange import Command, Reply, Request
from proxy_tests.front.wires import Doors, Pulse, Wire, get, ok, post, settle


async def echo(request: Request, reply: Reply) -> None:
    pieces = [piece async for piece in request.body]
    await reply.start()
    for piece in pieces:
        await reply.write(piece)
    await reply.finish()


async def secure(port: int, trusted: Path) -> Wire:
    """A client that checks the certificate."""
    context = ssl.create_default_context(cafile=str(trusted))
    pulse = Pulse()
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(lambda: Wire(pulse), "127.0.0.1", port, ssl=context))[1]


async def test_relays_and_commands_work_over_tls_and_certificates_are_replaced(door: Doors, tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    tls = ServerTls(chain, key)
    here = await door({"echo": Command(echo)}, tls=tls)
    client = await secure(here.port, chain)
    for _ in range(2):
        client.send(get("/api/v0/id"))
        wire, _ = await here.daemon.request()
        wire.send(ok(b"x" * 300_000))
        assert (await client.answer())[2] == b"x" * 300_000
        client.send(post(b"y" * 300_000, "/api/v0/echo"))
        body = (await client.answer())[2]
        assert body.count(b"y") == 300_000
    make_certificate(tmp_path)
    tls.reload()
    other = await secure(here.port, chain)
    other.send(post(b"", "/api/v0/echo", "Connection: close"))
    assert (await other.answer())[0] == 200
    await other.until(lambda: other.ended)
    client.send(post(b"z", "/api/v0/echo"))
    assert (await client.answer())[0] == 200, "an old connection goes on"
    client.close()
    other.close()
    await here.connections(0)


async def test_plain_http_on_a_tls_port_gets_nothing(door: Doors, tmp_path: Path) -> None:
    here = await door(tls=ServerTls(*make_certificate(tmp_path)))
    client = await here.connected(get("/api/v0/id"))
    await client.until(lambda: client.ended)
    assert b"HTTP/1.1" not in client.buffer
    await settle()
    assert not any(wire.buffer for wire in here.daemon.wires)
