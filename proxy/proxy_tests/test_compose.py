"""What the configuration says reaches the parts that act on it."""

from __future__ import annotations

from pathlib import Path

from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.settings import parse
from ipfs_proxy.compose import compose


async def test_each_node_keeps_its_own_reserve_or_the_common_one(tmp_path: Path) -> None:
    nodes = [
        {"name": "own", "node_multiaddress": "/unix/a", "reserve": "5GB", "honour_storage_max": True},
        {"name": "none", "node_multiaddress": "/unix/b", "reserve": 0},
        {"name": "common", "node_multiaddress": "/unix/c"},
    ]
    settings, _ = parse({"ipfs_connector": {"nodes": nodes}, "informer": {"disk": {"reserve": "2GB"}}}, {})
    cluster = compose(tmp_path, settings, {}, "0").cluster
    assert {peer.name: peer.rule for peer in cluster.peers_by_id.values()} == {
        "own": RoomRule(5 * 10**9, honour_storage_max=True),
        "none": RoomRule(0),
        "common": RoomRule(2 * 10**9),
    }
