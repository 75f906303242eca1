"""Importing trees: a walk through files, symbolic links and directories, as an upload brings them.

Gives out blocks, and what `add` would tell in its order (spec 2.7): files and links as they end, directories after all
files of their top-level entry, children before parents, siblings in the order of their links.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs.directory import DirectoryImport, Spool
from ipfs_cluster.unixfs.encoder import Encoder
from ipfs_cluster.unixfs.file import FileImport, Leaves
from ipfs_cluster.unixfs.hamt import key_of
from ipfs_cluster.unixfs.model import NO_METADATA, Block, Metadata, Node
from ipfs_cluster.unixfs.options import ImportOptions


class Added(NamedTuple):
    """One line of `add`: a path from its top-level entry on, "" for the wrapping directory. size: bytes of its DAG."""

    path: bytes
    cid: Cid
    size: int
    directory: bool


class _Frame:
    """An open directory."""

    def __init__(self, name: bytes, path: bytes, content: DirectoryImport) -> None:
        self.name = name
        self.path = path
        self.content = content
        self.empty = True
        self.below: dict[bytes, list[Added]] = {}
        self.held: dict[bytes, _Frame] = {}


class TreeImport:
    """Walks one upload. Every iterator has to be used up before the next call.

    Memory: the open file, the open directories, and one line for each directory of the top-level entry.
    leaves: where chunks are hashed. spool: makes files for directories of many entries. merge: a directory below the
    top may be entered again after it was left, as some uploads have it; then all directories of a top-level entry are
    open until its end, and what was said of one first is kept.
    """

    def __init__(
        self,
        options: ImportOptions,
        *,
        leaves: Leaves | None = None,
        spool: Spool = tempfile.TemporaryFile,
        merge: bool = False,
    ) -> None:
        self._merge = merge
        self._options = options
        self._encoder = Encoder(options)
        self._leaves = leaves
        self._spool = spool
        self._open: list[_Frame] = []
        self._file: tuple[bytes, FileImport] | None = None
        self.roots: list[Node] = []
        if options.wrap:
            self._enter(b"", b"", self._explicit())

    def enter(self, name: bytes, metadata: Metadata = NO_METADATA) -> None:
        """A directory begins. metadata: what the upload says of it, kept if the options say so."""
        held = self._open[-1].held.pop(name, None) if self._open else None
        if held is None:
            self._enter(name, self._path(name), self._kept(metadata))
        else:
            self._open.append(held)

    def leave(self) -> Iterator[Block | Added]:
        """The innermost directory ends."""
        frame = self._open.pop()
        above = self._open[-1] if self._open else None
        if self._merge and above is not None:
            above.held[frame.name] = frame
        else:
            yield from self._close(frame, above)

    def _close(self, frame: _Frame, above: _Frame | None) -> Iterator[Block | Added]:
        for held in frame.held.values():
            yield from self._close(held, frame)
        if frame.empty and above is not None and not self._options.empty_dirs:
            above.empty = False
            return
        yield from frame.content.finish()
        node = frame.content.node
        assert node is not None
        lines = [line for name in _link_order(frame) for line in frame.below[name]]
        lines.append(Added(frame.path, node.cid, node.tsize, True))
        self._settle(frame.name, node, above)
        if above is not None:
            above.below[frame.name] = lines
        else:
            yield from lines

    def open_file(self, name: bytes, metadata: Metadata = NO_METADATA) -> None:
        """A file begins. Raises InvalidArgument for a bad chunker."""
        self._file = name, FileImport(self._options, self._kept(metadata), leaves=self._leaves)

    def feed(self, data: bytes) -> Iterator[Block]:
        """Bytes of the open file."""
        assert self._file is not None
        return self._file[1].feed(data)

    def close_file(self) -> Iterator[Block | Added]:
        """The open file ends."""
        assert self._file is not None
        name, content = self._file
        yield from content.finish()
        self._file = None
        assert content.node is not None
        self._settle(name, content.node, self._open[-1] if self._open else None)
        yield Added(self._path(name), content.node.cid, content.node.tsize, False)

    def symlink(self, name: bytes, target: bytes, metadata: Metadata = NO_METADATA) -> Iterator[Block | Added]:
        """A symbolic link. It has no mode."""
        node, block = self._encoder.symlink(target, Metadata(0, self._kept(metadata).mtime))
        if block.stored:
            yield block
        self._settle(name, node, self._open[-1] if self._open else None)
        yield Added(self._path(name), node.cid, node.tsize, False)

    def finish(self) -> Iterator[Block | Added]:
        """The end of the upload. Afterwards `roots` has the top-level entries, or the wrapping directory alone."""
        while self._open:
            yield from self.leave()

    def _enter(self, name: bytes, path: bytes, metadata: Metadata) -> None:
        content = DirectoryImport(self._options, metadata, encoder=self._encoder, spool=self._spool)
        self._open.append(_Frame(name, path, content))

    def _path(self, name: bytes) -> bytes:
        above = self._open[-1].path if self._open else b""
        return above + b"/" + name if above else name

    def _settle(self, name: bytes, node: Node, above: _Frame | None) -> None:
        """Hand a finished entry to its directory."""
        if above is None:
            self.roots.append(node)
            return
        if not name or b"/" in name or name in (b".", b".."):
            raise InvalidArgument(f"an entry of a directory cannot be named {name!r}")
        above.empty = False
        above.content.add(name, node)

    def _kept(self, own: Metadata) -> Metadata:
        """What the options leave of an entry's own metadata."""
        options = self._options
        given = options.metadata
        mode = given.mode or (own.mode & 0o777 if options.preserve_mode else 0)
        return Metadata(mode, given.mtime or (own.mtime if options.preserve_mtime else None))

    def _explicit(self) -> Metadata:
        return self._kept(NO_METADATA)


def _link_order(frame: _Frame) -> list[bytes]:
    if frame.content.sharded:
        return sorted(frame.below, key=lambda name: (key_of(name), name))
    return sorted(frame.below)
