"""A cluster as a node of another cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.http import file_part, multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service

MISSING = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"


@pytest.fixture
def chain(trio: list[KuboNode], service_factory: Callable[..., Service]) -> tuple[Service, Service]:
    """An outer service over the door of an inner one (two nodes) and a node of its own."""
    for node in trio:
        clear_pins(node)
    inner = service_factory(trio[:2])
    outer = service_factory([inner, trio[2]])
    return outer, inner


def test_adds_pins_listings_and_removals_go_through(chain: tuple[Service, Service], trio: list[KuboNode]) -> None:
    outer, inner = chain
    headers, body = multipart(file_part("f", os.urandom(700_000)))
    answer = post(outer.address, "/api/v0/add?pin-name=deep&progress=true", headers=headers, body=body)
    cid = json.loads(answer.text.splitlines()[-1])["Hash"]
    assert outer.pins() == inner.pins() == {cid: "deep"}
    assert all(cid in node.pins() for node in trio)
    other = trio[2].add(os.urandom(200_000), pin="false")
    assert outer.rpc("pin/add", ("arg", other), ("progress", "true")).status == 200
    assert all(other in node.pins() for node in trio)
    assert outer.rpc("pin/update", ("arg", other), ("arg", cid)).status == 500
    for root in (cid, other):
        assert outer.rpc("pin/rm", ("arg", root)).status == 200
    eventually(lambda: not any(node.pins() for node in trio), "all let go")
    assert inner.pins() == {}
    assert set(outer.statuses(cid).values()) == {"unpinned"}


def test_what_the_inner_cluster_only_wants_is_not_pinned_for_the_outer_one(
    chain: tuple[Service, Service], trio: list[KuboNode]
) -> None:
    outer, inner = chain
    assert inner.rpc("pin/add", ("arg", MISSING), ("wait", "accepted")).status == 200
    assert MISSING in inner.pins()
    answer = outer.rpc("pin/add", ("arg", MISSING), ("timeout", "4s"))
    assert json.loads(answer.text)["Message"] == "pin: context deadline exceeded"
    assert outer.rest("/allocations") == []
    eventually(lambda: set(outer.statuses(MISSING).values()) == {"unpinned"}, "nothing is left to do")
    assert MISSING in inner.pins(), "the inner one's users had it first"
    assert inner.rpc("pin/rm", ("arg", MISSING)).status == 200


def test_giving_up_withdraws_from_the_inner_cluster_too(chain: tuple[Service, Service]) -> None:
    outer, inner = chain
    answer = outer.rpc("pin/add", ("arg", MISSING), ("timeout", "2s"), ("progress", "true"))
    assert answer.cut
    eventually(lambda: inner.pins() == {}, "the inner one is rid of it too")


def test_errors_come_through(chain: tuple[Service, Service]) -> None:
    outer, _ = chain
    headers, body = multipart(file_part("f", b"x"))
    for path in ("/api/v0/add?cid-version=9", "/api/v0/pin/rm?arg=QmNonsense", "/api/v0/dag/import", "/api/v0/nosuch"):
        direct = post(outer.nodes[1].address, path, headers=headers, body=body)
        through = post(outer.address, path, headers=headers, body=body)
        assert (through.status, through.text) == (direct.status, direct.text)


def test_collecting_reaches_the_inner_nodes(chain: tuple[Service, Service], trio: list[KuboNode]) -> None:
    outer, _ = chain
    garbage = {node.add(os.urandom(100), pin="false", **{"cid-version": "1"}) for node in trio}
    freed = {json.loads(line)["Key"]["/"] for line in outer.rpc("repo/gc").text.splitlines()}
    assert garbage <= freed


def test_two_clusters_cannot_be_each_others_node(trio: list[KuboNode], service_factory: Callable[..., Service]) -> None:
    """A → B → A, by home nodes and by further ones: refused on the way, with the reason."""
    first, second = service_factory(trio[:1]), service_factory(trio[1:2])
    for service, nodes in ((first, [second]), (second, [first])):
        service.stop()
        service.addresses = [node.multiaddr for node in nodes]
        service.configure()
        service.start()
    eventually(lambda: "a node of itself" in json.dumps(first.rest("/peers")), "the first refuses")
    eventually(lambda: "a node of itself" in json.dumps(second.rest("/peers")), "the second refuses")
    answer = first.rpc("version")
    assert answer.status == 500
    assert "a node of itself" in json.loads(answer.text)["Message"]


def test_a_loop_through_a_further_node_is_cut_on_one_side(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    for node in trio:
        clear_pins(node)
    first, second = service_factory(trio[:1]), service_factory(trio[1:2])
    for service, addresses in (
        (first, [trio[0].multiaddr, second.multiaddr]),
        (second, [trio[1].multiaddr, first.multiaddr]),
    ):
        service.stop()
        service.addresses = addresses
        service.configure()
        service.start()

    def refused() -> int:
        return sum("a node of itself" in json.dumps(service.rest("/peers")) for service in (first, second))

    eventually(lambda: refused() >= 1, "one of them refuses")
    cid = trio[0].add(b"once round", pin="false")
    assert first.rpc("pin/add", ("arg", cid)).status == 200
