"""The shapes of a file's tree (spec 4.4), built leaf by leaf; held are the open nodes only, one a level.

`add` takes the next leaf, `finish` the end; both give out the blocks that are complete. `root` is there after finish.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipfs_cluster.unixfs.encoder import Encoder
from ipfs_cluster.unixfs.model import NO_METADATA, Block, Metadata, Node
from ipfs_cluster.unixfs.options import ImportOptions, Layout

_LAYER = 4
"""Sub-trees of each depth below a trickle node."""


class Balanced:
    """All leaves at one depth, nodes filled from the left."""

    def __init__(self, encoder: Encoder, max_links: int) -> None:
        self._encoder = encoder
        self._max = max_links
        self._levels: list[list[Node]] = [[]]
        self.root: Node | None = None

    def add(self, leaf: Node) -> Iterator[Block]:
        """The next leaf."""
        return self._place(0, leaf)

    def finish(self, metadata: Metadata) -> Iterator[Block]:
        """The end; there was at least one leaf."""
        level = 0
        while level < len(self._levels) - 1:
            node, block = self._encoder.internal(self._levels[level], NO_METADATA)
            yield block
            yield from self._place(level + 1, node)
            level += 1
        top = self._levels[-1]
        if len(self._levels) == 1 and len(top) == 1:
            self.root = top[0]
            return
        self.root, block = self._encoder.internal(top, metadata)
        yield block

    def _place(self, level: int, node: Node) -> Iterator[Block]:
        """Put a node at its level; a full one is closed first and moves up."""
        if level == len(self._levels):
            self._levels.append([])
        here = self._levels[level]
        if len(here) == self._max:
            above, block = self._encoder.internal(here, NO_METADATA)
            yield block
            self._levels[level] = here = []
            yield from self._place(level + 1, above)
        here.append(node)


class _Open:
    """An open trickle node: its direct leaves, then layers of sub-trees. depth: of the node, None is unlimited."""

    __slots__ = ("children", "depth", "layer", "leaves", "subtrees")

    def __init__(self, depth: int | None) -> None:
        self.children: list[Node] = []
        self.depth = depth
        self.leaves = 0
        self.layer = 1
        self.subtrees = 0


class Trickle:
    """Leaves at the front of every node, then sub-trees that get deeper: good for reading from the start."""

    def __init__(self, encoder: Encoder, max_links: int) -> None:
        self._encoder = encoder
        self._max = max_links
        self._stack = [_Open(None)]
        self.root: Node | None = None

    def add(self, leaf: Node) -> Iterator[Block]:
        """The next leaf."""
        while True:
            top = self._stack[-1]
            if top.leaves < self._max:
                top.leaves += 1
                top.children.append(leaf)
                return
            if top.depth is None or top.layer < top.depth:
                self._stack.append(_Open(top.layer))
            else:
                yield self._close()

    def finish(self, metadata: Metadata) -> Iterator[Block]:
        """The end; there may have been no leaf."""
        while len(self._stack) > 1:
            yield self._close()
        self.root, block = self._encoder.internal(self._stack[0].children, metadata)
        yield block

    def _close(self) -> Block:
        node, block = self._encoder.internal(self._stack.pop().children, NO_METADATA)
        parent = self._stack[-1]
        parent.children.append(node)
        parent.subtrees += 1
        if parent.subtrees == _LAYER:
            parent.subtrees = 0
            parent.layer += 1
        return block


def layout(encoder: Encoder, options: ImportOptions) -> Balanced | Trickle:
    """The layout that the options ask for."""
    kind = Balanced if options.layout is Layout.BALANCED else Trickle
    return kind(encoder, options.max_links)
