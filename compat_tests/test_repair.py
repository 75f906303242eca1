"""Nodes that die, come back, are drained: the real service and command before real nodes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.disk import small_disk
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import Service

QUICK = {"replication_factor_min": 2, "replication_factor_max": 2, "repin_grace": "3s", "disable_repinning": False}


@pytest.fixture
def four(kubo_factory: Callable[..., KuboNode], service_factory: Callable[..., Service], tmp_path: Path) -> Service:
    nodes = [kubo_factory() for _ in range(4)]
    return service_factory(nodes, cluster=QUICK, monitor={"pubsubmon": {"check_interval": "1s"}})


def holders(service: Service, cid: str) -> set[str]:
    """The nodes that run and say themselves that they pin it."""
    running = [(i, node) for i, node in enumerate(service.nodes) if node.child is not None and node.child.running]
    return {f"n{i}" for i, node in running if cid in node.pins()}


def remaining(service: Service, peer: str) -> int:
    (value,) = service.rest(f"/peers/{peer}/drain")
    return int(value["remaining"])


def pin_all(service: Service, number: int) -> list[str]:
    cids = []
    for count in range(number):
        cid = service.nodes[0].add(f"content {count}".encode(), pin="false")
        assert service.rpc("pin/add", ("arg", cid), ("wait", "all")).status == 200
        cids.append(cid)
    return cids


def test_a_dead_node_s_pins_are_made_elsewhere_and_stay_there_when_it_returns(four: Service) -> None:
    cids = pin_all(four, 12)
    victim = next(name for name in ("n1", "n2", "n3") if any(name in holders(four, cid) for cid in cids))
    node = four.nodes[int(victim[1])]
    on_it = [cid for cid in cids if victim in holders(four, cid)]
    untouched = {cid: holders(four, cid) for cid in cids if cid not in on_it}
    node.kill()
    eventually(lambda: all(len(holders(four, cid)) == 2 for cid in cids), "every pin is on two nodes again", 60)
    assert {cid: holders(four, cid) for cid in untouched} == untouched
    why = four.ctl("why", on_it[0])
    assert why.returncode == 0
    assert "Held by 2, wanted on 2 peers: complete." in why.stdout
    assert f"{victim} | " in four.ctl("why", "--peer", victim).stdout
    eventually(lambda: "ping" in four.ctl("health", "alerts").stdout, "an alert tells of the node")

    places = {cid: holders(four, cid) for cid in cids}
    node.start()
    eventually(lambda: not set(on_it) & set(node.pins()), "the node that returned lets go of what others have now", 60)
    assert {cid: holders(four, cid) for cid in cids} == places


def peer_ids(service: Service) -> dict[str, str]:
    return {peer["peername"]: peer["id"] for peer in service.rest("/peers")}


def deny(node: KuboNode, *cids: str) -> None:
    """Restarted: a running daemon is to notice changes, and sometimes does not."""
    node.stop()
    (node.folder / "denylists").mkdir()
    rules = "".join(f"/ipfs/{cid}\n" for cid in cids)
    (node.folder / "denylists" / "own.deny").write_text(f"version: 1\n---\n{rules}")
    node.start()


def test_what_a_node_s_denylist_names_is_made_elsewhere(four: Service) -> None:
    names = ("denied at one node", "denied there too", "denied at all but one")
    later, waited_for, hopeless = (four.nodes[0].add(name.encode(), pin="false") for name in names)
    deny(four.nodes[1], later, waited_for, hopeless)
    for node in four.nodes[2:]:
        deny(node, hopeless)
    eventually(lambda: not any(peer["ipfs"]["error"] for peer in four.rest("/peers")), "they are back", 30)
    ids = peer_ids(four)
    there = ("user-allocations", f"{ids['n0']},{ids['n1']}")

    def let_off(path: str) -> bool:
        return ids["n1"] not in four.rest(path)[0]["allocations"]

    assert four.rpc("pin/add", ("arg", later), there, ("wait", "accepted")).status == 200
    assert four.rpc("pin/add", ("arg", waited_for), there).status == 200
    assert len(holders(four, waited_for)) == 2
    eventually(lambda: len(holders(four, later)) == 2, "another node makes the copy", 30)
    for path in (f"/allocations/{cid}" for cid in (later, waited_for)):
        eventually(partial(let_off, path), "the node is let off", 60)
    for cid in (later, waited_for):
        assert "Held by 2, wanted on 2 peers: complete." in four.ctl("why", cid).stdout
    # Whoever waits is told when nobody is left, and nothing stays.
    refused = four.rpc("pin/add", ("arg", hopeless), there)
    assert (refused.status, "blocked and cannot be provided" in refused.text) == (500, True)
    assert hopeless not in four.pins()


def test_a_copy_that_does_not_fit_is_made_elsewhere(
    trio: list[KuboNode], service_factory: Callable[..., Service], tmp_path: Path
) -> None:
    """Its figures promise room; its disk has none."""
    for node in trio:
        clear_pins(node)
    with small_disk(tmp_path / "small", 30) as folder:
        crowded = KuboNode(folder / "repo")
        crowded.init()
        crowded.start()
        service = service_factory([trio[0], trio[1], crowded], cluster=QUICK)
        try:
            cid = trio[0].add(os.urandom(60_000_000), pin="false")
            ids = peer_ids(service)
            there = ("user-allocations", f"{ids['n0']},{ids['n2']}")
            assert service.rpc("pin/add", ("arg", cid), there, ("wait", "accepted")).status == 200
            eventually(lambda: holders(service, cid) == {"n0", "n1"}, "the other node makes the copy", 60)
            eventually(lambda: service.statuses(cid)["n2"] == "remote", "the node without room is let off", 30)
        finally:
            service.stop()
            crowded.stop()


def test_a_drained_node_ends_empty_and_every_pin_stays_on_enough_nodes(four: Service) -> None:
    cids = pin_all(four, 12)
    begun = four.ctl("drain", "n1")
    assert begun.returncode == 0, begun.stderr
    eventually(lambda: remaining(four, "n1") == 0, "nothing is allocated to it any more", 60)
    assert "may be taken out of service" in four.ctl("drain", "--status", "n1").stdout
    eventually(lambda: not set(cids) & set(four.nodes[1].pins()), "the node has let go of everything", 30)
    assert all(len(holders(four, cid)) == 2 for cid in cids)
    new = four.nodes[0].add(b"after the drain", pin="false")
    assert four.rpc("pin/add", ("arg", new), ("wait", "all")).status == 200
    assert "n1" not in holders(four, new)
    four.kill()
    four.start()
    assert json.loads(four.ctl("--enc", "json", "drain", "--status", "n1").stdout)["draining"] is True
    assert four.ctl("drain", "--undo", "n1").returncode == 0
    assert "is in service" in four.ctl("drain", "--status", "n1").stdout


def test_commands_for_upkeep_refuse_what_they_cannot_do(four: Service) -> None:
    unknown = four.ctl("drain", "nobody")
    assert (unknown.returncode, "there is no peer nobody" in unknown.stdout) == (2, True)
    cancelled = four.ctl("rebalance", "cancel")
    assert (cancelled.returncode, "no rebalance is running" in cancelled.stdout) == (2, True)
    assert four.ctl("rebalance", "status").stdout == "No rebalance has been run.\n"
