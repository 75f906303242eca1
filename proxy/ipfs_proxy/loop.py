"""The event loop that the commands run on."""

from __future__ import annotations

import asyncio


def runner() -> asyncio.Runner:
    """uvloop where there is one: the front is made for it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
