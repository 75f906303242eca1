"""What Kubo does to a repository, done to ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import Context
from pathlib import Path
from typing import TypeVar

import pytest

from cluster_tests.nodes.embedded.conftest import Elsewhere, cids_of, listed, raw, tree
from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.core.failures import Failure, classify
from ipfs_cluster.errors import NodeError
from ipfs_cluster.model import NodePin, PinMode
from ipfs_cluster.nodes.embedded import EmbeddedNode, RepoInUse

T = TypeVar("T")
RECURSIVE, DIRECT = PinMode.RECURSIVE, PinMode.DIRECT


async def all_of(pages: AsyncIterator[Sequence[T]]) -> list[T]:
    return [one async for page in pages for one in page]


async def held(node: EmbeddedNode) -> set[bytes]:
    return {cids.multihash(cid) for cid in await all_of(node.blocks())}


async def test_a_block_is_one_under_all_its_cids(node: EmbeddedNode) -> None:
    cid, data = raw(b"one")
    assert not await node.has(cid)
    await node.put([(cid, data)])
    other = cids.make(cids.DAG_PB, cids.multihash(cid), version=0)
    assert await node.has(other)
    assert await node.get(other, offline=True) == data
    assert (await node.repo_stat()).num_objects == 1
    await node.remove(other)
    assert not await node.has(cid)
    stat = await node.repo_stat()
    assert (stat.repo_size, stat.num_objects) == (0, 0)


async def test_what_is_missing_is_fetched_unless_offline(node: EmbeddedNode, elsewhere: Elsewhere) -> None:
    cid, data = raw(b"elsewhere")
    with pytest.raises(NodeError, match=r"block was not found locally \(offline\): ipld: could not find bafkrei"):
        await node.get(cid, offline=True)
    await elsewhere.publish((cid, data))
    assert await node.get(cid) == data
    assert await node.get(cid, offline=True) == data
    assert elsewhere.asked == [cid]


async def test_a_recursive_pin_waits_for_all_that_is_below_it(node: EmbeddedNode, elsewhere: Elsewhere) -> None:
    blocks = tree("dag", 4, 3)
    last = blocks[-1]
    await elsewhere.publish(*(block for block in blocks if block != last))
    reports: list[tuple[int, int]] = []
    async with asyncio.TaskGroup() as group:
        pinning = group.create_task(node.pin(blocks[0][0], RECURSIVE, "dag", lambda *report: reports.append(report)))
        await elsewhere.missed(last[0])
        assert await node.pinned(blocks[0][0]) is None
        assert not pinning.done()
        await elsewhere.publish(last)
    assert await node.pinned(blocks[0][0]) == NodePin(blocks[0][0], RECURSIVE, "dag")
    assert reports[-1] == (len(blocks), sum(len(data) for _, data in blocks))
    assert reports == sorted(reports)
    assert await held(node) == {cids.multihash(cid) for cid, _ in blocks}


async def test_pins_keep_kubos_rules(node: EmbeddedNode) -> None:
    blocks = tree("dag")
    root, leaf = blocks[0][0], blocks[-1][0]
    await node.put(blocks)
    await node.pin(root, DIRECT, "first")
    assert await node.pinned(root) == NodePin(root, DIRECT, "first")
    await node.pin(root, RECURSIVE, "second")
    with pytest.raises(NodeError, match=f"^{cids.text(root)} already pinned recursively$"):
        await node.pin(root, DIRECT, "")
    assert await node.pinned(root) == NodePin(root, RECURSIVE, "second")
    assert await node.indirect_root(leaf) == root
    assert await node.indirect_root(root) is None
    assert set(await all_of(node.indirect())) == cids_of(blocks[1:])
    await node.pin(leaf, DIRECT, "")
    assert set(await all_of(node.indirect())) == cids_of(blocks[1:-1])
    with pytest.raises(NodeError, match="is pinned recursively"):
        await node.unpin(root, recursive=False)
    with pytest.raises(NodeError, match=r"^not pinned or pinned indirectly$"):
        await node.unpin(blocks[1][0], recursive=True)
    await node.unpin(leaf, recursive=True)
    await node.unpin(root, recursive=True)
    assert await all_of(node.pins(RECURSIVE)) == []
    assert await all_of(node.pins(DIRECT)) == []


async def test_an_update_keeps_the_name_and_needs_the_old_pin(node: EmbeddedNode) -> None:
    old, new = tree("old"), tree("new")
    await node.put([*old, *new])
    with pytest.raises(NodeError, match="'from' cid was not recursively pinned already"):
        await node.pin_update(old[0][0], new[0][0], unpin=True)
    await node.pin(old[0][0], RECURSIVE, "kept")
    await node.pin_update(old[0][0], old[0][0], unpin=True)
    await node.pin_update(old[0][0], new[0][0], unpin=True)
    assert await all_of(node.pins(RECURSIVE)) == [NodePin(new[0][0], RECURSIVE, "kept")]
    await node.pin(old[0][0], RECURSIVE, "")
    with pytest.raises(NodeError, match="'to' cid was already recursively pinned"):
        await node.pin_update(old[0][0], new[0][0], unpin=True)


async def test_a_collection_leaves_what_is_pinned_or_in_mfs(node: EmbeddedNode) -> None:
    recursive, garbage, files = tree("recursive"), tree("garbage"), tree("files")
    direct = tree("direct")
    await node.put([*recursive, *garbage, *files, *direct])
    await node.pin(recursive[0][0], RECURSIVE, "")
    await node.pin(direct[0][0], DIRECT, "")
    await node.remove(files[-1][0])  # what MFS lacks is no error
    await node.set_files_root(files[0][0])
    gone = [cid for cid, error in await all_of(node.gc()) if cid is not None and not error]
    kept = {cids.multihash(cid) for cid, _ in (*recursive, direct[0], *files[:-1])}
    assert {cids.multihash(cid) for cid in gone} == {cids.multihash(cid) for cid, _ in (*garbage, *direct[1:])}
    assert await held(node) == kept


async def test_a_collection_that_cannot_know_everything_removes_nothing(node: EmbeddedNode) -> None:
    blocks = tree("dag")
    await node.put([*blocks, raw(b"garbage")])
    await node.pin(blocks[0][0], RECURSIVE, "")
    await node.remove(blocks[1][0])
    ((cid, error),) = await all_of(node.gc())
    assert cid is None
    assert "could not find" in error
    assert await node.has(raw(b"garbage")[0])


async def test_a_collection_waits_for_adds_and_those_that_come_after_it_wait(node: EmbeddedNode) -> None:
    blocks = tree("added")
    done: list[str] = []

    async def collect() -> None:
        await all_of(node.gc())
        done.append("gc")

    async def add_later() -> None:
        async with node.adding():
            done.append("later")

    async with asyncio.TaskGroup() as group:
        async with node.adding():
            await node.put(blocks)
            group.create_task(collect())
            await asyncio.sleep(0)
            group.create_task(add_later(), context=Context())  # not a part of this add
            for _ in range(50):
                await asyncio.sleep(0)
            assert done == []
            await node.pin(blocks[0][0], RECURSIVE, "")  # nested: does not wait behind the collection
        done.append("added")
    assert done == ["added", "gc", "later"]
    assert await node.has(blocks[-1][0])


async def test_a_spoilt_block_is_told_by_verify_and_fetched_again(
    node: EmbeddedNode, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    good, bad = raw(b"good" * 100), raw(b"bad" * 100)
    await node.put([good, bad])
    path = next(path for path in (tmp_path / "repo").rglob("*.data") if path.read_bytes() == bad[1])
    path.write_bytes(bytes(len(bad[1])))
    faults = {cid: fault async for cid, fault in node.verify_blocks()}
    assert faults == {good[0]: "", bad[0]: "data did not match its hash"}
    with pytest.raises(NodeError, match="could not find"):
        await node.get(bad[0], offline=True)
    await elsewhere.publish(bad)
    assert await node.get(bad[0]) == bad[1]
    assert {fault async for _, fault in node.verify_blocks()} == {""}
    assert (await node.repo_stat()).repo_size == len(good[1]) + len(bad[1])


async def test_pins_are_verified(node: EmbeddedNode) -> None:
    blocks, whole = tree("broken"), tree("whole")
    await node.put([*blocks, *whole])
    for root in (blocks[0][0], whole[0][0]):
        await node.pin(root, RECURSIVE, "")
    await node.remove(blocks[-1][0])
    found = {cid: bad async for cid, bad in node.verify_pins()}
    assert found[whole[0][0]] == []
    ((block, why),) = found[blocks[0][0]]
    assert block == blocks[-1][0]
    assert "could not find" in why


async def test_a_limit_refuses_what_does_not_fit_and_keeps_what_is_there(tmp_path: Path, elsewhere: Elsewhere) -> None:
    node = EmbeddedNode(tmp_path / "repo", elsewhere, storage_max=1000)
    await node.open()
    first, second = raw(b"1" * 600), raw(b"2" * 600)
    await node.put([first])
    with pytest.raises(NodeError) as refused:
        await node.put([second])
    assert classify(str(refused.value)) is Failure.DISK_FULL
    assert await node.free_space() == 400
    await node.put([first])
    await node.remove(first[0])
    await node.put([second])
    await node.close()


async def test_it_is_the_same_after_it_was_opened_again_and_only_one_may(tmp_path: Path, elsewhere: Elsewhere) -> None:
    node = EmbeddedNode(tmp_path / "repo", elsewhere)
    await node.open()
    blocks = tree("dag")
    await node.put(blocks)
    await node.pin(blocks[0][0], RECURSIVE, "name")
    await node.set_files_root(blocks[0][0])
    before = await node.repo_stat()
    with pytest.raises(RepoInUse, match="is in use by process"):
        await EmbeddedNode(tmp_path / "repo", elsewhere).open()
    await node.close()
    again = EmbeddedNode(tmp_path / "repo", elsewhere)
    await again.open()
    assert await again.pinned(blocks[0][0]) == NodePin(blocks[0][0], RECURSIVE, "name")
    assert await again.files_root() == blocks[0][0]
    assert await again.repo_stat() == before
    await again.close()


async def test_what_is_listed_once_is_walked_once_and_depth_is_no_matter(node: EmbeddedNode) -> None:
    cid, data = raw(b"leaf")
    blocks: list[tuple[Cid, bytes]] = [(cid, data)]
    for _ in range(300):
        blocks.append(listed(blocks[-1][0], blocks[-1][0]))  # a walk without memory would take 2^300 steps
    await node.put(blocks)
    reports: list[tuple[int, int]] = []
    await node.pin(blocks[-1][0], RECURSIVE, "", lambda *report: reports.append(report))
    assert reports[-1][0] == 301
