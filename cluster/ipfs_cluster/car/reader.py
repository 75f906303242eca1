"""Reading CARv1 and CARv2 as they come: fed pieces of any size, it gives out blocks that are what their CIDs say.

Nobody vouches for an archive. Every length is checked before it is waited for, so what is held is one section at most;
every block is checked against its CID; an archive that ends too early or goes on too long is refused. A refusal names
the byte where the faulty part begins and the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ipfs_cluster import cid as cids
from ipfs_cluster import multihash, varint
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, InvalidCid
from ipfs_cluster.ipld import dagcbor
from ipfs_cluster.ipld.values import CidLink

MAX_BLOCK = 2 << 20
MAX_HEAD = 1 << 20
"""Bytes of a head: some 25,000 roots."""

_MAX_CID = 2 * 10 + 10 + multihash.MAX_DIGEST
_V2_HEAD = 40
_V2_PRAGMA = 11


class BadCar(BadContent):
    """The archive is refused. offset: byte where the faulty part begins."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"CAR, byte {offset}: {reason}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class CarBlock:
    """A block. offset: byte of the archive where its section begins."""

    cid: Cid
    data: bytes
    offset: int


class CarReader:
    """One archive. `roots` and `version` are there once the head was read.

    max_block: bytes of the largest block. unique: refuse a block that comes twice; it takes some 100 bytes a block.
    """

    def __init__(self, *, max_block: int = MAX_BLOCK, unique: bool = False) -> None:
        self._max_section = max_block + _MAX_CID
        self._max_block = max_block
        self._seen: set[bytes] | None = set() if unique else None
        self._buffer = bytearray()
        self._offset = 0
        self._end: int | None = None
        self._index = 0
        self._step: Callable[[list[CarBlock]], bool] = self._first_head
        self.version = 0
        self.roots: tuple[Cid, ...] = ()

    def feed(self, data: bytes | memoryview) -> list[CarBlock]:
        """More of the archive; the blocks that are complete. Raises BadCar."""
        self._buffer += data
        done: list[CarBlock] = []
        while self._step(done):
            pass
        return done

    def finish(self) -> None:
        """The archive ends here. Raises BadCar if it must not."""
        ends: dict[Callable[[list[CarBlock]], bool], str] = {
            self._first_head: "before its head is complete",
            self._v2_head: "in the head of version 2",
            self._padding: "before its data",
            self._inner_head: "before the head of its data is complete",
        }
        what = ends.get(self._step)
        if what is None and self._step == self._section:
            if self._end is not None:
                what = "before the end of its data"
            elif self._buffer:
                what = "in the middle of a section"
        if what is None and self._index and self._offset <= self._index:
            what = "before its index"
        if what is not None:
            raise BadCar(self._offset, f"the archive ends {what}")

    def _first_head(self, done: list[CarBlock]) -> bool:
        body = self._framed(MAX_HEAD, "head")
        if body is None:
            return False
        version, roots = self._parsed_head(body)
        if version == 2 and len(body) == _V2_PRAGMA - 1:
            self.version = 2
            self._step = self._v2_head
        elif version == 1:
            self.version = 1
            self.roots = roots
            self._step = self._section
        else:
            raise BadCar(0, f"version {version} is not supported")
        self._drop(len(body) + len(varint.encode(len(body))))
        return True

    def _v2_head(self, done: list[CarBlock]) -> bool:
        if len(self._buffer) < _V2_HEAD:
            return False
        start, size, index = (int.from_bytes(self._buffer[at : at + 8], "little") for at in (16, 24, 32))
        if start < _V2_PRAGMA + _V2_HEAD or size == 0 or start + size > 1 << 62:
            raise BadCar(self._offset, f"data of {size} bytes at {start}")
        if index and index < start + size:
            raise BadCar(self._offset, f"an index at {index}, before the end of the data at {start + size}")
        self._end, self._index = start + size, index
        self._padded = start - _V2_PRAGMA - _V2_HEAD
        self._drop(_V2_HEAD)
        self._step = self._padding
        return True

    def _padding(self, done: list[CarBlock]) -> bool:
        skipped = min(self._padded, len(self._buffer))
        self._padded -= skipped
        self._drop(skipped)
        if self._padded:
            return False
        self._step = self._inner_head
        return True

    def _inner_head(self, done: list[CarBlock]) -> bool:
        body = self._framed(MAX_HEAD, "head of the data")
        if body is None:
            return False
        version, self.roots = self._parsed_head(body)
        if version != 1:
            raise BadCar(self._offset, f"data of version {version}")
        self._drop(len(body) + len(varint.encode(len(body))))
        self._step = self._section
        return True

    def _section(self, done: list[CarBlock]) -> bool:
        if self._end is not None and self._offset >= self._end:
            self._step = self._rest
            return True
        body = self._framed(self._max_section, "section")
        if body is None:
            return False
        done.append(self._block(body))
        self._drop(len(body) + len(varint.encode(len(body))))
        return True

    def _rest(self, done: list[CarBlock]) -> bool:
        """What follows the data of version 2: an index, which nothing here relies on, or nothing."""
        if self._buffer and not self._index:
            raise BadCar(self._offset, "the archive goes on after its data, and says of no index")
        self._drop(len(self._buffer))
        return False

    def _framed(self, limit: int, what: str) -> bytes | None:
        """The bytes after a length at the buffer's start, None if they are not all there."""
        try:
            length, at = varint.decode(bytes(self._buffer[:10]), 0)
        except ValueError as error:
            if str(error).startswith("varints malformed"):
                return None
            raise BadCar(self._offset, f"the length of a {what}: {error}") from None
        if length == 0:
            raise BadCar(self._offset, f"a {what} of no bytes")
        if length > limit:
            raise BadCar(self._offset, f"a {what} of {length} bytes, more than {limit}")
        if self._end is not None and self._offset + at + length > self._end:
            raise BadCar(self._offset, f"a {what} that goes beyond the data's end at {self._end}")
        if len(self._buffer) < at + length:
            return None
        return bytes(memoryview(self._buffer)[at : at + length])

    def _parsed_head(self, body: bytes) -> tuple[int, tuple[Cid, ...]]:
        try:
            value = dagcbor.decode(body)
        except BadContent as error:
            raise BadCar(self._offset, f"a head that is not {error}") from None
        version = value.get("version") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(version, int) or isinstance(version, bool):
            raise BadCar(self._offset, "a head without a version")
        if version != 1:
            return version, ()
        roots = value.get("roots")
        if not isinstance(roots, list) or set(value) != {"roots", "version"}:
            raise BadCar(self._offset, "a head without roots, or with more than them")
        found = [root.cid for root in roots if isinstance(root, CidLink)]
        if len(found) != len(roots):
            raise BadCar(self._offset, "a root that is not a link")
        return version, tuple(found)

    def _block(self, body: bytes) -> CarBlock:
        try:
            cid, at = cids.leading(body)
        except InvalidCid as error:
            raise BadCar(self._offset, f"a section without a CID: {error}") from None
        data = body[at:]
        if len(data) > self._max_block:
            raise BadCar(self._offset, f"a block of {len(data)} bytes, more than {self._max_block}")
        fault = multihash.fault(cids.multihash(cid), [data])
        if fault is not None:
            raise BadCar(self._offset, f"block {cids.text(cid)}: {fault}")
        if self._seen is not None:
            if cid in self._seen:
                raise BadCar(self._offset, f"block {cids.text(cid)} comes twice")
            self._seen.add(cid)
        return CarBlock(cid, data, self._offset)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
