"""The scenarios of a cluster of three on embedded nodes, all in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from compat_tests.harness.inprocess import EmbeddedHere, Loop, ServiceHere
from compat_tests.harness.scenarios import QUICK, ClusterScenarios, Three


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


class TestEmbedded(ClusterScenarios):
    @pytest.fixture
    def three(self, tmp_path: Path, loop: Loop) -> Iterator[Three]:
        with ExitStack() as stack:
            nodes = [EmbeddedHere(tmp_path / f"node{i}", loop) for i in range(3)]
            for node in nodes:
                stack.callback(node.kill)
                node.start()
            service = ServiceHere(loop, tmp_path / "service", nodes, **QUICK)
            stack.callback(service.stop)
            service.start()
            yield Three(service, nodes)
