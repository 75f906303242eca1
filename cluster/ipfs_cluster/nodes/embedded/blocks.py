"""Blocks in files, one each, laid out as Kubo's flatfs does: `blocks/<last but one two characters>/<KEY>.data`, the key
being the multihash in base32. So v0 and v1 CIDs of one block are one file, and a folder can be read by either program.

Invariants. A file of that name is complete: it was written under another name, synchronised and renamed. What is there
after a crash of the machine all the same, or was spoilt since, does not hash to its name, which every read finds out:
such a file is removed and counts as missing. `put` returns when its blocks are durable. Sizes and counts follow every
change exactly; they are known when the folder was read once.

Everything here blocks; several threads may call it at a time.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import logging
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ipfs_cluster import multihash
from ipfs_cluster.errors import NodeError

log = logging.getLogger(__name__)

SUFFIX = ".data"
SHARDING = "/repo/flatfs/shard/v1/next-to-last/2\n"
"""What Kubo writes into the file SHARDING of such a folder."""
UNFINISHED = ".unfinished"
TOGETHER = 64
"""Files that are open at once, and synchronised one after the other."""


class RepoInUse(Exception):
    """Another process works on this repository."""


class RepoLock:
    """Held until `release` or the end of the process, however it ends."""

    def __init__(self, repo: Path) -> None:
        """Raises RepoInUse with the holder's process ID."""
        self._descriptor = os.open(repo / "repo.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise RepoInUse(f"the repository {repo} is in use by process {holder}") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)


class Blocks:
    """The blocks of one repository. limit: bytes that they may take (StorageMax), 0 = any."""

    def __init__(self, repo: Path, limit: int) -> None:
        self._folder = repo / "blocks"
        self.limit = limit
        self._lock = threading.Lock()
        self._counted = threading.Event()
        self._stop = threading.Event()
        self._read_folders: set[str] = set()
        self._unsettled: Counter[Path] = Counter()
        self._promised = 0
        self.size = 0
        self.count = 0
        self._next = 0

    # --- its life ---

    def open(self) -> None:
        """Make the folder, and drop what was being written when the last process ended."""
        self._folder.mkdir(exist_ok=True)
        sharding = self._folder / "SHARDING"
        if not sharding.exists():
            sharding.write_text(SHARDING)
        unfinished = self._folder / UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _synchronise(self._folder)

    def take_stock(self) -> None:
        """Count what is there; meanwhile everything else may go on. Ends early after `close`."""
        for folder in self._folders():
            if self._stop.is_set():
                break
            with self._lock:
                if folder in self._read_folders:
                    continue
                for entry in os.scandir(self._folder / folder):
                    if entry.name.endswith(SUFFIX):
                        self.size += entry.stat().st_size
                        self.count += 1
                self._read_folders.add(folder)
        self._counted.set()

    def close(self) -> None:
        """Let `take_stock` and whoever waits for it end."""
        self._stop.set()
        self._counted.set()

    def stock(self) -> tuple[int, int]:
        """Bytes and number of blocks; waits until they are known."""
        self._counted.wait()
        return self.size, self.count

    def free(self) -> int:
        """Bytes that may still be written: of the limit, and of the disk."""
        free = shutil.disk_usage(self._folder).free
        return min(free, max(self.limit - self.size, 0)) if self.limit else free

    # --- one block ---

    def get(self, key: bytes) -> bytes | None:
        """The data of a multihash; None if it is not there, or was spoilt, and then it is gone."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if (fault := multihash.fault(key, [data])) is None:
            return data
        log.error("block %s: %s; it is removed, and counts as missing", path.stem, fault)
        self.remove(key)
        return None

    def has(self, key: bytes) -> bool:
        """Is there a file for it?"""
        return self._path(key).exists()

    def size_of(self, key: bytes) -> int | None:
        """Bytes of a block, None if it is not there. It is not read."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def fault(self, key: bytes) -> str:
        """What is wrong with a block that is there, in words, or "". Changes nothing."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return str(error)
        return multihash.fault(key, [data]) or ""

    def remove(self, key: bytes) -> bool:
        """Was it there?"""
        path = self._path(key)
        with self._lock:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return False
            if self._is_counted(path.parent.name):
                self.size -= size
                self.count -= 1
        return True

    # --- many ---

    def put(self, blocks: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (multihash, data) pairs, which nobody checks; durable when it returns. Raises NodeError with the words
        of a full disk.
        """
        new = [(key, data) for key, data in dict(blocks).items() if self.size_of(key) != len(data)]
        size = sum(len(data) for _, data in new)
        self._reserve(size)
        try:
            touched: set[Path] = set()
            for at in range(0, len(new), TOGETHER):
                self._write(new[at : at + TOGETHER], touched)
            for folder in touched | self._unsettled_of(key for key, _ in blocks):
                _synchronise(folder)
        except OSError as error:
            raise NodeError(f"write block: {os.strerror(error.errno or 0).lower()}") from error
        finally:
            with self._lock:
                self._promised -= size
        with self._lock:
            self._unsettled -= Counter(touched)

    def keys(self) -> Iterator[list[bytes]]:
        """The multihashes of all blocks that are there all the while, a folder at a time."""
        for folder in self._folders():
            names = [name for name in os.listdir(self._folder / folder) if name.endswith(SUFFIX)]
            if found := list(_keys(names)):
                yield found

    # --- inside ---

    def _reserve(self, size: int) -> None:
        with self._lock:
            if self.limit and self.size + self._promised + size > self.limit:
                raise NodeError(f"write block: maximum storage limit exceeded: {self.limit} bytes")
            self._promised += size

    def _write(self, blocks: Sequence[tuple[bytes, bytes]], touched: set[Path]) -> None:
        """All of them under other names, on the disk, then under their own. touched: gets the folders that changed."""
        with self._lock:
            first = self._next
            self._next += len(blocks)
        unfinished = [self._folder / UNFINISHED / str(first + number) for number in range(len(blocks))]
        try:
            _write_files([(path, data) for path, (_, data) in zip(unfinished, blocks, strict=True)])
            for path, (key, data) in zip(unfinished, blocks, strict=True):
                self._place(path, self._path(key), len(data), touched)
        except OSError:
            for path in unfinished:
                path.unlink(missing_ok=True)
            raise

    def _place(self, unfinished: Path, path: Path, size: int, touched: set[Path]) -> None:
        with self._lock:
            if not path.parent.exists():
                self._touch(self._folder, touched)
                path.parent.mkdir()
                self._read_folders.add(path.parent.name)
            self._touch(path.parent, touched)
            there = path.stat().st_size if path.exists() else None
            unfinished.replace(path)
            if self._is_counted(path.parent.name):
                self.size += size - (there or 0)
                self.count += there is None

    def _touch(self, folder: Path, touched: set[Path]) -> None:
        if folder not in touched:
            touched.add(folder)
            self._unsettled[folder] += 1

    def _unsettled_of(self, keys: Iterable[bytes]) -> set[Path]:
        """Folders of these that another thread changed and has not synchronised yet: its blocks count as present."""
        if not self._unsettled:
            return set()
        folders = {self._path(key).parent for key in keys} | {self._folder}
        with self._lock:
            return {folder for folder in folders if self._unsettled[folder]}

    def _is_counted(self, folder: str) -> bool:
        """Does a change in this folder change the counts, or is it still to be read?"""
        return self._counted.is_set() or folder in self._read_folders

    def _folders(self) -> list[str]:
        return sorted(name for name in os.listdir(self._folder) if len(name) == 2)

    def _path(self, key: bytes) -> Path:
        name = base64.b32encode(key).decode().rstrip("=")
        return self._folder / name[-3:-1] / f"{name}{SUFFIX}"


def _keys(names: Iterable[str]) -> Iterator[bytes]:
    for name in names:
        text = name.removesuffix(SUFFIX)
        with contextlib.suppress(ValueError):  # somebody else's file
            yield base64.b32decode(text + "=" * (-len(text) % 8))


def _write_files(files: Sequence[tuple[Path, bytes]]) -> None:
    """New files, on the disk afterwards. The disk begins with all of them before the first is waited for: a filesystem
    with a journal writes that once then, and not once a file.
    """
    with contextlib.ExitStack() as opened:
        descriptors = []
        for path, data in files:
            descriptors.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            opened.callback(os.close, descriptors[-1])
            _write_all(descriptors[-1], data)
        if hasattr(os, "posix_fadvise"):
            for descriptor in descriptors:  # Linux: begins to write and drops what is written already, nothing here
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        for descriptor in descriptors:
            os.fdatasync(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
