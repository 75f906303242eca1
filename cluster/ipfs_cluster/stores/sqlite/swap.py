"""Another file in a store's place, so that a crash at any step leaves the store before or the one after, whole.

The new file gets a name of its own, `.next.N`, when it is finished and on disk: from that moment on it is the store,
and whoever comes to use the store first finishes the move; N is that of `.old.N`, where the old one goes. An empty
`.next.N` stands for no store at all. Two renames alone would have a moment without any store, and one in which the old
store is cut off from its log.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ipfs_cluster.stores.sqlite import schema


def into_place(draft: Path, path: Path) -> None:
    """Give a finished file its name; it is on disk then. Raises OSError."""
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def names(path: Path) -> list[Path]:
    """A file of SQLite's and what may lie beside it."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal", "")]


def swap(draft: Path | None, path: Path) -> Path | None:
    """Make a finished file the store, or None: have no store. What was there is kept; its new name, None when nothing
    was. The caller owns the store. Raises OSError.
    """
    if draft is None:
        draft = path.with_name(path.name + ".tmp-empty")
        draft.touch()
    was = path.exists()
    number = next(one for one in itertools.count(1) if not any(name.exists() for name in names(_kept(path, one))))
    into_place(draft, path.with_name(f"{path.name}.next.{number}"))
    finish(path)
    return _kept(path, number) if was else None


def finish(path: Path) -> None:
    """Finish what a crash interrupted, if anything. The caller owns the store. Raises OSError."""
    begun = _begun(path)
    if begun is None:
        return
    kept = _kept(path, int(begun.suffix[1:]))
    for name, target in zip(names(path), names(kept), strict=True):
        if name.exists():
            name.replace(target)
    _sync(path.parent)
    if begun.stat().st_size:
        begun.replace(path)
    else:
        begun.unlink()
    _sync(path.parent)


def there(path: Path) -> bool:
    """Is there a store? Nobody may use it if a crash interrupted a `swap`. Raises StoreUnusable, OSError."""
    if _begun(path) is not None:
        lock = schema.own(path)
        try:
            finish(path)
        finally:
            lock.close()
    return path.exists()


def _begun(path: Path) -> Path | None:
    return next(path.parent.glob(f"{path.name}.next.*"), None)


def _kept(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.old.{number}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
