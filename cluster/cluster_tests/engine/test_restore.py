"""A pinset that comes back from a backup: what the nodes have done since is neither lost nor taken for ours."""

from __future__ import annotations

from pathlib import Path

from cluster_tests.engine.conftest import World, cid, until
from ipfs_cluster import Cluster, EngineSettings, PeerSpec
from ipfs_cluster.model import PeerId, PinOptions
from ipfs_cluster.stores.sqlite import SqliteStore, backup, restore


async def started(world: World, path: Path) -> tuple[Cluster, SqliteStore]:
    """A cluster over the file and two of the nodes."""
    store = SqliteStore(path, world.clock)
    specs = [PeerSpec(PeerId(f"peer{i}"), f"name{i}", world.nodes[i], i == 0) for i in range(2)]
    cluster = Cluster(specs, store, world.clock, EngineSettings())
    await cluster.start()
    return cluster, store


async def test_pins_made_since_stay_on_their_nodes_and_removed_ones_come_back(world: World, tmp_path: Path) -> None:
    path, copy = tmp_path / "pinset.sqlite", tmp_path / "copy"
    cluster, _ = await started(world, path)
    await (await cluster.pin([(cid(1), PinOptions()), (cid(2), PinOptions(name="kept"))])).wait()
    assert backup(path, copy) == 2
    await (await cluster.pin([(cid(3), PinOptions())])).wait()
    await cluster.unpin([(cid(1), True)])
    assert world.holders(cid(1)) == []
    await cluster.close()

    restore(copy, path, force=True)
    cluster, store = await started(world, path)
    # Known before anything is answered: what is not ours.
    assert [await store.is_foreign(PeerId(f"peer{i}"), cid(3)) is not None for i in range(2)] == [True, True]
    assert await store.get(cid(3)) is None

    async def done() -> bool:
        return await store.work_counts() == {}

    await until(done, "what was missing is pinned again")
    assert [world.holders(cid(n)) for n in (1, 2, 3)] == [[0, 1], [0, 1], [0, 1]]
    await cluster.close()
