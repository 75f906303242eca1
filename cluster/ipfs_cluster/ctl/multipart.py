"""Files as a multipart body in Kubo's form, made piece by piece: whatever their size, a piece is in memory."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

import requests

from ipfs_cluster.ctl.errors import LocalError

PIECE = 256 * 1024
Reader = Callable[[], Iterator[bytes]]


class Multipart:
    """The parts of some paths. hidden: with what begins with a dot in folders; stdin: of "-"."""

    def __init__(self, paths: Sequence[str], *, recursive: bool, hidden: bool, nocopy: bool, stdin: Reader) -> None:
        """Raises LocalError for a path that cannot be added, before anything is sent."""
        self.boundary = secrets.token_hex(30)
        self._paths = paths
        self._hidden = hidden
        self._nocopy = nocopy
        self._stdin = stdin
        for path in paths:
            _check(path, recursive, nocopy)

    def __iter__(self) -> Iterator[bytes]:
        for path in self._paths:
            if path == "-":
                yield from self._part("", "application/octet-stream", self._stdin())
            elif _is_url(path):
                yield from self._url(path)
            else:
                yield from self._local(Path(path), os.path.basename(os.path.abspath(path)))
        yield f"--{self.boundary}--\r\n".encode()

    def size(self) -> int | None:
        """Bytes of content; None when it cannot be known before."""
        if any(path == "-" or _is_url(path) for path in self._paths):
            return None
        return sum(map(self._size, map(Path, self._paths)))

    def _size(self, path: Path) -> int:
        if path.is_dir() and not path.is_symlink():
            return sum(map(self._size, self._inside(path)))
        return path.lstat().st_size

    def _inside(self, folder: Path) -> list[Path]:
        names = sorted(os.listdir(folder))
        return [folder / name for name in names if self._hidden or not name.startswith(".")]

    def _local(self, path: Path, name: str) -> Iterator[bytes]:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield from self._part(name, "application/symlink", iter([os.fsencode(path.readlink())]))
        elif stat.S_ISDIR(mode):
            yield from self._part(name, "application/x-directory", iter(()))
            for inside in self._inside(path):
                yield from self._local(inside, f"{name}/{inside.name}")
        elif stat.S_ISREG(mode):
            yield from self._part(name, "application/octet-stream", _content(path))
        else:
            raise LocalError(f"reading {path}", "neither a file, nor a folder, nor a symbolic link")

    def _url(self, url: str) -> Iterator[bytes]:
        with requests.get(url, stream=True, timeout=60) as answer:
            if answer.status_code != 200:
                raise LocalError(f"reading {url}", f"it answered {answer.status_code} {answer.reason}")
            name = os.path.basename(urlsplit(url).path)
            more = f"Abspath: {url}\r\n" if self._nocopy else ""
            yield from self._part(name, "application/octet-stream", answer.iter_content(PIECE), more)

    def _part(self, name: str, kind: str, content: Iterator[bytes], more: str = "") -> Iterator[bytes]:
        disposition = f'form-data; name="file"; filename="{quote_plus(os.fsencode(name))}"'
        head = f"--{self.boundary}\r\n{more}Content-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n"
        yield head.encode()
        yield from content
        yield b"\r\n"


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _is_url(path: str) -> bool:
    return path.startswith(("http://", "https://"))


def _check(path: str, recursive: bool, nocopy: bool) -> None:
    if _is_url(path):
        return
    if nocopy:
        raise LocalError("", "nocopy option is only valid for URLs")
    if path != "-" and os.path.isdir(path) and not os.path.islink(path) and not recursive:
        raise LocalError("", f"{path} is a directory, but Recursive option is not set")
    if path != "-" and not os.path.lexists(path):
        raise LocalError(f"reading {path}", "no such file or directory")
