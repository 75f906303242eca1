"""Who waits for a change of the pinset, for every store."""

from __future__ import annotations

import asyncio

from ipfs_cluster.errors import StoreUnavailable


class Bell:
    """Callers that wait for a revision, on one event loop. `reached`: the last revision that changed an entry."""

    def __init__(self) -> None:
        self.reached = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def awaited(self) -> bool:
        """Whether anybody waits; may be asked on any thread, after `reached` has been set."""
        return bool(self._waiting)

    def ring(self) -> None:
        """Let all look at `reached` again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def after(self, revision: int) -> None:
        """Return when `reached` is higher. Raises StoreUnavailable when the bell is closed."""
        while self.reached <= revision or self._closed:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                # Looked at again: whoever set it before we were known has not seen us.
                if self.reached <= revision:
                    await future
            finally:
                self._waiting.discard(future)

    def close(self) -> None:
        """Nobody waits any longer."""
        self._closed = True
        self.ring()
