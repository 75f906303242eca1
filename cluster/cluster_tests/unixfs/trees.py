"""Trees of files in memory, and how they are imported in tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid
from ipfs_cluster.unixfs import Added, Block, ImportOptions, Leaves, Metadata, Node, TreeImport
from ipfs_cluster.unixfs.model import NO_METADATA


@dataclass(frozen=True)
class File:
    """A file; content may come in pieces."""

    content: bytes | Iterable[bytes]
    metadata: Metadata = NO_METADATA

    def pieces(self) -> Iterable[bytes]:
        return [self.content] if isinstance(self.content, bytes) else self.content


@dataclass(frozen=True)
class Symlink:
    """A symbolic link."""

    target: bytes
    metadata: Metadata = NO_METADATA


@dataclass(frozen=True)
class Directory:
    """A directory, its entries in the order of the upload."""

    entries: Mapping[bytes, Entry] = field(default_factory=dict)
    metadata: Metadata = NO_METADATA


Entry = File | Symlink | Directory


@dataclass
class Imported:
    """What came out."""

    roots: list[Node] = field(default_factory=list)
    blocks: dict[Cid, Block] = field(default_factory=dict)
    events: list[Added] = field(default_factory=list)

    @property
    def root(self) -> Node:
        (root,) = self.roots
        return root


def tree(shape: Mapping[str, object]) -> Directory:
    """A directory from nested mappings of texts, bytes and entries; a path with slashes makes directories."""
    entries: dict[bytes, Entry] = {}
    deeper: dict[bytes, dict[str, object]] = {}
    for path, value in shape.items():
        first, slash, rest = path.partition("/")
        name = first.encode()
        if slash:
            deeper.setdefault(name, {})[rest] = value
            entries.setdefault(name, Directory())
        elif isinstance(value, Mapping):
            entries[name] = tree(value)
        elif isinstance(value, File | Symlink | Directory):
            entries[name] = value
        else:
            assert isinstance(value, bytes | str)
            entries[name] = File(value if isinstance(value, bytes) else value.encode())
    return Directory({**entries, **{name: tree(below) for name, below in deeper.items()}})


def imported(
    entry: Entry,
    options: ImportOptions,
    name: bytes = b"x",
    *,
    leaves: Leaves | None = None,
    piece: int = 0,
    keep: bool = True,
) -> Imported:
    """Import one top-level entry. piece: bytes a call when a file's content is whole. keep: the blocks."""
    out = Imported()
    walk = TreeImport(options, leaves=leaves)
    for item in _walked(walk, name, entry, piece):
        _take(out, item, keep)
    for item in walk.finish():
        _take(out, item, keep)
    out.roots = walk.roots
    return out


def _take(out: Imported, item: Block | Added, keep: bool) -> None:
    if isinstance(item, Added):
        out.events.append(item)
        return
    if keep:
        assert item.size == len(item.data)
        out.blocks[item.cid] = item


def _walked(walk: TreeImport, name: bytes, entry: Entry, piece: int) -> Iterator[Block | Added]:
    if isinstance(entry, Symlink):
        yield from walk.symlink(name, entry.target, entry.metadata)
    elif isinstance(entry, File):
        walk.open_file(name, entry.metadata)
        for content in entry.pieces():
            for at in range(0, len(content), piece or len(content) or 1):
                yield from walk.feed(content[at : at + (piece or len(content))])
        yield from walk.close_file()
    else:
        walk.enter(name, entry.metadata)
        for below, child in entry.entries.items():
            yield from _walked(walk, below, child, piece)
        yield from walk.leave()
