"""A started cluster of three fake nodes with the pin commands over it."""

from __future__ import annotations

import pytest

from cluster_tests.engine.conftest import World, world
from proxy_tests.rpc.kitchen import Kitchen, TreeNode

__all__ = ["world"]


@pytest.fixture
async def kitchen(world: World) -> Kitchen:
    """Replication: everywhere."""
    world.nodes = [TreeNode(node) for node in world.nodes]
    await world.start()
    return Kitchen(world)


@pytest.fixture
def home(kitchen: Kitchen) -> TreeNode:
    """The node that resolves paths."""
    node = kitchen.world.nodes[0]
    assert isinstance(node, TreeNode)
    return node
