"""add, where the door itself decides: what a request's length is worth."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cluster_tests.engine.conftest import World
from ipfs_cluster.core.room import RoomRule
from ipfs_proxy.front.exchange import Request
from ipfs_proxy.rpc.add import add_command
from proxy_tests.rpc.kitchen import SERVER, Recorder

GB = 10**9


class Untouched:
    """A body that must not be read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("the body was read")


async def test_what_does_not_fit_is_refused_in_kubos_shape_with_the_body_unread(world: World) -> None:
    world.rule = RoomRule(reserve=GB)
    cluster = await world.start(3, 3)
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(2 * 10**12)}
    recorder = Recorder()
    request = Request("POST", "/api/v0/add", "", headers, Untouched())
    await add_command(cluster, lambda: SERVER).handler(request, recorder)
    assert recorder.seen.error.startswith("not enough space for 2.0 TB: not enough peers to allocate CID.")
    assert "name0, name1, name2 (not enough space: 999.0 GB free, 2.0 TB needed)" in recorder.seen.error


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"content-length": "17"}, 17),
        ({"content-length": "17", "transfer-encoding": "chunked"}, 0),
        ({"content-length": "x"}, 0),
        ({}, 0),
    ],
)
def test_the_length_of_a_body(headers: dict[str, str], length: int) -> None:
    assert Request("POST", "/", "", headers, Untouched()).length == length
