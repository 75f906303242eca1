"""An embedded node's trustless gateway, beside that of a Kubo which serves nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.harness.http import multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.twins import Pair
from ipfs_cluster.car import CarReader


class Gateways:
    """Kubo's trustless gateway, and an embedded node's."""

    def __init__(self, pair: Pair, kubo: KuboNode) -> None:
        self.pair = pair
        host, port = (kubo.folder / "gateway").read_text().strip().removeprefix("http://").split(":")
        self.addresses = ((host, int(port)), pair.other.address)


@pytest.fixture(scope="module")
def gateways(pair: Pair, kubo_factory: Callable[..., KuboNode]) -> Gateways:
    kubo = kubo_factory({"Gateway.DeserializedResponses": False})
    for name in ("dir", "raw", "cbor", "hamt"):
        archive = post(pair.bare.address, pair.fill(f"/api/v0/dag/export?arg={{{name}}}")).body
        headers, body = multipart(("x", archive, "application/octet-stream"))
        assert post(kubo.address, "/api/v0/dag/import", headers=headers, body=body).status == 200
    return Gateways(pair, kubo)


PATH_FIRST = "an archive of a path that leads nowhere is a 404"
ASKED = {"Accept": "application/vnd.ipld.raw"}
CACHED = {"Cache-Control": "only-if-cached"}
ABSENT = "bafkreigks6arfsq3xxfpvqrrwonchxcnu6do76auprhhfomao6c273sixa"
PAGES: list[tuple[str, dict[str, str], str | None]] = [
    ("/ipfs/{raw}?format=raw", {}, None),
    ("/ipfs/{dir}?format=raw&filename=x.bin", {}, None),
    ("/ipfs/{raw}", ASKED, None),
    ("/ipfs/{raw}", {"Accept": "application/vnd.ipld.raw, */*"}, None),
    ("/ipfs/{raw}?format=car", ASKED, None),
    ("/ipfs/{raw}/?format=raw", {}, None),
    ("/ipfs/bafkqaddimvwgy3zao5xxe3debi?format=raw", {}, None),
    ("/ipfs/{raw}?format=raw", {"If-None-Match": "*"}, None),
    ("/ipfs/{raw}?format=raw", CACHED, None),
    ("/ipfs/{raw}", {}, None),
    ("/ipfs/{raw}?format=tar", {}, None),
    ("/ipfs/{raw}?format=nosuch", {}, None),
    ("/ipfs/{raw}", {"Accept": "application/json"}, None),
    ("/ipfs/{dir}/a?format=raw", {}, None),
    ("/ipfs/foo?format=raw", {}, None),
    (f"/ipfs/{ABSENT}?format=raw", CACHED, None),
    (f"/ipfs/{ABSENT}?format=car", CACHED, None),
    ("/ipfs/{dir}?format=car", {}, None),
    ("/ipfs/{dir}?format=car", CACHED, None),
    ("/ipfs/{dir}/sub?format=car", {}, None),
    ("/ipfs/{dir}/sub/b?format=car", {}, None),
    ("/ipfs/{cbor}?format=car", {}, None),
    ("/ipfs/{cbor}/a/sub?format=car", {}, None),
    ("/ipfs/{hamt}/f3?format=car", {}, None),
    ("/ipfs/{dir}?format=car&dag-scope=block", {}, None),
    ("/ipfs/{dir}?format=car&dag-scope=entity", {}, None),
    ("/ipfs/{dir}/c?format=car&dag-scope=entity", {}, None),
    ("/ipfs/{dir}", {"Accept": "application/vnd.ipld.car;version=1;order=dfs;dups=n"}, None),
    ("/ipfs/{dir}?format=car&car-version=2", {}, None),
    ("/ipfs/{dir}", {"Accept": "application/vnd.ipld.car; dups=y"}, "never with duplicate blocks"),
    ("/ipfs/{dir}/c?format=car&entity-bytes=0:10", {}, "whole entities only"),
    ("/ipfs/{dir}/nosuch?format=car", {}, PATH_FIRST),
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(PAGES)))
def test_the_gateway(gateways: Gateways, index: int) -> None:
    path, headers, reason = PAGES[index]
    told = []
    for address in gateways.addresses:
        answer = post(address, gateways.pair.fill(path), method="GET", headers=headers)
        kind = answer.headers.get("Content-Type", "")
        names = ("Cache-Control", "Content-Disposition", "Content-Location", "X-Ipfs-Roots", "X-Content-Type-Options")
        shown = {name: answer.headers.get(name) for name in names}
        content: object = answer.body if kind == ASKED["Accept"] else None
        if answer.status == 200 and kind.startswith("application/vnd.ipld.car"):
            reader = CarReader()
            content = [block.cid for block in reader.feed(answer.body)], reader.roots
            reader.finish()
        told.append((answer.status, kind, shown, content))
    if reason is None:
        assert told[1] == told[0]
    else:
        assert told[1] != told[0], f"no longer different: {reason}"
