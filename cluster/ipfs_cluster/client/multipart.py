"""What is to be added as a multipart body in Kubo's form, made piece by piece: whatever its size, one is in memory."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import stat
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Union, cast
from urllib.parse import quote_plus, urlsplit

import requests

from ipfs_cluster.client.errors import SourceError

PIECE = 256 * 1024

Data = bytes | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class Content:
    """Something to add that lies in no file here. name: may have folders in it, "a/b"; data: bytes, a file object, or
    pieces of bytes; pieces that come asynchronously are for the AsyncClient.
    """

    name: str
    data: Data


Source = Union[str, "os.PathLike[str]", Content]
"""A path, a URL, or content."""

Pieces = Iterable[bytes] | AsyncIterable[bytes]


class Multipart:
    """The parts of some sources, to be sent once. hidden: with what begins with a dot in folders; nocopy: as references
    to URLs.
    """

    def __init__(
        self, sources: Sequence[Source], *, recursive: bool = True, hidden: bool = False, nocopy: bool = False
    ) -> None:
        """Raises SourceError for a path that cannot be added, before anything is sent."""
        if not sources:
            raise SourceError("", "there is nothing to add")
        self.boundary = secrets.token_hex(30)
        self._sources = sources
        self._hidden = hidden
        self._nocopy = nocopy
        for source in sources:
            _check(source, recursive, nocopy)

    @property
    def content_type(self) -> str:
        """The header of the body."""
        return f"multipart/form-data; boundary={self.boundary}"

    def __iter__(self) -> Iterator[bytes]:
        for pieces in self._parts():
            if isinstance(pieces, AsyncIterable):
                raise SourceError("", "content that comes asynchronously is for the AsyncClient")
            yield from pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The same; what may block is read by threads."""
        parts = self._parts()
        while (pieces := await asyncio.to_thread(next, parts, None)) is not None:
            if isinstance(pieces, AsyncIterable):
                async for piece in pieces:
                    yield piece
            else:
                waiting = iter(pieces)
                while (read := await asyncio.to_thread(next, waiting, None)) is not None:
                    yield read

    def size(self) -> int | None:
        """Bytes of content; None when it cannot be known before."""
        if any(isinstance(source, Content) or _is_url(source) for source in self._sources):
            return None
        return sum(self._size(Path(source)) for source in self._sources if not isinstance(source, Content))

    def _size(self, path: Path) -> int:
        if path.is_dir() and not path.is_symlink():
            return sum(map(self._size, self._inside(path)))
        return path.lstat().st_size

    def _inside(self, folder: Path) -> list[Path]:
        names = sorted(os.listdir(folder))
        return [folder / name for name in names if self._hidden or not name.startswith(".")]

    def _parts(self) -> Iterator[Pieces]:
        for source in self._sources:
            if isinstance(source, Content):
                yield [self._head(source.name, "application/octet-stream")]
                yield _pieces(source.data)
                yield [b"\r\n"]
            elif _is_url(source):
                yield self._url(str(source))
            else:
                yield from self._local(Path(source), os.path.basename(os.path.abspath(source)))
        yield [f"--{self.boundary}--\r\n".encode()]

    def _local(self, path: Path, name: str) -> Iterator[Pieces]:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield [self._head(name, "application/symlink"), os.fsencode(path.readlink()), b"\r\n"]
        elif stat.S_ISDIR(mode):
            yield [self._head(name, "application/x-directory"), b"\r\n"]
            for inside in self._inside(path):
                yield from self._local(inside, f"{name}/{inside.name}")
        elif stat.S_ISREG(mode):
            yield self._file(path, name)
        else:
            raise SourceError(f"reading {path}", "neither a file, nor a folder, nor a symbolic link")

    def _file(self, path: Path, name: str) -> Iterator[bytes]:
        with path.open("rb") as file:
            yield self._head(name, "application/octet-stream")
            yield from _read(file)
        yield b"\r\n"

    def _url(self, url: str) -> Iterator[bytes]:
        try:
            with requests.get(url, stream=True, timeout=60) as answer:
                if answer.status_code != 200:
                    raise SourceError(f"reading {url}", f"it answered {answer.status_code} {answer.reason}")
                name = os.path.basename(urlsplit(url).path)
                yield self._head(name, "application/octet-stream", f"Abspath: {url}\r\n" if self._nocopy else "")
                yield from answer.iter_content(PIECE)
        except requests.RequestException as error:
            raise SourceError(f"reading {url}", _reason(error)) from None
        yield b"\r\n"

    def _head(self, name: str, kind: str, more: str = "") -> bytes:
        disposition = f'form-data; name="file"; filename="{quote_plus(os.fsencode(name))}"'
        return f"--{self.boundary}\r\n{more}Content-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()


def _pieces(data: Data) -> Pieces:
    if isinstance(data, bytes | bytearray | memoryview):
        return _read(io.BytesIO(data))
    if hasattr(data, "read"):
        return _read(cast(IO[bytes], data))
    return data


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.Timeout():
            return "no answer in time"
        case requests.ConnectionError():
            return "it cannot be reached, or the connection was lost"
        case _:
            return str(error)


def _is_url(source: object) -> bool:
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def _check(source: Source, recursive: bool, nocopy: bool) -> None:
    if _is_url(source):
        return
    if nocopy:
        raise SourceError("", "nocopy option is only valid for URLs")
    if isinstance(source, Content):
        return
    if os.path.isdir(source) and not os.path.islink(source) and not recursive:
        raise SourceError("", f"{source} is a directory, but Recursive option is not set")
    if not os.path.lexists(source):
        raise SourceError(f"reading {source}", "no such file or directory")
