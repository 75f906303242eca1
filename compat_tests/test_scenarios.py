"""The scenarios of a cluster of three on Kubo nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.conftest import clear_pins
from compat_tests.harness.inprocess import Loop, ServiceHere
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.scenarios import QUICK, ClusterScenarios, Three


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


class TestKubo(ClusterScenarios):
    @pytest.fixture
    def three(self, trio: list[KuboNode], tmp_path: Path, loop: Loop) -> Iterator[Three]:
        for node in trio:
            clear_pins(node)
        service = ServiceHere(loop, tmp_path / "service", trio, **QUICK)
        service.start()
        yield Three(service, trio)
        service.stop()
