"""The examples of the documentation run."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from cluster_tests.engine.conftest import World, cid
from cluster_tests.rest.importer import text_of
from ipfs_cluster import cid as cids

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_example_of_client(served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hello").write_bytes(b"hello")
    await asyncio.to_thread(example("client").main, str(tmp_path / "hello"), served)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{text_of(b'hello')} hello is held by name0, name1"
    assert second.startswith(f"{text_of(b'hello')} example since 20")


async def test_the_example_of_async_client(world: World, served: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [cids.text(cid(number)) for number in range(3)]
    await example("async_client").main(served, *texts)
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(f"{text} is pinned on 2 peers" for text in texts)


def test_every_example_is_in_the_documentation() -> None:
    page = (EXAMPLES.parent / "clients.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f"(examples/{path.name})" in page
