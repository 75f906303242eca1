"""Fixtures of the compat tier: nodes are started once for the whole run, services once a test that changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.harness.embedded import EmbeddedProcess, more_content
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.service import Service
from compat_tests.harness.twins import Pair, Twins


@pytest.fixture(scope="session")
def kubo_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., KuboNode]]:
    """Make a running Kubo node; all end with the run."""
    made: list[KuboNode] = []

    def make(settings: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> KuboNode:
        node = KuboNode(tmp_path_factory.mktemp("kubo") / "repo", settings, headers)
        node.init()
        made.append(node)
        node.start()
        return node

    yield make
    for node in made:
        node.stop()


@pytest.fixture(scope="session")
def bare(kubo_factory: Callable[..., KuboNode]) -> KuboNode:
    """A Kubo node of its own, the reference for differential tests."""
    return kubo_factory()


@pytest.fixture(scope="session")
def trio(kubo_factory: Callable[..., KuboNode]) -> list[KuboNode]:
    """Three nodes for clusters; tests leave them running and unsuspended."""
    return [kubo_factory() for _ in range(3)]


@pytest.fixture
def service_factory(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make a service; it is stopped at the end of the test."""
    made: list[Service] = []

    def make(nodes: list[KuboNode], **overrides: Any) -> Service:
        service = Service(tmp_path / f"service{len(made)}", nodes, **overrides)
        made.append(service)
        service.start()
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture
def cluster(trio: list[KuboNode], service_factory: Callable[..., Service]) -> Service:
    """A fresh service before three nodes whose pins were cleared."""
    for node in trio:
        clear_pins(node)
    return service_factory(trio)


@pytest.fixture(scope="session")
def twins(
    bare: KuboNode, kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twins]:
    """A bare node, and a service before its twin."""
    twin = kubo_factory()
    for node in (bare, twin):
        clear_pins(node)
    service = Service(tmp_path_factory.mktemp("twins") / "service", [twin])
    service.start()
    made = Twins(bare, service)
    made.put_content()
    yield made
    service.stop()


@pytest.fixture(scope="session")
def pair(kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A bare Kubo and an embedded node with the same content."""
    kubo = kubo_factory()
    clear_pins(kubo)
    embedded = EmbeddedProcess(tmp_path_factory.mktemp("embedded"))
    embedded.start()
    made = Pair(kubo, embedded)
    made.put_content()
    more_content(made)
    yield made
    embedded.stop()


def clear_pins(node: KuboNode) -> None:
    """Remove all pins, so that a new service finds nothing to adopt."""
    for kind in ("recursive", "direct"):
        for cid in node.pins(kind):
            node.rpc("pin/rm", ("arg", cid), ("recursive", "true"))
