"""pin/verify over all nodes."""

from __future__ import annotations

import asyncio
import json

import pytest

from cluster_tests.engine.conftest import cid
from ipfs_cluster.cid import text, text_in
from ipfs_cluster.errors import NodeUnreachable
from ipfs_cluster.model import NodePin, PinMode
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from proxy_tests.rpc.kitchen import Kitchen

ALL = {cid(number): text(cid(number)) for number in range(1, 4)}
A, B, C = ALL.values()
LOST = cid(9)
REASON = "block was not found locally (offline): ipld: could not find it"


async def filled(kitchen: Kitchen) -> None:
    """A and B recursive, C direct; the cluster's own empty block is on each node."""
    for query in (f"arg={A}", f"arg={B}", f"arg={C}&recursive=false"):
        await kitchen.ask("pin/add", query)
    for node in kitchen.world.nodes:
        node.pins_held[EMPTY_RAW_BLOCK] = NodePin(EMPTY_RAW_BLOCK, PinMode.RECURSIVE)


def damage(kitchen: Kitchen, node: int, broken: str) -> None:
    (known,) = (key for key, spelled in ALL.items() if spelled == broken)
    kitchen.world.nodes[node].damaged[known] = ((LOST, REASON),)


def line(pin: str, *names: str) -> str:
    return json.dumps(
        {"Cid": pin, "BadNodes": [{"Cid": text(LOST), "Err": f"{name}: {REASON}"} for name in names]},
        separators=(",", ":"),
    )


async def test_all_is_well(kitchen: Kitchen) -> None:
    await filled(kitchen)
    assert (await kitchen.ask("pin/verify")).text == ""
    lines = (await kitchen.ask("pin/verify", "verbose=true")).text.splitlines()
    assert lines == [f'{{"Cid":"{pin}","Ok":true}}' for pin in sorted([A, B])], (
        "not the direct one, nor the cluster's own"
    )
    assert (await kitchen.ask("pin/verify", "verbose=1&encoding=text")).text == f"{min(A, B)} ok\n{max(A, B)} ok\n"


async def test_the_empty_block_counts_when_somebody_pinned_it(kitchen: Kitchen) -> None:
    await kitchen.ask("pin/add", f"arg={text(EMPTY_RAW_BLOCK)}")
    assert text(EMPTY_RAW_BLOCK) in (await kitchen.ask("pin/verify", "verbose=true")).text


async def test_what_is_broken_on_any_node_is_told_for_each(kitchen: Kitchen) -> None:
    await filled(kitchen)
    damage(kitchen, 1, B)
    damage(kitchen, 2, B)
    broken = [line(B, "name1"), line(B, "name2")]
    assert (await kitchen.ask("pin/verify")).text.splitlines() == broken
    verbose = await kitchen.ask("pin/verify", "verbose=true")
    assert verbose.text.splitlines() == [*broken, f'{{"Cid":"{A}","Ok":true}}']
    assert (await kitchen.ask("pin/verify", "quiet=true")).text == f'{{"Cid":"{B}"}}\n' * 2
    shown = (await kitchen.ask("pin/verify", "encoding=text")).text.splitlines()
    assert shown[:2] == [f"{B} broken", f"  {text(LOST)}: name1: {REASON}"]
    assert (await kitchen.ask("pin/verify", "q=true&encoding=text")).text == f"{B}\n" * 2
    respelled = (await kitchen.ask("pin/verify", "cid-base=base16")).text
    assert text_in(LOST, "base16") in respelled


async def test_a_node_that_cannot_be_asked_is_the_error_at_the_end(kitchen: Kitchen) -> None:
    await filled(kitchen)
    damage(kitchen, 2, A)
    node = kitchen.world.nodes[1]
    node.away = "gone"
    answer = await kitchen.ask("pin/verify", "verbose=true")
    assert answer.text.splitlines() == [line(A, "name2"), f'{{"Cid":"{B}","Ok":true}}']
    assert answer.failure == "not all pins were verified: name1: gone"
    kitchen.world.nodes[2].damaged.clear()
    assert (await kitchen.ask("pin/verify")).error == "not all pins were verified: name1: gone"
    await kitchen.world.pass_time(60)
    assert not kitchen.world.peers[1].up
    assert (await kitchen.ask("pin/verify")).error.startswith("not all pins were verified: name1: node unreachable: ")


async def test_a_single_node_is_passed_on_as_it_gets_on(kitchen: Kitchen) -> None:
    world = kitchen.world
    assert world.cluster is not None
    await world.cluster.close()
    world.nodes, world.store = world.nodes[:1], None
    await world.start()
    alone = Kitchen(world)
    await filled(alone)
    damage(alone, 0, B)
    assert world.cluster is not None
    pages = [
        [(text(pin.cid), pin.ok, [reason for _, reason in pin.bad]) for pin in page]
        async for page in world.cluster.views.verify(well=True)
    ]
    assert pages == [[(A, True, [])], [(B, False, [REASON])]], "nothing is kept, and no name is needed"


async def test_options(kitchen: Kitchen) -> None:
    both = await kitchen.ask("pin/verify", "verbose=true&quiet=true")
    assert both.error == "the --verbose and --quiet options can not be used at the same time"
    xml = (await kitchen.ask("pin/verify", "encoding=xml&arg=x&arg=y")).text
    assert xml == ""


async def test_the_deadline(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(kitchen)

    async def never() -> None:
        await asyncio.Event().wait()
        raise NodeUnreachable("")

    async def verify() -> object:
        await never()
        yield []

    monkeypatch.setattr(kitchen.world.nodes[0], "verify", verify)
    assert (await kitchen.ask("pin/verify", "timeout=10ms")).error == "context deadline exceeded"
