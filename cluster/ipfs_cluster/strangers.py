"""Telling the pins that others made on a node from those that adds of this service are making there.

A node that holds what has neither entry nor row here holds it for somebody else, and that pin is never removed. But an
upload makes the node pin roots that nobody knows before the node reports them: what was found in the meantime may be
its work.

Which CIDs a node has not been asked to pin is remembered apart from rows and attempts: these end, fail and are written
anew, and none of it changes whose the node's pin is. It is not durable: after a restart what a node holds of a row
counts as ours.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ipfs_cluster.cid import Cid

UNTOUCHED = 10_000
"""The most CIDs remembered as untouched, the latest ones; all others count as asked for."""

REMOVALS = 10_000
"""The most removals remembered for an upload; once there were more, any CID may be one of them."""


@dataclass(slots=True)
class Meanwhile:
    """What happened on a node while an upload to it lasts. found: pins that were taken for somebody else's."""

    found: set[Cid] = field(default_factory=set)
    _removed: set[Cid] = field(default_factory=set)
    _crowded: bool = False

    def removes(self, cid: Cid) -> None:
        """A removal of this is about to be asked for."""
        if len(self._removed) < REMOVALS:
            self._removed.add(cid)
        elif cid not in self._removed:
            self._crowded = True

    def may_have_removed(self, cid: Cid) -> bool:
        """Was the node, perhaps, asked to remove this after the upload had made it pin it?"""
        return self._crowded or cid in self._removed


class Strangers:
    """One peer's. changed: hears of each CID whose pins begin or cease to be an upload's work."""

    def __init__(self, changed: Callable[[Cid], None]) -> None:
        self._changed = changed
        self._claimed: Counter[Cid] = Counter()
        self._uploads: list[Meanwhile] = []
        self._untouched: OrderedDict[Cid, None] = OrderedDict()

    @contextmanager
    def upload(self, removing: Iterable[Cid]) -> Iterator[Meanwhile]:
        """While an upload to the node lasts: what happens there meanwhile. removing: what is on its way already."""
        meanwhile = Meanwhile()
        for cid in removing:
            meanwhile.removes(cid)
        self._uploads.append(meanwhile)
        try:
            yield meanwhile
        finally:
            self._uploads = [one for one in self._uploads if one is not meanwhile]

    def found(self, *cids: Cid) -> None:
        """The node holds these, and they are about to be recorded as somebody else's."""
        for upload in self._uploads:
            upload.found.update(cids)

    def removes(self, cid: Cid) -> None:
        """The node is about to be asked to let go of this."""
        for upload in self._uploads:
            upload.removes(cid)

    def claim(self, cid: Cid) -> None:
        """An upload has the node pin this; until `release`, what the node holds of it counts as ours."""
        self._claimed[cid] += 1
        self.touched(cid)
        self._changed(cid)

    def release(self, cid: Cid) -> None:
        """Undo one `claim`: it has become an entry, or was given up."""
        self._claimed[cid] -= 1
        if not self._claimed[cid]:
            del self._claimed[cid]
        self.touched(cid)
        self._changed(cid)

    def claimed(self, cid: Cid) -> bool:
        """True while an upload has the node pin this."""
        return cid in self._claimed

    def untouched(self, cid: Cid) -> None:
        """There was neither entry nor row of this CID, and from now on there is: what the node holds of it is somebody
        else's, until `touched`.
        """
        if cid in self._claimed:
            return
        self._untouched[cid] = None
        if len(self._untouched) > UNTOUCHED:
            self._untouched.popitem(last=False)

    def touched(self, cid: Cid) -> None:
        """The node is about to be asked to pin this, or its own pin is on record."""
        self._untouched.pop(cid, None)

    def is_untouched(self, cid: Cid) -> bool:
        """Is what the node holds of this surely somebody else's, and not on record yet?"""
        return cid in self._untouched
