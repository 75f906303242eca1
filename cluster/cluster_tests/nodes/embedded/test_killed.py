"""A process that puts blocks and pins is killed at any moment: what it acknowledged is there and whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster_tests.nodes.embedded.conftest import Elsewhere
from ipfs_cluster import cid as cids
from ipfs_cluster.model import PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from cluster_tests.nodes.embedded.conftest import Elsewhere, raw, tree
from ipfs_cluster import cid as cids
from ipfs_cluster.model import PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode

def say(word, cid):
    os.write(1, f"{word} {cids.text(cid)}\\n".encode())

async def main(repo, name):
    node = EmbeddedNode(Path(repo), Elsewhere())
    await node.open()
    for number in range(10_000):
        blocks = tree(f"{name} {number}", 3, 2)
        async with node.adding():
            await node.put(blocks)
            for cid, _ in blocks:
                say("block", cid)
            await node.pin(blocks[0][0], PinMode.RECURSIVE, "")
            say("pin", blocks[0][0])
        if number % 7 == 6:
            await node.unpin(blocks[0][0], recursive=True)
            say("unpin", blocks[0][0])
            say("collect", blocks[0][0])
            async for _ in node.gc():
                pass

asyncio.run(main(*sys.argv[1:]))
"""


def acknowledged(repo: Path, name: str, lines: int) -> list[tuple[str, str]]:
    """Run the program until it has said so much, and kill it; what it said."""
    folders = [str(Path(__file__).parents[3])]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(repo), name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])},
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    return [(word, cid) for word, cid in (line.decode().split() for line in said if line.endswith(b"\n"))]


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_acknowledged_is_there_and_the_rest_is_recognised(tmp_path: Path, seed: int) -> None:
    rng, repo = random.Random(seed), tmp_path / "repo"
    pinned: set[str] = set()
    blocks: set[str] = set()
    doubtful: set[str] = set()
    for life in range(3):
        said = acknowledged(repo, f"{seed} {life}", rng.randrange(20, 200))
        for word, cid in said:
            match word:
                case "block":
                    blocks.add(cid)
                case "pin":
                    pinned.add(cid)
                case "unpin":
                    pinned.discard(cid)
                case "collect":
                    blocks.clear()  # what no pin holds may be gone from now on
        doubtful |= {cid for word, cid in said[-1:] if word == "pin"}  # its removal may have begun
        node = EmbeddedNode(repo, Elsewhere())
        await node.open()
        try:
            there = {cids.text(pin.cid) async for page in node.pins(PinMode.RECURSIVE) for pin in page}
            assert pinned - doubtful <= there
            async for root, bad in node.verify_pins():
                assert not bad, f"{cids.text(root)} is not whole"
            for cid in blocks:
                await node.get(cids.parse(cid), offline=True)
            assert {fault async for _, fault in node.verify_blocks()} <= {""}
            stat = await node.repo_stat()
            files = list(repo.rglob("*.data"))
            assert (stat.num_objects, stat.repo_size) == (len(files), sum(path.stat().st_size for path in files))
            assert not list((repo / "blocks" / ".unfinished").iterdir())
        finally:
            await node.close()
