"""Importing one directory: its entries in any order, its blocks at the end; basic or HAMT by the daemon's rule."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs import message
from ipfs_cluster.unixfs.dagpb import link_size
from ipfs_cluster.unixfs.encoder import Encoder
from ipfs_cluster.unixfs.hamt import HamtWriter, key_of
from ipfs_cluster.unixfs.model import MAX_BLOCK, NO_METADATA, Block, Link, Metadata, Node
from ipfs_cluster.unixfs.options import Estimation, ImportOptions
from ipfs_cluster.unixfs.runs import Entry, SortedRuns

Spool = Callable[[], IO[bytes]]


class DirectoryImport:
    """One directory. Below the threshold its entries are held in memory; above it, where it is certain to be a HAMT,
    they are sorted in runs, of which only one is in memory.
    """

    def __init__(
        self,
        options: ImportOptions,
        metadata: Metadata = NO_METADATA,
        *,
        encoder: Encoder | None = None,
        spool: Spool = tempfile.TemporaryFile,
    ) -> None:
        self._options = options
        self._encoder = Encoder(options) if encoder is None else encoder
        self._metadata = metadata
        self._spool = spool
        self._links: dict[bytes, Link] = {}
        self._runs: SortedRuns | None = None
        self._message = message.directory(message.encode_metadata(metadata))
        self._block_size = len(self._message) + 2
        self._links_size = 0
        self.node: Node | None = None

    @property
    def sharded(self) -> bool:
        """Whether it is certain to be a HAMT."""
        return self._runs is not None

    def add(self, name: bytes, node: Node) -> None:
        """One entry. Raises InvalidArgument for a name that is there (of a large directory, `finish` does)."""
        link = Link(name, node.cid, node.tsize)
        if self._runs is not None:
            self._runs.add(Entry(key_of(name), name, node.cid, node.tsize))
            return
        if name in self._links:
            raise InvalidArgument("directory already has entry by that name")
        self._links[name] = link
        self._links_size += len(name) + len(node.cid)
        self._block_size += link_size(link)
        if self._too_large():
            self._runs = SortedRuns(self._spool)
            for held in self._links.values():
                self._runs.add(Entry(key_of(held.name), *held))
            self._links.clear()
        elif 0 < self._options.max_directory_links < len(self._links):
            raise InvalidArgument("BasicDirectory: cannot add child: maxLinks reached")
        elif self._block_size > MAX_BLOCK and not self._options.max_directory_links:
            raise InvalidArgument(f"a directory of more than {MAX_BLOCK} bytes that is not to be sharded")

    def finish(self) -> Iterator[Block]:
        """The blocks, children before parents; then `node` is there."""
        if self._runs is None:
            links = [self._links[name] for name in sorted(self._links)]
            self.node, block = self._encoder.node(links, self._message)
            if block.stored:
                yield block
            return
        writer = HamtWriter(self._encoder, self._options.hamt_fanout, self._metadata)
        try:
            for block in writer.write(self._runs.merged()):
                if block.stored:
                    yield block
        finally:
            self._runs.close()
        self.node = writer.node

    def _too_large(self) -> bool:
        options = self._options
        if not options.hamt_threshold:
            return False
        if 0 < options.max_directory_links < len(self._links):
            return True
        if options.estimation is Estimation.LINKS:
            return self._links_size > options.hamt_threshold
        return options.estimation is Estimation.BLOCK and self._block_size > options.hamt_threshold
