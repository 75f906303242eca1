"""Random operations on a repository and on a dumb model of one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tests.nodes.embedded.conftest import Elsewhere, listed, raw
from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode
from ipfs_cluster.nodes.embedded.links import links

LEAVES = [raw(f"leaf {number}".encode()) for number in range(4)]
MIDDLE = [listed(LEAVES[a][0], LEAVES[b][0]) for a, b in ((0, 1), (1, 2), (3, 3))]
ROOTS = [listed(MIDDLE[0][0], MIDDLE[1][0]), listed(MIDDLE[2][0], LEAVES[0][0])]
ALL = [*LEAVES, *MIDDLE, *ROOTS]
DATA: Mapping[Cid, bytes] = dict(ALL)

which = st.integers(0, len(ALL) - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), which),
        st.tuples(st.just("remove"), which),
        st.tuples(st.just("pin"), which),
        st.tuples(st.just("pin directly"), which),
        st.tuples(st.just("unpin"), which),
        st.tuples(st.just("mfs"), which),
        st.tuples(st.just("gc"), which),
        st.tuples(st.just("open again"), which),
    ),
    max_size=40,
)


class Model:
    """The same in sets."""

    def __init__(self) -> None:
        self.blocks: set[Cid] = set()
        self.pins: dict[Cid, PinMode] = {}
        self.files: Cid | None = None

    def below(self, cid: Cid) -> set[Cid]:
        return {cid}.union(*(self.below(link) for link in links(cid, DATA[cid])))

    def reachable(self, cid: Cid) -> set[Cid]:
        """As far as it is here."""
        if cid not in self.blocks:
            return set()
        return {cid}.union(*(self.reachable(link) for link in links(cid, DATA[cid])))

    def do(self, step: str, cid: Cid) -> bool:
        """Does it succeed?"""
        match step:
            case "put":
                self.blocks.add(cid)
            case "remove":
                self.blocks.discard(cid)
            case "pin":
                if not self.below(cid) <= self.blocks:
                    return False
                self.pins[cid] = PinMode.RECURSIVE
            case "pin directly":
                if self.pins.get(cid) is PinMode.RECURSIVE or cid not in self.blocks:
                    return False
                self.pins[cid] = PinMode.DIRECT
            case "unpin":
                return self.pins.pop(cid, None) is not None
            case "mfs":
                self.files = cid
            case "gc":
                return self.collect()
        return True

    def collect(self) -> bool:
        kept = {cid for cid, mode in self.pins.items() if mode is PinMode.DIRECT}
        for cid, mode in self.pins.items():
            if mode is PinMode.RECURSIVE:
                if not self.below(cid) <= self.blocks:
                    return False
                kept |= self.below(cid)
        if self.files is not None:
            kept |= self.reachable(self.files)
        self.blocks &= kept
        return True


async def do(node: EmbeddedNode, step: str, cid: Cid) -> bool:
    try:
        match step:
            case "put":
                await node.put([(cid, DATA[cid])])
            case "remove":
                await node.remove(cid)
            case "pin":
                await node.pin(cid, PinMode.RECURSIVE, "", offline=True)
            case "pin directly":
                await node.pin(cid, PinMode.DIRECT, "", offline=True)
            case "unpin":
                await node.unpin(cid, recursive=True)
            case "mfs":
                await node.set_files_root(cid)
            case "gc":
                return not any(error for page in [page async for page in node.gc()] for _, error in page)
    except NodeError:
        return False
    return True


async def compare(repo: Path, walk: list[tuple[str, int]]) -> None:
    model, node = Model(), EmbeddedNode(repo, Elsewhere())
    await node.open()
    try:
        for step, number in walk:
            cid = ALL[number][0]
            if step == "open again":
                await node.close()
                node = EmbeddedNode(repo, Elsewhere())
                await node.open()
                continue
            assert await do(node, step, cid) == model.do(step, cid), (step, number)
            held = {key async for page in node.blocks() for key in map(cids.multihash, page)}
            assert held - {EMPTY} == {cids.multihash(block) for block in model.blocks}
            pins = {p.cid: p.mode for mode in PinMode async for page in node.pins(mode) for p in page}
            assert pins == model.pins
            assert (await node.repo_stat()).num_objects == len(held)
        await _indirect(node, model)
    finally:
        await node.close()


async def _indirect(node: EmbeddedNode, model: Model) -> None:
    recursive = {cid for cid, mode in model.pins.items() if mode is PinMode.RECURSIVE}
    if all(model.below(root) <= model.blocks for root in recursive):
        expected = set().union(*(model.below(root) - {root} for root in recursive)) - model.pins.keys()
        assert {cid async for page in node.indirect() for cid in page} == expected
        for cid in DATA:
            through = await node.indirect_root(cid)
            possible = {root for root in recursive if cid in model.below(root) - {root}}
            assert through in possible if possible else through is None


EMPTY = cids.multihash(cids.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"))


@given(steps)
@settings(max_examples=60, deadline=None)
def test_a_repository_does_what_a_model_of_it_does(walk: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(Path(folder) / "repo", walk))
