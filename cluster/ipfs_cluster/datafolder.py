"""One process per data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK = "cluster.lock"


PRIVATE = ("pinset.sqlite*", "identity.json", "identities/*.json")
"""What nobody but the owner may read: pins with their metadata, private keys."""


def tighten(folder: Path) -> list[str]:
    """Take other people's rights from the private files; the names of those that had some. Files of others stay."""
    found = []
    for path in (path for pattern in PRIVATE for path in sorted(folder.glob(pattern))):
        status = path.stat()
        if status.st_mode & 0o077 and status.st_uid == os.getuid():
            path.chmod(0o600)
            found.append(str(path.relative_to(folder)))
    return found


class FolderInUse(Exception):
    """Another process works on this folder."""


class FolderLock:
    """Held from construction until `release` or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises FolderInUse with the holder's process ID."""
        self._path = folder / LOCK
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise FolderInUse(f"{folder} is in use by process {holder}: one process per folder") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)
