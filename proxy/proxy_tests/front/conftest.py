"""Doors on both event loops that the service can run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from proxy_tests.front.wires import Doors


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The service runs on uvloop where there is one."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Doors]:
    """`await door(...)` opens one."""
    doors = Doors(tmp_path)
    yield doors
    await doors.close()
