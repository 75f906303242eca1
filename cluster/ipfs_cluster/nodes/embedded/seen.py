"""A set of byte strings that may have millions of members, in constant memory: SQLite's temporary file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import TracebackType

CACHE_KIB = 8 * 1024


class Seen:
    """Several threads may use it, one at a time. The file has no name, and is gone when it is closed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def new(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those that were not in it, each once, in their order; afterwards they are."""
        insert = self._database.execute
        return [key for key in keys if insert("INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING", (key,)).rowcount]

    def __contains__(self, key: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,)).fetchone() is not None

    def close(self) -> None:
        """Free it."""
        self._database.close()

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
