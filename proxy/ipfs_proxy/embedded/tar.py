"""A tar archive as a stream, in the form that Go's writer chooses: ustar, with PAX records where it is too narrow."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ipfs_cluster.errors import BadContent

BLOCK = 512
DIRECTORY_MODE, FILE_MODE, LINK_MODE = 0o755, 0o644, 0o777


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One entry. mode: 0 for the usual one. mtime: seconds and nanoseconds. content: of a file, `size` bytes."""

    name: str
    mode: int
    mtime: tuple[int, int]
    size: int
    directory: bool
    target: str
    content: AsyncIterator[memoryview] | None


async def tar_of(entries: AsyncIterator[TarEntry]) -> AsyncIterator[bytes | memoryview]:
    """The archive. Raises BadContent for a file that is not as long as it was said, and what the contents raise."""
    async for entry in entries:
        yield _head(entry)
        if entry.content is None:
            continue
        written = 0
        async for piece in entry.content:
            written += len(piece)
            yield piece
        if written != entry.size:
            raise BadContent(f"{entry.name}: {written} bytes of a file of {entry.size}")
        if written % BLOCK:
            yield bytes(BLOCK - written % BLOCK)
    yield bytes(2 * BLOCK)


class _Info(tarfile.TarInfo):
    """Without the slash that the library puts behind a directory's name: Kubo's client takes it for a second part."""

    def get_info(self) -> dict[str, Any]:
        return {**super().get_info(), "name": self.name}


def _head(entry: TarEntry) -> bytes:
    info = _Info(entry.name)
    seconds, nanos = entry.mtime
    info.mtime = seconds
    if nanos:
        info.pax_headers = {"mtime": f"{seconds}.{nanos:09}".rstrip("0")}
    if entry.directory:
        info.type, info.mode = tarfile.DIRTYPE, entry.mode or DIRECTORY_MODE
    elif entry.target:
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, LINK_MODE, entry.target
    else:
        info.mode, info.size = entry.mode or FILE_MODE, entry.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
