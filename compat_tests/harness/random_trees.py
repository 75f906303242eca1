"""Random trees and random options, as an upload to a daemon and as calls of the importer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import Added, Asked, Block, Estimation, Link, Metadata, Mtime, Node, TreeImport, resolve
from ipfs_cluster.unixfs.dagpb import link_size
from ipfs_cluster.unixfs.model import NO_METADATA

NAMES = ["a", "b.txt", "index.html", "ä ö", "x+y", "100%", "-", "日本", "q\x7fq", "UPPER", "z" * 60, "~", "s;p"]
HASHES = [
    "sha2-512",
    "sha3-256",
    "blake2b-256",
    "blake3",
    "sha1",
    "shake-256",
    "keccak-256",
    "keccak-512",
    "dbl-sha2-256",
    "blake2s-256",
    "blake2b-512",
    "sha3",
    "SHA2-256",
    "sha3-224",
    "identity",
    "md5",
    "nosuch",
    "blake2b-152",
    "keccak-384",
]
TYPES = {"directory": "application/x-directory", "symlink": "application/symlink", "file": "application/octet-stream"}


@dataclass
class Item:
    """An entry. implicit: a directory that the upload does not mention."""

    kind: str
    name: str
    content: bytes = b""
    below: list[Item] = field(default_factory=list)
    metadata: Metadata = NO_METADATA
    implicit: bool = False


class Maker:
    """One seed's trees and options."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def options(self) -> dict[str, str]:
        """Query options of `add`."""
        roll = self._random
        out: dict[str, str] = {}

        def maybe(name: str, probability: float, *values: object) -> None:
            if roll.random() < probability:
                out[name] = str(roll.choice(values))

        maybe("cid-version", 0.6, 0, 1, 1)
        maybe("hash", 0.2, *HASHES)
        maybe("raw-leaves", 0.4, "true", "false")
        maybe("trickle", 0.3, "true")
        maybe("max-file-links", 0.6, 2, 3, 4, 7, 174, 1024)
        maybe("chunker", 0.8, *self._chunkers())
        maybe("inline", 0.2, "true")
        maybe("inline-limit", 0.2, 0, 1, 20, 40, 128)
        maybe("max-directory-links", 0.3, 0, 1, 3, 8, 30)
        maybe("max-hamt-fanout", 0.3, 8, 16, 64, 256, 512, 1024)
        maybe("wrap-with-directory", 0.2, "true")
        maybe("empty-dirs", 0.2, "true", "false")
        if roll.random() < 0.35:
            maybe("preserve-mode", 0.4, "true")
            maybe("preserve-mtime", 0.4, "true")
            maybe("mode", 0.3, "0644", "0755", "04711", "1", "0")
            maybe("mtime", 0.3, 1, 1604320482, -5, 0, 253402300800)
            maybe("mtime-nsecs", 0.1, 1, 54321, 999999999, 0)
        return out

    def tree(self) -> Item:
        """One top-level entry."""
        roll = self._random
        if roll.random() < 0.3:
            return self._file("f", roll.choice([0, 1, 300, 3000, 70_000, 600_000, 1_500_000]))
        if roll.random() < 0.05:
            return Item("symlink", "l", b"../target", metadata=self._metadata())
        return self._directory("top", 0, roll.choice([0, 2, 5, 12, 12, 60]))

    def _chunkers(self) -> list[str]:
        roll = self._random
        low = roll.randint(16, 100)
        average = low + roll.randint(1, 3000)
        three = f"rabin-{low}-{average}-{average + roll.randint(1, 5000)}"
        return [f"size-{roll.randint(40, 2000)}", "size-262144", "size-65536", three, "rabin", "rabin-4000", "buzhash"]

    def _directory(self, name: str, depth: int, count: int) -> Item:
        roll = self._random
        below: list[Item] = []
        for number in range(roll.randint(0, count)):
            child = f"{number}-{roll.choice(NAMES)}"
            kind = roll.random()
            if kind < 0.2 and depth < 4:
                below.append(self._directory(child, depth + 1, roll.choice([0, 1, 3, 6])))
            elif kind < 0.3:
                below.append(
                    Item("symlink", child, roll.choice([b"x", b"../a/b", b"/t" * 60]), metadata=self._metadata())
                )
            else:
                below.append(self._file(child, roll.choice([0, 1, 10, 100, 500, 2000])))
        implicit = bool(below) and roll.random() < 0.2
        metadata = NO_METADATA if implicit else self._metadata()
        return Item("directory", name, below=below, metadata=metadata, implicit=implicit)

    def _file(self, name: str, size: int) -> Item:
        roll = self._random
        size = roll.randint(size // 2, size)
        content = roll.choice([roll.randbytes(size), bytes(size), (roll.randbytes(50) * (size // 50 + 1))[:size]])
        return Item("file", name, content, metadata=self._metadata())

    def _metadata(self) -> Metadata:
        roll = self._random
        if roll.random() < 0.5:
            return NO_METADATA
        mode = roll.choice([0o644, 0o755, 0o4711, 0o1777, 0o7777, 0o100])
        return Metadata(
            mode, Mtime(roll.choice([0, 1, -1, 1604320482, -62_000_000_000]), roll.choice([0, 5, 999_999_999]))
        )


def upload(top: Item) -> tuple[dict[str, str], bytes]:
    """Headers and body."""
    body = bytearray()
    for path, item in _walked(top.name, top):
        if item.implicit:
            continue
        mode, mtime = item.metadata
        about = "" if mtime is None else f"?mode={mode:o}&mtime={mtime.seconds}&mtime-nsecs={mtime.nanos}"
        head = f'--B\r\nContent-Disposition: form-data; name="file{about}"; filename="{quote(path, safe="")}"\r\n'
        body += head.encode() + f"Content-Type: {TYPES[item.kind]}\r\n\r\n".encode() + item.content + b"\r\n"
    return {"Content-Type": "multipart/form-data; boundary=B"}, bytes(body) + b"--B--\r\n"


def _walked(path: str, item: Item) -> Iterator[tuple[str, Item]]:
    yield path, item
    for below in item.below:
        yield from _walked(f"{path}/{below.name}", below)


def asked(options: dict[str, str], **more: object) -> Asked:
    """The importer's options for those of a query."""

    def flag(name: str) -> bool | None:
        return options[name] == "true" if name in options else None

    def number(name: str) -> int | None:
        return int(options[name]) if name in options else None

    return Asked(
        cid_version=number("cid-version"),
        hash_function=options.get("hash"),
        raw_leaves=flag("raw-leaves"),
        chunker=options.get("chunker"),
        trickle=bool(flag("trickle")),
        max_links=number("max-file-links"),
        inline=bool(flag("inline")),
        inline_limit=int(options.get("inline-limit", 32)),
        max_directory_links=number("max-directory-links"),
        hamt_fanout=number("max-hamt-fanout"),
        mode=int(options.get("mode", "0"), 8),
        mtime=number("mtime") or 0,
        mtime_nanos=number("mtime-nsecs") or 0,
        preserve_mode=bool(flag("preserve-mode")),
        preserve_mtime=bool(flag("preserve-mtime")),
        wrap=bool(flag("wrap-with-directory")),
        empty_dirs=flag("empty-dirs") is not False,
        **more,  # type: ignore[arg-type]
    )


Line = tuple[str, bytes, str]


def imported(top: Item, settled: Asked) -> tuple[list[Line], list[Block], str | None]:
    """Lines (name, CID, size), blocks, and the error if there is one."""
    lines: list[Line] = []
    blocks: list[Block] = []
    try:
        walk = TreeImport(resolve(settled))
        for item in (*_imported(walk, top), *walk.finish()):
            if isinstance(item, Added):
                lines.append((item.path.decode(), bytes(item.cid), str(item.size)))
            else:
                blocks.append(item)
    except InvalidArgument as error:
        return lines, blocks, str(error)
    return lines, blocks, None


def _imported(walk: TreeImport, item: Item) -> Iterator[Block | Added]:
    name = item.name.encode()
    if item.kind == "symlink":
        yield from walk.symlink(name, item.content, item.metadata)
    elif item.kind == "file":
        walk.open_file(name, item.metadata)
        yield from walk.feed(item.content)
        yield from walk.close_file()
    else:
        walk.enter(name, item.metadata)
        for below in item.below:
            yield from _imported(walk, below)
        yield from walk.leave()


def wavers(top: Item, lines: list[Line], settled: Asked) -> bool:
    """Whether the daemon may give one of two shapes to a directory, as chance has it.

    While it writes the sub-directories of a directory that became a HAMT, it takes the directory to be smaller by the
    one it writes; if that is below the threshold, it turns back to a basic one, until the next sub-directory shows that
    it is too large. Their order is that of a Go map.
    """
    options = resolve(settled)
    found = {name: Node(Cid(cid), int(size), 0) for name, cid, size in lines}

    def one(path: str, item: Item) -> bool:
        links = [
            Link(below.name.encode(), *found[f"{path}/{below.name}"][:2])
            for below in item.below
            if f"{path}/{below.name}" in found
        ]
        block = options.estimation is Estimation.BLOCK
        sizes = [link_size(link) if block else len(link.name) + len(link.cid) for link in links]
        total = sum(sizes) + (40 if block else 0)
        near = options.hamt_threshold < total <= options.hamt_threshold + max(sizes, default=0) + 40
        return near and any(below.kind == "directory" for below in item.below)

    return any(one(path, item) for path, item in _walked(top.name, top) if item.kind == "directory")


def query(options: dict[str, str]) -> str:
    """The options as a query."""
    return urlencode(options)
